internal import Glibc
internal import SystemCalls
package import SystemPackage

/// A file's copy on another file system: bytes, owner, mode, times and `user.*` attributes.
package enum FileCopy {
    /// - Throws: `EEXIST` when the name is taken; what else fails leaves a partial file, which the caller removes.
    static func copy(_ source: FileDescriptor, to target: RealFile, isSynced: Bool) throws(Errno) {
        let attributes = try SystemCall.attributes(source)
        let copy = try target.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
        defer { SystemCall.close(copy) }
        try copyBytes(source, to: copy)
        try copyExtendedAttributes(source, to: copy)
        do throws(Errno) {
            try SystemCall.setOwner(copy, user: attributes.st_uid, group: attributes.st_gid)
        } catch {
            let actual = try SystemCall.attributes(copy)
            guard actual.st_uid == attributes.st_uid else { throw error }
        }
        try SystemCall.setMode(copy, attributes.permissions)
        try SystemCall.setTimes(copy, access: attributes.st_atim, modification: attributes.st_mtim)
        guard try SystemCall.attributes(copy).st_size == attributes.st_size else { throw .ioError }
        if isSynced { try SystemCall.sync(copy) }
    }

    /// copy_file_range(2), which shares blocks where the file systems can; reads and writes where it is not possible.
    package static func copyBytes(_ source: FileDescriptor, to copy: FileDescriptor) throws(Errno) {
        var offset: Int64 = 0
        do throws(Errno) {
            while true {
                let copied = try SystemCall.copyRange(source, from: offset, to: copy, at: nil, count: 1 << 30)
                offset += Int64(copied)
                // 0 at the start may also be a file system that does not say that it cannot (copy_file_range(2), BUGS).
                if copied == 0 && offset > 0 { return }
                if copied == 0 { break }
            }
        } catch .improperLink, .noFunction, .invalidArgument, .notSupported, .notPermitted {
            // Below.
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        var position = offset
        while true {
            let got = try SystemCall.read(source, at: position, into: buffer)
            if got == 0 { return }
            try SystemCall.write(copy, [UInt8](buffer[..<got]))
            position += Int64(got)
        }
    }

    static func copyExtendedAttributes(_ source: FileDescriptor, to copy: FileDescriptor) throws(Errno) {
        try SystemCall.withPath(of: source) { from throws(Errno) in
            guard let names = try? SystemCall.extendedAttributeNames(ofPath: from) else { return }
            for name in names.split(separator: 0) where name.starts(with: "user.".utf8) {
                let name = String(decoding: name, as: UTF8.self)
                guard let value = try? SystemCall.extendedAttribute(name, ofPath: from) else { continue }
                do throws(Errno) {
                    try SystemCall.setExtendedAttribute(name, value, of: copy)
                } catch .notSupported {
                    return
                }
            }
        }
    }
}
