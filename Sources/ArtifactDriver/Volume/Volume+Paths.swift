internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Where things are on the mount, for people: paths in refusals. Asked for when something is refused, not before.
extension Volume {
    /// A name in a directory of any kind.
    func shownPath(of name: EntryName, in parent: InodeNumber) -> String {
        // Bytes that are not text are shown as what they would be in a log.
        let name =
            name.string ?? String(decoding: name.terminated.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        switch namespace[parent] {
        case .tree(let directory)?: return directory.path(of: name)
        case .free(let node)?: return shownPath(of: node) + "/" + name
        case .made(.quarantine)?: return StoreLayout.quarantineDirectory + "/" + name
        case .made(.records(let directory))?:
            return directory.path(of: StoreLayout.recordsDirectory) + "/" + name
        case .made(.versions(let directory, let artifact))?: return directory.versionsPath(of: artifact) + "/" + name
        case .made?: return StoreLayout.privateDirectory + "/" + name
        case .kept(let kept)?: return kept.path + "/" + name
        case .artifact?, nil: return name
        }
    }

    /// Whatever has a number.
    func shownPath(of inode: Inode) -> String {
        switch inode {
        case .tree(let directory): return directory.path.isEmpty ? "." : directory.path
        case .free(let node): return shownPath(of: node)
        case .artifact(let file):
            return namespace.place(of: file.id).map { $0.parent.path(of: $0.name) } ?? "a removed file"
        case .made(.hiddenDirectory): return StoreLayout.privateDirectory
        case .made(.hiddenFile(let file, for: _)): return StoreLayout.privateDirectory + "/" + file.rawValue
        case .made(.quarantine): return StoreLayout.quarantineDirectory
        case .made(.keptReason(let id, _)):
            return StoreLayout.quarantineDirectory + "/" + QuarantineReader.reasonName(of: id)
        case .made(.records(let directory)): return directory.path(of: StoreLayout.recordsDirectory)
        case .made(.record(let record)):
            return record.directory.path(of: StoreLayout.recordsDirectory) + "/" + record.name
        case .made(.versions(let directory, let artifact)): return directory.versionsPath(of: artifact)
        case .made(.versionRecord(let record)): return record.path
        case .kept(let kept): return kept.path
        case .made(.currentSession): return "development/" + MadeNames.current
        case .made(.latestCheckpoint(let parent, let name, _)), .made(.siblingLink(let parent, let name, _)):
            guard case .tree(let directory)? = namespace[parent] else { return name }
            return directory.path(of: name)
        }
    }

    /// A file or directory in an ordinary tree: the kernel knows its real path.
    func shownPath(of node: FreeNode) -> String {
        func real(_ descriptor: FileDescriptor) -> String? {
            (try? SystemCall.path(of: descriptor)).map { String(decoding: $0, as: UTF8.self) }
        }
        let place = StoreLayout.shownDirectory(of: node.scope)
        guard let path = (try? node.withDescriptor({ real($0) })) ?? nil,
            let top = (try? root.real.current()).flatMap({ $0.map { real($0.descriptor) } ?? nil })
        else { return place }
        guard path.hasPrefix(top + "/") else { return place }
        // Quarantine is on the mount where it is in the store.
        if path.hasPrefix(top + "/" + StoreLayout.quarantineDirectory + "/") {
            return String(decoding: path.utf8.dropFirst(top.utf8.count + 1), as: UTF8.self)
        }
        if let staged = node.artifact.flatMap({ artifactDirectories.staged($0) }) {
            let (shown, name) = staged.state.withLock { ($0.path, $0.real.name) }
            // `.artifactfs/staging/<mount>/<name>` and what is below.
            let below = path.dropFirst(top.utf8.count + 1).split(separator: "/").drop { $0 != name }.dropFirst()
            return ([shown] + below.map { String($0) }).joined(separator: "/")
        }
        return store.schema.shownPath(ofReal: String(path.dropFirst(top.utf8.count + 1)), in: node.scope) ?? place
    }

    /// Other files have these names by now, or nothing has: the kernel asks again.
    ///
    /// - Parameter paths: from the mount point.
    func tellChanged(_ paths: [String]) {
        guard let connection else { return }
        connection.willBlock()
        for path in paths {
            let (location, rest) = store.schema.locate(path)
            guard let name = rest.first else { continue }
            let directory = directoryNode(location)
            guard directory.id.rawValue != 0 else { continue }
            let number = namespace.number(of: name, in: directory.id)
            connection.invalidate(name: name, in: directory.id)
            if let number { connection.invalidate(number, andData: false) }
            connection.invalidate(directory.id, andData: false)
        }
    }
}
