import ArtifactFormats
import ArtifactRecords
import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// A session's file on its way into production, and back when it cannot go there.
@Suite struct PromotionTests {
    private static let name = "gene_manifest.tsv"
    private static let target = "base_layer/" + name
    private static let session = "base_layer/dev/20260215_143022"
    private static var writer: ArtifactRecord.Writer {
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid, writer.pid) = (1, 2, 3)
        return writer
    }

    /// A store that is open, with a file of a session.
    private struct Scene {
        let place: TemporaryStore
        let store: Store
        let source: RealFile
        let promotion: Promotion

        init(_ text: String = table, as name: String = name, type: String = "gene_manifest", in layer: Layer = .base)
            throws
        {
            place = try TemporaryStore()
            store = try place.open()
            let definition = try #require(store.schema.type(named: type))
            let destination = try #require(Promotion.Destination(name, of: definition, in: layer))
            let directory = store.directory(
                for: .typed(.session(try #require(SessionName("20260215_143022"))), layer, definition))
            source = try directory.ensure().file(destination.realName)
            try Self.write(text, to: source)
            promotion = Promotion(
                of: source, seen: try source.look().identity, from: "development/20260215_143022/\(name)",
                to: destination, in: store)
        }

        static func write(_ text: String, to file: RealFile) throws {
            let descriptor = try file.open(O_WRONLY | O_CREAT, mode: 0o640)
            defer { SystemCall.close(descriptor) }
            try SystemCall.write(descriptor, Array(text.utf8))
        }

        func publish() -> (outcome: PublishOutcome?, obstacle: PromotionObstacle?) {
            do throws(PromotionObstacle) {
                return (try promotion.publish(.live, by: writer), nil)
            } catch { return (nil, error) }
        }

        /// The very file is where it was, as it was, and its target's name is to be had.
        func expectUntouched(_ what: Comment? = nil) throws {
            let found = try source.look()
            #expect(found.identity == promotion.identity && found.attributes.permissions == 0o640, what)
            #expect(try place.read(session + "/" + source.name) == table, what)
            try expectNothingElse(what)
        }

        func expectNothingElse(_ what: Comment? = nil) throws {
            #expect(!place.exists(target), what)
            #expect(try place.quarantined() == [], what)
            try expectFree(what)
        }

        func expectFree(_ what: Comment? = nil) throws {
            let staging = try #require(store.staging)
            #expect(try staging.directory.entries().map(\.name) == [Staging.lockName], what)
            let file = staging.unusedName(hint: "production/base/gene_manifest/" + name, kind: .artifact)
            #expect(throws: Never.self, what) { try staging.reserve(promotion.target, for: file) }
            staging.release(file)
        }
    }

    private static func isSealed(_ outcome: PublishOutcome?) -> Bool {
        if case .sealed? = outcome { true } else { false }
    }

    @Test func itIsMovedSealedAndRecorded() throws {
        let scene = try Scene()
        #expect(Self.isSealed(scene.publish().outcome))
        let identity = scene.promotion.identity
        #expect(try scene.store.directory("base_layer").ensure().file(Self.name).look().identity == identity)
        #expect(try scene.place.attributes(Self.target).permissions == 0o440)
        #expect(!scene.source.exists)
        let record = try #require(try scene.place.events("sealed").last?["record"])
        #expect(record["origin"]?["path"]?.string == "development/20260215_143022/gene_manifest.tsv")
        #expect(record["artifact"]?["path"]?.string == "production/base/gene_manifest/gene_manifest.tsv")
        #expect(record["artifact"]?["format"]?.string == ".tsv" && record["writer"]?["uid"]?.integer == 1)
        try scene.place.verifyLedger()
    }

    /// From a layer on another file system it is copied, and goes when the copy is sealed.
    @Test(.enabled(if: geteuid() == 0), arguments: [nil, "taken", "changed", "no room", "killed"])
    func fromAnotherFileSystem(_ fault: String?) throws {
        let first = try Scene()
        first.store.close()
        let mounted = try FileSystemTests.Mounted(first.place.path + "/base_layer", size: "4m")
        defer { withExtendedLifetime(mounted) {} }
        let (place, destination) = (first.place, first.promotion.destination)
        let again: Store
        do {
            let store = try place.open()
            let source = try store.directory(Self.session).ensure().file(Self.name)
            try Scene.write(table, to: source)
            let promotion = Promotion(
                of: source, seen: try source.look().identity, from: "development/20260215_143022/x", to: destination,
                in: store)
            let isFirst = Atomic(true)
            var outcome: PublishOutcome?
            switch fault {
            case "killed":
                store.stopAfter.withLock { $0 = .copied }
                outcome = try promotion.publish(.live, by: Self.writer)
            case "no room":
                outcome = Faults.with({ call, _ in
                    call == .copyRange && isFirst.exchange(false, ordering: .relaxed) ? .fails(.noSpace) : nil
                }) { try? promotion.publish(.live, by: Self.writer) }
                #expect(outcome == nil)
            case "taken":
                // Another has the name when all is checked.
                outcome = Faults.with({ call, _ in
                    if call == .renameWithoutReplacing, isFirst.exchange(false, ordering: .relaxed) {
                        try? place.write(Self.target, "first")
                    }
                    return nil
                }) { try? promotion.publish(.live, by: Self.writer) }
                guard case .restored(_, .anotherWriter)? = outcome else {
                    Issue.record("\(String(describing: outcome))")
                    return
                }
            case "changed":
                // Its maker writes on when the copy is made: that stays.
                outcome = Faults.with({ call, _ in
                    if call == .renameWithoutReplacing, isFirst.exchange(false, ordering: .relaxed) {
                        try? place.write(Self.session + "/" + Self.name, table + "C\t3\n")
                    }
                    return nil
                }) { try? promotion.publish(.live, by: Self.writer) }
                #expect(Self.isSealed(outcome))
            default:
                outcome = try promotion.publish(.live, by: Self.writer)
                #expect(Self.isSealed(outcome) && !source.exists)
            }
            if fault != "killed" { store.close() }
        }
        again = try place.open()
        #expect(again.recovery.problems == [])
        let there = Self.session + "/" + Self.name
        switch fault {
        case "no room": #expect(!place.exists(Self.target))
        case "taken": #expect(try place.read(Self.target) == "first")
        default:
            #expect(try place.read(Self.target) == table)
            let record = try #require(try place.events("sealed").last?["record"])
            #expect(record["origin"]?["path"]?.string == "development/20260215_143022/x")
        }
        switch fault {
        case nil: #expect(!place.exists(there))
        case "changed": #expect(try place.read(there) == table + "C\t3\n")
        default: #expect(try place.read(there) == table)
        }
        #expect(try place.quarantined() == [])
        #expect(try place.names("base_layer").filter { $0.hasPrefix(".") } == [])
        again.close()
        #expect(try place.names(".artifactfs/staging") == [] && place.names(".artifactfs/reserved") == [])
        try place.verifyLedger()
    }

    /// The policy is asked as the driver asks it: what a rename of the same states is refused, this is.
    @Test func thePolicyDecides() throws {
        let scene = try Scene()
        let states: [FileState] = [.transient, .writing, .empty, .settling, .sealing, .sealed, .live, .frozen]
        for state in states {
            for other in [nil] + states.map(Optional.some) {
                var refused: RefusedRename?
                do throws(PromotionObstacle) { try scene.promotion.judge(state, onto: other) } catch {
                    guard case .refused(let why, nil) = error else {
                        Issue.record("\(error)")
                        continue
                    }
                    refused = why
                }
                let source = OverwritePolicy.judge(.renameFrom, on: state).refusal
                let target = other.flatMap { OverwritePolicy.judge(.renameOnto, on: $0).refusal }
                #expect(refused?.refusal == source ?? target, "\(state) onto \(String(describing: other))")
                #expect(refused.map { $0.question == .source } == (source ?? target).map { _ in source != nil })
            }
        }
        guard
            case .refused(let refused, nil)? = Self.obstacle({
                _ = try scene.promotion.publish(.frozen, by: Self.writer)
            })
        else {
            Issue.record("a frozen session's file was promoted")
            return
        }
        #expect(refused == RefusedRename(.source, Refusal(.notPermitted, .frozenSession)))
        try scene.expectUntouched()
    }

    private static func obstacle(_ body: () throws -> Void) -> PromotionObstacle? {
        do {
            try body()
            return nil
        } catch { return error as? PromotionObstacle }
    }

    @Test func whatProductionHasStays() throws {
        let scene = try Scene()
        let staged = try TemporaryStore.stage(scene.store, "gene\tscore\nZ\t9\n")
        #expect(Self.isSealed(scene.store.publish(TemporaryStore.request(scene.store, staged))))
        guard case .refused(let refused, nil)? = scene.publish().obstacle else {
            Issue.record("not refused")
            return
        }
        #expect(refused == RefusedRename(.target, Refusal(.fileExists, .productionImmutable)))
        #expect(try scene.place.read(Self.target) == "gene\tscore\nZ\t9\n")
        #expect(try scene.source.look().identity == scene.promotion.identity)
    }

    /// Another mount writes that artifact already.
    @Test func aNameThatIsTaken() throws {
        let scene = try Scene()
        let other = try scene.place.open()
        let target = Staging.Target(directory: other.directory("base_layer"), name: Self.name)
        let (file, descriptor) = try #require(other.staging).create(
            hint: scene.promotion.destination.path, kind: .artifact, mode: 0o600, target: target)
        SystemCall.close(descriptor)
        guard case .system(.fileExists)? = scene.publish().obstacle else {
            Issue.record("not refused")
            return
        }
        try #require(other.staging).remove(file)
        try scene.expectUntouched()
        other.close()
    }

    @Test func whatIsNotWholeOrNotAloneIsNotMoved() throws {
        let bad = try Scene("gene\tscore\n1\n")
        guard case .refused(let refused, let detail?)? = bad.publish().obstacle else {
            Issue.record("not refused")
            return
        }
        #expect(refused == RefusedRename(.target, Refusal(.invalidArgument, .failedCheck)) && !detail.isEmpty)
        #expect(try bad.source.look().identity == bad.promotion.identity)
        try bad.expectNothingElse()

        let linked = try Scene()
        let other = linked.source.directory.file("other")
        try SystemCall.link(
            linked.source.directory.descriptor, linked.source.name, other.directory.descriptor, other.name)
        guard case .refused(let because, nil)? = linked.publish().obstacle else {
            Issue.record("not refused")
            return
        }
        #expect(because == RefusedRename(.source, Refusal(.improperLink, .crossesTrees)))
        try linked.expectUntouched()
    }

    @Test func whatIsOpenToWriteIsNotMoved() throws {
        let scene = try Scene()
        let descriptor = try scene.source.open(O_WRONLY)
        guard case .stillOpen? = scene.publish().obstacle else {
            Issue.record("not refused")
            return
        }
        SystemCall.close(descriptor)
        try scene.expectUntouched()
        #expect(Self.isSealed(scene.publish().outcome))
    }

    /// The last moment: opened to write after it was looked at, before it was moved. It goes back.
    @Test func whatIsOpenedInTheLastMomentGoesBack() throws {
        let scene = try Scene()
        let opened = Mutex<FileDescriptor?>(nil)
        let (outcome, obstacle) = Faults.with({ call, _ in
            if call == .rename, opened.withLock({ $0 == nil }) {
                let descriptor = try? scene.source.open(O_WRONLY)
                opened.withLock { $0 = descriptor }
            }
            return nil
        }) { scene.publish() }
        guard case .restored(let reason, _)? = outcome, obstacle == nil else {
            Issue.record("\(String(describing: outcome))")
            return
        }
        #expect(reason == "it is still open for writing")
        try scene.expectUntouched()
        if let descriptor = opened.withLock({ $0 }) { SystemCall.close(descriptor) }
        #expect(Self.isSealed(scene.publish().outcome))
    }

    // MARK: - Another file under the name

    private static let others = "gene\tscore\nOther\t1\n"

    /// Puts another file under the source's name when it is about to be moved, and a third one when that is put back.
    private static func swap(_ scene: Scene, isThird: Bool) -> @Sendable (Faults.Call, String) -> Faults.Fault? {
        let isDone = Mutex(false)
        return { call, _ in
            let source = scene.source
            if call == .rename,
                isDone.withLock({ isDone in
                    defer { isDone = true }
                    return !isDone
                })
            {
                let aside = source.directory.file("aside")
                _ = renameat(
                    source.directory.descriptor.rawValue, source.name, aside.directory.descriptor.rawValue, "aside")
                try? Scene.write(others, to: source)
            } else if isThird, call == .renameWithoutReplacing {
                try? Scene.write("third", to: source)
            }
            return nil
        }
    }

    @Test func anotherFileGoesBack() throws {
        let scene = try Scene()
        let obstacle = Faults.with(Self.swap(scene, isThird: false)) { scene.publish().obstacle }
        guard case .system(.staleNFSFileHandle)? = obstacle else {
            Issue.record("\(String(describing: obstacle))")
            return
        }
        #expect(try scene.place.read(Self.session + "/" + Self.name) == Self.others)
        #expect(try scene.place.read(Self.session + "/aside") == table)
        try scene.expectNothingElse()
    }

    /// One that cannot go back is in quarantine, and not in the way of what has the name by now.
    @Test func anotherFileThatCannotGoBackIsKept() throws {
        let scene = try Scene()
        let obstacle = Faults.with(Self.swap(scene, isThird: true)) { scene.publish().obstacle }
        guard case .system(.staleNFSFileHandle)? = obstacle else {
            Issue.record("\(String(describing: obstacle))")
            return
        }
        #expect(try scene.place.read(Self.session + "/" + Self.name) == "third")
        #expect(try scene.place.quarantined() == [Self.others])
        try scene.expectFree()
    }

    // MARK: - Calls that fail

    /// Whatever call fails once, the file is where it was, or it is sealed, or it is kept where the reason says.
    @Test(arguments: [Errno.ioError, .noSpace]) func everyCallMayFail(error: Errno) throws {
        let made = Mutex<[Faults.Call: Int]>([:])
        do {
            let scene = try Scene()
            let isSealed = Faults.with({ call, _ in
                made.withLock { $0[call, default: 0] += 1 }
                return nil
            }) { Self.isSealed(scene.publish().outcome) }
            #expect(isSealed)
        }
        let counts = made.withLock { $0 }.filter { $0.key != .fileSystem }
        #expect(counts[.rename] == 1 && counts.count > 3, "the flow makes calls: \(counts)")
        for (call, count) in counts {
            for number in 1...count {
                let what = Comment("the \(number). \(call.rawValue) fails with \(error)")
                let scene = try Scene()
                let left = Atomic<Int>(number)
                let (outcome, _) = Faults.with({ made, _ in
                    guard made == call, left.subtract(1, ordering: .relaxed).newValue == 0 else { return nil }
                    return .fails(error)
                }) { scene.publish() }
                if Self.isSealed(outcome) {
                    #expect(try scene.place.read(Self.target) == table, what)
                    #expect(!scene.source.exists, what)
                } else {
                    try scene.expectUntouched(what)
                }
            }
        }
    }

    /// The rename into staging was done and says that it was not.
    @Test func aLostReplyIsASuccess() throws {
        let scene = try Scene()
        let isFirst = Mutex(true)
        let outcome = Faults.with({ call, _ in
            guard call == .rename,
                isFirst.withLock({ isFirst in
                    defer { isFirst = false }
                    return isFirst
                })
            else { return nil }
            return .isDoneAndFails(.ioError)
        }) { scene.publish().outcome }
        #expect(Self.isSealed(outcome))
    }

    // MARK: - Names that are taken

    /// What a staged file has taken is its own still when the one that was to replace it could not be moved.
    @Test(arguments: [Faults.Call.rename, .attributes]) func whatIsToBeReplacedKeepsItsName(call: Faults.Call) throws {
        let scene = try Scene()
        let other = try scene.place.open()
        let (former, descriptor) = try #require(scene.store.staging).create(
            hint: scene.promotion.destination.path, kind: .artifact, mode: 0o600, target: scene.promotion.target)
        SystemCall.close(descriptor)
        let target = Staging.Target(directory: other.directory("base_layer"), name: Self.name)
        let staging = try #require(other.staging)
        let file = staging.unusedName(hint: scene.promotion.destination.path, kind: .artifact)
        // Each look, too: at what is at the target, at the file, and at it in staging.
        for number in 1...(call == .rename ? 1 : 3) {
            let left = Atomic<Int>(number)
            let obstacle = Faults.with({ made, _ in
                made == call && left.subtract(1, ordering: .relaxed).newValue == 0 ? .fails(.ioError) : nil
            }) { Self.obstacle { _ = try scene.promotion.begin(replacing: former) } }
            #expect(obstacle != nil, "the \(number). \(call.rawValue)")
            #expect(throws: Errno.fileExists) { try staging.reserve(target, for: file) }
            #expect(try scene.source.look().identity == scene.promotion.identity)
        }
        // And passes over when it could.
        let staged = try scene.promotion.begin(replacing: former)
        #expect(throws: Errno.fileExists) { try staging.reserve(target, for: file) }
        try #require(scene.store.staging).remove(former)
        #expect(throws: Errno.fileExists) { try staging.reserve(target, for: file) }
        try #require(scene.store.staging).remove(staged)
        #expect(throws: Never.self) { try staging.reserve(target, for: file) }
        other.close()
    }

    /// A session's file may be called as one that has the number of a staged file: nothing is given back for it.
    @Test func aNameLikeAStagedOneGivesNothingBack() throws {
        let scene = try Scene(as: "epoch-1-a.json", type: "meta_metrics", in: .meta)
        let staging = try #require(scene.store.staging)
        let target = Staging.Target(directory: scene.store.directory("base_layer"), name: "chr1.tsv")
        let (file, descriptor) = try staging.create(
            hint: "production/base/gene_manifest/chr1.tsv", kind: .artifact, mode: 0o600, target: target)
        SystemCall.close(descriptor)
        #expect(file.name.hasPrefix("a-1-"), "\(file.name)")
        _ = try scene.promotion.begin()
        let other = staging.unusedName(hint: "production/base/gene_manifest/chr1.tsv", kind: .artifact)
        #expect(throws: Errno.fileExists) { try staging.reserve(target, for: other) }
    }
}
