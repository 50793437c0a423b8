import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// Sessions are removed whole, or not at all, whatever ends who does it.
@Suite struct SessionRemovalTests {
    private static let old = "20260215_143022"
    private static let other = "20260216_143022"
    private static let metadata = "{\"metrics\": {\"loss\": 0.5}}\n"
    private static let files = [
        "base_layer/dev/\(old)/metadata.json": metadata, "base_layer/dev/\(old)/scratch/deep/notes": "n",
        "base_layer/dev/\(old)/analysis_sequences_chr1.tsv": table,
        "meta_layer/dev/\(old)/predictions/meta_predictions.tsv": table,
        "base_layer/dev/\(other)/metadata.json": "{}\n", "meta_layer/dev/\(other)/predictions/x": table,
    ]

    /// How a session's removal meets the disk.
    enum Disk: String, CaseIterable, Sendable {
        case usual
        /// The ledger has no room for a line before the session is gone.
        case full
        /// Staging is on another file system than the layers.
        case other
    }

    private static func store(in parent: String = "/dev/shm") throws -> TemporaryStore {
        let place = try TemporaryStore(in: parent)
        for path in files.keys.sorted() {
            var directory = place.path
            for part in path.split(separator: "/").dropLast() {
                directory += "/" + part
                _ = mkdir(directory, 0o755)
            }
            try place.write(path, files[path] ?? "")
        }
        try #require(symlink("/etc", place.path + "/base_layer/dev/\(old)/scratch/link") == 0)
        return place
    }

    private static func name(_ text: String) throws -> SessionName { try #require(SessionName(text)) }

    private static func remove(_ store: Store, _ session: String = old) throws -> Errno? {
        let name = try name(session)
        let survey = try store.survey(name)
        let agent = Agent(user: 7, process: 8, program: "artifactfs")
        switch store.remove([(try store.guardSession(name), survey)], reason: "it is old", by: agent)[0] {
        case .removed: return nil
        case .left(let error): return error
        case .kept(let error): throw error
        }
    }

    /// Removes it by a store that is closed then.
    private static func removal(
        _ place: TemporaryStore, _ body: (() -> Result<Errno?, any Error>) -> Result<Errno?, any Error>
    ) throws -> Result<Errno?, any Error> {
        let store = try place.open(durability: .synced)
        defer { store.close() }
        return body { Result { try remove(store) } }
    }

    private static func isWhole(_ place: TemporaryStore, _ session: String = old) -> Bool {
        files.allSatisfy { path, text in !path.contains(session) || (try? place.read(path)) == text }
    }

    private static func isGone(_ place: TemporaryStore, _ session: String = old) throws -> Bool {
        try ["base_layer", "meta_layer"].allSatisfy { layer in
            try !place.names(layer + "/dev").contains { $0.contains(session) }
        }
    }

    /// What the ledger says last of the session.
    private static func lastWord(_ place: TemporaryStore) throws -> String? {
        try place.ledger().last { $0["session"]?.string == old }?["event"]?.string
    }

    /// Whatever was done: after the next opening the session is there as it was, or gone with its line, and nothing else is changed.
    private static func expectSettled(_ place: TemporaryStore, _ what: Comment) throws -> Bool {
        let store = try place.open()
        #expect(store.recovery.problems == [], what)
        store.close()
        let again = try place.open()
        #expect(again.recovery.isEmpty, "\(again.recovery); \(what)")
        again.close()
        try place.verifyLedger()
        #expect(isWhole(place, other), what)
        #expect(try place.names(".artifactfs/staging") == [], what)
        let isGone = try isGone(place)
        #expect(isGone != isWhole(place), "all or nothing: \(what)")
        let word = try lastWord(place)
        #expect((word == "session-removed") == isGone, "the ledger says \(word ?? "nothing"); \(what)")
        let marker = ".artifactfs/sessions/" + old
        if isGone {
            #expect(try place.attributes(marker).permissions == 0o400, what)
            let line = try place.events("session-removed").last
            #expect(line?["metadata"]?.string == metadata, "what it says of itself is kept: \(what)")
        } else if place.exists(marker) {
            #expect(try place.attributes(marker).permissions == 0o600, what)
        }
        return isGone
    }

    /// What becomes of a call on such a disk, when nothing else is wrong with it.
    ///
    /// - Parameter isRemoving: whether something was removed already.
    private static func fault(
        _ disk: Disk, _ call: Faults.Call, _ name: String, _ isRemoving: Bool
    ) -> Faults.Fault? {
        switch disk {
        case .usual: return nil
        case .full:
            // Until what is in the session is removed.
            return call == .write && name.hasSuffix(".jsonl") && !isRemoving ? .fails(.noSpace) : nil
        case .other:
            return call == .renameWithoutReplacing && StagedName(name) != nil ? .fails(.improperLink) : nil
        }
    }

    /// Who is killed at any system call: from that one on none is made.
    @Test(arguments: Disk.allCases) func endedAtEveryCall(disk: Disk) throws {
        func run(_ last: Int) throws -> (made: Int, isGone: Bool) {
            let place = try Self.store()
            let made = Atomic<Int>(0)
            let isRemoving = Atomic<Bool>(false)
            do {
                let store = try place.open(durability: .synced)
                Faults.with({ call, name in
                    guard call != .fileSystem else { return nil }
                    guard made.wrappingAdd(1, ordering: .relaxed).newValue <= last else { return .fails(.ioError) }
                    if call == .unlink { isRemoving.store(true, ordering: .relaxed) }
                    return Self.fault(disk, call, name, isRemoving.load(ordering: .relaxed))
                }) { _ = try? Self.remove(store) }
            }
            let what = Comment("\(disk), ended at call \(last)")
            return (made.load(ordering: .relaxed), try Self.expectSettled(place, what))
        }
        let all = try run(.max)
        #expect(all.isGone && all.made > 20, "it is removed when nothing ends it: \(all)")
        var gone = 0
        for last in 0..<all.made where try run(last).isGone { gone += 1 }
        #expect(gone > 5 && gone < all.made, "some are ended before the line and some after: \(gone) of \(all.made)")
    }

    /// Any call fails once, or is done and says that it failed.
    @Test(arguments: [Errno.noSpace, .ioError, .notPermitted], [false, true])
    func everyCallMayFail(error: Errno, isDone: Bool) throws {
        func run(_ number: Int) throws -> Int {
            let place = try Self.store()
            let made = Atomic<Int>(0)
            let what = Comment("call \(number) fails with \(error)\(isDone ? ", and is done" : "")")
            let result = try Self.removal(place) {
                Faults.with(
                    { call, _ in
                        guard call != .fileSystem else { return nil }
                        guard made.wrappingAdd(1, ordering: .relaxed).newValue == number else { return nil }
                        return isDone ? .isDoneAndFails(error) : .fails(error)
                    }, $0)
            }
            switch result {
            case .success: #expect(try Self.isGone(place), "\(result); \(what)")
            case .failure:
                #expect(Self.isWhole(place), "\(result); \(what)")
                #expect(try Self.lastWord(place) != "session-removed", "\(result); \(what)")
            }
            let isGone = try Self.expectSettled(place, what)
            if case .success = result { #expect(isGone, what) } else { #expect(!isGone, what) }
            return made.load(ordering: .relaxed)
        }
        for number in 1...(try run(0)) { _ = try run(number) }
    }

    /// Several wait for the disk together: each is removed whole, or not at all, by itself.
    @Test func severalTogether() throws {
        func run(_ last: Int) throws -> (made: Int, gone: Int) {
            let place = try Self.store()
            let made = Atomic<Int>(0)
            let names = try [Self.old, Self.other].map { try Self.name($0) }
            do {
                let store = try place.open(durability: .synced)
                let agent = Agent(user: 7, process: 8, program: "artifactfs")
                Faults.with({ call, _ in
                    guard call != .fileSystem else { return nil }
                    return made.wrappingAdd(1, ordering: .relaxed).newValue <= last ? nil : .fails(.ioError)
                }) {
                    let held = try? names.map { (held: try store.guardSession($0), survey: try store.survey($0)) }
                    if let held { _ = store.remove(held, reason: "it is old", by: agent) }
                }
            }
            let what = Comment("ended at call \(last)")
            let store = try place.open()
            #expect(store.recovery.problems == [], what)
            store.close()
            let lines = try place.ledger()
            for name in names.map(\.description) {
                let isGone = try Self.isGone(place, name)
                let word = lines.last { $0["session"]?.string == name }?["event"]?.string
                #expect(isGone != Self.isWhole(place, name), what)
                #expect(isGone == (word == "session-removed"), "\(name): \(word ?? "nothing"); \(what)")
            }
            #expect(try place.names(".artifactfs/staging") == [], what)
            try place.verifyLedger()
            return (made.load(ordering: .relaxed), try names.count { try Self.isGone(place, $0.description) })
        }
        let all = try run(.max)
        #expect(all.gone == 2)
        for last in 0..<all.made { _ = try run(last) }
    }

    /// One that cannot go keeps no other.
    @Test func oneOfSeveralStays() throws {
        let place = try Self.store()
        let store = try place.open(durability: .synced)
        let names = try [Self.old, Self.other].map { try Self.name($0) }
        let outcomes = try Faults.with({ call, name in
            // The second layer of the first one.
            let isIt = call == .renameWithoutReplacing && name.contains("meta_layer%2Fdev%2F" + Self.old)
            return isIt ? .fails(.notPermitted) : nil
        }) {
            let held = try names.map { (held: try store.guardSession($0), survey: try store.survey($0)) }
            return store.remove(held, reason: "it is old", by: Agent(user: 7, process: 8, program: "artifactfs"))
        }
        #expect(outcomes == [.kept(.notPermitted), .removed])
        #expect(Self.isWhole(place) && !Self.isWhole(place, Self.other))
        #expect(try Self.lastWord(place) == "session-kept")
        #expect(try place.attributes(".artifactfs/sessions/" + Self.old).permissions == 0o600)
        try store.resumeSession(names[0])
        store.close()
    }

    /// What has its name by the next opening is removed only if it is what was to be.
    @Test func anotherOneOfItsName() throws {
        let place = try Self.store()
        do {
            let store = try place.open()
            // Ended after the line.
            let isLogged = Atomic<Bool>(false)
            Faults.with({ call, name in
                if call == .write, name.hasSuffix(".jsonl") {
                    isLogged.store(true, ordering: .relaxed)
                    return nil
                }
                return isLogged.load(ordering: .relaxed) ? .fails(.ioError) : nil
            }) { _ = try? Self.remove(store) }
        }
        #expect(try Self.lastWord(place) == "session-removed" && Self.isWhole(place))
        // Put back from elsewhere, with other inodes.
        for layer in ["base_layer", "meta_layer"] {
            let (own, copy) = ("\(place.path)/\(layer)/dev/\(Self.old)", "\(place.path)/\(layer)/dev/copy")
            #expect(rename(own, copy) == 0 && mkdir(own, 0o755) == 0)
            for name in try place.names("\(layer)/dev/copy") {
                #expect(rename("\(copy)/\(name)", "\(own)/\(name)") == 0)
            }
            #expect(rmdir(copy) == 0)
        }
        let store = try place.open()
        #expect(store.recovery.isEmpty && Self.isWhole(place))
        store.close()
    }

    /// A mount that has taken it up again keeps it, and the ledger says so.
    @Test func takenUpAgain() throws {
        let place = try Self.store()
        let name = try Self.name(Self.old)
        let other = try place.open()
        do {
            let store = try place.open()
            try store.resumeSession(name)
            store.endSession(name)
            let isLogged = Atomic<Bool>(false)
            Faults.with({ call, name in
                if call == .write, name.hasSuffix(".jsonl") {
                    isLogged.store(true, ordering: .relaxed)
                    return nil
                }
                return isLogged.load(ordering: .relaxed) ? .fails(.ioError) : nil
            }) { _ = try? Self.remove(store) }
        }
        try other.resumeSession(name)
        let next = try place.open()
        #expect(next.recovery.problems == [] && Self.isWhole(place))
        #expect(try Self.lastWord(place) == "session-kept")
        next.close()
        other.close()
        let last = try place.open()
        #expect(last.recovery.isEmpty && Self.isWhole(place))
        last.close()
    }

    /// What a mount has is not removed; what was removed nobody takes up, and its name is not given again.
    @Test func liveAndRemovedOnes() throws {
        let place = try Self.store()
        let name = try Self.name(Self.old)
        let (first, second) = (try place.open(), try place.open())
        #expect(!second.isLive(name), "a session without a marker has no mount")
        try first.resumeSession(name)
        #expect(try second.isLive(name) && !second.isLive(Self.name(Self.other)))
        #expect(throws: Errno.resourceBusy) { try Self.remove(second) }
        #expect(Self.isWhole(place))
        first.endSession(name)
        do {
            let held = try second.guardSession(name)
            defer { withExtendedLifetime(held) {} }
            try first.resumeSession(name)
            Issue.record("nobody takes up what is being removed")
        } catch let error as StoreError {
            guard case .inUse = error else { throw error }
        }
        #expect(throws: Never.self) { try Self.remove(second) }
        #expect(try Self.isGone(place))
        #expect(try place.events("session-removed").count == 1)
        do {
            try first.resumeSession(name)
            Issue.record("what was removed is there")
        } catch { #expect("\(error)".contains("'artifactfs gc' has removed it"), "\(error)") }
        #expect(throws: Errno.fileExists) { try first.beginSession(named: name) }
        #expect(throws: Errno.noSuchFileOrDirectory) { try Self.remove(second) }
        // A copy from elsewhere can be removed again.
        #expect(mkdir(place.path + "/base_layer/dev/" + Self.old, 0o755) == 0)
        #expect(throws: Never.self) { try Self.remove(second) }
        first.close()
        second.close()
    }

    @Test func whatIsInIt() throws {
        let place = try Self.store()
        let own = place.path + "/base_layer/dev/" + Self.old
        let store = try place.open(readOnly: true)
        let before = try store.survey(try Self.name(Self.old))
        let text = Self.metadata.utf8.count + 1 + 2 * table.utf8.count
        #expect(before.files == 4 && before.bytes == Int64(text) && before.owner == geteuid() && before.obstacle == nil)
        // A second name is no second file, and what a link leads to is not in it.
        #expect(link(own + "/metadata.json", own + "/scratch/again") == 0)
        var time = timeval()
        time.tv_sec = 4_000_000_000
        #expect([time, time].withUnsafeBufferPointer { utimes(own + "/scratch/deep/notes", $0.baseAddress) } == 0)
        let after = try store.survey(try Self.name(Self.old))
        #expect(after.files == 4 && after.bytes == before.bytes && after.changed == 4_000_000_000)
        #expect(try store.survey(try Self.name("20200101_000000")).owner == nil)
        var deep = own + "/scratch"
        for _ in 0..<130 {
            deep += "/d"
            try #require(mkdir(deep, 0o755) == 0)
        }
        guard case .tooDeep? = try store.survey(try Self.name(Self.old)).obstacle else {
            Issue.record("130 directories in each other")
            return
        }
        #expect(try store.holds("base_layer/dev/\(Self.old)/metadata.json", sha256: nil, at: nil))
        // No link is followed.
        #expect(throws: Errno.self) {
            try store.holds("base_layer/dev/\(Self.old)/scratch/link/passwd", sha256: nil, at: nil)
        }
    }

    /// Of what nobody has any more, only what is old enough is told.
    @Test func temporaryFilesOfMountsThatEnded() throws {
        let place = try Self.store()
        let living = try place.open()
        do {
            let dead = try place.open()
            for store in [dead, living] {
                _ = try TemporaryStore.stage(store, "x", hint: "production/base/gene_manifest/.x.tmp")
            }
            _ = try TemporaryStore.stage(dead, table)
        }
        let reader = try place.open(readOnly: true)
        let found = try reader.temporaryFiles(keepingSeconds: -1)
        #expect(found.map(\.path) == ["production/base/gene_manifest/.x.tmp"] && found.first?.bytes == 1)
        #expect(try reader.temporaryFiles(keepingSeconds: 3600) == [])
        living.close()
    }
}
