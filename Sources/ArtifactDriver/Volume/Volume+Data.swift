internal import Artifacts
internal import ArtifactStore
public import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

extension Volume {
    /// What is at most so long is copied or allocated by whoever takes the request: it is done before another thread would be awake.
    private static let longRange: Int64 = 4 << 20
    /// To cut off so many bytes may take long: blocks have to be freed.
    private static let longCut: Int64 = 64 << 20

    /// Whether cutting an open file takes so long that another thread is to do it.
    func takesLong(toCut descriptor: FileDescriptor, to size: Int64, _ caller: Caller) throws(Errno) -> Bool {
        guard caller.isMovable else { return false }
        let left = Int64(try SystemCall.attributes(descriptor).st_size).subtractingReportingOverflow(size)
        return left.overflow || left.partialValue > Self.longCut
    }

    /// The descriptor that an inode's open handles share; nil when they need none.
    private func shared(_ inode: Inode, writing: Bool) throws(Errno) -> FileDescriptor? {
        switch inode {
        case .artifact(let file): sharedDescriptor(of: file, writing: writing)
        case .free(let node): sharedDescriptor(of: node, writing: writing)
        case .kept: nil
        case .tree, .made: throw Errno.isDirectory
        }
    }

    /// The descriptor behind an open handle that writes.
    private func writing(_ inode: InodeNumber) throws(Errno) -> FileDescriptor {
        guard let found = try shared(try self.inode(inode), writing: true) else { throw Errno.badFileDescriptor }
        return found
    }

    /// Runs with a descriptor to read an inode through.
    private func withReading<Result>(
        _ inode: Inode, for caller: Caller, _ body: (FileDescriptor) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        if let found = try shared(inode, writing: false) { return try body(found) }
        let opened = try openToRead(inode, for: caller)
        defer { try? opened.close() }
        return try body(opened)
    }

    public func read(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> ReadSource {
        if opensNothing { return try readUnopened(inode, offset, size, request.caller) }
        let found = try self.inode(inode)
        if case .made = found { return .bytes(try read(madeWith: handle, offset, size)) }
        if case .kept = found { return .file(try handles.file(handle)) }
        if let descriptor = try shared(found, writing: false) { return .file(descriptor) }
        return .openedFile(try openToRead(found, for: request.caller))
    }

    public func write(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> FileDescriptor {
        // A handle that may write exists only where the policy allowed it at open, and no seal begins before its release.
        try writing(inode)
    }

    public func sync(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool
    ) throws(Errno) {
        let found = try self.inode(inode)
        if case .made = found { return }
        if store.isReadOnly { return }
        if request.caller.isMovable { throw Errno.takesLong }
        try withReading(found, for: request.caller) { descriptor throws(Errno) in
            if dataOnly { try SystemCall.syncData(descriptor) } else { try SystemCall.sync(descriptor) }
        }
    }

    public func allocate(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, mode: Int32, offset: Int64, length: Int64
    ) throws(Errno) {
        let descriptor = try writing(inode)
        if request.caller.isMovable, length > Self.longRange { throw Errno.takesLong }
        try rights.acting(for: request.caller) { () throws(Errno) in
            try SystemCall.allocate(descriptor, mode: mode, offset: offset, length: length)
        }
    }

    public func copyRange(_ request: borrowing Request, _ copy: RangeCopy) throws(Errno) -> Int {
        let destination = try writing(copy.destination.inode)
        let origin = try self.inode(copy.source.inode)
        // No descriptor is behind it: the kernel then reads and writes by itself.
        if case .made = origin { throw Errno.notSupported }
        return try withReading(origin, for: request.caller) { source throws(Errno) in
            if request.caller.isMovable {
                // Programs ask for more than there is.
                let left = Int64(try SystemCall.attributes(source).st_size).subtractingReportingOverflow(
                    copy.source.offset)
                if min(Int64(copy.length), left.partialValue) > Self.longRange { throw Errno.takesLong }
            }
            return try rights.acting(for: request.caller) { () throws(Errno) in
                try SystemCall.copyRange(
                    source, from: copy.source.offset, to: destination, at: copy.destination.offset, count: copy.length)
            }
        }
    }

    public func seek(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, whence: Int32
    ) throws(Errno) -> Int64 {
        let found = try self.inode(inode)
        if case .made(let made) = found { return try seek(made, handle, offset, whence) }
        return try withReading(found, for: request.caller) { descriptor throws(Errno) in
            try SystemCall.seek(descriptor, offset, whence)
        }
    }

    // MARK: - Without handles

    /// A read on a read-only mount on which nothing is opened: the kernel asks once for what it then keeps.
    private func readUnopened(
        _ inode: InodeNumber, _ offset: Int64, _ size: Int, _ caller: Caller
    ) throws(Errno) -> ReadSource {
        let found = try self.inode(inode)
        if case .made(.keptReason(let id, _)) = found {
            return .bytes(part(of: try store.quarantine().reason(of: id), offset, size))
        }
        if case .made(.versionRecord(let record)) = found { return .bytes(part(of: record.content, offset, size)) }
        if case .made(.record(let record)) = found { return .bytes(part(of: record.content, offset, size)) }
        guard case .made(.hiddenFile(let file, for: let viewer)) = found else {
            return .openedFile(try openToRead(found, for: caller))
        }
        return .bytes(part(of: unopenedContent(of: file, for: viewer), offset, size))
    }

    private func openToRead(_ inode: Inode, for caller: Caller) throws(Errno) -> FileDescriptor {
        switch inode {
        case .artifact(let file): try openToRead(file, for: caller)
        case .free(let node): try openToRead(node)
        case .kept(let kept): try openToRead(kept)
        case .tree, .made: throw Errno.isDirectory
        }
    }
}
