import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// The probe of two hosts: two threads that take each other for another machine, with real files.
@Suite struct SharedProbeTests {
    private typealias Answer = Result<SharedReport, SharedProbeFailure>

    private func store() throws -> TemporaryDirectory {
        let directory = try TemporaryDirectory()
        try check(mkdir(directory.path + "/.artifactfs", 0o700))
        return directory
    }

    private func check(_ result: Int32) throws { if result != 0 { throw Errno(rawValue: errno) } }

    private static func probe(
        _ path: String, boot: String, rounds: Int = 30, isStopped: @escaping () -> Bool = { false }
    ) throws(SharedProbeFailure) -> SharedProbe {
        var probe = try SharedProbe(path, boot: boot, device: nil, isStopped: isStopped)
        probe.rounds = rounds
        return probe
    }

    /// Two at once, as hosts with these runs of their kernels.
    private func two(_ path: String, _ boots: (String, String)) throws -> [Answer] {
        let answers = Mutex<[String: Answer]>([:])
        let done = PosixSemaphore()
        for (key, boot) in [("a", boots.0), ("b", boots.1)] {
            let thread = WorkerThread(name: "probe-\(key)") {
                let answer: Answer
                do throws(SharedProbeFailure) {
                    answer = .success(try Self.probe(path, boot: boot).run(waitingFor: 60))
                } catch { answer = .failure(error) }
                answers.withLock { $0[key] = answer }
                done.post()
            }
            try #require(thread).detach()
        }
        for _ in 0..<2 { #expect(done.wait(milliseconds: 120_000)) }
        return answers.withLock { [$0["a"], $0["b"]].compactMap { $0 } }
    }

    @Test func twoHostsFindTheSame() throws {
        let store = try store()
        let answers = try two(store.path, ("one", "other"))
        let reports = try answers.map { try $0.get() }
        try #require(reports.count == 2)
        let (one, other) = (reports[0], reports[1])
        #expect(one.facts == other.facts && one.hosts == other.hosts)
        #expect(Set(one.hosts.map(\.boot)) == ["one", "other"])
        for question in SharedQuestion.allCases {
            let answer = one.facts[question].answer
            switch question {
            // Of one clock it cannot be told whose it is; and who is not root is not asked.
            case .serverTimes: #expect(answer == .unknown)
            case .modesBindRoot: #expect(answer == (geteuid() == 0 ? .no : .unknown))
            default: #expect(answer == .yes, "\(question): \(one.facts[question])")
            }
            #expect((one.facts[question].milliseconds != nil) == question.isTimed)
        }
        #expect(one.facts[.link].detail.hasPrefix("30 rounds, "))
        #expect(one.facts.verdict == .severalHosts)
        // It is kept, and nothing else is left.
        let root = Directory(owning: try SystemCall.open(SystemCall.currentDirectory, store.path, O_RDONLY))
        let names = try root.directory(".artifactfs").entries().map(\.name)
        #expect(names == ["shared.json"])
        let sharing = try Faults.with({ call, _ in call == .fileSystem ? .fails(.ioError) : nil }) {
            try #require(StoreSharing(root, store.path))
        }
        guard case .found(let kept) = sharing.probe else { throw Errno.noData }
        #expect(kept.facts == one.facts && kept.hosts == one.hosts)
        #expect(sharing.verdict == .severalHosts)
        #expect(sharing.words.contains(": several hosts may use this store (probed by "), "\(sharing.words)")
    }

    @Test func oneMachineSaysNothingOfTwo() throws {
        let store = try store()
        let reports = try two(store.path, ("one", "one")).map { try $0.get() }
        #expect(reports.count == 2)
        for report in reports {
            #expect(report.facts.isOneMachine && report.facts[.link].answer == .yes)
            #expect(report.facts.verdict.name == "unknown")
        }
        #expect(access(store.path + "/.artifactfs/shared.json", F_OK) != 0, "it is no news of two")
        #expect(access(store.path + "/.artifactfs/probe", F_OK) != 0)
    }

    /// Who is alone says so; what was left by others is taken away when it is known to be dead, and nothing that is not a probe's.
    @Test func nobodyComes() throws {
        let store = try store()
        let probe = store.path + "/.artifactfs/probe"
        try check(mkdir(probe, 0o700))
        let directory = Directory(owning: try SystemCall.open(SystemCall.currentDirectory, probe, O_RDONLY))
        // Of a process that is gone; of another machine; nonsense of all kinds.
        let gone = ProbeHost(host: "here", boot: Machine.boot, device: 1, type: 1)
        let line = try ProbeLetter(host: gone).text()
        let dead = String(decoding: line, as: UTF8.self).dropFirst(65)
            .replacing("\"pid\":\(getpid())", with: "\"pid\":\(Int32.max)").dropLast()
        try TestSupport.write(
            try SHA256.digest(dead.utf8) + " " + dead + "\n", to: probe + "/host-" + gone.id)
        try check(mkdir("\(probe)/room-\(gone.id)-0123456789abcdef", 0o700))
        try TestSupport.write("x", to: "\(probe)/room-\(gone.id)-0123456789abcdef/link-1")
        let far = ProbeHost(host: "far", boot: "far", device: 1, type: 1)
        try ProbeMailbox(of: far.id, in: directory).write(ProbeLetter(host: far), isNew: true)
        for (number, text) in ["", "nonsense\n", String(repeating: "0", count: 64) + " {}\n", "{}"].enumerated() {
            try TestSupport.write(text, to: probe + "/host-000000000000000\(number)")
        }
        try check(mkdir(probe + "/host-000000000000000f", 0o700))
        try check(mkdir(probe + "/other", 0o700))
        try check(symlink("/etc/passwd", probe + "/host-00000000000000aa"))
        #expect(throws: SharedProbeFailure.self) { try Self.probe(store.path, boot: Machine.boot).run(waitingFor: 1) }
        let left = Set(try directory.entries().map(\.name))
        #expect(!left.contains("host-" + gone.id) && !left.contains { $0.hasPrefix("room-") })
        #expect(left.isSuperset(of: ["host-" + far.id, "host-000000000000000f", "host-00000000000000aa", "other"]))
        #expect(left.filter { $0.hasPrefix("host-") }.count == 7, "its own is gone: \(left)")
    }

    /// A host that leaves in the middle, at whichever step, leaves the other one with words and nothing behind.
    @Test(arguments: [1, 5, 60, 400, 2_000])
    func oneLeaves(after calls: Int) throws {
        let store = try store()
        let answers = Mutex<[Bool: SharedProbeFailure?]>([:])
        let (done, hasLeft) = (PosixSemaphore(), Flag())
        for leaves in [true, false] {
            let thread = WorkerThread(name: "probe") {
                var (count, hasMet) = (0, false)
                let failure: SharedProbeFailure?
                do throws(SharedProbeFailure) {
                    let probe = try Self.probe(store.path, boot: leaves ? "one" : "other") {
                        // Who stays and has not even met the other waits for a third one: that is ended here.
                        guard leaves else { return !hasMet && hasLeft.isSet }
                        if hasMet { count += 1 }
                        return count > calls
                    }
                    _ = try probe.run(waitingFor: 60, met: { _ in hasMet = true })
                    failure = nil
                } catch { failure = error }
                if leaves { hasLeft.set() }
                answers.withLock { $0[leaves] = .some(failure) }
                done.post()
            }
            try #require(thread).detach()
        }
        for _ in 0..<2 { #expect(done.wait(milliseconds: 120_000)) }
        let found = answers.withLock { $0 }
        guard case .stopped?? = found[true] else {
            // It was done before.
            #expect(calls > 1_000, "\(found)")
            return
        }
        switch found[false] {
        case .partnerGone(_, let doing)??: #expect(!doing.isEmpty)
        case .stopped??: #expect(calls < 100, "they had met")
        default: Issue.record("\(found)")
        }
        #expect(access(store.path + "/.artifactfs/probe", F_OK) != 0, "nothing is left")
        #expect(access(store.path + "/.artifactfs/shared.json", F_OK) != 0)
    }

    /// Set once.
    private final class Flag: Sendable {
        private let value = Atomic<Bool>(false)
        var isSet: Bool { value.load(ordering: .relaxed) }
        func set() { value.store(true, ordering: .relaxed) }
    }

    // MARK: - Meeting

    private func letter(_ id: Character, partner: Character? = nil, step: Int64 = 0) -> ProbeLetter {
        func name(_ letter: Character) -> String { String(repeating: letter, count: 16) }
        let text = ProbeHost(host: "h", boot: "b", device: 1, type: 1).json
        var members = text
        members["id"] = .string(name(id))
        var letter = ProbeLetter(host: ProbeHost(.object(members)) ?? ProbeHost(host: "", boot: "", device: 0, type: 0))
        letter.partner = partner.map(name)
        letter.step = step
        return letter
    }

    @Test func pairsAreMade() {
        func next(_ own: ProbeLetter, _ others: ProbeLetter...) -> (partner: Character?, role: Int?) {
            var own = own
            let met = ProbeMeeting.next(&own, among: others)
            return (own.partner?.first, met?.role)
        }
        // The lowest offers, the others wait for an offer.
        #expect(next(letter("a")) == (nil, nil))
        #expect(next(letter("a"), letter("b"), letter("c")) == ("b", nil))
        #expect(next(letter("b"), letter("a"), letter("c")) == (nil, nil))
        // It is taken, and seen to be.
        #expect(next(letter("b"), letter("a", partner: "b")) == ("a", 1))
        #expect(next(letter("a", partner: "b"), letter("b", partner: "a", step: 1)) == ("b", 0))
        // Or not: by another, or by nobody any more.
        #expect(next(letter("a", partner: "b"), letter("b", partner: "c")) == (nil, nil))
        #expect(next(letter("a", partner: "b")) == (nil, nil))
        #expect(next(letter("a", partner: "b"), letter("b")) == ("b", nil))
        // Who has offered takes nothing else.
        #expect(next(letter("b", partner: "c"), letter("a", partner: "b"), letter("c")) == ("c", nil))
        // Two that work are left alone.
        #expect(next(letter("a"), letter("b", partner: "c", step: 3), letter("c", partner: "b", step: 3)) == (nil, nil))
    }

    @Test func lettersAreWhole() throws {
        var letter = letter("a", partner: "b", step: 7)
        letter.now = ["x": .integer(1)]
        let text = try letter.text()
        let read = try #require(ProbeLetter(text + Array("what was there before\n".utf8)))
        #expect(read.host == letter.host && read.step == 7 && read.now == letter.now && read.partner == letter.partner)
        for count in 0..<text.count { #expect(ProbeLetter(Array(text[..<count])) == nil) }
        for place in stride(from: 0, to: text.count - 1, by: 3) {
            var other = text
            other[place] ^= 1
            #expect(ProbeLetter(other) == nil)
        }
    }

    // MARK: - What is kept

    @Test(
        arguments: [
            "", "{}", "nonsense", "[]", #"{"format":2}"#, String(repeating: " ", count: 70_000),
            #"{"format":1,"time":"never","hosts":[],"one_machine":false,"facts":{}}"#,
            #"{"format":1,"time":"2026-01-01T00:00:00Z","hosts":[{},{}],"one_machine":false,"facts":{}}"#,
        ])
    func nonsenseIsSaid(_ text: String) throws {
        let store = try store()
        try TestSupport.write(text, to: store.path + "/.artifactfs/shared.json")
        let words = try sharing(store.path)
        #expect(words.words.contains("what a probe has found cannot be read"), "\(words.words)")
        #expect(words.verdict.name == "unknown")
    }

    @Test func whatWasNeverProbedOrElsewhereIsSaid() throws {
        let store = try store()
        #expect(
            try sharing(store.path).words.hasSuffix(
                "was never probed: run 'artifactfs doctor --shared \(store.path)' on two hosts at once"))
        let root = try SystemCall.open(SystemCall.currentDirectory, store.path, O_RDONLY)
        #expect(StoreSharing(Directory(owning: root), store.path) == nil, "a local file system")
        let host = SharedReport.Host(name: "h", boot: "b", type: 0x6969, user: 0)
        let facts = SharedFacts([:], isOneMachine: false)
        let report = SharedReport(time: "2026-01-01T00:00:00Z", hosts: [host, host], facts: facts)
        let moved = StoreSharing(path: "/s", type: 0x0bd0_0bd0, probe: .found(report))
        #expect(moved.words.contains("on Lustre, which several hosts may use, and was probed on NFS only"))
        #expect(moved.verdict.name == "unknown")
        #expect(
            SharedReport(.object(report.json))
                == SharedReport(
                    time: report.time, hosts: report.hosts,
                    facts: SharedFacts(
                        Dictionary(uniqueKeysWithValues: SharedQuestion.allCases.map { ($0, .unknown) }),
                        isOneMachine: false)))
    }

    private func sharing(_ path: String) throws -> StoreSharing {
        let root = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY)
        return try Faults.with({ call, _ in call == .fileSystem ? .fails(.ioError) : nil }) {
            try #require(StoreSharing(Directory(owning: root), path))
        }
    }

    /// A store that cannot be written, and what is none.
    @Test func whatCannotBeProbedIsSaid() throws {
        let directory = try TemporaryDirectory()
        #expect(throws: SharedProbeFailure.self) { try Self.probe(directory.path, boot: "b") }
        let store = try store()
        try Faults.with({ call, _ in call == .makeDirectory ? .fails(.readOnlyFileSystem) : nil }) {
            let probe = try Self.probe(store.path, boot: "b")
            do throws(SharedProbeFailure) { _ = try probe.run(waitingFor: 1) } catch {
                guard case .store(.system(_, _, .readOnlyFileSystem)) = error else { throw error }
            }
        }
        try check(symlink("/tmp", store.path + "/.artifactfs/probe"))
        #expect(throws: SharedProbeFailure.self) { try Self.probe(store.path, boot: "b").run(waitingFor: 1) }
    }
}
