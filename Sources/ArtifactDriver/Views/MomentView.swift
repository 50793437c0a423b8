internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// Who knows what was in production at a moment.
public protocol PastSource: Sendable {
    /// The moment, for people.
    var words: String { get }

    /// What was sealed in a directory then, by its names on the mount: 0 for what has its name still, else the number of the version that it is by now.
    ///
    /// - Parameter directory: from the mount point.
    func names(in directory: String) throws(Errno) -> [String: Int64]
}

/// Production as it was at a moment: from the real files, the former versions, and what the ledgers say.
final class MomentView: StoreView {
    let source: any PastSource
    private let store: Store

    /// A directory's names, as they were found when its real directory was in a state.
    private struct Known {
        let state: ListingState?
        let names: [String: Int64]
    }

    /// By the directories' paths. A leaf in the order of locks; nothing is read under it.
    private let known = Lock<[String: Known]>([:])

    init(_ source: any PastSource, of store: Store) { (self.source, self.store) = (source, store) }

    /// What has left its name since is looked for where it is by now.
    private func names(in directory: TreeDirectory) throws(Errno) -> [String: Int64] {
        guard case .typed(.production, _, _) = directory.location else { return [:] }
        // Taken before: what changes meanwhile makes it another state.
        let attributes = try directory.real.refresh().flatMap { try? SystemCall.attributes($0.descriptor) }
        let state = attributes.flatMap { ListingState($0, staged: 0, trusted: store.trustedNanoseconds) }
        if let found = known.withLock({ $0[directory.path] }), found.state != nil || attributes == nil,
            found.state == state
        {
            return found.names
        }
        let names = try source.names(in: directory.path)
        known.withLock { $0[directory.path] = Known(state: state, names: names) }
        return names
    }

    /// Which version of a name is shown; 0 for what has it still, nil where there was nothing.
    func number(of name: String, in directory: TreeDirectory) throws(Errno) -> Int64? {
        try names(in: directory)[name]
    }

    /// Where a name leads.
    ///
    /// - Parameter isDirectory: whether a directory is looked for.
    func place(
        of name: String, in directory: TreeDirectory, isDirectory: Bool
    ) throws(Errno) -> RealFile? {
        guard case .typed(let type) = directory.place, let number = try number(of: name, in: directory),
            case .artifact(let real) = type.classify(name, ofDirectory: isDirectory)
        else { return nil }
        if number > 0 { return try store.formerVersions(of: real, in: directory.real.path)?.file(number) }
        return try directory.real.current().map { RealFile(directory: $0, name: real) }
    }

    /// What is known of a former version that a name leads to; nil of what has its name still.
    func version(of name: String, in directory: TreeDirectory) throws(Errno) -> FormerVersion? {
        guard case .typed(let type) = directory.place, let number = try number(of: name, in: directory), number > 0
        else { return nil }
        for isDirectory in [false, true] {
            guard case .artifact(let real) = type.classify(name, ofDirectory: isDirectory),
                let reader = try store.formerVersions(of: real, in: directory.real.path)
            else { continue }
            return try reader.version(number)
        }
        return nil
    }

    // MARK: - StoreView

    func realFile(_ name: String, in directory: TreeDirectory) throws(Errno) -> RealFile? {
        try place(of: name, in: directory, isDirectory: false)
    }

    func look(at file: RealFile, in directory: TreeDirectory) throws(Errno) -> FoundFile {
        shown(try file.lookToShow(), at: file, in: directory, store)
    }

    func forEachFile(
        in directory: TreeDirectory, _ body: (_ name: String, _ number: UInt64, _ type: UInt32) throws(Errno) -> Void
    ) throws(Errno) {
        for (name, number) in try names(in: directory).sorted(by: { $0.key < $1.key }) {
            // Of very many, what each is is asked for when it is.
            let found: FoundFile? =
                if number > 0 {
                    try?
                        (place(of: name, in: directory, isDirectory: false)
                        ?? place(of: name, in: directory, isDirectory: true))?.look()
                } else { nil }
            let stable = StableNumber.of(directory.path(of: name))
            try body(
                name, found.map { UInt64($0.attributes.st_ino) } ?? stable, found.map { $0.identity.kind } ?? 0)
        }
    }
}
