import CLinux
import FuseKernel
import Glibc
import Synchronization
import SystemCalls
import SystemPackage

/// A directory shown as it is: the smallest file system that uses every operation of the binding.
///
/// Some names are special, so that tests see what the session makes of a handler's answer: `throws-N` is answered errno N.
final class MirrorFileSystem: FileSystem {
    /// What the kernel knows of a file: an `O_PATH` descriptor and the references that it has.
    private struct Node {
        var descriptor: Int32
        var number: UInt64
        var lookups: UInt64
        var opens = 0
        var backing: BackingID?
    }

    private struct State {
        var nodes: [UInt64: Node] = [:]
        var numbers: [UInt64: UInt64] = [:]
        var next: UInt64 = 2
        var connection: KernelConnection?
        var starts = 0
        var stops = 0
        var openHandles = 0
        /// How often an operation was called.
        var calls: [String: Int] = [:]
    }

    private let state: Mutex<State>
    private let traits: OpenTraits
    private let timeout: Double
    /// Called by `statistics`, which tests use to hold a request back.
    private let onStatistics: (@Sendable () -> Void)?
    /// Called by what may take long, for the same; then it is done by threads of its own.
    private let onLong: (@Sendable (String) -> Void)?

    init(
        source: String, traits: OpenTraits = [], timeout: Double = 0, onStatistics: (@Sendable () -> Void)? = nil,
        onLong: (@Sendable (String) -> Void)? = nil
    ) throws {
        let root = try check(clinux_openat(AT_FDCWD, source, O_DIRECTORY | Int32(CLINUX_O_PATH), 0))
        state = Mutex(State(nodes: [1: Node(descriptor: root, number: 0, lookups: 1)]))
        self.traits = traits
        self.timeout = timeout
        self.onStatistics = onStatistics
        self.onLong = onLong
    }

    deinit { state.withLock { for node in $0.nodes.values { close(node.descriptor) } } }

    private func takeLong(_ name: String, _ caller: Caller) throws(Errno) {
        guard let onLong else { return }
        if caller.isMovable { throw Errno.takesLong }
        onLong(name)
    }

    // What tests look at

    var connection: KernelConnection? { state.withLock { $0.connection } }
    var starts: Int { state.withLock { $0.starts } }
    var stops: Int { state.withLock { $0.stops } }
    var openHandles: Int { state.withLock { $0.openHandles } }
    var knownInodes: Int { state.withLock { $0.nodes.count } }
    func calls(_ name: String) -> Int { state.withLock { $0.calls[name] ?? 0 } }
    private func count(_ name: String) { state.withLock { $0.calls[name, default: 0] += 1 } }

    func start(_ connection: KernelConnection) {
        state.withLock {
            $0.connection = connection
            $0.starts += 1
        }
    }

    func stop() { state.withLock { $0.stops += 1 } }

    // Inodes

    private func descriptor(_ inode: InodeNumber) throws(Errno) -> Int32 {
        guard let node = state.withLock({ $0.nodes[inode.rawValue] }) else { throw Errno(rawValue: ESTALE) }
        return node.descriptor
    }

    private func path(_ inode: InodeNumber) throws(Errno) -> String { "/proc/self/fd/\(try descriptor(inode))" }

    private func entry(_ parent: InodeNumber, _ name: EntryName) throws(Errno) -> Entry {
        let found = try check(
            clinux_openat(try descriptor(parent), name.pointer, Int32(CLINUX_O_PATH) | O_NOFOLLOW, 0))
        var attributes = stat()
        guard fstat(found, &attributes) == 0 else {
            close(found)
            throw Errno(rawValue: errno)
        }
        let number = state.withLock { state in
            if let known = state.numbers[UInt64(attributes.st_ino)] {
                state.nodes[known]?.lookups += 1
                close(found)
                return known
            }
            let number = state.next
            state.next += 1
            state.numbers[UInt64(attributes.st_ino)] = number
            state.nodes[number] = Node(descriptor: found, number: UInt64(attributes.st_ino), lookups: 1)
            return number
        }
        return Entry(
            inode: InodeNumber(rawValue: number), attributes: attributes, entryTimeout: timeout,
            attributesTimeout: timeout)
    }

    func lookup(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) -> Entry {
        if let text = name.string, text.hasPrefix("throws-"), let number = Int32(text.dropFirst(7)) {
            throw Errno(rawValue: number)
        }
        return try entry(parent, name)
    }

    func forget(_ inode: InodeNumber, lookups: UInt64) {
        state.withLock { state in
            guard let node = state.nodes[inode.rawValue] else { return }
            guard node.lookups <= lookups else {
                state.nodes[inode.rawValue]?.lookups -= lookups
                return
            }
            close(node.descriptor)
            state.nodes[inode.rawValue] = nil
            state.numbers[node.number] = nil
        }
    }

    // Names

    func readLink(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 4096)
        let count = try check(readlinkat(try descriptor(inode), "", &buffer, buffer.count))
        return buffer[0..<count].map { UInt8(bitPattern: $0) }
    }

    func makeNode(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, device: UInt64
    ) throws(Errno) -> Entry {
        try check(mknodat(try descriptor(parent), name.pointer, mode & ~request.caller.umask, dev_t(device)))
        return try entry(parent, name)
    }

    func makeDirectory(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32
    ) throws(Errno) -> Entry {
        try check(mkdirat(try descriptor(parent), name.pointer, mode & ~request.caller.umask))
        return try entry(parent, name)
    }

    func makeSymbolicLink(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, target: EntryName
    ) throws(Errno) -> Entry {
        try check(symlinkat(target.pointer, try descriptor(parent), name.pointer))
        return try entry(parent, name)
    }

    func link(
        _ request: borrowing Request, inode: InodeNumber, newParent: InodeNumber, newName: EntryName
    ) throws(Errno) -> Entry {
        try check(
            linkat(AT_FDCWD, try path(inode), try descriptor(newParent), newName.pointer, AT_SYMLINK_FOLLOW))
        return try entry(newParent, newName)
    }

    func unlink(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) {
        try check(unlinkat(try descriptor(parent), name.pointer, 0))
    }

    func removeDirectory(_ request: borrowing Request, parent: InodeNumber, name: EntryName) throws(Errno) {
        try check(unlinkat(try descriptor(parent), name.pointer, AT_REMOVEDIR))
    }

    func rename(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName,
        newParent: InodeNumber, newName: EntryName, flags: RenameFlags
    ) throws(Errno) {
        try check(
            clinux_renameat2(
                try descriptor(parent), name.pointer, try descriptor(newParent), newName.pointer, flags.rawValue))
    }

    // Attributes

    func attributes(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID?
    ) throws(Errno) -> AttributesReply {
        var attributes = stat()
        try check(fstat(try descriptor(inode), &attributes))
        return AttributesReply(attributes: attributes, timeout: timeout)
    }

    func setAttributes(
        _ request: borrowing Request, inode: InodeNumber, changes: AttributeChanges, handle: HandleID?
    ) throws(Errno) -> AttributesReply {
        let path = try path(inode)
        if changes.dropsSetID {
            var found = stat()
            try check(stat(path, &found))
            if let left = SetIDBits.dropped(from: found.st_mode) { try check(chmod(path, left & 0o7777)) }
        }
        if let mode = changes.mode { try check(chmod(path, mode)) }
        if changes.user != nil || changes.group != nil {
            try check(chown(path, changes.user ?? uid_t.max, changes.group ?? gid_t.max))
        }
        if let size = changes.size { try check(truncate(path, off_t(size))) }
        if changes.accessed != nil || changes.modified != nil {
            let times = [Self.time(changes.accessed), Self.time(changes.modified)]
            try check(utimensat(AT_FDCWD, path, times, 0))
        }
        return try attributes(request, inode: inode, handle: handle)
    }

    private static func time(_ time: AttributeChanges.Time?) -> timespec {
        switch time {
        case nil: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)  // UTIME_OMIT
        case .now: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 1)  // UTIME_NOW
        case .at(let time): time
        }
    }

    func access(_ request: borrowing Request, inode: InodeNumber, mode: Int32) throws(Errno) {
        count("access")
        try check(faccessat(AT_FDCWD, "/proc/self/fd/\(try descriptor(inode))", mode, 0))
    }

    func statistics(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> FileSystemStatistics {
        onStatistics?()
        var statistics = statvfs()
        try check(fstatvfs(try descriptor(inode), &statistics))
        return statistics
    }

    func extendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) -> [UInt8] {
        var buffer = [UInt8](repeating: 0, count: 65536)
        let count = try check(clinux_getxattr(try path(inode), name.pointer, &buffer, buffer.count))
        return Array(buffer[0..<count])
    }

    func extendedAttributeNames(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: 65536)
        let count = try check(clinux_listxattr(try path(inode), &buffer, buffer.count))
        return buffer[0..<count].map { UInt8(bitPattern: $0) }
    }

    func setExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName, value: UnsafeRawBufferPointer, flags: Int32
    ) throws(Errno) {
        try check(clinux_setxattr(try path(inode), name.pointer, value.baseAddress, value.count, flags))
    }

    func removeExtendedAttribute(
        _ request: borrowing Request, inode: InodeNumber, name: EntryName
    ) throws(Errno) {
        try check(clinux_removexattr(try path(inode), name.pointer))
    }

    // Files

    /// All opens of one inode that are open at one time have one backing file.
    private func opened(_ inode: InodeNumber, _ file: Int32) -> Opened {
        let backing = state.withLock { state -> BackingID? in
            state.openHandles += 1
            guard let connection = state.connection, connection.hasPassthrough else { return nil }
            if state.nodes[inode.rawValue]?.opens == 0 {
                let both = clinux_openat(AT_FDCWD, "/proc/self/fd/\(file)", O_RDWR, 0)
                let used = both >= 0 ? both : file
                state.nodes[inode.rawValue]?.backing = try? connection.register(FileDescriptor(rawValue: used))
                if both >= 0 { close(both) }
            }
            state.nodes[inode.rawValue]?.opens += 1
            return state.nodes[inode.rawValue]?.backing
        }
        return Opened(handle: HandleID(rawValue: UInt64(file)), backing: backing, traits: traits)
    }

    private static func file(_ handle: HandleID) -> Int32 { Int32(truncatingIfNeeded: handle.rawValue) }

    func open(_ request: borrowing Request, inode: InodeNumber, flags: OpenFlags) throws(Errno) -> Opened {
        count("open")
        return opened(inode, try check(clinux_openat(AT_FDCWD, try path(inode), flags.rawValue & ~O_NOFOLLOW, 0)))
    }

    func create(
        _ request: borrowing Request, parent: InodeNumber, name: EntryName, mode: UInt32, flags: OpenFlags
    ) throws(Errno) -> Created {
        let file = try check(
            clinux_openat(
                try descriptor(parent), name.pointer, flags.rawValue | O_CREAT | O_NOFOLLOW,
                mode & ~request.caller.umask))
        let entry = try entry(parent, name)
        return Created(entry: entry, opened: opened(entry.inode, file))
    }

    func read(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> ReadSource {
        onLong?("read")
        count("read")
        return .file(FileDescriptor(rawValue: Self.file(handle)))
    }

    func write(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, size: Int
    ) throws(Errno) -> FileDescriptor {
        onLong?("write")
        count("write")
        return FileDescriptor(rawValue: Self.file(handle))
    }

    func writeFailed(inode: InodeNumber, handle: HandleID, _ error: Errno) { count("write failed") }

    func flush(_ request: borrowing Request, inode: InodeNumber, handle: HandleID) throws(Errno) {
        try takeLong("flush", request.caller)
        count("flush")
    }

    func release(inode: InodeNumber, handle: HandleID) {
        close(Self.file(handle))
        state.withLock { state in
            state.openHandles -= 1
            guard let connection = state.connection, connection.hasPassthrough,
                let opens = state.nodes[inode.rawValue]?.opens, opens > 0
            else { return }
            state.nodes[inode.rawValue]?.opens = opens - 1
            if opens == 1, let backing = state.nodes[inode.rawValue]?.backing {
                connection.unregister(backing)
                state.nodes[inode.rawValue]?.backing = nil
            }
        }
    }

    func sync(_ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool) throws(Errno) {
        try takeLong("fsync", request.caller)
        count(dataOnly ? "fdatasync" : "fsync")
    }

    func allocate(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, mode: Int32, offset: Int64, length: Int64
    ) throws(Errno) {
        try takeLong("fallocate", request.caller)
        if mode & 0x10 != 0 { throw Errno.noFunction }  // FALLOC_FL_ZERO_RANGE
        try check(clinux_fallocate(Self.file(handle), mode, off_t(offset), off_t(length)))
    }

    func copyRange(_ request: borrowing Request, _ copy: RangeCopy) throws(Errno) -> Int {
        try takeLong("copyRange", request.caller)
        count("copyRange")
        var from = off_t(copy.source.offset)
        var to = off_t(copy.destination.offset)
        return try check(
            clinux_copy_file_range(
                Self.file(copy.source.handle), &from, Self.file(copy.destination.handle), &to, copy.length, 0))
    }

    func seek(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64, whence: Int32
    ) throws(Errno) -> Int64 {
        count("seek")
        return Int64(try check(lseek(Self.file(handle), off_t(offset), whence)))
    }

    func inodeFlags(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> UInt32 { 0x10 }  // immutable

    // Directories

    func openDirectory(_ request: borrowing Request, inode: InodeNumber) throws(Errno) -> OpenedDirectory {
        let directory = try check(clinux_openat(try descriptor(inode), ".", O_RDONLY | O_DIRECTORY, 0))
        guard let stream = fdopendir(directory) else {
            close(directory)
            throw Errno(rawValue: errno)
        }
        state.withLock { $0.openHandles += 1 }
        return OpenedDirectory(handle: HandleID(rawValue: UInt64(UInt(bitPattern: stream))))
    }

    private static func stream(_ handle: HandleID) throws(Errno) -> OpaquePointer {
        guard let stream = OpaquePointer(bitPattern: UInt(handle.rawValue)) else { throw Errno.badFileDescriptor }
        return stream
    }

    func readDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, offset: Int64,
        into buffer: inout DirectoryBuffer
    ) throws(Errno) {
        count(buffer.wantsAttributes ? "readdirplus" : "readdir")
        let stream = try Self.stream(handle)
        seekdir(stream, Int(offset))
        while let next = readdir(stream) {
            let added = try withUnsafePointer(to: &next.pointee.d_name) { tuple throws(Errno) in
                try tuple.withMemoryRebound(to: CChar.self, capacity: 256) { text throws(Errno) in
                    try add(
                        EntryName(text), UInt64(next.pointee.d_ino), UInt32(next.pointee.d_type) << 12, inode,
                        nextOffset: Int64(next.pointee.d_off), &buffer)
                }
            }
            if !added { return }
        }
    }

    private func add(
        _ name: EntryName, _ number: UInt64, _ type: UInt32, _ parent: InodeNumber, nextOffset: Int64,
        _ buffer: inout DirectoryBuffer
    ) throws(Errno) -> Bool {
        guard buffer.wantsAttributes, name.string != ".", name.string != ".." else {
            return buffer.add(name: name, inodeNumber: number, type: type, nextOffset: nextOffset)
        }
        let entry = try entry(parent, name)
        if buffer.add(name: name, entry: entry, nextOffset: nextOffset) { return true }
        forget(entry.inode, lookups: 1)
        return false
    }

    func releaseDirectory(inode: InodeNumber, handle: HandleID) {
        if let stream = try? Self.stream(handle) { closedir(stream) }
        state.withLock { $0.openHandles -= 1 }
    }

    func syncDirectory(
        _ request: borrowing Request, inode: InodeNumber, handle: HandleID, dataOnly: Bool
    ) throws(Errno) {
        try takeLong("fsyncdir", request.caller)
        count("fsyncdir")
    }
}

/// The result of a system call, or its errno.
@discardableResult
func check<Value: SignedInteger>(_ value: Value) throws(Errno) -> Value {
    if value < 0 { throw Errno(rawValue: errno) }
    return value
}
