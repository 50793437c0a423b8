import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import Lineage
import SystemCalls
import SystemPackage

/// The lineage that somebody asks for, from the records that this user may read.
struct AskedLineage {
    let question: LineageQuestion
    /// The path that was asked for, on the mount.
    let path: String
    /// The mount or the store that it is in.
    let artifact: ShownArtifact?
    let graph: LineageGraph
    /// The store's directory; nil where the mount does not say.
    let store: String?

    static func find(_ arguments: ArtifactArguments, _ question: LineageQuestion) throws -> AskedLineage {
        let place = try LineagePlace.find(arguments.path, store: arguments.store)
        return try place.withRecords { try place.lineage(question, in: &$0) }
    }

    /// Where what is at a path on the mount is now; nil where it is not, or is not known to be.
    func location(of path: String) throws -> String? {
        let found: ShownArtifact
        if let mount = artifact?.mount {
            found = try ShownArtifact.find(mount.mountPoint + "/" + path, store: nil)
        } else if let store {
            found = try ShownArtifact.find(path, store: store)
        } else {
            return nil
        }
        return try found.found() == nil ? nil : found.full
    }
}

/// What a lineage is asked of, and where its records are.
struct LineagePlace {
    /// On the mount; of what is not in the store its own.
    let path: String
    /// From 1; nil for the last.
    let version: Int64?
    /// The mount or the store that it is in.
    let artifact: ShownArtifact?
    /// The store's directory; nil where the mount does not say.
    let store: String?

    static func find(_ argument: String, store: String?) throws -> LineagePlace {
        if let store, let outside = try outside(argument, store) {
            return LineagePlace(path: outside, version: nil, artifact: nil, store: store)
        }
        let (path, version) = Self.version(argument)
        let artifact = try ShownArtifact.find(path, store: store)
        return LineagePlace(path: artifact.path, version: version, artifact: artifact, store: artifact.store)
    }

    /// A path that ends with `@N`, unless it is there with that name.
    private static func version(_ argument: String) -> (String, Int64?) {
        guard let mark = argument.utf8.lastIndex(of: UInt8(ascii: "@")),
            let version = Int64(argument[argument.utf8.index(after: mark)...]), version > 0,
            (try? SystemCall.attributes(SystemCall.currentDirectory, argument)) == nil
        else { return (argument, nil) }
        return (String(argument[..<mark]), version)
    }

    /// A whole path that is not in the store; nil for any other.
    private static func outside(_ argument: String, _ store: String) throws -> String? {
        guard argument.hasPrefix("/"), let real = try Paths.resolved(try Paths.absolute(store)) else { return nil }
        let named = try Paths.resolved(argument) ?? argument
        let isInside = named.utf8.starts(with: (real + "/").utf8) || argument.utf8.starts(with: (real + "/").utf8)
        return isInside || MountEntry.holding(named)?.isArtifacts == true ? nil : argument
    }

    /// Finds the records that this user may read: those of the ledgers, else those that the mount shows.
    func withRecords<Result>(_ body: (inout any RecordSource) throws -> Result) throws -> Result {
        var isOpen = false
        do {
            guard let store else {
                throw Failure(
                    .cannotAnswer, "the mount at \(artifact?.mount?.mountPoint ?? "?") does not say where its store is")
            }
            return try ShownArtifact.openStore(store).withLedgers { reader in
                var records: any RecordSource = try LedgerRecords(reader)
                isOpen = true
                return try body(&records)
            }
        } catch {
            if isOpen { throw error }
            let isClosed = error as? Errno == .permissionDenied
            let status = (error as? Failure)?.status
            if let mount = artifact?.mount, isClosed || [.cannotAnswer, .notAStore, .failed].contains(status) {
                var records: any RecordSource = try MountRecords(mount)
                return try body(&records)
            }
            switch error as? Errno {
            case nil: throw error
            case .permissionDenied?: throw ShownArtifact.closed(store ?? "")
            case .noSuchFileOrDirectory?:
                throw Failure(.failed, "nothing is known of \(path): \(store ?? "") has no ledger")
            case let other?: throw Failure(.failed, "cannot read the ledger of \(store ?? ""): \(other)")
            }
        }
    }

    /// The lineage of it.
    func lineage(_ question: LineageQuestion, in records: inout any RecordSource) throws -> AskedLineage {
        var question = question
        question.version = version
        let graph = try LineageGraph(of: path, question, in: &records)
        if graph.nodes.isEmpty { throw try nothing() }
        return AskedLineage(question: question, path: path, artifact: artifact, graph: graph, store: store)
    }

    private func nothing() throws -> Failure {
        if let version { return Failure(.failed, "nothing is known of a version \(version) of \(path)") }
        guard let artifact, try artifact.found() == nil else {
            let why = artifact?.isInProduction == true ? "" : ", and no artifact is known that was made from it"
            return Failure(.failed, "nothing is known of \(path): no record that this user may read tells of it\(why)")
        }
        return Failure(
            .cannotAnswer, "\(artifact.full) is not there, and no record that this user may read tells of it")
    }
}
