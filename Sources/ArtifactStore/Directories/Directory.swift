internal import SystemCalls
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
                try SystemCall.makeDirectory(descriptor, name, 0o700)
            } catch .fileExists {
                return try directory(name)
            }
            let made = try directory(name)
            try SystemCall.setMode(made.descriptor, mode)
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
        var entries: [Entry] = []
        try SystemCall.forEachName(in: descriptor) { name, _, type in
            guard let text = String(validatingCString: name), text != ".", text != ".." else { return }
            var type = type
            if type == 0 {  // The file system does not say.
                guard let found = try? SystemCall.attributes(descriptor, name) else { return }
                type = found.st_mode & S_IFMT
            }
            entries.append(Entry(name: text, isDirectory: type == S_IFDIR))
        }
        return entries
    }
}
