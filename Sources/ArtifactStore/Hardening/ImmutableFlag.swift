internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The immutable flag (`FS_IMMUTABLE_FL`, ioctl_iflags(2)): what has it nobody changes, renames, links or removes, root neither, until somebody takes it
/// away who has `CAP_LINUX_IMMUTABLE`.
///
/// What got it says so itself, in the extended attribute `user.artifact.immutable`: then it is known of what has lost it.
enum ImmutableFlag {
    static let attribute = "user.artifact.immutable"
    /// linux/fs.h
    private static let bit: UInt32 = 0x10

    /// Whether an open file or directory has it. A file system that knows no flags has none.
    static func isSet(on descriptor: FileDescriptor) throws(Errno) -> Bool {
        do throws(Errno) { return try SystemCall.inodeFlags(descriptor) & bit != 0 } catch {
            guard isUnknown(error) else { throw error }
            return false
        }
    }

    /// The same of a file or directory that is perhaps not to be opened: then nobody sees it.
    static func isSet(on file: RealFile) throws(Errno) -> Bool {
        let descriptor: FileDescriptor
        do throws(Errno) { descriptor = try file.open(O_RDONLY | O_NONBLOCK) } catch {
            guard error == .permissionDenied else { throw error }
            return false
        }
        defer { SystemCall.close(descriptor) }
        return try isSet(on: descriptor)
    }

    /// Whether the errno says that the file system knows no such flag.
    static func isUnknown(_ error: Errno) -> Bool {
        [.inappropriateIOCTLForDevice, .notSupported, .invalidArgument, .noFunction].contains(error)
    }

    static func set(_ isSet: Bool, on descriptor: FileDescriptor) throws(Errno) {
        let flags = try SystemCall.inodeFlags(descriptor)
        let wanted = isSet ? flags | bit : flags & ~bit
        if wanted != flags { try SystemCall.setInodeFlags(descriptor, wanted) }
    }

    // MARK: - What a file says itself

    /// Says on a file that it is to have the flag. A copy that carries the attribute along is another file, of which it says nothing.
    static func mark(_ descriptor: FileDescriptor) {
        guard (try? isMarked(descriptor)) != true, let found = try? SystemCall.attributes(descriptor) else { return }
        try? SystemCall.setExtendedAttribute(attribute, Array(String(found.st_ino).utf8), of: descriptor)
    }

    /// Whether a file says that it is to have the flag.
    static func isMarked(_ descriptor: FileDescriptor) throws(Errno) -> Bool {
        let value: [UInt8]
        do throws(Errno) {
            value = try SystemCall.withPath(of: descriptor) { path throws(Errno) in
                try SystemCall.extendedAttribute(attribute, ofPath: path)
            }
        } catch {
            guard error == .noData || error == .notSupported else { throw error }
            return false
        }
        return value.elementsEqual(String(try SystemCall.attributes(descriptor).st_ino).utf8)
    }

    private static func unmark(_ descriptor: FileDescriptor) {
        try? SystemCall.withPath(of: descriptor) { path throws(Errno) in
            try SystemCall.removeExtendedAttribute(attribute, ofPath: path)
        }
    }

    // MARK: - Of artifacts

    /// Gives it to an artifact that has its name: a file, or a directory with all that is in it, which itself comes last.
    static func put(on artifact: RealFile) throws(Errno) {
        let descriptor = try artifact.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        try put(on: descriptor)
    }

    static func put(on descriptor: FileDescriptor) throws(Errno) {
        if try SystemCall.attributes(descriptor).isDirectory {
            try each(in: descriptor) { inner throws(Errno) in try set(true, on: inner) }
        }
        if try !isSet(on: descriptor) {
            mark(descriptor)
            try set(true, on: descriptor)
        }
    }

    /// Gives it again to what says that it is to have it.
    ///
    /// - Parameter isWanted: whether it is to have it, whatever it says.
    static func putBack(on artifact: RealFile, isWanted: Bool = false) throws(Errno) {
        let descriptor: FileDescriptor
        do throws(Errno) { descriptor = try artifact.open(O_RDONLY | O_NONBLOCK) } catch {
            // Who may not read it cannot have taken the flag either.
            if error == .permissionDenied || error == .noSuchFileOrDirectory { return }
            throw error
        }
        defer { SystemCall.close(descriptor) }
        let isToHaveIt = isWanted ? true : try isMarked(descriptor)
        if isToHaveIt { try put(on: descriptor) }
    }

    /// Takes it from what is no artifact any more, with all that is in it.
    ///
    /// - Returns: whether something had it.
    @discardableResult
    static func remove(from file: RealFile) throws(Errno) -> Bool {
        guard let found = try? file.attributes(), found.isRegular || found.isDirectory else { return false }
        let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        var had = try isSet(on: descriptor)
        if had { try set(false, on: descriptor) }
        unmark(descriptor)
        if found.isDirectory {
            try each(in: descriptor) { inner throws(Errno) in
                guard try isSet(on: inner) else { return }
                had = true
                try set(false, on: inner)
            }
        }
        return had
    }

    /// Whether an artifact says that it is to have the flag, and it, or something in it, has not.
    static func isLost(from descriptor: FileDescriptor) throws(Errno) -> Bool {
        guard try isMarked(descriptor) else { return false }
        var isLost = try !isSet(on: descriptor)
        if try SystemCall.attributes(descriptor).isDirectory {
            try each(in: descriptor) { inner throws(Errno) in
                if try !isSet(on: inner) { isLost = true }
            }
        }
        return isLost
    }

    /// What is in a directory, and in those in it.
    private static func each(
        in directory: FileDescriptor, _ body: (FileDescriptor) throws(Errno) -> Void
    ) throws(Errno) {
        do throws(PublishFailure) {
            try DirectoryWalk.visit(directory) { item throws(PublishFailure) in
                try attempt("made immutable") { () throws(Errno) in try body(item.descriptor) }
            }
        } catch {
            // What is no plain file has no such flag; nothing sealed has such.
            guard case .system(_, let errno) = error else { throw Errno.invalidArgument }
            throw errno
        }
    }
}
