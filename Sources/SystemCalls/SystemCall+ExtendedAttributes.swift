internal import CLinux
package import SystemPackage

/// Extended attributes (xattr(7)). They are reached by path, for there are no calls relative to a directory before kernel 6.13 and the
/// others do not take `O_PATH` descriptors: ``withPath(of:_:)`` has the path of an open file.
extension SystemCall {
    /// The longest value there is (`XATTR_SIZE_MAX`), in bytes.
    private static let longestValue = 65_536

    /// getxattr(2).
    ///
    /// - Throws: `ENODATA` when the file does not have it.
    package static func extendedAttribute(
        _ name: UnsafePointer<CChar>, ofPath path: UnsafePointer<CChar>
    ) throws(Errno) -> [UInt8] {
        try value { buffer throws(Errno) in
            try retry(.getAttribute, path) { clinux_getxattr(path, name, buffer.baseAddress, buffer.count) }
        }
    }

    /// fgetxattr(2), for a descriptor that is open to be read. Without the attribute no memory is taken.
    ///
    /// - Throws: `ENODATA` when the file does not have it.
    package static func extendedAttribute(
        _ name: UnsafePointer<CChar>, of descriptor: FileDescriptor
    ) throws(Errno) -> [UInt8] {
        try retry(.getAttribute, descriptor) { clinux_fgetxattr(descriptor.rawValue, name, nil, 0) }
        return try value { buffer throws(Errno) in
            try retry(.getAttribute, descriptor) {
                clinux_fgetxattr(descriptor.rawValue, name, buffer.baseAddress, buffer.count)
            }
        }
    }

    /// setxattr(2).
    ///
    /// - Parameter flags: `XATTR_CREATE` (1), `XATTR_REPLACE` (2) or 0.
    package static func setExtendedAttribute(
        _ name: UnsafePointer<CChar>, _ value: UnsafeRawBufferPointer, ofPath path: UnsafePointer<CChar>,
        flags: Int32 = 0
    ) throws(Errno) {
        try retry(.setAttribute, path) { clinux_setxattr(path, name, value.baseAddress, value.count, flags) }
    }

    /// The same of bytes.
    package static func setExtendedAttribute(
        _ name: UnsafePointer<CChar>, _ value: [UInt8], ofPath path: UnsafePointer<CChar>, flags: Int32 = 0
    ) throws(Errno) {
        try retry(.setAttribute, path) { clinux_setxattr(path, name, value, value.count, flags) }
    }

    /// The same of the file that a descriptor names.
    package static func setExtendedAttribute(
        _ name: UnsafePointer<CChar>, _ value: [UInt8], of descriptor: FileDescriptor
    ) throws(Errno) {
        try withPath(of: descriptor) { path throws(Errno) in
            _ = try retry(.setAttribute, descriptor) { clinux_setxattr(path, name, value, value.count, 0) }
        }
    }

    /// The names, with a NUL after each: listxattr(2).
    package static func extendedAttributeNames(ofPath path: UnsafePointer<CChar>) throws(Errno) -> [UInt8] {
        try value { buffer throws(Errno) in
            try retry(.listAttributes, path) {
                clinux_listxattr(path, buffer.assumingMemoryBound(to: CChar.self).baseAddress, buffer.count)
            }
        }
    }

    /// removexattr(2).
    package static func removeExtendedAttribute(
        _ name: UnsafePointer<CChar>, ofPath path: UnsafePointer<CChar>
    ) throws(Errno) {
        try retry(.removeAttribute, path) { clinux_removexattr(path, name) }
    }

    /// Sets an attribute of a file that the process's user owns and that nobody may write to, without changing its mode: in a user
    /// namespace in which this user is privileged.
    ///
    /// - Throws: what clone(2) says where there are no such namespaces; `EACCES` when the file's group is not the process's.
    package static func setExtendedAttribute(
        _ name: UnsafePointer<CChar>, _ value: UnsafeRawBufferPointer, ofOwn file: FileDescriptor, flags: Int32
    ) throws(Errno) {
        // An empty value is a value.
        let address = value.baseAddress ?? UnsafeRawPointer(name)
        try retry(.setAttribute) {
            clinux_change_attribute_of_own(file.rawValue, name, address, value.count, flags)
        }
    }

    /// The same for its removal.
    package static func removeExtendedAttribute(
        _ name: UnsafePointer<CChar>, ofOwn file: FileDescriptor
    ) throws(Errno) {
        try retry(.removeAttribute) { clinux_change_attribute_of_own(file.rawValue, name, nil, 0, 0) }
    }

    /// Asks until the buffer is large enough.
    private static func value(
        _ get: (UnsafeMutableRawBufferPointer) throws(Errno) -> Int
    ) throws(Errno) -> [UInt8] {
        var size = 256
        while true {
            let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: size, alignment: 1)
            defer { buffer.deallocate() }
            do throws(Errno) {
                let count = try get(buffer)
                return [UInt8](buffer[..<count])
            } catch .outOfRange where size < longestValue {
                size = longestValue
            }
        }
    }
}
