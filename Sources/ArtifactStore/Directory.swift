public import SystemPackage

internal import Glibc

/// An open directory; closed when the last reference goes.
public final class Directory: Sendable {
    /// Open for reading; valid as long as this object lives.
    public let descriptor: FileDescriptor

    /// Takes over a descriptor.
    ///
    /// - Parameter descriptor: open on a directory; closed with this object.
    public init(owning descriptor: FileDescriptor) { self.descriptor = descriptor }

    deinit { SystemCall.close(descriptor) }

    /// Opens a directory in this one; a symbolic link is refused with `ENOTDIR` or `ELOOP`.
    public func directory(_ name: String) throws(Errno) -> Directory {
        Directory(owning: try SystemCall.open(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW))
    }

    /// The same, made with the mode when it is missing.
    func directory(_ name: String, orMakeWith mode: UInt32) throws(Errno) -> Directory {
        do throws(Errno) {
            return try directory(name)
        } catch .noSuchFileOrDirectory {
            do throws(Errno) {
                try SystemCall.retry { mkdirat(descriptor.rawValue, name, 0o700) }
            } catch .fileExists {
                return try directory(name)
            }
            let made = try directory(name)
            try SystemCall.retry { fchmod(made.descriptor.rawValue, mode) }
            return made
        }
    }

    /// A file of this directory.
    public func file(_ name: String) -> RealFile { RealFile(directory: self, name: name) }

    /// One name in a directory.
    public struct Entry: Sendable, Hashable {
        /// The name.
        public let name: String
        /// Whether it is a directory, and not a link to one.
        public let isDirectory: Bool
    }

    /// What is in the directory, without `.` and `..`, in no order. Names that are not UTF-8 are left out: the store
    /// has none.
    public func entries() throws(Errno) -> [Entry] {
        let copy = try SystemCall.open(descriptor, ".", O_RDONLY | O_DIRECTORY)
        guard let stream = fdopendir(copy.rawValue) else {
            let error = Errno(rawValue: errno)
            SystemCall.close(copy)
            throw error
        }
        defer { closedir(stream) }
        var entries: [Entry] = []
        while true {
            errno = 0
            guard let entry = readdir(stream) else {
                if errno != 0 { throw Errno(rawValue: errno) }
                return entries
            }
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(validatingCString: $0) }
            }
            guard let name, name != ".", name != ".." else { continue }
            switch Int32(entry.pointee.d_type) {
            case 4: entries.append(Entry(name: name, isDirectory: true))  // DT_DIR
            case 0:  // DT_UNKNOWN: the file system does not say.
                guard let found = try? SystemCall.attributes(descriptor, name) else { continue }
                entries.append(Entry(name: name, isDirectory: found.isDirectory))
            default: entries.append(Entry(name: name, isDirectory: false))
            }
        }
    }
}
