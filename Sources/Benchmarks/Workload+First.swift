/// The same work on what the kernel has forgotten: the first touch. Root only.
extension Workload {
    static let firsts: [Workload] = [
        first(of: openRead), first(of: statNames), first(of: listAndStat), first(of: list), sequentialReadFirst,
    ]

    /// On a disk, that of the pages as well: `bench.sh --disk`.
    static let colds: [Workload] = [
        Workload(
            name: "seq-read-cold", summary: "seq-read of a file that is on the disk only", unit: .mebibytes,
            writes: false, forgets: .everything, body: sequentialReadFirst.body)
    ]

    private static func first(of workload: Workload) -> Workload {
        Workload(
            name: workload.name + "-first", summary: "\(workload.name) after the kernel has forgotten all names",
            unit: workload.unit, writes: false, forgets: .names, body: workload.body)
    }
}
