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
        var question = question
        if let store = arguments.store, let outside = try outside(arguments.path, store) {
            let graph = try Self.graph(of: outside, question, nil, store: store)
            return try AskedLineage(question: question, path: outside, artifact: nil, graph: graph, store: store)
                .checked()
        }
        let (path, version) = Self.version(arguments.path)
        question.version = version
        let artifact = try ShownArtifact.find(path, store: arguments.store)
        let graph = try Self.graph(of: artifact.path, question, artifact, store: artifact.store)
        return try AskedLineage(
            question: question, path: artifact.path, artifact: artifact, graph: graph, store: artifact.store
        ).checked()
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

    private static func graph(
        of path: String, _ question: LineageQuestion, _ artifact: ShownArtifact?, store: String?
    ) throws -> LineageGraph {
        do {
            guard let store else {
                throw Failure(
                    .cannotAnswer, "the mount at \(artifact?.mount?.mountPoint ?? "?") does not say where its store is")
            }
            return try ShownArtifact.openStore(store).withLedgers { reader in
                var records = try LedgerRecords(reader)
                return try LineageGraph(of: path, question, in: &records)
            }
        } catch {
            let isClosed = (error as? Failure)?.status == .cannotAnswer || error as? Errno == .permissionDenied
            if isClosed, let mount = artifact?.mount {
                var records = try MountRecords(mount)
                return try LineageGraph(of: path, question, in: &records)
            }
            switch error as? Errno {
            case nil: throw error
            case .permissionDenied?: throw ShownArtifact.closed(store ?? "")
            case .noSuchFileOrDirectory?: return LineageGraph()
            case let other?: throw Failure(.failed, "cannot read the ledger of \(store ?? ""): \(other)")
            }
        }
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

    private func checked() throws -> AskedLineage {
        guard graph.nodes.isEmpty else { return self }
        if let version = question.version {
            throw Failure(.failed, "nothing is known of a version \(version) of \(path)")
        }
        guard let artifact, try artifact.found() == nil else {
            let why = artifact?.isInProduction == true ? "" : ", and no artifact is known that was made from it"
            throw Failure(.failed, "nothing is known of \(path): no record that this user may read tells of it\(why)")
        }
        throw Failure(.cannotAnswer, "\(artifact.full) is not there, and no record that this user may read tells of it")
    }
}
