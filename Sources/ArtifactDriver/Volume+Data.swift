internal import Artifacts
internal import ArtifactStore
internal import CLinux
public import FuseKernel
internal import Glibc
internal import Synchronization
public import SystemPackage

extension Volume {
    /// The descriptor behind an open handle.
    private func descriptor(_ inode: InodeNumber, writing: Bool) throws(Errno) -> FileDescriptor {
        let found: FileDescriptor?
        switch try self.inode(inode) {
        case .artifact(let file): found = file.state.withLock { writing ? $0.open.writing : $0.open.forReading }
        case .free(let node): found = node.open.withLock { writing ? $0.writing : $0.forReading }
        case .tree, .made: throw Errno.isDirectory
        }
        guard let found else { throw Errno.badFileDescriptor }
        return found
    }

    public func read(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> ReadSource {
        if store.isReadOnly { return try readUnopened(inode, offset, size) }
        if case .made = try self.inode(inode) {
            let content = try handles.content(handle)
            guard offset >= 0, offset < Int64(content.count) else { return .bytes([]) }
            return .bytes(Array(content[Int(offset)...].prefix(size)))
        }
        return .file(try descriptor(inode, writing: false))
    }

    public func write(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> FileDescriptor {
        // A handle that may write exists only where the policy allowed it at open, and no seal begins before its release.
        try descriptor(inode, writing: true)
    }

    public func sync(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool
    ) throws(Errno) {
        if case .made = try self.inode(inode) { return }
        if store.isReadOnly { return }
        let descriptor = try descriptor(inode, writing: false)
        _ = try Linux.call { dataOnly ? fdatasync(descriptor.rawValue) : fsync(descriptor.rawValue) }
    }

    public func allocate(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, mode: Int32, offset: Int64, length: Int64
    ) throws(Errno) {
        let descriptor = try descriptor(inode, writing: true)
        _ = try Linux.call { clinux_fallocate(descriptor.rawValue, mode, off_t(offset), off_t(length)) }
    }

    public func copyRange(_ request: borrowing Request, _ copy: RangeCopy) throws(Errno) -> Int {
        let source = try descriptor(copy.source.inode, writing: false)
        let destination = try descriptor(copy.destination.inode, writing: true)
        var from = off_t(copy.source.offset)
        var to = off_t(copy.destination.offset)
        return try Linux.call {
            clinux_copy_file_range(source.rawValue, &from, destination.rawValue, &to, copy.length, 0)
        }
    }

    public func seek(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, whence: Int32
    ) throws(Errno) -> Int64 {
        if store.isReadOnly {
            let opened = try openToRead(try self.inode(inode))
            defer { try? opened.close() }
            return Int64(try Linux.call { lseek(opened.rawValue, off_t(offset), whence) })
        }
        let descriptor = try descriptor(inode, writing: false)
        return Int64(try Linux.call { lseek(descriptor.rawValue, off_t(offset), whence) })
    }

    // MARK: - Without handles

    /// A read on a read-only mount, where nothing is opened: the kernel asks once for what it then keeps.
    private func readUnopened(_ inode: InodeNumber, _ offset: Int64, _ size: Int) throws(Errno) -> ReadSource {
        let found = try self.inode(inode)
        guard case .made(.hiddenFile(let file)) = found else { return .openedFile(try openToRead(found)) }
        let content = hiddenContents.withLock { $0[file] } ?? content(of: file)
        return .bytes(Array(content.dropFirst(Int(clamping: offset)).prefix(size)))
    }

    private func openToRead(_ inode: Inode) throws(Errno) -> FileDescriptor {
        switch inode {
        case .artifact(let file):
            return try file.state.withLock { state throws(Errno) in try open(file, state, O_RDONLY) }
        case .free(let node): return try node.withDescriptor { path throws(Errno) in try Linux.reopen(path, O_RDONLY) }
        case .tree, .made: throw Errno.isDirectory
        }
    }
}
