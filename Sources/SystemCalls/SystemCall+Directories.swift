internal import Glibc
package import SystemPackage

/// Reading directories.
extension SystemCall {
    /// Calls for every name in a directory, `.` and `..` among them and in no order, with its number and the `S_IFMT` bits of its type, 0
    /// where the file system does not say. Nothing is allocated for a name.
    ///
    /// - Parameters:
    ///   - directory: any descriptor of it, `O_PATH` too; where it was read to is as it was.
    ///   - body: its name is valid during the call.
    package static func forEachName(
        in directory: FileDescriptor,
        _ body: (_ name: UnsafePointer<CChar>, _ number: UInt64, _ type: UInt32) throws(Errno) -> Void
    ) throws(Errno) {
        var isBegun = false
        do throws(Errno) { return try forEachName(in: directory, &isBegun, body) } catch {
            guard error == .staleNFSFileHandle, !isBegun, StaleDescriptors.renew(directory) else { throw error }
        }
        try forEachName(in: directory, &isBegun, body)
    }

    /// - Parameter isBegun: whether a name was told of.
    private static func forEachName(
        in directory: FileDescriptor, _ isBegun: inout Bool,
        _ body: (_ name: UnsafePointer<CChar>, _ number: UInt64, _ type: UInt32) throws(Errno) -> Void
    ) throws(Errno) {
        let own = try open(directory, ".", O_RDONLY | O_DIRECTORY)
        guard let stream = fdopendir(own.rawValue) else {
            let error = Errno(rawValue: errno)
            close(own)
            throw error
        }
        defer { closedir(stream) }
        while true {
            var entry: UnsafeMutablePointer<dirent>?
            // readdir(3) has nothing to say of an error but errno.
            try tryOnce(.readDirectory, directory) { () -> Int32 in
                errno = 0
                entry = readdir(stream)
                return entry == nil && errno != 0 ? -1 : 0
            }
            guard let entry else { return }
            isBegun = true
            // DT_* is the type's bits shifted (readdir(3), DTTOIF).
            let (number, type) = (UInt64(entry.pointee.d_ino), UInt32(entry.pointee.d_type) << 12)
            try withUnsafePointer(to: &entry.pointee.d_name) { tuple throws(Errno) in
                try tuple.withMemoryRebound(to: CChar.self, capacity: 256) { name throws(Errno) in
                    try body(name, number, type)
                }
            }
        }
    }
}
