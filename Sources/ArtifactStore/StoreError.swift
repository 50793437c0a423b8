internal import Artifacts
public import SystemPackage

/// What went wrong with a store, as a sentence for people: what happened, which file, which rule, and the way out.
public enum StoreError: Error, Sendable, CustomStringConvertible {
    /// The directory is not a store, or cannot be made one.
    case notAStore(path: String, problem: String)
    /// `schema.yaml` has a fault; lines count from 1.
    case schema(file: String, line: Int?, problem: String)
    /// `schema.yaml` is there, and this user may not read it.
    case unreadableSchema(file: String)
    /// The store was made by a version that writes another format.
    case format(path: String, found: String)
    /// The system refused; `doing` completes "cannot ...".
    case system(doing: String, path: String, Errno)
    /// Another mount has it.
    case inUse(what: String, path: String)
    /// There is no such session or test.
    case notFound(what: String, path: String)
    /// The store was opened to read only.
    case readOnly(path: String)

    /// The errno that comes nearest.
    public var errno: Errno {
        switch self {
        case .notAStore, .schema, .format: .invalidArgument
        case .unreadableSchema: .permissionDenied
        case .system(_, _, let errno): errno
        case .inUse: .resourceBusy
        case .notFound: .noSuchFileOrDirectory
        case .readOnly: .readOnlyFileSystem
        }
    }

    /// For people.
    public var description: String {
        switch self {
        case .notAStore(let path, let problem): "not an artifact store: \(path): \(problem)"
        case .schema(let file, let line, let problem):
            "the schema has a fault: \(file)\(line.map { ":\($0)" } ?? ""): \(problem)"
        case .unreadableSchema(let file):
            "cannot read the schema: \(file): Permission denied (.artifactfs belongs to the store's owner alone, mode 0700); "
                + "the owner or root can mount the store for everyone: 'artifactfs mount --read-only --allow-other ...'"
        case .format(let path, let found):
            "\(path) says '\(found)': this version of artifactfs knows formats \(StoreFormat.versions.lowerBound) to \(StoreFormat.versions.upperBound) only; "
                + "use the version that made the store, or a newer one"
        case .system(let doing, let path, let errno): "cannot \(doing): \(path): \(errno)\(Self.wayOut(errno))"
        case .inUse(let what, let path):
            "\(what) is in use by another mount: \(path); unmount that one first, or use another"
        case .notFound(let what, let path): "there is no \(what): \(path)"
        case .readOnly(let path): "the store was opened read-only: \(path)"
        }
    }

    private static func wayOut(_ errno: Errno) -> String {
        switch errno {
        case .permissionDenied, .notPermitted:
            "; run it as the store's owner or as root (.artifactfs belongs to the driver alone, mode 0700)"
        case _ where DiskRoom.isForWantOfRoom(errno): "; make room on the store's file system"
        case .readOnlyFileSystem: "; the file system is mounted read-only: use --read-only"
        case .noSuchFileOrDirectory: "; make the store with 'artifactfs init STORE'"
        case .tooManySymbolicLinkLevels, .notDirectory:
            "; the store's own directories cannot be symbolic links: move the directory there, or bind-mount it"
        default: ""
        }
    }
}
