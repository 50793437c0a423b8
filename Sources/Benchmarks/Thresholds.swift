internal import ArtifactRecords

/// The checked-in floors: ratios, which hold on any machine, and memory.
///
///     { "ratios": [ { "workload": "open-read", "target": "artifactfs", "to": "bindfs", "atLeast": 3 } ],
///       "memory": [ { "target": "artifactfs", "atStartMiB": 40 } ] }
enum Thresholds {
    /// A threshold compared with what was measured.
    struct Finding {
        let text: String
        let holds: Bool
    }

    /// Compares a run's JSON with the thresholds. What was not measured does not hold.
    static func compare(_ results: JSONValue, with thresholds: JSONValue) throws(BenchFailure) -> [Finding] {
        var findings: [Finding] = []
        for entry in thresholds["ratios"]?.elements ?? [] {
            guard let workload = entry["workload"]?.string, let target = entry["target"]?.string,
                let base = entry["to"]?.string, let floor = entry["atLeast"]?.double
            else {
                throw BenchFailure("a threshold needs workload, target, to and atLeast: \(entry.written())")
            }

            let row = (results["results"]?.elements ?? []).first {
                $0["workload"]?.string == workload && $0["target"]?.string == target
            }
            guard let ratio = row?["ratio"]?[base], let measured = ratio["median"]?.double else {
                findings.append(Finding(text: "\(workload): \(target) over \(base) was not measured", holds: false))
                continue
            }
            let spread =
                if let least = ratio["min"]?.double, let most = ratio["max"]?.double {
                    " (\(Format.ratio(least))-\(Format.ratio(most)))"
                } else { "" }
            findings.append(
                Finding(
                    text: "\(workload): \(target) is \(Format.ratio(measured))\(spread) of \(base)"
                        + ", at least \(Format.ratio(floor)) wanted", holds: measured >= floor))
        }
        for entry in thresholds["memory"]?.elements ?? [] {
            guard let target = entry["target"]?.string, let ceiling = entry["atStartMiB"]?.double else {
                throw BenchFailure("a memory threshold needs target and atStartMiB: \(entry.written())")
            }
            let row = (results["memory"]?.elements ?? []).first { $0["target"]?.string == target }
            guard let bytes = row?["atStart"]?.double else {
                findings.append(Finding(text: "memory of \(target) was not measured", holds: false))
                continue
            }
            let measured = bytes / 1_048_576
            findings.append(
                Finding(
                    text: "memory of \(target) at start is \(Format.fixed(measured, 1)) MiB, at most "
                        + "\(Format.fixed(ceiling, 1)) MiB wanted", holds: measured <= ceiling))
        }
        if findings.isEmpty { throw BenchFailure("the thresholds file has no thresholds") }
        return findings
    }
}
