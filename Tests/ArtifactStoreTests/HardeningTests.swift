import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// What is sealed becomes immutable, keeps that whatever is done to it, and it is said where it cannot.
@Suite struct HardeningTests {
    private static let name = "gene_manifest.tsv"
    private static let real = "base_layer/" + name
    private static let path = "production/base/gene_manifest/" + name

    private static func seal(_ store: Store, _ text: String = table, stopsAfter step: PublishStep? = nil) throws {
        let staged = try TemporaryStore.stage(store, text)
        store.stopAfter.withLock { $0 = step }
        let outcome = store.publish(TemporaryStore.request(store, staged))
        if step != nil { return }
        guard case .sealed = outcome else {
            Issue.record("it was not sealed: \(outcome)")
            return
        }
    }

    /// A directory that is to be sealed.
    private static func directory(_ place: TemporaryStore, _ store: Store) throws -> (PublishRequest, TypeDefinition) {
        let staged = try #require(store.staging).makeDirectory(
            hint: "production/meta/meta_checkpoints/epoch", kind: .finished, mode: 0o755, owner: nil, target: nil)
        let top = try staged.directory.directory(staged.name)
        for parent in [top, try top.directory("sub", orMakeWith: 0o755)] {
            let inside = try parent.file("a.json").open(O_WRONLY | O_CREAT, mode: 0o644)
            try SystemCall.write(inside, Array("{}\n".utf8))
            SystemCall.close(inside)
        }
        let type = try #require(store.schema.type(named: "meta_checkpoints"))
        let destination = try #require(Promotion.Destination("epoch", of: type, in: .meta, isDirectory: true))
        return (
            destination.request(staged, at: store.directory(for: destination.location), destination.record), type
        )
    }

    private static func request(_ paths: [String] = [path]) -> UnsealRequest {
        UnsealRequest(
            paths: paths, unsealing: .retracted, reason: "a test",
            agent: Agent(user: 0, process: 2, program: "test"), groups: [])
    }

    private func proof(_ place: TemporaryStore, _ relative: String = real, hardens: Bool = false) throws -> SealedProof
    {
        let record = try #require(try place.events("sealed").last?["record"]?["artifact"])
        return SealedProof.of(
            place.path + "/" + relative, sha256: record["sha256"]?.string, size: record["size"]?.integer,
            hardens: hardens)
    }

    // MARK: - Where it can be done

    @Test(.enabled(if: TemporaryStore.canHarden), arguments: ["/tmp", "/dev/shm"], Durability.allCases)
    func whatIsSealedIsImmutable(parent: String, durability: Durability) throws {
        let place = try TemporaryStore(in: parent)
        let store = try place.open(durability: durability, hardens: true)
        #expect(store.hardening.words == "what is sealed becomes immutable")
        try Self.seal(store)
        #expect(try place.isImmutable(Self.real))
        #expect(try place.events("sealed").last?["immutable"] == .bool(true))
        let file = try #require(try store.directory("base_layer").current()).file(Self.name)
        #expect(throws: Errno.notPermitted) { try file.unlink() }
        #expect(throws: Errno.notPermitted) { try file.setMode(0o644) }
        #expect(throws: Errno.notPermitted) { try file.rename(to: file.directory.file("x.tsv")) }
        #expect(store.hardening.failures.count == 0)
        store.close()
        // Without being asked nothing is, and what is stays.
        let other = try place.open()
        #expect(other.recovery.isEmpty && other.hardening.words == nil)
        let staged = try TemporaryStore.stage(other, table)
        guard case .sealed = other.publish(TemporaryStore.request(other, staged, name: "chr2.tsv")) else {
            Issue.record("it was not sealed")
            return
        }
        #expect(try !place.isImmutable("base_layer/chr2.tsv") && place.isImmutable(Self.real))
        #expect(try place.events("sealed").last?["immutable"] == nil)
    }

    @Test(.enabled(if: TemporaryStore.canHarden)) func severalTogether() throws {
        let place = try TemporaryStore()
        let store = try place.open(hardens: true)
        let names = ["chr1.tsv", "chr2.tsv"]
        let requests = try names.map { TemporaryStore.request(store, try TemporaryStore.stage(store, table), name: $0) }
        guard case .sealed = store.publishTogether(requests, run: "r") else {
            Issue.record("they were not sealed")
            return
        }
        for name in names { #expect(try place.isImmutable("base_layer/" + name)) }
        store.close()
        #expect(try place.open().recovery.isEmpty)
    }

    /// Of those that are published together one cannot have its name: the others have none, and no flag.
    @Test(.enabled(if: TemporaryStore.canHarden)) func noneOfSeveral() throws {
        let place = try TemporaryStore()
        let store = try place.open(hardens: true)
        let requests = try ["chr1.tsv", "chr2.tsv"].map {
            TemporaryStore.request(store, try TemporaryStore.stage(store, table), name: $0)
        }
        let outcome = Faults.with({ call, name in
            call == .renameWithoutReplacing && name == "chr2.tsv" ? .fails(.ioError) : nil
        }) { store.publishTogether(requests, run: "r") }
        guard case .refused(_, let stuck) = outcome, stuck.isEmpty else {
            Issue.record("\(outcome)")
            return
        }
        #expect(try place.names("base_layer").filter { $0.hasSuffix(".tsv") } == [])
        for request in requests { #expect(try request.staged.attributes().permissions & 0o200 != 0) }
    }

    /// A driver that is killed after each step, and the next mount, which was not asked to harden.
    @Test(.enabled(if: TemporaryStore.canHarden), arguments: PublishStep.allCases.filter { $0 != .copied })
    func aKillAtEachStep(step: PublishStep) throws {
        let place = try TemporaryStore()
        do { try Self.seal(try place.open(hardens: true), stopsAfter: step) }
        let store = try place.open()
        #expect(store.recovery.problems == [])
        if place.exists(Self.real) {
            #expect(try place.isImmutable(Self.real) && place.read(Self.real) == table)
            #expect(try proof(place) == .whole)
        } else {
            #expect([.checked, .madeReadOnly, .fileSynced].contains(step))
            #expect(try place.quarantined() == [table])
        }
        store.close()
        #expect(try place.open().recovery.isEmpty)
        try place.verifyLedger()
    }

    @Test(.enabled(if: TemporaryStore.canHarden), arguments: PublishStep.allCases.filter { $0 != .copied })
    func aDirectoryIsHardenedWhole(step: PublishStep) throws {
        let place = try TemporaryStore()
        let (real, shelf) = ("meta_layer/checkpoints/epoch", ".artifactfs/versions/meta_layer%2Fcheckpoints%2Fepoch/1")
        do {
            let store = try place.open(hardens: true)
            let (request, type) = try Self.directory(place, store)
            store.stopAfter.withLock { $0 = step }
            _ = store.publishDirectory(request, of: type)
        }
        let store = try place.open()
        #expect(store.recovery.problems == [] && place.exists(real))
        // What was not announced is published by this mount, as it was asked to.
        let isAnnounced = ![.checked, .madeReadOnly, .fileSynced].contains(step)
        #expect(try place.isImmutable(real) == isAnnounced)
        #expect(try proof(place, real) == .whole)
        _ = try store.unseal(Self.request(["production/meta/meta_checkpoints/epoch"]))
        #expect(try place.isImmutable(shelf) == isAnnounced && !place.exists(real))
        store.close()
        if !isAnnounced { #expect(try proof(place, shelf, hardens: true) == .whole) }
        #expect(try place.isImmutable(shelf))
        // Of one file in it the flag is lost.
        let inner = place.path + "/" + shelf + "/sub/a.json"
        let file = try SystemCall.open(SystemCall.currentDirectory, inner, O_RDONLY)
        defer { SystemCall.close(file) }
        try ImmutableFlag.set(false, on: file)
        guard case .differs(let why) = try proof(place, shelf) else {
            Issue.record("it was not seen")
            return
        }
        #expect(why.contains("it was made immutable and is not any more"))
    }

    // MARK: - Lifting

    /// The owner's changes of mode and times, and one who is killed in the middle: the flag could not be given back, and the ledger knows of it.
    @Test(.enabled(if: TemporaryStore.canHarden)) func attributesAreChanged() throws {
        let place = try TemporaryStore()
        do {
            let store = try place.open(hardens: true)
            try Self.seal(store)
            let file = try #require(try store.directory("base_layer").current()).file(Self.name)
            let descriptor = try file.open(SystemCall.pathOnly)
            defer { SystemCall.close(descriptor) }
            try store.changeAttributes(ofImmutable: descriptor) { () throws(Errno) in try file.setMode(0o440) }
            #expect(try place.isImmutable(Self.real) && file.attributes().permissions == 0o440)
            store.settle()
            #expect(try place.events("flag-lifted").count == 1 && place.events("flag-restored").count == 1)
            // It fails, and the flag is there all the same.
            #expect(throws: Errno.invalidArgument) {
                try store.changeAttributes(ofImmutable: descriptor) { () throws(Errno) in throw .invalidArgument }
            }
            #expect(try place.isImmutable(Self.real))
            let made = Atomic<Int>(0)
            try Faults.with({ call, _ in
                call == .setInodeFlags && made.add(1, ordering: .relaxed).newValue == 2 ? .fails(.ioError) : nil
            }) {
                try store.changeAttributes(ofImmutable: descriptor) { () throws(Errno) in try file.setMode(0o400) }
            }
            #expect(try !place.isImmutable(Self.real) && store.hardening.failures.count == 1)
            #expect(store.hardening.failures.last?.contains(Self.name) == true)
        }
        guard case .differs = try proof(place) else {
            Issue.record("it was not seen")
            return
        }
        // The first opening fails too.
        Faults.with({ call, _ in call == .setInodeFlags ? .fails(.ioError) : nil }) { _ = try? place.open() }
        #expect(try !place.isImmutable(Self.real))
        let store = try place.open()
        #expect(try place.isImmutable(Self.real) && proof(place) == .whole)
        #expect(store.recovery.problems == [] && store.recovery.isEmpty)
        #expect(try place.events("flag-lifted").count == place.events("flag-restored").count)
        store.close()
        try place.verifyLedger()
    }

    /// Nothing is lifted that has not the flag.
    @Test func whatIsNotImmutableIsNotLifted() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        try Self.seal(store)
        let descriptor = try #require(try store.directory("base_layer").current()).file(Self.name).open(O_RDONLY)
        defer { SystemCall.close(descriptor) }
        #expect(throws: Errno.notPermitted) {
            try store.changeAttributes(ofImmutable: descriptor) { () throws(Errno) in Issue.record("it was done") }
        }
        #expect(try place.events("flag-lifted").isEmpty)
    }

    /// A name in staging that was left, of what is immutable by now.
    @Test(.enabled(if: TemporaryStore.canHarden)) func anotherNameIsRemoved() throws {
        let place = try TemporaryStore()
        do {
            let store = try place.open(hardens: true)
            let staged = try TemporaryStore.stage(store, table)
            store.stopAfter.withLock { $0 = .moved }
            _ = store.publish(TemporaryStore.request(store, staged))
            #expect(
                link(
                    place.path + "/" + Self.real,
                    place.path + "/.artifactfs/staging/\(store.staging?.mountID ?? "")/\(staged.name)") == 0)
            let file = try #require(try store.directory("base_layer").current()).file(Self.name)
            try ImmutableFlag.put(on: file)
        }
        let store = try place.open()
        #expect(store.recovery.problems == [] && store.recovery.finished == [Self.real])
        #expect(try place.isImmutable(Self.real) && place.attributes(Self.real).st_nlink == 1)
    }

    /// What is not whole goes to quarantine, and can be discarded there.
    @Test(.enabled(if: TemporaryStore.canHarden)) func whatIsKeptBackIsNotImmutable() throws {
        let place = try TemporaryStore()
        do { try Self.seal(try place.open(hardens: true), stopsAfter: .hardened) }
        let file = try SystemCall.open(SystemCall.currentDirectory, place.path + "/" + Self.real, O_RDONLY)
        defer { SystemCall.close(file) }
        try ImmutableFlag.set(false, on: file)
        #expect(chmod(place.path + "/" + Self.real, 0o644) == 0)
        try place.write(Self.real, "cut")
        try ImmutableFlag.set(true, on: file)
        let store = try place.open()
        #expect(try place.quarantined() == ["cut"] && !place.exists(Self.real))
        #expect(try !ImmutableFlag.isSet(on: file) && !ImmutableFlag.isMarked(file))
        store.close()
        #expect(try place.open().recovery.isEmpty)
    }

    /// Somebody has made a file immutable by hand before it is taken up.
    @Test(.enabled(if: TemporaryStore.canHarden)) func whatIsAdopted() throws {
        let place = try TemporaryStore()
        try place.write(Self.real, table)
        let file = try SystemCall.open(SystemCall.currentDirectory, place.path + "/" + Self.real, O_RDONLY)
        defer { SystemCall.close(file) }
        try ImmutableFlag.set(true, on: file)
        let store = try place.open()
        guard case .adopted = store.adopt(try #require(try store.existing().first), by: 0) else {
            Issue.record("it was not taken up")
            return
        }
        #expect(try place.isImmutable(Self.real) && place.attributes(Self.real).permissions == 0o444)
        #expect(try proof(place) == .whole)
        _ = try store.unseal(Self.request())
        #expect(try place.isImmutable(".artifactfs/versions/base_layer%2F\(Self.name)/1"))
    }

    /// A copy carries the attribute along, and says nothing by it.
    @Test(.enabled(if: TemporaryStore.canHarden)) func aCopyIsAnotherFile() throws {
        let place = try TemporaryStore()
        try Self.seal(try place.open(hardens: true))
        let file = try SystemCall.open(SystemCall.currentDirectory, place.path + "/" + Self.real, O_RDONLY)
        defer { SystemCall.close(file) }
        let copy = try #require(try place.open().directory("base_layer").current()).file("copy.tsv")
        try FileCopy.copy(file, to: copy, isSynced: false)
        let copied = try copy.open(O_RDONLY)
        defer { SystemCall.close(copied) }
        #expect(try ImmutableFlag.isMarked(file) && !ImmutableFlag.isMarked(copied))
        #expect(try !ImmutableFlag.isLost(from: copied))
    }

    // MARK: - Where it cannot

    /// The file system knows no flags, or the process may not set any: it is told where and why, and everything is sealed as without.
    @Test(arguments: [
        (Faults.Call.inodeFlags, Errno.inappropriateIOCTLForDevice, "it knows no such flag"),
        (.inodeFlags, .notSupported, "it knows no such flag"),
        (.setInodeFlags, .notPermitted, "that takes root's right CAP_LINUX_IMMUTABLE"),
        (.setInodeFlags, .ioError, "it was tried and failed"),
    ])
    func itIsSaidWhereNot(call: Faults.Call, error: Errno, reason: String) throws {
        let place = try TemporaryStore()
        try Faults.with({ made, _ in made == call ? .fails(error) : nil }) {
            let store = try place.open(hardens: true)
            let words = try #require(store.hardening.words)
            #expect(
                words.hasPrefix("what is sealed does NOT become immutable in base_layer and meta_layer, on "),
                "\(words)")
            #expect(words.contains(reason), "\(words)")
            #expect(store.hardening.obstacles.map(\.place) == ["base_layer", "meta_layer"])
            try Self.seal(store)
            #expect(store.hardening.failures.count == 0, "it was not tried")
            #expect(try place.events("sealed").last?["immutable"] == nil)
        }
        #expect(try place.names("base_layer").filter { $0.hasPrefix(".") } == [])
    }

    /// It could be done when the store was opened, and not any more.
    @Test(.enabled(if: TemporaryStore.canHarden)) func itFailsLater() throws {
        let place = try TemporaryStore()
        let store = try place.open(hardens: true)
        try Faults.with({ call, _ in call == .setInodeFlags ? .fails(.ioError) : nil }) { try Self.seal(store) }
        #expect(store.hardening.failures.count == 1)
        #expect(store.hardening.failures.last == "\(Self.real): \(Errno.ioError)")
        guard case .differs = try proof(place) else {
            Issue.record("it was not seen")
            return
        }
        #expect(try proof(place, hardens: true) == .whole && place.isImmutable(Self.real))
    }

    /// Who has not the right lifts nothing, and nothing has changed; the sentence says the way out.
    @Test(.enabled(if: TemporaryStore.canHarden)) func whoHasNotTheRightLiftsNothing() throws {
        let place = try TemporaryStore()
        try Self.seal(try place.open(hardens: true))
        let store = try place.open()
        Faults.with({ call, _ in call == .setInodeFlags ? .fails(.notPermitted) : nil }) {
            let obstacle = #expect(throws: UnsealObstacle.self) { try store.unseal(Self.request()) }
            guard case .system(Self.path, let doing, .notPermitted)? = obstacle else {
                Issue.record("\(String(describing: obstacle))")
                return
            }
            #expect(doing.contains("only root's right CAP_LINUX_IMMUTABLE lifts that"))
        }
        #expect(try place.isImmutable(Self.real) && place.events("unseal-intent").isEmpty)
        guard case .whole = try proof(place) else {
            Issue.record("it changed")
            return
        }
    }

    /// Recovery without the right: all is settled but the flag, and that is told.
    @Test(.enabled(if: TemporaryStore.canHarden)) func recoveryWithoutTheRight() throws {
        let place = try TemporaryStore()
        do { try Self.seal(try place.open(hardens: true), stopsAfter: .moved) }
        try Faults.with({ call, _ in call == .setInodeFlags ? .fails(.notPermitted) : nil }) {
            let store = try place.open()
            #expect(store.recovery.finished == [Self.real])
            #expect(
                store.recovery.problems.contains { $0.contains("'artifactfs verify --harden' as root makes it so") })
            store.close()
        }
        #expect(try place.open().recovery.isEmpty && !place.isImmutable(Self.real))
        guard case .differs = try proof(place) else {
            Issue.record("it was not seen")
            return
        }
    }
}
