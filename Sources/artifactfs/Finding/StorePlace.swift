import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import SystemCalls
import SystemPackage

/// Which store a command asks.
struct StoreArguments: ParsableArguments {
    @Option(
        name: .long,
        help: """
            A mount, a path on it, a store's directory or a path in it. Without it $ARTIFACTFS_STORE, else the directory that \
            one stands in.
            """,
        completion: .directory)
    var store: String?

    func place() throws -> StorePlace { try StorePlace.find(store) }
}

/// A store, and how this user comes to it.
struct StorePlace {
    /// The mount that was named or stood on; nil in a store's directory.
    let mount: MountEntry?
    /// The store's directory; nil where the mount does not say.
    let store: String?
    /// What it is called among several that are asked together; nil where it is asked alone. Such a store is gone into only where its ledgers
    /// are not this user's to read.
    var shown: String?

    /// - Parameter named: what somebody has named; nil where nothing was.
    static func find(_ named: String?) throws -> StorePlace {
        let (argument, source) = asked(named)
        return try find(at: argument, source)
    }

    /// What is named, with how an error calls it.
    static func asked(_ named: String?) -> (argument: String, source: String?) {
        if let named { return (named, named) }
        if let set = getenv("ARTIFACTFS_STORE").map({ String(cString: $0) }), !set.isEmpty {
            return (set, "ARTIFACTFS_STORE=\(set)")
        }
        return (".", nil)
    }

    /// A path with all links resolved; as it is where there is none.
    static func full(_ argument: String) throws -> String {
        let named = try Paths.resolvedDirectory(of: argument)
        return try Paths.resolved(named) ?? named
    }

    static func find(at argument: String, _ source: String?) throws -> StorePlace {
        let full = try full(argument)
        if let mount = MountEntry.holding(full), mount.isArtifacts {
            return StorePlace(mount: mount, store: try MountStatus.of(mount).string("store"))
        }
        var directory = full
        while true {
            let own = (directory == "/" ? "" : directory) + "/" + StoreLayout.privateDirectory
            if (try? SystemCall.attributes(SystemCall.currentDirectory, own))?.isDirectory == true {
                return StorePlace(mount: nil, store: directory)
            }
            guard directory != "/", let slash = directory.utf8.lastIndex(of: UInt8(ascii: "/")) else { break }
            directory = slash == directory.utf8.startIndex ? "/" : String(directory[..<slash])
        }
        let place = source.map { "\($0): it" } ?? "the directory that you are in"
        throw Failure(
            .notAStore,
            """
            \(place) is neither in a store nor on a mount of one; name one with --store or ARTIFACTFS_STORE, \
            or go there. 'artifactfs status' lists the mounts
            """)
    }

    /// Asks the catalog; one that turns out to be damaged is made anew, and asked again.
    func asking(anew: Bool = false, _ body: (Catalog) throws -> Void) throws {
        do {
            do { try body(try catalog(anew: anew)) } catch CatalogError.damaged {
                complain("the catalog is damaged: it is made anew")
                try body(try catalog(anew: true))
            }
        } catch let error as CatalogError {
            switch error {
            case .busy(let directory):
                throw Failure(.busy, "another process is making the catalog in \(directory); try again in a moment")
            case .damaged: throw Failure(.failed, "the catalog is damaged and cannot be made anew")
            case .tooMuch(let problem): throw Failure(.usage, "that is too much to ask at once: \(problem)")
            case .system(let problem): throw Failure(.failed, "the catalog cannot be read: \(problem)")
            }
        } catch let error as PatternError {
            throw Failure(.usage, "the query has an expression after ~ that is none: \(error.problem)")
        }
    }

    /// The catalog of what this user may read.
    private func catalog(anew: Bool = false) throws -> Catalog {
        guard let store, let opened = try readable(store) else {
            guard let mount else { throw ShownArtifact.closed(store ?? "") }
            // That it cannot be opened is told with the reason.
            if shown != nil { _ = try MountStatus.of(mount) }
            // What asks the mount comes before the catalog, which has threads.
            var records = try MountRecords(mount)
            try records.findAll()
            let contents = try metrics(of: records.all, on: mount)
            let kept = try KeptPlace(mount.mountPoint).entries().map { entry in
                var record = entry.record
                (record.artifact.size, record.artifact.state) = (record.artifact.size ?? entry.size, .quarantined)
                return Catalog.ToldArtifact(record, quarantined: entry.id)
            }
            let runs = try KnownRuns(mount.mountPoint).runs.map(Self.told)
            return try Catalog.of(zip(records.all, contents).map { .init($0, contents: $1) } + kept, runs: runs)
        }
        let bar = ProgressBar("making the catalog" + (shown.map { " of \($0)" } ?? ""))
        let catalog: Catalog
        do {
            catalog = try opened.withLedgers { reader in
                guard let root = try opened.directory(".").current() else { throw Errno.noSuchFileOrDirectory }
                return try withExtendedLifetime(root) {
                    let source = CatalogSource(path: opened.path, root: root.descriptor, ledgers: reader)
                    return try Catalog.open(source, anew: anew) { bar.show($0, of: $1) }
                }
            }
        } catch let error as Errno {
            throw Failure(.cannotAnswer, "cannot read the ledger of \(store): \(error)")
        } catch LedgerReader.ReadingFailure.system(let error) {
            throw Failure(.cannotAnswer, "cannot read the ledger of \(store): \(error)")
        } catch LedgerReader.ReadingFailure.changed(let place) {
            throw Failure(
                .cannotAnswer,
                "the ledger \(place.file) of \(store) is not as it was written: 'artifactfs audit' says more")
        }
        bar.end()
        if let remark = catalog.remark { complain(remark) }
        if catalog.isBehind {
            complain("another process brings the catalog up to date: the newest artifacts may be missing here")
        }
        return catalog
    }

    /// The contents of files of metrics, as far as they can be read; nil of all others.
    private func metrics(of records: [ArtifactRecord], on mount: MountEntry) throws -> [[UInt8]?] {
        let paths = records.map { record in
            Catalog.hasMetrics(record) ? record.artifact.path.map { mount.mountPoint + "/" + $0 } : nil
        }
        let answer = Patience.find(within: 120_000, on: mount) {
            var all: [UInt8] = []
            for path in paths {
                let bytes = path.flatMap { Paths.contents($0, limit: 16 << 20) } ?? []
                all += withUnsafeBytes(of: Int64(bytes.count)) { Array($0) }
                all += bytes
            }
            return all
        }
        guard let answer else { throw mount.silence }
        var rest = answer[...]
        return paths.map { path in
            guard rest.count >= 8 else { return nil }
            let length = rest.prefix(8).withUnsafeBytes { $0.loadUnaligned(as: Int64.self) }
            rest = rest.dropFirst(8)
            let bytes = rest.prefix(Int(clamping: length))
            rest = rest.dropFirst(bytes.count)
            return path == nil ? nil : Array(bytes)
        }
    }

    private static func told(_ run: KnownRun) -> Catalog.ToldRun {
        var facts = run.facts
        facts["experiment"] = run.experiment.map { .string($0) }
        let line = LedgerEvent.RunLine(
            mount: "", run: run.id, session: run.session ?? "", uid: run.user.map { Int64($0) } ?? -1, pid: 0,
            facts: facts)
        return .init(line, begun: run.begun ?? "", hasEnded: run.hasEnded && !run.goesOn, metrics: run.metrics)
    }

    /// Says something of this store.
    func complain(_ text: String) { Terminal.complain((shown.map { "\($0): " } ?? "") + text) }

    /// Whether its ledgers are not this user's to read, and its mount is asked: by processes, so that it is asked before any catalog is
    /// made, which has threads.
    var asksMount: Bool { (try? ledger())?.isReadable == false }

    /// Whether nothing was ever done in it.
    var isUnused: Bool { (try? ledger())?.isThere == false }

    private func ledger() throws(Errno) -> (isThere: Bool, isReadable: Bool) {
        guard let store else { return (true, false) }
        do throws(Errno) {
            try SystemCall.checkAccess(atPath: store + "/" + StoreLayout.privateDirectory + "/ledger", R_OK | X_OK)
            return (true, true)
        } catch {
            switch error {
            case .noSuchFileOrDirectory: return (false, false)
            case .permissionDenied: return (true, false)
            default: throw error
            }
        }
    }

    /// A path of the store among those of all that are asked.
    func named(_ path: String) -> String { shown.map { $0 + "/" + path } ?? path }

    /// The mount, or the store's directory.
    var path: String { mount?.mountPoint ?? store ?? "." }

    /// The store, where its ledgers are this user's to read.
    private func readable(_ store: String) throws -> Store? {
        let own = store + "/" + StoreLayout.privateDirectory + "/ledger"
        do throws(Errno) {
            try SystemCall.checkAccess(atPath: own, R_OK | X_OK)
        } catch {
            if error == .permissionDenied { return nil }
            if mount != nil { return nil }
            throw Failure(.failed, "nothing is known yet: \(store) has no ledger (\(error))")
        }
        return try ShownArtifact.openStore(store)
    }

    /// Where what is at a path on the mount is for this user: on the mount, or in the store.
    func location(of path: String, _ schema: ArtifactSchema) -> String {
        if let mount { return mount.mountPoint + "/" + path }
        guard let store else { return path }
        return store + "/" + schema.realPath(ofShown: path)
    }

    func schema() throws -> ArtifactSchema {
        if shown != nil, let store, let opened = try readable(store) { return opened.schema }
        if let mount {
            if shown != nil { _ = try MountStatus.of(mount) }
            return try ShownArtifact.schema(mount.mountPoint + "/" + StoreLayout.privateDirectory + "/schema.yaml")
        }
        return try ShownArtifact.openStore(store ?? "").schema
    }
}
