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
        try giveOwner(copy, like: attributes)
        try SystemCall.setMode(copy, attributes.permissions)
        try SystemCall.setTimes(copy, access: attributes.st_atim, modification: attributes.st_mtim)
        guard try SystemCall.attributes(copy).st_size == attributes.st_size else { throw .ioError }
        if isSynced { try SystemCall.sync(copy) }
    }

    /// Gives a copy the owner of what it was made from. Its group may be another where who copies may not give that.
    static func giveOwner(_ copy: FileDescriptor, like attributes: stat) throws(Errno) {
        do throws(Errno) {
            try SystemCall.setOwner(copy, user: attributes.st_uid, group: attributes.st_gid)
        } catch {
            let actual = try SystemCall.attributes(copy)
            guard actual.st_uid == attributes.st_uid else { throw error }
        }
    }

    /// Copies a file's bytes to an empty one. What the file system tells to be a hole stays one.
    package static func copyBytes(_ source: FileDescriptor, to copy: FileDescriptor) throws(Errno) {
        guard let holes = Holes(of: source) else { return try copyData(source, from: 0, to: copy) }
        var offset: Int64 = 0
        while true {
            let (end, isHole) = try holes.extent(at: offset)
            if end == offset {
                // The end, or nothing is known from here on.
                if !isHole { return try copyData(source, from: offset, to: copy) }
                break
            }
            if !isHole { try copyData(source, from: offset, until: end, to: copy) }
            offset = end
        }
        try SystemCall.truncate(copy, to: offset)
    }

    /// copy_file_range(2), which shares blocks where the file systems can; reads and writes where it is not possible.
    ///
    /// - Parameter end: nil for that of the file, wherever that is by then.
    private static func copyData(
        _ source: FileDescriptor, from start: Int64, until end: Int64? = nil, to copy: FileDescriptor
    ) throws(Errno) {
        var offset = start
        func room(_ most: Int) -> Int { end.map { Int(clamping: min(Int64(most), $0 &- offset)) } ?? most }
        do throws(Errno) {
            while room(1) > 0 {
                let copied = try SystemCall.copyRange(source, from: offset, to: copy, at: offset, count: room(1 << 30))
                offset += Int64(copied)
                // 0 at the start may also be a file system that does not say that it cannot (copy_file_range(2), BUGS).
                if copied == 0 && offset > start { return }
                if copied == 0 { break }
            }
        } catch .improperLink, .noFunction, .invalidArgument, .notSupported, .notPermitted {
            // Below.
        }
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        while room(1) > 0 {
            let got = try SystemCall.read(source, at: offset, into: .init(rebasing: buffer[..<room(buffer.count)]))
            if got == 0 { return }
            var written = 0
            while written < got {
                let count = try SystemCall.write(
                    copy, at: offset &+ Int64(written), UnsafeRawBufferPointer(rebasing: buffer[written..<got]))
                guard count > 0 else { throw .ioError }
                written += count
            }
            offset += Int64(got)
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
