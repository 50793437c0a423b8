internal import CLinux
internal import Glibc
internal import SystemPackage

/// A file's copy on another file system: bytes, owner, mode, times and `user.*` attributes.
enum FileCopy {
    /// - Throws: `EEXIST` when the name is taken; what else fails leaves a partial file, which the caller removes.
    static func copy(_ source: FileDescriptor, to target: RealFile, isSynced: Bool) throws(Errno) {
        let attributes = try SystemCall.attributes(source)
        let copy = try target.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        defer { SystemCall.close(copy) }
        try copyBytes(source, to: copy)
        try copyExtendedAttributes(source, to: copy)
        if fchown(copy.rawValue, attributes.st_uid, attributes.st_gid) != 0 {
            let error = Errno(rawValue: errno)
            let actual = try SystemCall.attributes(copy)
            guard actual.st_uid == attributes.st_uid else { throw error }
        }
        try SystemCall.retry { fchmod(copy.rawValue, attributes.permissions) }
        let times = [attributes.st_atim, attributes.st_mtim]
        try SystemCall.retry { futimens(copy.rawValue, times) }
        guard try SystemCall.attributes(copy).st_size == attributes.st_size else { throw .ioError }
        if isSynced { try SystemCall.sync(copy) }
    }

    /// copy_file_range(2), which shares blocks where the file systems can; reads and writes where it is not possible.
    private static func copyBytes(_ source: FileDescriptor, to copy: FileDescriptor) throws(Errno) {
        var offset: off_t = 0
        do throws(Errno) {
            while true {
                let copied = try SystemCall.retry {
                    clinux_copy_file_range(source.rawValue, &offset, copy.rawValue, nil, 1 << 30, 0)
                }
                // 0 at the start may also be a file system that does not say that it cannot (copy_file_range(2), BUGS).
                if copied == 0 && offset > 0 { return }
                if copied == 0 { break }
            }
        } catch .improperLink, .noFunction, .invalidArgument, .notSupported, .notPermitted {
            // Below.
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        var position = Int64(offset)
        while true {
            let got = try SystemCall.read(source, at: position, into: buffer)
            if got == 0 { return }
            try SystemCall.write(copy, [UInt8](buffer[..<got]))
            position += Int64(got)
        }
    }

    private static func copyExtendedAttributes(_ source: FileDescriptor, to copy: FileDescriptor) throws(Errno) {
        let (from, to) = ("/proc/self/fd/\(source.rawValue)", "/proc/self/fd/\(copy.rawValue)")
        var list = [CChar](repeating: 0, count: 65_536)
        let length = clinux_listxattr(from, &list, list.count)
        guard length > 0 else { return }
        for name in list[..<length].split(separator: 0) {
            let name = String(decoding: name.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            guard name.hasPrefix("user.") else { continue }
            var value = [UInt8](repeating: 0, count: 65_536)
            let size = clinux_getxattr(from, name, &value, value.count)
            guard size >= 0 else { continue }
            do throws(Errno) {
                try SystemCall.retry { clinux_setxattr(to, name, value, size, 0) }
            } catch .notSupported {
                return
            }
        }
    }
}
