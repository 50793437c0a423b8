internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Finds out, on two hosts at once, what the file system can that a store lies on (SEMANTICS 2.14). The store is not opened: nothing of it is
/// read or changed but `.artifactfs/probe` and `.artifactfs/shared.json`.
package struct SharedProbe {
    private let path: String
    private let own: Directory
    private let host: ProbeHost
    private let isStopped: () -> Bool

    /// How long and how often; tests want less.
    var rounds = 200
    /// Of the rounds of a kind, in nanoseconds.
    var longestRace: UInt64 = 15_000_000_000
    /// How long is looked for what is to be seen, in milliseconds.
    var sightPatience = SharedFacts.patience
    /// A host of which nothing new is heard for so long is gone, in nanoseconds. It is longer than what a host's memory of attributes may hide.
    var partnerPatience: UInt64 = 90_000_000_000

    /// - Parameters:
    ///   - path: the store's directory.
    ///   - isStopped: asked again and again; when it says so, everything is cleaned up and ``SharedProbeFailure/stopped`` thrown.
    package init(_ path: String, isStopped: @escaping () -> Bool) throws(SharedProbeFailure) {
        try self.init(path, boot: Machine.boot, device: nil, isStopped: isStopped)
    }

    /// The same as another machine, for tests.
    init(_ path: String, boot: String, device: Int64?, isStopped: @escaping () -> Bool) throws(SharedProbeFailure) {
        self.path = path
        self.isStopped = isStopped
        do throws(StoreError) {
            let root = try Store.openRoot(path)
            guard try Store.look(into: root, path).isStore else {
                throw .notAStore(path: path, problem: "it has neither base_layer nor meta_layer nor .artifactfs")
            }
            own = try Store.doing("open the store's own directory", path + "/" + StoreLayout.privateDirectory) {
                () throws(Errno) in try root.directory(StoreLayout.privateDirectory)
            }
            try Self.checkFormat(own, path)
            let seen = try Store.doing("look at", path) { () throws(Errno) in
                Int64(truncatingIfNeeded: try SystemCall.attributes(root.descriptor).st_dev)
            }
            host = ProbeHost(
                host: Store.hostName(), boot: boot, device: device ?? seen,
                type: Int64(FileSystemKind.number(of: root.descriptor)))
        } catch { throw .store(error) }
    }

    private static func checkFormat(_ own: Directory, _ path: String) throws(StoreError) {
        let text = try Store.doing("read the store's format", path) { () throws(Errno) -> String? in
            do throws(Errno) {
                let marker = try own.file(StoreFormat.fileName).open(O_RDONLY | O_NONBLOCK)
                defer { SystemCall.close(marker) }
                return String(decoding: try SystemCall.bytes(marker, at: 0, count: 256), as: UTF8.self)
            } catch .noSuchFileOrDirectory { return nil }
        }
        if let text, StoreFormat.version(text) == nil {
            throw .format(path: path, found: String(text.prefix { $0 != "\n" }))
        }
    }

    /// Waits for another host, and works with it.
    ///
    /// - Parameters:
    ///   - seconds: how long it waits.
    ///   - waiting: called once, when nobody is there yet.
    ///   - met: called with the other host's name.
    package func run(
        waitingFor seconds: Int, waiting: () -> Void = {}, met: (String) -> Void = { _ in }
    ) throws(SharedProbeFailure) -> SharedReport {
        let directory = try doing("make a directory for the probe") { () throws(Errno) -> Directory in
            do throws(Errno) { return try own.directory(StoreFormat.probe) } catch .noSuchFileOrDirectory {
                do throws(Errno) { return try ProbeRoom.directory(StoreFormat.probe, in: own) } catch .fileExists {
                    return try own.directory(StoreFormat.probe)
                }
            }
        }
        // It goes when nobody needs it.
        defer { try? SystemCall.unlink(own.descriptor, StoreFormat.probe, isDirectory: true) }
        let meeting = ProbeMeeting(
            directory: directory, own: host, patience: partnerPatience, isStopped: isStopped)
        let pair = try meeting.meet(within: seconds, waiting: waiting)
        met(pair.partner.host)
        let talk = ProbeTalk(pair, in: directory, patience: partnerPatience, isStopped: isStopped)
        do throws(SharedProbeFailure) { return try work(talk) } catch {
            if case .partnerGone = error { talk.removeAll() } else { talk.leave() }
            throw error
        }
    }

    private func work(_ talk: ProbeTalk) throws(SharedProbeFailure) -> SharedReport {
        try talk.enterRoom()
        var found = try ProbeRaces(talk, rounds: rounds, longest: longestRace).facts()
        found.merge(try ProbeLocks(talk: talk).facts()) { $1 }
        found.merge(try ProbeFeatures(talk: talk).facts()) { $1 }
        found.merge(try ProbeTimes(talk: talk).facts()) { $1 }
        found.merge(try ProbeSights(talk: talk, patience: sightPatience).facts()) { $1 }
        talk.doing = "comparing what was found"
        let answer = try talk.exchange(["facts": .object(SharedReport.json(of: found))])
        guard let told = answer["facts"]?.object else {
            throw .nonsense(host: talk.partner.host, doing: talk.doing)
        }
        let pair = talk.role == 0 ? [talk.own, talk.partner] : [talk.partner, talk.own]
        let report = SharedReport(
            time: TimeText.rfc3339(Clock.now()),
            hosts: pair.map { SharedReport.Host(name: $0.host, boot: $0.boot, type: $0.type, user: $0.user) },
            facts: SharedFacts(
                found, SharedReport.facts(in: told), isOneMachine: talk.own.isSameMachine(as: talk.partner)))
        if talk.role == 0 {
            // What one machine says of itself is no news of two.
            if !report.facts.isOneMachine { try keep(report) }
            try talk.say()
            _ = try talk.hear()
            try talk.say()
            // Who has heard all says so; what does not come any more is not needed.
            _ = try? talk.hear()
            talk.removeAll()
        } else {
            _ = try talk.exchange()
            try talk.say()
        }
        return report
    }

    private func keep(_ report: SharedReport) throws(SharedProbeFailure) {
        let text = Array((JSONValue.object(report.json).description + "\n").utf8)
        try doing("keep what was found") { () throws(Errno) in
            try WholeFile.write(
                text, to: own.file(StoreFormat.sharedName),
                preparing: { descriptor throws(Errno) in try ProbeRoom.give(descriptor, asIn: own) })
        }
    }

    private func doing<Value>(_ what: String, _ body: () throws(Errno) -> Value) throws(SharedProbeFailure) -> Value {
        do throws(Errno) { return try body() } catch {
            throw .store(
                .system(doing: what, path: "\(path)/\(StoreLayout.privateDirectory)/\(StoreFormat.probe)", error))
        }
    }
}
