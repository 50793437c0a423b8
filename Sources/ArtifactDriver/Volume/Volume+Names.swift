internal import Artifacts
public import FuseKernel
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Operations on names: whose directory it is decides who does it.
extension Volume {
    public func lookup(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName
    ) throws(Errno) -> Entry {
        try entry(name, in: directoryKind(parent), request.caller)
    }

    /// What a name leads to, counted as a lookup.
    func entry(_ name: EntryName, in parent: DirectoryKind, _ caller: Caller) throws(Errno) -> Entry {
        switch parent {
        case .artifacts(let directory):
            guard let name = name.string else { throw Errno.noSuchFileOrDirectory }
            return try treeEntry(name, in: directory, for: caller)
        case .free(let parent): return try freeEntry(name, in: parent)
        case .quarantine(let parent): return try keptEntry(name, in: parent, caller)
        case .made(let parent):
            if case .made(.records(let directory))? = namespace[parent] {
                return try recordEntry(name, of: directory, in: parent, caller)
            }
            if case .made(.versions(let directory, let artifact))? = namespace[parent] {
                return try versionEntry(name, of: artifact, in: directory, parent, caller)
            }
            if name.string == MadeNames.quarantine {
                return entry(madeInode(.quarantine, MadeNames.quarantine, in: parent))
            }
            guard let file = name.string.flatMap(HiddenFile.init(rawValue:)) else {
                throw Errno.noSuchFileOrDirectory
            }
            return hiddenEntry(file, in: parent, caller)
        }
    }

    public func forget(_ inode: InodeNumber, lookups: UInt64) {
        namespace.forget(inode, lookups: lookups)
        if namespace.hasShrunk() { seals.submit { SystemCall.giveMemoryBack() } }
    }

    public func create(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, flags: OpenFlags
    ) throws(Errno) -> Created {
        try askLease(Creation.file.rawValue, shownPath(of: name, in: parent), request.caller)
        return switch try directoryKind(parent) {
        case .artifacts(let directory): try createArtifact(text(name), in: directory, mode, flags, request.caller)
        case .free(let parent): try createFree(name, in: parent, mode, flags, request.caller)
        case .made, .quarantine: try refuseMaking(.file, shownPath(of: name, in: parent), request.caller)
        }
    }

    public func makeDirectory(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32
    ) throws(Errno) -> Entry {
        try askLease(Creation.directory.rawValue, shownPath(of: name, in: parent), request.caller)
        switch try directoryKind(parent) {
        case .artifacts(let directory):
            return try makeTreeDirectory(text(name), in: directory, mode: mode, request.caller)
        case .free(let parent):
            return try makeFree(.directory, name, in: parent, request.caller) { directory throws(Errno) in
                try SystemCall.makeDirectory(directory, name.pointer, mode & 0o7777)
            }
        case .made, .quarantine: try refuseMaking(.directory, shownPath(of: name, in: parent), request.caller)
        }
    }

    public func makeNode(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, device: UInt64
    ) throws(Errno) -> Entry {
        try askLease(Creation.file.rawValue, shownPath(of: name, in: parent), request.caller)
        let creation: Creation = mode & S_IFMT == S_IFREG ? .file : .specialFile
        switch try directoryKind(parent) {
        case .artifacts(let directory):
            guard creation == .file else { try refuseCreation(creation, name, in: directory, request.caller) }
            // mknod(2) of a plain file: made as by open, and closed again: empty.
            let created = try createArtifact(
                text(name), in: directory, mode, OpenFlags(rawValue: O_WRONLY | O_EXCL), request.caller)
            release(inode: created.entry.inode, handle: created.opened.handle)
            return created.entry
        case .free(let parent):
            return try makeFree(creation, name, in: parent, request.caller) { directory throws(Errno) in
                try SystemCall.makeNode(directory, name.pointer, mode, device: device)
            }
        case .made, .quarantine: try refuseMaking(creation, shownPath(of: name, in: parent), request.caller)
        }
    }

    public func makeSymbolicLink(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, target: EntryName
    ) throws(Errno) -> Entry {
        try askLease(Creation.symbolicLink.rawValue, shownPath(of: name, in: parent), request.caller)
        switch try directoryKind(parent) {
        case .artifacts(let directory):
            return try makeSiblingLink(text(name), to: target, in: directory, request.caller)
        case .free(let parent):
            return try makeFree(.symbolicLink, name, in: parent, request.caller) { directory throws(Errno) in
                try SystemCall.makeSymbolicLink(directory, name.pointer, to: target.pointer)
            }
        case .made, .quarantine: try refuseMaking(.symbolicLink, shownPath(of: name, in: parent), request.caller)
        }
    }

    public func link(
        _ request: borrowing Request, inode: InodeNumber, newParent: InodeNumber, newName: EntryName
    ) throws(Errno) -> Entry {
        try askLease(Operation.link.rawValue, shownPath(of: newName, in: newParent), request.caller)
        switch (try self.inode(inode), try directoryKind(newParent)) {
        case (.free(let node), .free(let parent)): return try linkFree(node, newName, in: parent, request.caller)
        case (.artifact(let file), .artifacts(let directory)):
            return try linkArtifact(file, text(newName), in: directory, request.caller)
        case (.artifact(let file), _): try refuseLink(of: file, request.caller)
        case (.kept(let kept), _): try refuseKept(.operation(.link), kept, request.caller)
        default: break
        }
        // As of any file outside of ordinary trees.
        try enforce(
            OverwritePolicy.judge(.link, on: .live), Operation.link.rawValue, shownPath(of: newName, in: newParent),
            request.caller)
        throw Errno.notPermitted
    }

    public func unlink(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) {
        try askLease(Operation.unlink.rawValue, shownPath(of: name, in: parent), request.caller)
        defer { lookForRoom() }
        switch try directoryKind(parent) {
        case .artifacts(let directory): try unlinkArtifact(text(name), in: directory, request.caller)
        case .free(let parent): try removeFree(name, in: parent, 0, request.caller)
        case .quarantine: try unlinkKept(name, request.caller)
        case .made: try refuseHidden(.operation(.unlink), shownPath(of: name, in: parent), request.caller)
        }
    }

    public func removeDirectory(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) {
        try askLease(Operation.unlink.rawValue, shownPath(of: name, in: parent), request.caller)
        switch try directoryKind(parent) {
        case .artifacts(let directory): try removeTreeDirectory(text(name), in: directory, request.caller)
        case .free(let parent): try removeFree(name, in: parent, AT_REMOVEDIR, request.caller)
        case .quarantine: try removeKeptDirectory(name, request.caller)
        // The kernel asks for directories only, and there is one.
        case .made:
            try refuseHidden(.removeDirectory, isDirectory: true, shownPath(of: name, in: parent), request.caller)
        }
    }

    public func rename(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, newParent: InodeNumber, newName: EntryName,
        flags: RenameFlags
    ) throws(Errno) {
        try askLease(Operation.renameFrom.rawValue, shownPath(of: name, in: parent), request.caller)
        let caller = request.caller
        switch (try directoryKind(parent), try directoryKind(newParent)) {
        case (.artifacts(let source), .artifacts(let target)):
            // RENAME_WHITEOUT would leave a device behind (renameat2(2)).
            guard flags.isSubset(of: [.noReplace, .exchange]) else { throw Errno.invalidArgument }
            try renameArtifact(text(name), in: source, to: text(newName), in: target, flags, caller)
        case (.free(let source), .free(let target)):
            try renameFree(name, in: source, to: newName, in: target, flags, caller)
        case (.quarantine, .artifacts(let target)): try renameKept(name, to: newName, in: target, flags, caller)
        // As of any file there: mv(1) copies it.
        case (.quarantine, .free): throw Errno.improperLink
        case (_, .quarantine): try refuseReplacingKept(newName, caller)
        case (.made, _), (_, .made), (.quarantine, _):
            try refuseHidden(.operation(.renameFrom), shownPath(of: name, in: parent), caller)
        case (let source, _):
            if flags.contains(.exchange) {
                try enforce(
                    OverwritePolicy.judge(.exchange, on: .live), Operation.exchange.rawValue,
                    shownPath(of: name, in: parent), caller)
            }
            if case .artifacts(let directory) = source { try refuseSealedSource(name, in: directory, caller) }
            // Between typed directories and ordinary trees files are copied, which mv(1) does by itself: an ordinary file may
            // have other names, and the kernel's nodes of the two kinds obey different rules.
            throw Errno.improperLink
        }
    }
}
