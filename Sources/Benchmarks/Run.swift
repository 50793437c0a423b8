import Glibc

/// Runs workloads on targets, round by round.
struct Run {
    let targets: [Target]
    let workloads: [Workload]
    let settings: Settings
    let notes: [(String, String)]
    /// Told what is being done.
    let progress: (String) -> Void

    /// One uncounted round, then the counted ones. Within a round each workload visits all targets, one after the other:
    /// what else the machine does meets all of them. The order is drawn anew each time, because a target suffers from (or
    /// profits by) what the one before it left in the caches.
    func measure() throws(BenchFailure) -> Report {
        // Before the first pass: what others do here, which a busy machine's round trips depend on.
        let load = Self.load()
        let stamps = Content.stamps(count: max(settings.files, settings.bigBlocks))
        let runName = String(UInt64(time(nil)), radix: 36) + "p\(getpid())"
        let buffers = Buffers()
        var benches: [Bench] = []
        var memoryAtStart: [ProcessFacts?] = []
        for (index, target) in targets.enumerated() {
            // Peers show the native directory: no two targets may make the same name.
            let own = runName + "t\(index)"
            benches.append(
                try Bench(
                    target: target, isNative: index == 0, settings: settings, stamps: stamps, runName: own,
                    buffers: buffers))
            memoryAtStart.append(try Self.facts(of: target))
        }
        var rates = [[[Double]]](
            repeating: [[Double]](repeating: [], count: targets.count), count: workloads.count)
        var order = Order()
        for round in 0...settings.rounds {
            progress(round == 0 ? "first round, not counted" : "round \(round) of \(settings.rounds)")
            for (which, workload) in workloads.enumerated() {
                for index in benches.indices.shuffled(using: &order) {
                    let bench = benches[index]
                    if workload.writes && bench.target.isReadOnly { continue }
                    bench.round = round
                    try bench.warmUp()
                    rates[which][index].append(try rate(of: workload, on: bench))
                }
            }
        }
        var report = Report(targets: targets.map(\.name), settings: settings, facts: facts(load: load))
        for (which, workload) in workloads.enumerated() {
            for (index, target) in targets.enumerated() {
                guard let first = rates[which][index].first else { continue }
                report.rows.append(
                    Report.Row(
                        workload: workload.name, unit: workload.unit, target: target.name, first: first,
                        rates: Array(rates[which][index].dropFirst())))
            }
        }
        for (target, start) in zip(targets, memoryAtStart) {
            guard let start, let end = try Self.facts(of: target) else { continue }
            report.memory.append(
                Report.Memory(
                    target: target.name, atStart: start.resident, atEnd: end.resident,
                    descriptorsAtEnd: end.descriptors))
        }
        return report
    }

    /// The same orders in every run.
    private struct Order: RandomNumberGenerator {
        var state: UInt64 = 0x2545_F491_4F6C_DD1D

        /// SplitMix64.
        mutating func next() -> UInt64 {
            state &+= 0x9E37_79B9_7F4A_7C15
            var mixed = (state ^ (state >> 30)) &* 0xBF58_476D_1CE4_E5B9
            mixed = (mixed ^ (mixed >> 27)) &* 0x94D0_49BB_1331_11EB
            return mixed ^ (mixed >> 31)
        }
    }

    /// One visit's rate. Work that changes nothing is repeated until enough time was measured to mean something; the
    /// first round's is not, because it is there to show what is cold.
    private func rate(of workload: Workload, on bench: Bench) throws(BenchFailure) -> Double {
        var seconds = 0.0
        var amount = 0.0
        for _ in 0..<32 {
            try workload.forgets.happen()
            let sample = try workload.body(bench)
            seconds += sample.seconds
            amount += sample.amount
            if workload.writes || bench.round == 0 || seconds >= settings.enoughSeconds { break }
        }
        return seconds > 0 ? amount / seconds : 0
    }

    /// The number of running threads over the last minute.
    private static func load() -> Double {
        var averages = [0.0, 0.0, 0.0]
        return getloadavg(&averages, 3) > 0 ? averages[0] : 0
    }

    private static func facts(of target: Target) throws(BenchFailure) -> ProcessFacts? {
        guard let process = target.process else { return nil }
        return try ProcessFacts(process)
    }

    private func facts(load: Double) -> [(String, String)] {
        var system = utsname()
        uname(&system)
        let release = withUnsafeBytes(of: &system.release) { String(decoding: $0.prefix { $0 != 0 }, as: UTF8.self) }
        return [
            ("time", Stopwatch.timestamp()), ("kernel", release),
            ("processors", "\(sysconf(Int32(_SC_NPROCESSORS_ONLN)))"),
            ("load before", Format.fixed(load, 2)),
            (
                "work",
                "\(settings.files) artifacts of 4 KiB, \(settings.changes) changes a round, a file of "
                    + "\(settings.bigMebibytes) MiB, \(settings.threads) threads, \(settings.rounds) rounds, "
                    + "\(Format.fixed(settings.warmUpSeconds, 2)) s to warm up before each visit"
            ),
        ] + notes
    }
}
