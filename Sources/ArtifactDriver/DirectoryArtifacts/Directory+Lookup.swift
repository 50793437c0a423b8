internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Directories that are artifacts, found by their names in typed directories.
extension Volume {
    /// The real name of a directory that is an artifact, or that is to be renamed to one; nil where no directory can have the name. Those
    /// with temporary names are shown in sessions and tests.
    func realDirectoryName(_ name: String, in directory: TreeDirectory) -> String? {
        guard case .typed(let type) = directory.place, type.takesDirectory(name) else { return nil }
        switch classify(name, in: directory, as: .directory) {
        case .artifact(let realName): return realName
        case .transient: return directory.isProduction ? nil : type.realName(forTransientDirectory: name)
        case .invalid: return nil
        }
    }

    /// What a name leads to when it is a directory that is an artifact, counted as a lookup; nil when it is none.
    func artifactDirectoryEntry(_ name: String, in directory: TreeDirectory) throws(Errno) -> Entry? {
        try artifactDirectory(name, in: directory).map { found in
            let timeout = min(Timeout.file, self.timeout(of: directory.scope))
            return Entry(
                inode: found.node.id, generation: namespace.generation(of: found.node.id),
                attributes: found.attributes, entryTimeout: timeout, attributesTimeout: timeout)
        }
    }

    /// The node of a directory that is an artifact, counted as a lookup; nil when the name has none.
    func artifactDirectory(
        _ name: String, in directory: TreeDirectory
    ) throws(Errno) -> (node: FreeNode, artifact: ArtifactDirectory, attributes: stat)? {
        if let staged = artifactDirectories.staged(name, in: directory.id) {
            let attributes = try staged.node.withDescriptor { path throws(Errno) in
                try SystemCall.attributes(path)
            }
            namespace.remember(staged.node.id)
            return (staged.node, staged.artifact, attributes)
        }
        guard var realName = realDirectoryName(name, in: directory), let scope = directory.scope else { return nil }
        let (real, home): (Directory, FreeDirectory)
        if let moment {
            guard let place = try moment.place(of: name, in: directory, isDirectory: true) else { return nil }
            (real, home, realName) = (place.directory, .held(place.directory), place.name)
        } else {
            guard let found = try directory.real.current() else { return nil }
            (real, home) = (found, .top(directory.real))
        }
        let descriptor: FileDescriptor
        do throws(Errno) { descriptor = try real.openPathToShow(realName) } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            return nil
        }
        guard let found = try? SystemCall.look(descriptor), found.attributes.isDirectory else {
            try? descriptor.close()
            return nil
        }
        let artifact = artifactDirectories.directory(found.identity, .published(scope))
        let node = withEntryName(realName) { realName in
            freeNode(descriptor, found.identity, realName, in: home, scope: scope, artifact)
        }
        return (node, artifact, found.attributes)
    }

    /// Runs with a name as the kernel would give it.
    func withEntryName<Result>(_ name: String, _ body: (EntryName) throws(Errno) -> Result) throws(Errno) -> Result {
        try Array(name.utf8CString).withUnsafeBufferPointer { bytes throws(Errno) -> Result in
            guard let start = bytes.baseAddress else { throw Errno.invalidArgument }
            return try body(EntryName(start))
        }
    }

    /// Runs with a name as the kernel would give it.
    func withEntryName<Result>(_ name: String, _ body: (EntryName) -> Result) -> Result {
        name.withCString { body(EntryName($0)) }
    }
}
