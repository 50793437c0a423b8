internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What the tree's directories show.
extension Volume {
    /// What a directory of the tree shows; hidden entries are never listed.
    func listing(of directory: TreeDirectory, withDots: Bool) throws(Errno) -> Listing {
        var listing = Listing()
        if withDots { try addDots(directory.stableNumber, StableNumber.of(""), to: &listing) }
        func add(directory name: String) throws(Errno) {
            try listing.add(name, number: StableNumber.of(directory.path(of: name)), type: S_IFDIR)
        }
        for child in store.schema.fixedChildren(of: directory.location) { try add(directory: child.name) }
        switch directory.location {
        case .mode(.development) where moment != nil, .mode(.test) where moment != nil: break
        case .mode(.development):
            var names = Set(try store.sessions())
            if let currentSession { names.insert(currentSession) }
            for name in names.sorted() { try add(directory: name.description) }
        case .mode(.test): for name in try store.tests() { try add(directory: name.description) }
        case .typed, .free, .scope: try addFiles(of: directory, to: &listing)
        case .root, .mode, .layer: break
        }
        for name in [MadeNames.current, MadeNames.latest] where madeEntry(name, in: directory) != nil {
            try listing.add(name, number: StableNumber.of(directory.path(of: name)), type: S_IFLNK)
        }
        listing.compact()
        return listing
    }

    /// Adds the real files that a directory shows, and the staged ones.
    private func addFiles(of directory: TreeDirectory, to listing: inout Listing) throws(Errno) {
        var names: Set<String> = []
        for (name, file) in namespace.pinnedArtifacts(in: directory.id) {
            guard let attributes = try? attributes(of: file) else { continue }
            try listing.add(name, number: UInt64(attributes.st_ino), type: S_IFREG)
            names.insert(name)
        }
        for (name, staged) in artifactDirectories.staged(in: directory.id) {
            try listing.add(name, number: staged.node.identity.number, type: S_IFDIR)
            names.insert(name)
        }
        try view.forEachFile(in: directory) { name, number, type throws(Errno) in
            if names.isEmpty || !names.contains(name) { try listing.add(name, number: number, type: type) }
        }
    }
}
