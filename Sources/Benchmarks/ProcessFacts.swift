import Glibc

/// What `/proc` says of a process that serves a mount.
struct ProcessFacts: Sendable {
    /// Resident memory, in bytes.
    let resident: Int
    /// Open descriptors.
    let descriptors: Int
    /// Times that its threads gave up the processor, all in all.
    let switches: Int

    init(_ process: Int32) throws(BenchFailure) {
        guard let resident = try Self.field("VmRSS:", of: "/proc/\(process)/status") else {
            throw BenchFailure("process \(process) has no memory: it ended")
        }
        self.resident = resident * 1024
        descriptors = try Self.entries("/proc/\(process)/fd").count
        var switches = 0
        for thread in try Self.entries("/proc/\(process)/task") {
            let status = "/proc/\(process)/task/\(thread)/status"
            // A thread may end between the listing and the look at it.
            for name in ["voluntary_ctxt_switches:", "nonvoluntary_ctxt_switches:"] {
                switches += (try? Self.field(name, of: status)) ?? 0
            }
        }
        self.switches = switches
    }

    private static func field(_ name: String, of path: String) throws(BenchFailure) -> Int? {
        for line in try TextFile.read(path).split(separator: "\n") where line.hasPrefix(name) {
            return line.dropFirst(name.count).split(whereSeparator: { $0 == " " || $0 == "\t" }).first.flatMap {
                Int($0)
            }
        }
        return nil
    }

    private static func entries(_ path: String) throws(BenchFailure) -> [String] {
        guard let directory = opendir(path) else { throw BenchFailure.call("list", path) }
        defer { closedir(directory) }
        let nameOffset = MemoryLayout<dirent>.offset(of: \.d_name) ?? 19
        var names: [String] = []
        while let entry = readdir(directory) {
            let name = (UnsafeRawPointer(entry) + nameOffset).assumingMemoryBound(to: CChar.self)
            let string = String(cString: name)
            if !string.hasPrefix(".") { names.append(string) }
        }
        return names
    }
}
