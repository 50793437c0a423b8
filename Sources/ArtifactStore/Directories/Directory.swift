internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// An open directory; closed when the last reference goes.
public final class Directory: Sendable {
    /// Open for reading; valid as long as this object lives.
    public let descriptor: FileDescriptor

    /// Takes over a descriptor.
    ///
    /// - Parameter descriptor: open on a directory; closed with this object.
    public convenience init(owning descriptor: FileDescriptor) { self.init(owning: descriptor, .none) }

    init(owning descriptor: FileDescriptor, _ bound: CacheBound) {
        (self.descriptor, self.bound) = (descriptor, bound)
    }

    deinit {
        if bound.isShared { StaleDescriptors.remove(descriptor) }
        SystemCall.close(descriptor)
    }

    /// For how long what is known of it may be trusted.
    let bound: CacheBound
    /// When the server was asked last, on the monotonic clock; 0 for never.
    private let asked = Atomic<UInt64>(0)

    /// In a shared store: asks the file system's server how the directory is, so that what this machine remembers of its names, and of names
    /// that were not there, counts no more where it is not so any more.
    ///
    /// - Parameter always: else only when it was asked longer ago than may be trusted.
    @inline(__always)
    public func refresh(always: Bool = true) { if bound.isShared { ask(always) } }

    @inline(never)
    private func ask(_ always: Bool) {
        let now = Clock.monotonic()
        let last = asked.load(ordering: .relaxed)
        // Another thread may have asked after `now`.
        if !always, last != 0, now < last || now - last < bound.nanoseconds { return }
        // What is wrong with it is told by what is to be done.
        guard (try? SystemCall.askAgain(descriptor)) != nil else { return }
        asked.store(now, ordering: .relaxed)
    }

    /// Opens a directory in this one; a symbolic link is refused with `ENOTDIR` or `ELOOP`.
    public func directory(_ name: String) throws(Errno) -> Directory {
        refresh(always: false)
        return Directory(owning: try SystemCall.open(descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW), bound)
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

    /// A descriptor that names what has a name, as with `O_PATH`, for who only wants to see it (``RealFile/lookToShow()``).
    public func openPathToShow(_ name: String) throws(Errno) -> FileDescriptor {
        refresh(always: false)
        do throws(Errno) { return try SystemCall.openPath(name, in: descriptor) } catch {
            guard bound.isShared, error == .noSuchFileOrDirectory || error == .staleNFSFileHandle else { throw error }
            refresh()
            return try SystemCall.openPath(name, in: descriptor)
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
        refresh()
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
