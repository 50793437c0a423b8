internal import CFuse
internal import Glibc
internal import SystemPackage

/// What goes back to the kernel; the one place that replies.
enum Reply {
    /// FORGET and RELEASE of nothing: no answer is expected or the answer is only "done".
    case none
    case done
    case error(Errno)
    case entry(Entry)
    case attributes(AttributesReply)
    /// A handle, and whose it is.
    case opened(Opened, InodeNumber)
    case openedDirectory(OpenedDirectory, InodeNumber)
    case created(Created)
    case bytes([UInt8])
    /// Bytes in memory that live until the reply is sent.
    case memory(UnsafeRawBufferPointer)
    case link([UInt8])
    /// An attribute's value or names, for a caller that offers `size` bytes and 0 to ask how many.
    case attributeValue([UInt8], size: Int)
    case written(Int)
    case position(Int64)
    case statistics(FileSystemStatistics)
    case control([UInt8])

    func send(_ raw: fuse_req_t) -> Int32 {
        switch self {
        case .none:
            fuse_reply_none(raw)
            return 0
        case .done: return fuse_reply_err(raw, 0)
        case .error(let error): return fuse_reply_err(raw, error.asAnswer.rawValue)
        case .entry(let entry):
            var parameters = Self.parameters(entry)
            return fuse_reply_entry(raw, &parameters)
        case .attributes(let reply):
            var attributes = reply.attributes
            return fuse_reply_attr(raw, &attributes, reply.timeout)
        case .opened(let opened, _):
            return cfuse_reply_open(
                raw, opened.handle.rawValue, opened.traits.rawValue, opened.backing?.rawValue ?? 0)
        case .openedDirectory(let opened, _):
            return cfuse_reply_open(raw, opened.handle.rawValue, opened.traits.rawValue, 0)
        case .created(let created):
            var parameters = Self.parameters(created.entry)
            return cfuse_reply_create(
                raw, &parameters, created.opened.handle.rawValue, created.opened.traits.rawValue,
                created.opened.backing?.rawValue ?? 0)
        case .bytes(let bytes):
            return bytes.withUnsafeBytes { Self.send(raw, $0) }
        case .memory(let bytes): return Self.send(raw, bytes)
        case .link(let target):
            return (target + [0]).withUnsafeBufferPointer { buffer in
                buffer.withMemoryRebound(to: CChar.self) { fuse_reply_readlink(raw, $0.baseAddress) }
            }
        case .attributeValue(let value, let size):
            if size == 0 { return fuse_reply_xattr(raw, value.count) }
            if size < value.count { return fuse_reply_err(raw, ERANGE) }
            return value.withUnsafeBytes { Self.send(raw, $0) }
        case .written(let count): return fuse_reply_write(raw, count)
        case .position(let position): return fuse_reply_lseek(raw, off_t(position))
        case .statistics(let statistics):
            var statistics = statistics
            return fuse_reply_statfs(raw, &statistics)
        case .control(let bytes): return fuse_reply_ioctl(raw, 0, bytes, bytes.count)
        }
    }

    private static func send(_ raw: fuse_req_t, _ bytes: UnsafeRawBufferPointer) -> Int32 {
        fuse_reply_buf(raw, bytes.baseAddress?.assumingMemoryBound(to: CChar.self), bytes.count)
    }

    /// libfuse's form of an entry.
    static func parameters(_ entry: Entry) -> fuse_entry_param {
        var parameters = fuse_entry_param()
        parameters.ino = fuse_ino_t(entry.inode.rawValue)
        parameters.generation = entry.generation
        parameters.attr = entry.attributes
        parameters.attr_timeout = entry.attributesTimeout
        parameters.entry_timeout = entry.entryTimeout
        return parameters
    }
}
