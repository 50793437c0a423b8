internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What is in `logs/` and `scratch/`.
extension Volume {
    /// What a directory shows: all that is in the real one.
    func listing(of parent: FreeParent) throws(Errno) -> Listing {
        switch parent.directory {
        case .top:
            guard case .tree(let directory)? = namespace[parent.number] else { throw Errno.staleNFSFileHandle }
            return try listing(ofTop: directory, withDots: true)
        case .staging, .held: throw Errno.notDirectory
        case .node, .kept:
            return try parent.directory.withDescriptor { path throws(Errno) in
                if store.isShared { try SystemCall.askAgain(path) }
                return try Listing(of: path)
            }
        }
    }

    /// What `logs/` or `scratch/` itself shows; nothing before the first write to it.
    func listing(ofTop directory: TreeDirectory, withDots: Bool) throws(Errno) -> Listing {
        var listing = Listing()
        guard let real = try directory.real.current() else {
            if withDots { try addDots(directory.stableNumber, 0, to: &listing) }
            return listing
        }
        real.refresh()
        if withDots { return try Listing(of: real.descriptor) }
        try SystemCall.forEachName(in: real.descriptor) { name, number, type throws(Errno) in
            let name = EntryName(name)
            if !name.isDot { try listing.add(name.bytes, number: number, type: type) }
        }
        return listing
    }
}
