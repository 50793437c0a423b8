import ArtifactRecords
import Artifacts
import FuseKernel
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import ArtifactStore

/// What `explain` says and what the driver does are one: both are asked for every action, in every state and place, by whoever can ask, and
/// errno and rule are compared.
@Suite struct ExplanationTests {
    private typealias Played = PlayedProcesses.Played

    /// Who asks, seen from the process that makes files.
    private enum Who: CaseIterable { case maker, sameJob, otherJob, otherUser }

    /// A kind of path.
    private struct Case {
        let kind: String
        /// Makes a new one.
        let path: () throws -> String
        /// Whether it matters who asks.
        var isBeingMade = false
        /// Actions that cannot be compared there.
        var isLeftOut: (Action) -> Bool = { _ in false }
    }

    /// A driver, its makers and its files.
    private final class Stage {
        static let table = "a\tb\n1\t2\n"
        static let frozen = "20200101_000000"
        static let others = "20200202_000000"
        let harness: Harness
        let maker: PlayedKernel
        let live: String
        private let processes: [Played]
        private var count = 0
        private let typed = "base/analysis_sequences"

        init(_ publishing: PublishingRule) throws {
            processes = [
                try Played(11, session: 1, program: "python3"), try Played(12, session: 1, program: "cat"),
                try Played(21, session: 2, program: "cat"), try Played(31, session: 3, program: "cat"),
            ]
            harness = try Harness(publishing: publishing, processes: PlayedProcesses(processes))
            maker = PlayedKernel(volume: harness.volume, caller: Self.caller(.maker))
            live = "development/" + (harness.volume.currentSession?.description ?? "")
            let old = harness.store.path + "/base_layer/dev/" + Self.frozen
            for path in [harness.store.path + "/base_layer/dev", old, old + "/scratch", old + "/scratch/d"] {
                _ = mkdir(path, 0o777)
            }
            try write("x", to: old + "/scratch/f")
            try write(Self.table, to: old + "/analysis_sequences_chr1.tsv")
            for name in ["test/other", live + "/scratch/none"] { _ = try? maker.make(.directory, name) }
            try maker.removeDirectory(live + "/scratch/none")
            _ = try put("\(live)/scratch/f")
            _ = try put("\(live)/\(typed)/chr1.tsv")
            _ = try sealed("production/meta/meta_metrics/m.json", "{}\n")
            _ = try sealed("production/meta/meta_checkpoints/epoch_1.pkl", "N.")
            if geteuid() == 0 {
                // Another user's session lives beside the mount's own.
                for path in ["", "/base_layer", "/base_layer/dev", "/meta_layer"] {
                    _ = chmod(harness.store.path + path, 0o777)
                }
                let other = PlayedKernel(volume: harness.volume, caller: Self.caller(.otherUser))
                try other.make(.directory, "development/" + Self.others)
                _ = try sealed("development/\(Self.others)/\(typed)/chr1.tsv")
            }
        }

        deinit {
            for process in processes { process.end(.succeeded) }
            harness.settle()
        }

        static func caller(_ who: Who) -> Caller {
            let process: Int32 =
                switch who {
                case .maker: 11
                case .sameJob: 12
                case .otherJob: 21
                case .otherUser: 31
                }
            let isOther = who == .otherUser
            return Caller(
                user: isOther ? 61001 : geteuid(), group: isOther ? 61101 : getegid(), process: process, umask: 0)
        }

        func fresh(_ prefix: String = "chr", _ ending: String = ".tsv") -> String {
            count += 1
            return "\(prefix)\(count)\(ending)"
        }

        func put(_ path: String, _ text: String = Stage.table, by kernel: PlayedKernel? = nil) throws -> String {
            let kernel = kernel ?? maker
            try kernel.open(path, O_WRONLY | O_CREAT) { node, handle throws(Errno) in
                let file = try kernel.call { request throws(Errno) in
                    try kernel.volume.write(
                        request, inode: node.inode, handle: handle, offset: 0, size: text.utf8.count)
                }
                _ = Glibc.write(file.rawValue, text, text.utf8.count)
            }
            return path
        }

        /// A file with a handle open for writing.
        private func begun(_ text: String = Stage.table) throws -> (path: String, file: ArtifactFile) {
            let name = fresh()
            let created = try name.withEntryName { name throws(Errno) in
                try harness.volume.create(
                    Request(caller: maker.caller), parent: harness.parent(.production), name: name, mode: 0o644,
                    flags: OpenFlags(rawValue: O_WRONLY))
            }
            guard case .artifact(let file) = try harness.volume.inode(created.entry.inode) else {
                throw Errno.ioError
            }
            let descriptor = try harness.volume.write(
                Request(caller: maker.caller), inode: created.entry.inode, handle: created.opened.handle, offset: 0,
                size: text.utf8.count)
            _ = Glibc.write(descriptor.rawValue, text, text.utf8.count)
            return ("production/\(typed)/\(name)", file)
        }

        func writing() throws -> String { try begun().path }

        /// A file in a phase between its last close and its seal, in which nothing goes on by itself.
        func closed(_ change: (inout ArtifactFile.State, RealFile) -> Void) throws -> String {
            let (path, file) = try begun()
            file.state.withLock { state in
                guard case .staged(let real) = state.phase else { return }
                state.writers = []
                state.open.remove(writable: true, connection: nil)
                change(&state, real)
            }
            return path
        }

        func empty() throws -> String { try put("production/\(typed)/\(fresh())", "") }

        /// As a mount before this one left it.
        func sealed(_ path: String? = nil, _ text: String = Stage.table) throws -> String {
            let path = path ?? "production/\(typed)/\(fresh())"
            let schema = harness.store.schema
            let (location, rest) = schema.locate(path)
            guard case .artifact(let real) = OverwritePolicy.classify(rest.joined(), in: location.place) else {
                throw Errno.invalidArgument
            }
            let directory = try harness.store.directory(for: location).ensure()
            let place = String(decoding: try SystemCall.path(of: directory.descriptor), as: UTF8.self)
            try write(text, to: place + "/" + real)
            return path
        }

        /// Bytes in quarantine.
        func kept() throws -> String {
            let path = "production/\(typed)/\(fresh())"
            let (file, descriptor) = try #require(harness.store.staging).create(hint: path, mode: 0o644)
            defer { SystemCall.close(descriptor) }
            try SystemCall.write(descriptor, Array(Self.table.utf8))
            let id = try harness.store.quarantine(
                file, reason: "it was killed", rule: .makerFailed, record: ArtifactRecord(path: path))
            return StoreLayout.quarantineDirectory + "/" + id
        }

        /// A directory in quarantine.
        func keptDirectory() throws -> String {
            let path = "production/meta/meta_checkpoints/\(fresh("checkpoint-", ""))"
            let staged = try #require(harness.store.staging).makeDirectory(
                hint: path, kind: .artifact, mode: 0o755, owner: nil, target: nil)
            let inside = String(decoding: try SystemCall.path(of: staged.directory.descriptor), as: UTF8.self)
            guard mkdir("\(inside)/\(staged.name)/d", 0o755) == 0 else { throw Errno.ioError }
            try write("x", to: "\(inside)/\(staged.name)/x")
            let id = try harness.store.quarantine(
                staged, reason: "it was killed", rule: .failedCheck, record: ArtifactRecord(path: path))
            return StoreLayout.quarantineDirectory + "/" + id
        }

        func test(_ file: String? = nil) throws -> String {
            let path = "test/" + fresh("t", "")
            try maker.make(.directory, path)
            if let file { _ = try put(path + "/" + file) }
            return path
        }

        func made(_ path: String) throws -> String {
            try maker.make(.directory, path)
            return path
        }

        /// The name of a session that there never was.
        func newSession() throws -> String {
            count += 1
            let name = SessionName(secondsSince1970: 1_609_459_200 + Int64(count))
            return "development/" + (try #require(name).description)
        }

        func beside(_ path: String) -> String {
            let directory = path.split(separator: "/").dropLast().joined(separator: "/")
            if directory.hasSuffix("/plots") { return directory + "/" + fresh("p", ".png") }
            if directory.hasSuffix("/meta_checkpoints") { return directory + "/" + fresh("epoch_", ".pkl") }
            if directory == StoreLayout.quarantineDirectory { return "test/other/\(typed)/\(fresh())" }
            if path.hasSuffix("/metadata.json") { return directory + "/" + fresh("tmp") }
            return directory.isEmpty ? fresh() : directory + "/" + fresh()
        }

        /// A file that may go to where a path is.
        func other(_ path: String, by kernel: PlayedKernel) throws -> String {
            if path == "test" { return try put("\(live)/\(typed)/\(fresh())", by: kernel) }
            let isFree = path.contains("/scratch/") || path.contains("/logs/")
            if path.contains("/plots/") { return try put("\(live)/plots/\(fresh("p", ".png"))", by: kernel) }
            return try put(isFree ? "\(live)/scratch/\(fresh())" : "test/other/\(typed)/\(fresh())", by: kernel)
        }

        /// What the mount says of itself to who explains.
        func facts() throws -> MountFacts {
            let status = try #require(JSONValue(parsing: harness.volume.content(of: .status, for: .everybody)))
            guard case .array(let names)? = status["live_sessions"] else { throw Errno.noData }
            return MountFacts(
                schema: harness.store.schema, isReadOnly: status["read_only"] == .bool(true),
                liveSessions: Set(names.compactMap { $0.string.flatMap(SessionName.init) }))
        }

        func cases() -> [Case] {
            let (production, old) = ("production/" + typed, "development/" + Self.frozen)
            func fixed(_ kind: String, _ path: String) -> Case { Case(kind: kind, path: { path }) }
            func new(_ kind: String, _ path: @escaping () throws -> String) -> Case { Case(kind: kind, path: path) }
            func made(_ kind: String, _ path: @escaping () throws -> String) -> Case {
                Case(kind: kind, path: path, isBeingMade: true)
            }
            // What moves there comes from another session and is copied: EXDEV, whatever is there.
            func ended(_ kind: String, _ path: String) -> Case {
                Case(kind: kind, path: { path }) { [.operation(.renameOnto), .operation(.exchange)].contains($0) }
            }
            let checkpoints = live + "/meta/meta_checkpoints"
            func directory(_ file: String? = nil) throws -> String {
                let path = try self.made("\(checkpoints)/\(self.fresh("checkpoint-", ""))")
                return try file.map { try self.put("\(path)/\($0)") } ?? path
            }
            func sealedDirectory() throws -> String {
                let name = self.fresh("checkpoint-", "")
                let real = harness.store.path + "/meta_layer/checkpoints/" + name
                guard mkdir(real, 0o755) == 0 else { throw Errno.ioError }
                try write("x", to: real + "/x")
                return "production/meta/meta_checkpoints/" + name
            }
            // What moves onto it comes from elsewhere and is copied, or the kernel says by itself that one of the two is a directory.
            func whole(_ kind: String, _ path: @escaping () throws -> String) -> Case {
                Case(kind: kind, path: path) { [.operation(.renameOnto), .operation(.exchange)].contains($0) }
            }
            let unfinished = "production/meta/meta_checkpoints"
            func being(_ kind: String, _ path: @escaping () throws -> String) -> Case {
                var found = whole(kind, path)
                found.isBeingMade = true
                return found
            }
            func make(_ name: String = "checkpoint-") throws -> String {
                try self.made("\(unfinished)/\(self.fresh(name, ""))")
            }
            return [
                being("one that is being made") { try make() },
                being("a full one that is being made") {
                    let path = try make()
                    _ = try self.put(path + "/x")
                    return path
                },
                being("a file in one that is being made") { try self.put(make() + "/x") },
                being("nothing in one that is being made") { try make() + "/y" },
                being("a directory in one that is being made") { try self.made(make() + "/d") },
                // Not an empty one: under an artifact's name it would be refused later, while something else is asked.
                being("one with a temporary name") {
                    let path = try make("tmp-")
                    _ = try self.put(path + "/x")
                    return path
                },
                being("a file in one with a temporary name") { try self.put(make("tmp-") + "/x") },
                whole("an artifact that is a directory") { try directory() },
                whole("a full one") { try directory("x").split(separator: "/").dropLast().joined(separator: "/") },
                whole("a file in one") { try directory("x") },
                whole("nothing in one") { try directory() + "/y" },
                whole("a directory in one") { try self.made(directory() + "/d") },
                whole("a sealed one") { try sealedDirectory() },
                whole("a file in a sealed one") { try sealedDirectory() + "/x" },
                whole("nothing in a sealed one") { try sealedDirectory() + "/y" },
                new("a new one") { "\(checkpoints)/\(self.fresh("checkpoint-", ""))" },
                Case(
                    kind: "a new one with a temporary name",
                    path: { "\(checkpoints)/\(self.fresh("tmp-checkpoint-", ""))" },
                    // What a link to that very name is depends on whether a file could have it.
                    isLeftOut: { $0 == .creation(.symbolicLink) }),
                new("a new one in production") { "production/meta/meta_checkpoints/\(self.fresh("checkpoint-", ""))" },
                fixed("no name of one", checkpoints + "/a b"),
                fixed("a mode", "production"), fixed("a layer", "production/base"), fixed("a type", production),
                fixed("development", "development"), fixed("tests", "test"), fixed("current", "development/current"),
                fixed("session", live), fixed("its layer", live + "/base"), fixed("its type", "\(live)/\(typed)"),
                fixed("its empty type", live + "/base/splice_errors"), fixed("plots", live + "/plots"),
                fixed("logs", live + "/logs"), fixed("scratch", live + "/scratch"), fixed("frozen session", old),
                fixed("its frozen layer", old + "/base"), fixed("its frozen type", "\(old)/\(typed)"),
                ended("its frozen scratch", old + "/scratch"),
                new("an empty test") { try self.test() },
                new("a test with a file") { try self.test(self.typed + "/chr1.tsv") },
                new("the layer of a test") { try self.test() + "/base" },
                new("the layer with a file") { try self.test(self.typed + "/chr1.tsv") + "/base" },
                new("no test") { "test/" + self.fresh("n", "") }, fixed("in no test", "test/none/base"),
                fixed("below no test", "test/none/scratch/x"), fixed("no name of a test", "test/-x"),
                fixed("no name of a session", "development/yesterday"),
                fixed("in no session", "development/20210101_000000/base"),
                fixed("below no session", "development/20210101_000000/scratch/x"),
                fixed("hidden", ".artifactfs"), fixed("a hidden file", ".artifactfs/status.json"),
                fixed("quarantine", StoreLayout.quarantineDirectory),
                fixed("nothing in quarantine", StoreLayout.quarantineDirectory + "/new"),
                made("in quarantine") { try self.kept() },
                // It goes to where directories go, which another test looks at.
                Case(
                    kind: "a directory in quarantine", path: { try self.keptDirectory() },
                    isLeftOut: {
                        [.operation(.renameFrom), .operation(.renameOnto), .operation(.exchange)].contains($0)
                    }),
                whole("a file in one in quarantine") { try self.keptDirectory() + "/x" },
                whole("a directory in one in quarantine") { try self.keptDirectory() + "/d" },
                whole("nothing in one in quarantine") { try self.keptDirectory() + "/y" },
                made("why it is there") { try self.kept() + StoreLayout.reasonSuffix },
                fixed("nothing hidden", ".artifactfs/new"), fixed("nothing in the root", "new"),
                fixed("nothing in production", "production/new"), fixed("nothing in a layer", "production/base/new"),
                new("a new name") { "\(production)/\(self.fresh())" }, fixed("no name", production + "/x.csv"),
                new("a temporary name") { "\(production)/\(self.fresh("tmp"))" },
                fixed("a long name", "\(production)/chr\(String(repeating: "1", count: 249)).tsv"),
                fixed("the driver's name", production + "/.artifactfs"),
                fixed("its other name", production + "/.meta"),
                fixed("the driver's name in a session", live + "/.artifactfs"),
                fixed("a file of the meta layer", "production/meta/meta_metrics/m.json"),
                made("transient") { try self.put("\(production)/\(self.fresh("tmp"))") },
                made("writing") { try self.writing() }, made("empty") { try self.empty() },
                // With `publish: close` nothing settles.
                made(harness.store.schema.publishing == .exit ? "settling" : "sealing") {
                    try self.closed { state, real in
                        state.phase = self.harness.store.schema.publishing == .exit ? .settling(real) : .sealing(real)
                    }
                },
                made("sealing") { try self.closed { state, real in state.phase = .sealing(real) } },
                made("kept back") {
                    try self.closed { state, real in
                        state.phase = .settling(real)
                        state.isKeptBack = true
                    }
                },
                made("sealed") { try self.sealed() },
                fixed("latest", "production/meta/meta_checkpoints/latest"),
                new("nothing in meta") { "production/meta/training_data/\(self.fresh())" },
                new("a checkpoint of a session") {
                    try self.put("\(self.live)/meta/meta_checkpoints/\(self.fresh("epoch_", ".pkl"))", "N.")
                },
                new("metadata") { try self.put("\(self.test())/metadata.json", "{}\n") },
                new("a log") { try self.put("\(self.live)/logs/\(self.fresh("l", ".txt"))") },
                new("a temporary plot") { try self.put("\(self.live)/plots/\(self.fresh("tmp", ""))") },
                new("below a file") { try self.sealed() + "/x" },
                new("live") { try self.put("\(self.live)/\(self.typed)/\(self.fresh())") },
                new("a temporary file of a session") {
                    try self.put("\(self.live)/\(self.typed)/\(self.fresh("tmp"))")
                },
                new("a file of a test") { try self.test(self.typed + "/chr1.tsv") + "/\(self.typed)/chr1.tsv" },
                fixed("frozen", "\(old)/\(typed)/chr1.tsv"), fixed("nothing frozen", "\(old)/\(typed)/chr2.tsv"),
                new("a new plot") { "\(self.live)/plots/\(self.fresh("p", ".png"))" },
                new("a plot") { try self.put("\(self.live)/plots/\(self.fresh("p", ".png"))") },
                fixed("no plot", live + "/plots/x.txt"), fixed("no metadata", live + "/notes"),
                new("metadata of a test") { try self.test() + "/metadata.json" },
                new("nothing in scratch") { "\(self.live)/scratch/\(self.fresh())" },
                new("a scratch file") { try self.put("\(self.live)/scratch/\(self.fresh())") },
                new("a scratch directory") { try self.made("\(self.live)/scratch/\(self.fresh())") },
                new("a full scratch directory") {
                    let path = try self.made("\(self.live)/scratch/\(self.fresh())")
                    _ = try self.put(path + "/x")
                    return path
                },
                fixed("nothing in no directory", live + "/scratch/none/x"),
                fixed("below a scratch file", live + "/scratch/f/x"),
                ended("a frozen scratch file", old + "/scratch/f"),
                ended("a frozen scratch directory", old + "/scratch/d"),
                ended("nothing in frozen scratch", old + "/scratch/new"),
            ]
                + (geteuid() == 0
                    ? [
                        fixed("another user's session", "development/" + Self.others),
                        fixed("its type", "development/\(Self.others)/\(typed)"),
                        fixed("nothing in it", "development/\(Self.others)/\(typed)/chr2.tsv"),
                        fixed("a file of it", "development/\(Self.others)/\(typed)/chr1.tsv"),
                        fixed("its scratch", "development/\(Self.others)/scratch"),
                    ] : [])
                + [
                    // The last: it ends the others.
                    new("no session") { try self.newSession() }
                ]
        }
    }

    /// Does an action.
    ///
    /// - Returns: whether there was a way to try it.
    private static func act(
        _ action: Action, on path: String, by kernel: PlayedKernel, _ stage: Stage
    ) throws -> Bool {
        switch action {
        case .operation(.openToRead): try kernel.open(path, O_RDONLY)
        case .operation(.openTruncating), .creation(.file): try kernel.open(path, O_WRONLY | O_CREAT | O_TRUNC)
        case .operation(.openToWrite): try kernel.open(path, O_WRONLY | O_CREAT | O_APPEND)
        case .operation(.writeOnHandle):
            // Where nothing can be opened to write, there is no such handle.
            var failure: Errno?
            do throws(Errno) {
                guard try kernel.find(path).kind == S_IFREG else { return false }
                try kernel.open(path, O_WRONLY) { node, handle throws(Errno) in
                    do throws(Errno) { try kernel.change(node, handle: handle) } catch { failure = error }
                }
            } catch { return false }
            if let failure { throw failure }
        case .operation(.truncate): try kernel.truncate(path)
        case .operation(.renameFrom): try kernel.rename(path, to: stage.beside(path))
        case .operation(.renameOnto): try kernel.rename(try stage.other(path, by: kernel), to: path)
        case .operation(.exchange): try kernel.rename(path, to: try stage.other(path, by: kernel), .exchange)
        case .operation(.unlink): try kernel.unlink(path)
        case .operation(.link): try kernel.link(path, to: stage.beside(path))
        case .operation(.setAttributes): try kernel.chmod(path)
        case .operation(.setOwner): try kernel.chown(path)
        case .operation(.setExtendedAttribute): try kernel.setExtendedAttribute(path)
        case .creation(let creation): try kernel.make(creation, path)
        case .removeDirectory: try kernel.removeDirectory(path)
        }
        return true
    }

    @Test(arguments: PublishingRule.allCases) func explainSaysWhatTheDriverDoes(_ publishing: PublishingRule) throws {
        let stage = try Stage(publishing)
        let volume = stage.harness.volume
        var compared: Set<String> = []
        for whom in stage.cases() {
            for action in Action.allCases where !whom.isLeftOut(action) {
                for who in whom.isBeingMade ? Who.allCases : [.maker] {
                    // Only root's driver is asked by others.
                    if who == .otherUser, geteuid() != 0 { continue }
                    // To open it for a handle makes it another state.
                    if whom.kind == "settling", action == .operation(.writeOnHandle) { continue }
                    let kernel = PlayedKernel(volume: volume, caller: Stage.caller(who))
                    guard var path = try? whom.path() else {
                        Issue.record("cannot make \(whom.kind)")
                        continue
                    }
                    if action.followsLinks { path = try kernel.resolved(path) }
                    let facts = try stage.facts()
                    let found = Explanation(path, on: facts, by: kernel)
                    let said = found.verdict(action).refusal
                    let before = volume.denials.counts(for: .everybody)
                    var did: Errno?
                    do {
                        guard try Self.act(action, on: path, by: kernel, stage) else { continue }
                    } catch let error as Errno { did = error }
                    let told = volume.denials.counts(for: .everybody).first { after in
                        after.count != before.first { $0.rule == after.rule }?.count ?? 0
                    }?.rule
                    // Modes are no part of the answer.
                    if who == .otherUser, did == .permissionDenied || did == .notPermitted && told == nil { continue }
                    let rule = did == nil ? nil : told ?? .posix
                    #expect(
                        said?.errno == did && said?.rule == rule,
                        """
                        \(action.name) of \(whom.kind) (\(path)) by \(who), publish: \(publishing): the driver says \
                        \(did?.description ?? "yes"), \(rule?.rawValue ?? "-"), explain \
                        \(said?.errno.description ?? "yes"), \(said?.rule.rawValue ?? "-") of \(found.words)
                        """)
                    compared.insert("\(action.name) \(found.words)")
                }
            }
        }
        #expect(compared.count > 200, "\(compared.count)")
    }
}
