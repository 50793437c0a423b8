internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A file or directory that a descriptor names without having it opened: nothing waits for it, and it stays the same one whatever its names become.
final class HeldFile: Sendable {
    /// `O_PATH`; closed with the last reference.
    let descriptor: FileDescriptor

    /// - Parameter descriptor: is this one's from now on.
    init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

    deinit { SystemCall.close(descriptor) }

    /// fstat(2).
    func attributes() throws(Errno) -> stat {
        try withExtendedLifetime(self) { () throws(Errno) in try SystemCall.attributes(descriptor) }
    }

    /// What a name in it is, itself when it is a symbolic link; a name may have slashes. Nil when there is none.
    func attributes(of name: some Collection<UInt8>) throws(Errno) -> stat? {
        try withExtendedLifetime(self) { () throws(Errno) in
            do throws(Errno) {
                return try withName(name) { text throws(Errno) in try SystemCall.attributes(descriptor, text) }
            } catch .noSuchFileOrDirectory, .notDirectory {
                return nil
            }
        }
    }

    /// The path that leads to it now, as bytes; nil when none does.
    func path() throws(Errno) -> [UInt8]? {
        try withExtendedLifetime(self) { () throws(Errno) in
            let path = try SystemCall.path(of: descriptor)
            guard path.first == UInt8(ascii: "/"), try SystemCall.attributes(descriptor).st_nlink > 0 else {
                return nil
            }
            return path
        }
    }

    /// Opens it to read, when it is a plain file: a fifo, a device or a directory is not touched.
    ///
    /// - Throws: `EINVAL` for what is no plain file, `EACCES` and what else open(2) says.
    func reading<Result>(_ body: (FileDescriptor, stat) throws(Errno) -> Result) throws(Errno) -> Result {
        try withExtendedLifetime(self) { () throws(Errno) in
            guard try SystemCall.knownAttributes(descriptor).isRegular else { throw Errno.invalidArgument }
            let open = try SystemCall.reopen(descriptor, O_RDONLY)
            defer { SystemCall.close(open) }
            return try body(open, try SystemCall.attributes(open))
        }
    }

    /// What is in it, when it is a plain file.
    ///
    /// - Throws: `EFBIG` for more than `limit` bytes; what ``reading(_:)`` throws.
    func contents(limit: Int) throws(Errno) -> (bytes: [UInt8], attributes: stat) {
        try reading { open, attributes throws(Errno) in
            guard attributes.st_size >= 0, attributes.st_size <= limit else { throw Errno.fileTooLarge }
            // One more than there was: what grows meanwhile is noticed. Files of procfs and sysfs say that they have none.
            let wanted = max(Int(attributes.st_size), 4095) + 1
            let bytes = try SystemCall.bytes(open, at: 0, count: wanted)
            guard bytes.count < wanted, bytes.count <= limit else { throw Errno.fileTooLarge }
            return (bytes, attributes)
        }
    }
}

/// Runs with bytes as a C string.
///
/// - Throws: `EINVAL` when there is a zero among them.
func withName<Result>(
    _ name: some Collection<UInt8>, _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
) throws(Errno) -> Result {
    try withUnsafeTemporaryAllocation(of: CChar.self, capacity: name.count + 1) { buffer throws(Errno) in
        guard let start = buffer.baseAddress else { throw Errno.noMemory }
        var count = 0
        for byte in name {
            guard byte != 0 else { throw Errno.invalidArgument }
            start[count] = CChar(bitPattern: byte)
            count += 1
        }
        start[count] = 0
        return try body(start)
    }
}

extension stat {
    /// Which file it is, as long as somebody holds it.
    var number: FileNumber { FileNumber(device: UInt64(st_dev), inode: UInt64(st_ino)) }
}

/// Which file it is, as long as somebody holds it.
struct FileNumber: Hashable, Sendable {
    let device: UInt64
    let inode: UInt64
}
