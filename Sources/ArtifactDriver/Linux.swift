internal import Artifacts
internal import CLinux
internal import FuseKernel
internal import Glibc
internal import SystemPackage

/// System calls on descriptors and on names in directories, for files that no store knows: the free trees.
enum Linux {
    /// Runs a call until a signal does not interrupt it; the one EINTR loop of the driver.
    static func call<Result: SignedInteger>(_ body: () -> Result) throws(Errno) -> Result {
        while true {
            let result = body()
            if result >= 0 { return result }
            let error = Errno(rawValue: errno)
            if error != .interrupted { throw error }
        }
    }

    /// `AT_EMPTY_PATH`: the descriptor itself.
    static let emptyPath = Int32(CLINUX_AT_EMPTY_PATH)

    /// A descriptor that names a file without opening it, never through a symbolic link. The C function is `openat` with `O_PATH`.
    static func openPath(_ name: UnsafePointer<CChar>, in directory: FileDescriptor) throws(Errno) -> FileDescriptor {
        FileDescriptor(
            rawValue: try call { clinux_openat(directory.rawValue, name, Int32(CLINUX_O_PATH) | O_NOFOLLOW, 0) })
    }

    /// The C function is `fstat`; it works on `O_PATH` descriptors.
    static func attributes(_ descriptor: FileDescriptor) throws(Errno) -> stat {
        var result = stat()
        _ = try call { fstat(descriptor.rawValue, &result) }
        return result
    }

    /// The C function is `fstatat`; a symbolic link is not followed.
    static func attributes(_ name: UnsafePointer<CChar>, in directory: FileDescriptor) throws(Errno) -> stat {
        var result = stat()
        _ = try call { fstatat(directory.rawValue, name, &result, AT_SYMLINK_NOFOLLOW) }
        return result
    }

    /// The path that leads to an open descriptor's file, whatever its names are: `/proc/self/fd/<n>` (proc_pid_fd(5)).
    static func withPath<Result>(
        of descriptor: FileDescriptor, _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        var path = "/proc/self/fd/" + String(descriptor.rawValue)
        return try path.withTerminated(body)
    }

    /// Opens the file that a descriptor names, `O_PATH` ones above all. Nobody makes it wait (a fifo, a lease).
    static func reopen(_ descriptor: FileDescriptor, _ flags: Int32) throws(Errno) -> FileDescriptor {
        try withPath(of: descriptor) { path throws(Errno) in
            FileDescriptor(rawValue: try call { clinux_openat(AT_FDCWD, path, flags | O_NONBLOCK, 0) })
        }
    }
}

extension String {
    /// The bytes with a NUL at the end, for C.
    mutating func withTerminated<Result>(
        _ body: (UnsafePointer<CChar>) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        var outcome: Swift.Result<Result, Errno>?
        withCString { pointer in
            do throws(Errno) { outcome = .success(try body(pointer)) } catch { outcome = .failure(error) }
        }
        guard let outcome else { throw Errno.ioError }
        return try outcome.get()
    }
}

extension Linux {
    /// The names in a directory, `.` and `..` among them.
    static func names(in directory: FileDescriptor) throws(Errno) -> Listing {
        var names = Listing()
        try forEachName(in: directory) { name, number, type throws(Errno) in
            try names.add(name.bytes, number: number, type: type)
        }
        names.compact()
        return names
    }

    /// Calls for every name in a directory, `.` and `..` among them, with its number and type.
    static func forEachName(
        in directory: FileDescriptor, _ body: (EntryName, UInt64, UInt32) throws(Errno) -> Void
    ) throws(Errno) {
        let own = try call { clinux_openat(directory.rawValue, ".", O_RDONLY | O_DIRECTORY, 0) }
        guard let stream = fdopendir(own) else {
            let error = Errno(rawValue: errno)
            Glibc.close(own)
            throw error
        }
        defer { closedir(stream) }
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw Errno(rawValue: errno) }
                return
            }
            // DT_* is the type's bits shifted (readdir(3), DTTOIF).
            let (number, type) = (UInt64(entry.pointee.d_ino), UInt32(entry.pointee.d_type) << 12)
            try withUnsafePointer(to: &entry.pointee.d_name) { tuple throws(Errno) in
                try tuple.withMemoryRebound(to: CChar.self, capacity: 256) { name throws(Errno) in
                    try body(EntryName(name), number, type)
                }
            }
        }
    }

    /// The C function is `readlinkat` with an empty path.
    static func linkTarget(_ descriptor: FileDescriptor) throws(Errno) -> [UInt8] {
        var buffer = [CChar](repeating: 0, count: Int(PATH_MAX))
        let count = try call { readlinkat(descriptor.rawValue, "", &buffer, buffer.count) }
        return buffer[..<count].map { UInt8(bitPattern: $0) }
    }

    /// The C function is `getxattr`.
    static func attribute(_ name: UnsafePointer<CChar>, ofPath path: UnsafePointer<CChar>) throws(Errno) -> [UInt8] {
        try attributeValue { clinux_getxattr(path, name, $0, $1) }
    }

    /// Asks for a value until the buffer is large enough.
    private static func attributeValue(
        _ get: (UnsafeMutableRawPointer?, Int) -> Int
    ) throws(Errno) -> [UInt8] {
        var value = [UInt8](repeating: 0, count: 256)
        while true {
            do throws(Errno) {
                let count = try call { get(&value, value.count) }
                value.removeLast(value.count - count)
                return value
            } catch .outOfRange {
                let size = try call { get(nil, 0) }
                value = [UInt8](repeating: 0, count: max(size, value.count * 2))
            }
        }
    }

    /// The C function is `listxattr`.
    static func attributeNames(ofPath path: UnsafePointer<CChar>) throws(Errno) -> [UInt8] {
        var names = [CChar](repeating: 0, count: 1024)
        while true {
            do throws(Errno) {
                let count = try call { clinux_listxattr(path, &names, names.count) }
                return names[..<count].map { UInt8(bitPattern: $0) }
            } catch .outOfRange {
                names = [CChar](repeating: 0, count: names.count * 4)
            }
        }
    }
}

extension Linux {
    /// What a new plain file gets in a directory: the default list's permissions, or the mode without the umask (umask(2)).
    static func inheritance(
        of directory: FileDescriptor, mode: UInt32, umask: UInt32
    ) throws(Errno) -> (mode: UInt32, list: AccessList?) {
        let value: [UInt8]
        do throws(Errno) {
            // The store's directories are open to be read: no path is needed. Most have none, and nothing is made to find that out.
            func get(_ buffer: UnsafeMutableRawPointer?, _ size: Int) -> Int {
                clinux_fgetxattr(directory.rawValue, AccessList.defaultAttribute, buffer, size)
            }
            _ = try call { get(nil, 0) }
            value = try attributeValue(get)
        } catch .noData, .notSupported {
            return (mode & ~umask & 0o7777, nil)
        }
        guard let list = AccessList(attribute: value) else { throw Errno.ioError }
        let inherited = list.inherited(mode: mode)
        return (mode & 0o7000 | inherited.mode, inherited.list)
    }

    /// The C function is `setxattr`, on `/proc/self/fd`.
    static func setAttribute(_ name: String, _ value: [UInt8], of descriptor: FileDescriptor) throws(Errno) {
        _ = try withPath(of: descriptor) { path throws(Errno) in
            try call { clinux_setxattr(path, name, value, value.count, 0) }
        }
    }
}
