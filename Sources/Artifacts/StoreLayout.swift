/// Where the tree's directories are in a store. Paths are relative to the store and never begin or end with `/`.
public enum StoreLayout {
    /// The driver's own directory in a store.
    public static let privateDirectory = ".artifactfs"
    /// What was kept back, in a store and on its mount.
    public static let quarantineDirectory = privateDirectory + "/quarantine"
    /// On a mount, in ``privateDirectory``: what was superseded and retracted through it.
    public static let versionsFile = "versions.jsonl"
    /// On a mount, in ``privateDirectory``: what became of the files that were to be promoted together.
    public static let promotionsFile = "promotions.jsonl"
    /// In a directory of production on the mount: the records of what is in it.
    public static let recordsDirectory = ".meta"
    /// What is added to an artifact's name for its record there.
    public static let recordSuffix = ".json"
    /// What is added to an artifact's name for the directory there that has its former versions.
    public static let versionsSuffix = ".versions"
    /// What is added to the name of a file there for the file that says why it is there.
    public static let reasonSuffix = ".reason.json"
    /// The directory in a layer that holds sessions.
    public static let sessionsDirectory = "dev"
    /// The directory in a layer that holds tests.
    public static let testsDirectory = "tests"
    /// What a session's root takes besides directories.
    public static let metadataName = "metadata.json"
    /// Directory names in a layer that no type may use.
    static let reservedDirectories: Set<String> =
        Set([sessionsDirectory, testsDirectory] + UntypedDirectory.allCases.map(\.rawValue))

    /// The part of a scope that is in one layer.
    public static func directory(of scope: Scope, in layer: Layer) -> String {
        switch scope {
        case .production: layer.directoryName
        case .session(let name): layer.directoryName + "/" + sessionsDirectory + "/" + name.description
        case .test(let name): layer.directoryName + "/" + testsDirectory + "/" + name.description
        }
    }

    /// A scope's directory on the mount, from the mount point.
    public static func shownDirectory(of scope: Scope) -> String {
        switch scope {
        case .production: scope.mode.rawValue
        case .session(let name): scope.mode.rawValue + "/" + name.description
        case .test(let name): scope.mode.rawValue + "/" + name.description
        }
    }

    /// The real directory that a location shows; it may not exist yet. `.` is the store itself.
    public static func directory(of location: TreeLocation) -> String {
        switch location {
        case .root, .mode(.production): "."
        case .mode(.development): Layer.base.directoryName + "/" + sessionsDirectory
        case .mode(.test): Layer.base.directoryName + "/" + testsDirectory
        case .scope(.production): "."
        case .scope(let scope): directory(of: scope, in: .base)
        case .layer(let scope, let layer): directory(of: scope, in: layer)
        case .typed(let scope, let layer, let type):
            type.directory == "."
                ? directory(of: scope, in: layer) : directory(of: scope, in: layer) + "/" + type.directory
        case .free(let scope, let name): directory(of: scope, in: .base) + "/" + name.rawValue
        }
    }
}

extension ArtifactSchema {
    /// Where in a store is what a mount shows at a path. What is in a typed directory under a name that is no artifact's is there under that name.
    ///
    /// - Parameter path: on the mount, from its root.
    /// - Returns: from the store.
    public func realPath(ofShown path: String) -> String {
        let (directory, names) = locate(path)
        if case .typed(_, _, let type) = directory, let name = names.first,
            case .artifact(let real) = OverwritePolicy.classify(name, in: .typed(type))
        {
            return StoreLayout.directory(of: directory) + "/" + real
        }
        return ([StoreLayout.directory(of: directory)] + names).joined(separator: "/")
    }

    /// The path on the mount of a real file; nil when no type claims it and it is in no other directory of the tree.
    ///
    /// - Parameter real: its path in the store.
    public func shownPath(ofReal real: String) -> String? {
        var names = real.utf8.split(separator: UInt8(ascii: "/")).compactMap { String($0) }[...]
        guard let layer = Layer.allCases.first(where: { $0.directoryName == names.first }) else { return nil }
        names = names.dropFirst()
        var scope = Scope.production
        if names.count > 2, let name = names.dropFirst().first {
            if names.first == StoreLayout.sessionsDirectory, let session = SessionName(name) {
                scope = .session(session)
            } else if names.first == StoreLayout.testsDirectory, let test = TestName(name) {
                scope = .test(test)
            }
            if scope != .production { names = names.dropFirst(2) }
        }
        guard let last = names.last, names.count <= 2 else { return shownPath(ofReal: real, in: scope) }
        let directory = names.count == 2 ? names.first ?? "." : "."
        guard let type = claimant(ofReal: last, in: directory, layer: layer), let name = type.virtualName(forReal: last)
        else { return shownPath(ofReal: real, in: scope) }
        return [StoreLayout.shownDirectory(of: scope), layer.rawValue, type.name, name].joined(separator: "/")
    }

    /// The path on the mount of something in `plots/`, `logs/`, `scratch/` or a directory that is an artifact; nil when the schema has no such.
    ///
    /// - Parameter real: its path in the store.
    public func shownPath(ofReal real: String, in scope: Scope) -> String? {
        let shown = StoreLayout.shownDirectory(of: scope)
        for layer in Layer.allCases {
            let directory = StoreLayout.directory(of: scope, in: layer) + "/"
            guard real.utf8.starts(with: directory.utf8) else { continue }
            let names = real.utf8.dropFirst(directory.utf8.count).split(separator: UInt8(ascii: "/")).map { String($0) }
            guard let first = names.compactMap({ $0 }).first else { return nil }
            if layer == .base, scope != .production, UntypedDirectory(rawValue: first) != nil {
                return ([shown] + names.compactMap { $0 }).joined(separator: "/")
            }
            for type in types(in: layer) {
                var rest = names.compactMap { $0 }[...]
                if type.directory != "." {
                    guard first == type.directory else { continue }
                    rest = rest.dropFirst()
                }
                guard let real = rest.first,
                    let name = type.virtualName(forReal: real, ofDirectory: true)
                        ?? type.transientDirectoryName(forReal: real)
                else { continue }
                return ([shown, layer.rawValue, type.name, name] + rest.dropFirst()).joined(separator: "/")
            }
        }
        return nil
    }
}
