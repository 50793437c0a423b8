internal import Artifacts
internal import ArtifactStore
public import FuseKernel
public import Glibc
internal import SystemCalls
public import SystemPackage

/// Requests that go into a store go to its volume; above the stores nothing is changed (`EROFS`), and between two of them files are copied
/// (`EXDEV`), which mv(1) and cp(1) do by themselves.
extension RootTree {
    public func kind(of inode: InodeNumber) -> String {
        openVolume(inode)?.kind(of: InodeSpace.own(inode)) ?? "a directory above the stores"
    }

    // MARK: - Names

    public func lookup(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName
    ) throws(Errno) -> Entry {
        if InodeSpace.index(of: parent) == 0 { return try ownEntry(name, in: parent, request.caller) }
        let target = try target(parent, request.caller)
        return target.space.onMount(try target.volume.lookup(request, parent: target.inode, name: name))
    }

    public func forget(_ inode: InodeNumber, lookups: UInt64) {
        if InodeSpace.index(of: inode) == 0 { return forgetOwn(inode, lookups) }
        // A volume's root is always there, and was never given out by it.
        if InodeSpace.own(inode) != .root { openVolume(inode)?.forget(InodeSpace.own(inode), lookups: lookups) }
    }

    public func readLink(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        let target = try target(inode, request.caller)
        return try target.volume.readLink(request, inode: target.inode)
    }

    public func makeNode(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, device: UInt64
    ) throws(Errno) -> Entry {
        let target = try target(parent, request.caller)
        return target.space.onMount(
            try target.volume.makeNode(request, parent: target.inode, name: name, mode: mode, device: device))
    }

    public func makeDirectory(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32
    ) throws(Errno) -> Entry {
        let target = try target(parent, request.caller)
        return target.space.onMount(
            try target.volume.makeDirectory(request, parent: target.inode, name: name, mode: mode))
    }

    public func makeSymbolicLink(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, target text: EntryName
    ) throws(Errno) -> Entry {
        let target = try target(parent, request.caller)
        return target.space.onMount(
            try target.volume.makeSymbolicLink(request, parent: target.inode, name: name, target: text))
    }

    public func link(
        _ request: borrowing Request, inode: InodeNumber, newParent: InodeNumber, newName: EntryName
    ) throws(Errno) -> Entry {
        let target = try target(newParent, request.caller)
        guard InodeSpace.index(of: inode) == target.space.index else { throw Errno.improperLink }
        return target.space.onMount(
            try target.volume.link(
                request, inode: InodeSpace.own(inode), newParent: target.inode, newName: newName))
    }

    public func unlink(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) {
        let target = try target(parent, request.caller)
        try target.volume.unlink(request, parent: target.inode, name: name)
    }

    public func removeDirectory(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) {
        let target = try target(parent, request.caller)
        try target.volume.removeDirectory(request, parent: target.inode, name: name)
    }

    public func rename(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, newParent: InodeNumber, newName: EntryName,
        flags: RenameFlags
    ) throws(Errno) {
        let source = try target(parent, request.caller)
        let target = try target(newParent, request.caller)
        guard source.space.index == target.space.index else { throw Errno.improperLink }
        try source.volume.rename(
            request, parent: source.inode, name: name, newParent: target.inode, newName: newName, flags: flags)
    }

    // MARK: - Attributes

    public func attributes(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID?
    ) throws(Errno) -> AttributesReply {
        if InodeSpace.index(of: inode) == 0 {
            return AttributesReply(
                attributes: try ownAttributes(of: inode, request.caller), timeout: timeout(of: inode))
        }
        if let store = try unopened(inode) {
            return store.space.onMount(
                AttributesReply(attributes: try attributes(ofTop: store), timeout: Timeout.treeAttributes))
        }
        let target = try target(inode, request.caller)
        return target.space.onMount(try target.volume.attributes(request, inode: target.inode, handle: handle))
    }

    public func setAttributes(
        _ request: borrowing Request, inode: InodeNumber, changes: AttributeChanges, handle: HandleID?
    ) throws(Errno) -> AttributesReply {
        let target = try target(inode, request.caller)
        return target.space.onMount(
            try target.volume.setAttributes(request, inode: target.inode, changes: changes, handle: handle))
    }

    public func statistics(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> FileSystemStatistics {
        if InodeSpace.index(of: inode) == 0 { return try SystemCall.statistics(top) }
        if let store = try unopened(inode) {
            return try withDirectory(store.real) { directory throws(Errno) in try SystemCall.statistics(directory) }
        }
        let target = try target(inode, request.caller)
        return try target.volume.statistics(request, inode: target.inode)
    }

    public func extendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) -> [UInt8] {
        if InodeSpace.index(of: inode) == 0 { return try ownAttribute(name, of: inode) }
        if InodeSpace.own(inode) == .root, name.string == ArtifactAttribute.store, let store = try store(of: inode) {
            return Array((path + "/" + store.real).utf8)
        }
        if let store = try unopened(inode) { return try attribute(name, ofReal: store.real) }
        let target = try target(inode, request.caller)
        return try target.volume.extendedAttribute(request, inode: target.inode, name: name)
    }

    public func extendedAttributeNames(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        if InodeSpace.index(of: inode) == 0 { return [] }
        if try unopened(inode) != nil { return [] }
        let target = try target(inode, request.caller)
        return try target.volume.extendedAttributeNames(request, inode: target.inode)
    }

    public func setExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName, value: UnsafeRawBufferPointer, flags: Int32
    ) throws(Errno) {
        let target = try target(inode, request.caller)
        try target.volume.setExtendedAttribute(
            request, inode: target.inode, name: name, value: value, flags: flags)
    }

    public func removeExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) {
        let target = try target(inode, request.caller)
        try target.volume.removeExtendedAttribute(request, inode: target.inode, name: name)
    }

    public func access(_ request: borrowing Request, inode: InodeNumber, mode: Int32) throws(Errno) {
        if InodeSpace.index(of: inode) == 0 {
            if inode == Self.statusFile, mode & X_OK != 0 { throw Errno.permissionDenied }
            return
        }
        if try unopened(inode) != nil { return }
        let target = try target(inode, request.caller)
        try target.volume.access(request, inode: target.inode, mode: mode)
    }

    // MARK: - Files

    /// One process has all stores' files open.
    public func admit(_ caller: Caller, openFiles: Int, creating: Bool) throws(Errno) {
        if isReadOnly { return }
        var (own, all) = (0, 0)
        for volume in volumes {
            let waiting = volume.seals.waiting(of: caller.user)
            (own, all) = (own + waiting.own, all + waiting.all)
        }
        if creating, caller.canWait, own > descriptors.mostWaiting { throw Errno.answerLater }
        try descriptors.admit(own: openFiles + own, waiting: all)
    }

    public func open(_ request: borrowing Request, inode: InodeNumber, flags: OpenFlags) throws(Errno) -> Opened {
        if InodeSpace.index(of: inode) == 0 { return try openOwn(inode, flags, request.caller) }
        let target = try target(inode, request.caller)
        return try target.volume.open(request, inode: target.inode, flags: flags)
    }

    public func create(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, flags: OpenFlags
    ) throws(Errno) -> Created {
        let target = try target(parent, request.caller)
        var created = try target.volume.create(
            request, parent: target.inode, name: name, mode: mode, flags: flags)
        created.entry = target.space.onMount(created.entry)
        return created
    }

    public func read(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> ReadSource {
        if InodeSpace.index(of: inode) == 0 { return try readOwn(inode, handle, offset, size) }
        let target = try target(inode, request.caller)
        return try target.volume.read(request, inode: target.inode, handle: handle, offset: offset, size: size)
    }

    public func write(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> FileDescriptor {
        let target = try target(inode, request.caller)
        return try target.volume.write(request, inode: target.inode, handle: handle, offset: offset, size: size)
    }

    public func writeFailed(inode: InodeNumber, handle: HandleID, _ error: Errno) {
        openVolume(inode)?.writeFailed(inode: InodeSpace.own(inode), handle: handle, error)
    }

    public func flush(_ request: borrowing Request, inode: InodeNumber, handle: HandleID) throws(Errno) {
        // As volumes answer, for the kernel takes it as said of all.
        if isReadOnly { throw Errno.noFunction }
        if InodeSpace.index(of: inode) == 0 { return }
        let target = try target(inode, request.caller)
        try target.volume.flush(request, inode: target.inode, handle: handle)
    }

    public func release(inode: InodeNumber, handle: HandleID) {
        if InodeSpace.index(of: inode) == 0 { return releaseOwn(handle) }
        openVolume(inode)?.release(inode: InodeSpace.own(inode), handle: handle)
    }

    public func sync(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool
    ) throws(Errno) {
        if InodeSpace.index(of: inode) == 0 { return }
        let target = try target(inode, request.caller)
        try target.volume.sync(request, inode: target.inode, handle: handle, dataOnly: dataOnly)
    }

    public func allocate(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, mode: Int32, offset: Int64, length: Int64
    ) throws(Errno) {
        let target = try target(inode, request.caller)
        try target.volume.allocate(
            request, inode: target.inode, handle: handle, mode: mode, offset: offset, length: length)
    }

    public func copyRange(_ request: borrowing Request, _ copy: RangeCopy) throws(Errno) -> Int {
        let target = try target(copy.destination.inode, request.caller)
        guard InodeSpace.index(of: copy.source.inode) == target.space.index else { throw Errno.improperLink }
        var copy = copy
        copy.source.inode = InodeSpace.own(copy.source.inode)
        copy.destination.inode = target.inode
        return try target.volume.copyRange(request, copy)
    }

    public func seek(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, whence: Int32
    ) throws(Errno) -> Int64 {
        if InodeSpace.index(of: inode) == 0 { throw Errno.invalidArgument }
        let target = try target(inode, request.caller)
        return try target.volume.seek(
            request, inode: target.inode, handle: handle, offset: offset, whence: whence)
    }

    public func inodeFlags(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> UInt32 {
        if InodeSpace.index(of: inode) == 0 { return 0 }
        let target = try target(inode, request.caller)
        return try target.volume.inodeFlags(request, inode: target.inode)
    }

    // MARK: - Directories

    public func openDirectory(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> OpenedDirectory {
        if InodeSpace.index(of: inode) == 0 { return try openOwnDirectory(inode) }
        let target = try target(inode, request.caller)
        return try target.volume.openDirectory(request, inode: target.inode)
    }

    public func readDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64,
        into buffer: inout DirectoryBuffer
    ) throws(Errno) {
        if InodeSpace.index(of: inode) == 0 { return try readOwnDirectory(inode, handle, offset, into: &buffer) }
        let target = try target(inode, request.caller)
        buffer.space = target.space
        try target.volume.readDirectory(
            request, inode: target.inode, handle: handle, offset: offset, into: &buffer)
    }

    public func releaseDirectory(inode: InodeNumber, handle: HandleID) {
        if InodeSpace.index(of: inode) == 0 { return releaseOwn(handle) }
        openVolume(inode)?.releaseDirectory(inode: InodeSpace.own(inode), handle: handle)
    }

    public func syncDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool
    ) throws(Errno) {
        if InodeSpace.index(of: inode) == 0 { return }
        let target = try target(inode, request.caller)
        try target.volume.syncDirectory(request, inode: target.inode, handle: handle, dataOnly: dataOnly)
    }
}
