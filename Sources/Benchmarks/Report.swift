internal import ArtifactRecords

/// What a run measured.
struct Report: Sendable {
    /// One workload on one target.
    struct Row: Sendable {
        let workload: String
        let unit: Workload.Unit
        let target: String
        /// The rate of the first round, which is not counted: caches and tables were cold.
        let first: Double
        /// The rates of the counted rounds, in order.
        let rates: [Double]
    }

    /// A target's process, before the first round and after the last.
    struct Memory: Sendable {
        let target: String
        let atStart: Int
        let atEnd: Int
        let descriptorsAtEnd: Int
    }

    let targets: [String]
    let settings: Settings
    /// When, which kernel, how many processors, and what the caller noted.
    let facts: [(String, String)]
    var rows: [Row] = []
    var memory: [Memory] = []

    func row(_ workload: String, _ target: String) -> Row? {
        rows.first { $0.workload == workload && $0.target == target }
    }

    /// The workloads that were measured, in their order.
    var workloads: [String] {
        var names: [String] = []
        for row in rows where !names.contains(row.workload) { names.append(row.workload) }
        return names
    }

    /// A target's rate over another's, round by round: what disturbs a round disturbs both.
    func ratio(_ workload: String, _ target: String, to base: String) -> Spread? {
        guard let mine = row(workload, target), let other = row(workload, base) else { return nil }
        return Spread(zip(mine.rates, other.rates).compactMap { $1 > 0 ? $0 / $1 : nil })
    }

    /// What threads give: a workload by several of them over the same work by one.
    struct Scaling: Sendable {
        let parallel: String
        let single: String
        let target: String
        let factor: Double
        /// The factor over that of the first target, the native directory.
        let ofNative: Double
    }

    var scaling: [Scaling] {
        var found: [Scaling] = []
        for (parallel, single) in [
            ("parallel-read", "seq-read"), ("parallel-write", "seq-write"), ("parallel-open-read", "open-read"),
            ("parallel-create", "create-session"),
        ] {
            func factor(_ target: String) -> Double? {
                guard let many = row(parallel, target).flatMap({ Spread($0.rates) }),
                    let one = row(single, target).flatMap({ Spread($0.rates) }), one.median > 0
                else { return nil }
                return many.median / one.median
            }
            guard let first = targets.first, let native = factor(first), native > 0 else { continue }
            for target in targets {
                guard let own = factor(target) else { continue }
                found.append(
                    Scaling(
                        parallel: parallel, single: single, target: target, factor: own, ofNative: own / native))
            }
        }
        return found
    }

    // MARK: The table

    /// Medians, ratios and their spread, a line for each workload and target.
    func table() -> String {
        let width = (targets.map(\.count).max() ?? 0) + 2
        let others = targets.dropFirst().contains("bindfs")
        var lines = facts.map { "\($0.0): \($0.1)" }
        lines.append("")
        lines.append(
            Format.left("workload", 20) + Format.left("target", width) + Format.right("median", 12)
                + Format.right("min", 12) + Format.right("max", 12) + "       "
                + Format.right("of native (min-max)", 22)
                + (others ? Format.right("times bindfs (min-max)", 26) : ""))
        for workload in workloads {
            for target in targets {
                guard let row = row(workload, target), let spread = Spread(row.rates) else { continue }
                var line =
                    Format.left(target == targets.first ? workload : "", 20) + Format.left(target, width)
                    + [spread.median, spread.least, spread.most].map { Format.right(Format.grouped($0), 12) }.joined()
                    + " " + Format.left(row.unit.rawValue, 6)
                if let first = targets.first, target != first {
                    line += Format.right(Self.cell(ratio(workload, target, to: first)), 22)
                    if others, target != "bindfs" {
                        line += Format.right(Self.cell(ratio(workload, target, to: "bindfs")), 26)
                    }
                }
                lines.append(line)
            }
        }
        for entry in scaling {
            lines.append(
                "\(entry.parallel) by \(settings.threads) threads over \(entry.single) on \(entry.target): "
                    + "\(Format.ratio(entry.factor)) times, \(Format.ratio(entry.ofNative)) of native's")
        }
        for entry in memory {
            let start = Format.fixed(Double(entry.atStart) / 1_048_576, 1)
            let end = Format.fixed(Double(entry.atEnd) / 1_048_576, 1)
            lines.append(
                "memory of \(entry.target): \(start) MiB at start, \(end) MiB and \(entry.descriptorsAtEnd) descriptors "
                    + "at the end")
        }
        return lines.joined(separator: "\n")
    }

    private static func cell(_ spread: Spread?) -> String {
        guard let spread else { return "-" }
        return Format.ratio(spread.median) + " (" + Format.ratio(spread.least) + "-" + Format.ratio(spread.most) + ")"
    }

    // MARK: JSON

    /// Everything, each round's rate included.
    func json() -> JSONValue {
        func spread(_ value: Spread?) -> JSONValue {
            guard let value else { return .null }
            return .members([
                ("median", .measured(value.median)), ("min", .measured(value.least)), ("max", .measured(value.most)),
            ])
        }
        return .members([
            ("facts", .members(facts.map { ($0.0, .string($0.1)) })),
            (
                "settings",
                .members([
                    ("files", .measured(Double(settings.files))), ("changes", .measured(Double(settings.changes))),
                    ("bigMebibytes", .measured(Double(settings.bigMebibytes))),
                    ("randomReads", .measured(Double(settings.randomReads))),
                    ("threads", .measured(Double(settings.threads))), ("rounds", .measured(Double(settings.rounds))),
                    ("warmUpSeconds", .measured(settings.warmUpSeconds)),
                ])
            ),
            ("targets", .array(targets.map { .string($0) })),
            (
                "results",
                .array(
                    rows.map { row in
                        .members([
                            ("workload", .string(row.workload)), ("target", .string(row.target)),
                            ("unit", .string(row.unit.rawValue)), ("first", .measured(row.first)),
                            ("rates", .array(row.rates.map { .measured($0) })), ("rate", spread(Spread(row.rates))),
                            (
                                "ratio",
                                .members(
                                    targets.filter { $0 != row.target }.compactMap { base in
                                        ratio(row.workload, row.target, to: base).map { (base, spread($0)) }
                                    })
                            ),
                        ])
                    })
            ),
            (
                "scaling",
                .array(
                    scaling.map { entry in
                        .members([
                            ("workload", .string(entry.parallel)), ("over", .string(entry.single)),
                            ("target", .string(entry.target)), ("factor", .measured(entry.factor)),
                            ("ofNative", .measured(entry.ofNative)),
                        ])
                    })
            ),
            (
                "memory",
                .array(
                    memory.map { entry in
                        .members([
                            ("target", .string(entry.target)), ("atStart", .measured(Double(entry.atStart))),
                            ("atEnd", .measured(Double(entry.atEnd))),
                            ("descriptorsAtEnd", .measured(Double(entry.descriptorsAtEnd))),
                        ])
                    })
            ),
        ])
    }
}
