internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Follows paths that others wrote, a name at a time, with the rights of the calling thread. Nothing is opened on the way, symbolic links are
/// counted, and a file system that is to be avoided is not asked for anything: the driver may not wait for its own mount.
struct PathWalk: Sendable {
    /// Whether a device is not to be entered.
    let isAvoided: @Sendable (UInt64) -> Bool

    private static let mostNames = 512
    /// As many as the kernel follows (path_resolution(7)).
    private static let mostLinks = 40
    /// `PROC_SUPER_MAGIC` of linux/magic.h.
    private static let procfs = 0x9FA0

    /// Where a path leads.
    struct Target {
        let file: HeldFile
        /// Kind, device and number are right.
        let attributes: stat
        /// The directory that has it; nil after a jump.
        let parent: HeldFile?
        /// Whether a symbolic link was followed.
        let followedLink: Bool
    }

    /// - Parameters:
    ///   - path: absolute, or relative to the directory.
    ///   - directory: nil for absolute paths only.
    ///   - mayJump: whether the links of procfs that lead to a process's directories and files count, such as `/proc/PID/cwd`. In what users write
    ///     they do not: the driver's own descriptors are among them, to which their rights would not lead.
    /// - Throws: `EACCES` for what is avoided, `ELOOP`, `ENOENT`, `ENOTDIR`, `ENAMETOOLONG`.
    func follow(
        _ path: some BidirectionalCollection<UInt8>, from directory: HeldFile?, mayJump: Bool = false
    ) throws(Errno) -> Target {
        var rest = Self.names(path)
        var at: HeldFile
        if path.first == UInt8(ascii: "/") {
            at = try root()
        } else {
            guard let directory, !path.isEmpty else { throw .noSuchFileOrDirectory }
            at = directory
        }
        var attributes = try known(at)
        var parent: HeldFile?
        var links = 0
        var names = 0
        while let name = rest.popLast() {
            names += 1
            guard names <= Self.mostNames else { throw .fileNameTooLong }
            if name == [UInt8(ascii: ".")] {
                guard attributes.isDirectory else { throw .notDirectory }
                continue
            }
            let next = try open(name, in: at)
            let found = try known(next)
            guard found.isSymbolicLink else {
                (parent, at, attributes) = (at, next, found)
                continue
            }
            links += 1
            guard links <= Self.mostLinks else { throw .tooManySymbolicLinkLevels }
            if withExtendedLifetime(next, { FileSystemKind.number(of: next.descriptor) }) == Self.procfs {
                guard mayJump else { throw .permissionDenied }
                at = try jump(through: name, in: at)
                attributes = try known(at)
                parent = nil
                continue
            }
            let target = try withExtendedLifetime(next) { () throws(Errno) in
                try SystemCall.linkTarget(next.descriptor)
            }
            guard let first = target.first else { throw .noSuchFileOrDirectory }
            if first == UInt8(ascii: "/") {
                at = try root()
                attributes = try known(at)
                parent = nil
            }
            rest += Self.names(target)
        }
        return Target(file: at, attributes: attributes, parent: parent, followedLink: links > 0)
    }

    /// The directory above; nil at the root, and where another file system begins, as git does without `GIT_DISCOVERY_ACROSS_FILESYSTEM`.
    func parent(of directory: HeldFile, _ attributes: stat) throws(Errno) -> (HeldFile, stat)? {
        let above = try open([UInt8(ascii: "."), UInt8(ascii: ".")], in: directory)
        let found = try known(above)
        guard found.st_dev == attributes.st_dev, found.st_ino != attributes.st_ino else { return nil }
        return (above, found)
    }

    /// What is known of a file; also the check that it may be used.
    func known(_ file: HeldFile) throws(Errno) -> stat {
        let found = try withExtendedLifetime(file) { () throws(Errno) in
            try SystemCall.knownAttributes(file.descriptor)
        }
        guard !isAvoided(UInt64(found.st_dev)) else { throw .permissionDenied }
        return found
    }

    /// A name in a directory, itself when it is a symbolic link; nil when there is none.
    func open(_ name: ArraySlice<UInt8>, in directory: HeldFile) throws(Errno) -> HeldFile? {
        do throws(Errno) {
            return try open(Array(name), in: directory)
        } catch .noSuchFileOrDirectory, .notDirectory {
            return nil
        }
    }

    /// The names of a path, the first one last.
    private static func names(_ path: some BidirectionalCollection<UInt8>) -> [[UInt8]] {
        var names = path.split(separator: UInt8(ascii: "/")).map { Array($0) }
        // What ends with a slash is a directory.
        if path.last == UInt8(ascii: "/"), !names.isEmpty { names.append([UInt8(ascii: ".")]) }
        return names.reversed()
    }

    private func root() throws(Errno) -> HeldFile {
        HeldFile(try SystemCall.open(SystemCall.currentDirectory, "/", SystemCall.pathOnly | O_DIRECTORY))
    }

    private func open(_ name: [UInt8], in directory: HeldFile) throws(Errno) -> HeldFile {
        try withExtendedLifetime(directory) { () throws(Errno) in
            try withName(name) { text throws(Errno) in
                HeldFile(try SystemCall.openPath(text, in: directory.descriptor))
            }
        }
    }

    private func jump(through name: [UInt8], in directory: HeldFile) throws(Errno) -> HeldFile {
        try withExtendedLifetime(directory) { () throws(Errno) in
            try withName(name) { text throws(Errno) in
                HeldFile(try SystemCall.open(directory.descriptor, text, SystemCall.pathOnly))
            }
        }
    }
}
