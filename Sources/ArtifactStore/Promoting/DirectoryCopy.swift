internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A directory's copy in staging, which shares blocks where the file system can: plain files and directories, with their permissions, times and
/// `user.*` attributes.
struct DirectoryCopy {
    /// A directory of the copy, open as long as something in it is made.
    private struct Open {
        let name: ArraySlice<UInt8>
        let descriptor: FileDescriptor
    }

    private let owner: (uid: UInt32, gid: UInt32)?
    /// From the top to where the last thing was made.
    private var chain: [Open]

    /// Copies.
    ///
    /// - Parameters:
    ///   - source: open to read.
    ///   - target: a name that nothing has.
    ///   - owner: whose the copy is; nil for the owners of what is copied.
    /// - Returns: which files were copied (``DirectoryLook/digest``). Whatever is thrown, what was copied by then is there.
    static func make(
        of source: FileDescriptor, to target: RealFile, owner: (uid: UInt32, gid: UInt32)?
    ) throws(PublishFailure) -> String {
        let top = try attempt("copied") { () throws(Errno) in
            try SystemCall.makeDirectory(target.directory.descriptor, target.name, 0o700)
            return try target.open(O_RDONLY | O_DIRECTORY)
        }
        var copy = DirectoryCopy(owner: owner, chain: [Open(name: [], descriptor: top)])
        defer { for directory in copy.chain { SystemCall.close(directory.descriptor) } }
        var seen: [DirectoryLook.Seen] = []
        try DirectoryWalk.visit(source) { item throws(PublishFailure) in
            seen.append(.init(path: item.path, attributes: item.attributes))
            try attempt("copied") { () throws(Errno) in try copy.add(item) }
        }
        try attempt("copied") { () throws(Errno) in
            try copy.finish(top, like: source, try SystemCall.attributes(source))
        }
        return try DirectoryLook.digest(of: seen)
    }

    private init(owner: (uid: UInt32, gid: UInt32)?, chain: [Open]) { (self.owner, self.chain) = (owner, chain) }

    private mutating func add(_ item: DirectoryWalk.Item) throws(Errno) {
        let parts = item.path.split(separator: UInt8(ascii: "/"))
        if item.isDirectory {
            // All that is in it came before.
            let directory = try open(parts[...])
            try finish(directory, like: item.descriptor, item.attributes)
            chain.removeLast()
            return SystemCall.close(directory)
        }
        let parent = try open(parts.dropLast())
        let name = (parts.last ?? []).map { CChar(bitPattern: $0) } + [0]
        let file = try SystemCall.open(parent, name, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
        defer { SystemCall.close(file) }
        try FileCopy.copyBytes(item.descriptor, to: file)
        try finish(file, like: item.descriptor, item.attributes)
        guard try SystemCall.attributes(item.descriptor).hasSameModification(as: item.attributes),
            try SystemCall.attributes(file).st_size == item.attributes.st_size
        else { throw Errno.resourceBusy }
    }

    /// The directory at a path, made where it is not there yet.
    private mutating func open(_ parts: ArraySlice<ArraySlice<UInt8>>) throws(Errno) -> FileDescriptor {
        var depth = 1
        for part in parts {
            if depth < chain.count, !chain[depth].name.elementsEqual(part) {
                for directory in chain[depth...] { SystemCall.close(directory.descriptor) }
                chain.removeSubrange(depth...)
            }
            if depth == chain.count, let parent = chain.last {
                let name = part.map { CChar(bitPattern: $0) } + [0]
                try SystemCall.makeDirectory(parent.descriptor, name, 0o700)
                let made = try SystemCall.open(parent.descriptor, name, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
                chain.append(Open(name: part, descriptor: made))
            }
            depth += 1
        }
        guard depth == chain.count, let last = chain.last else { throw Errno.ioError }
        return last.descriptor
    }

    private func finish(_ copy: FileDescriptor, like source: FileDescriptor, _ attributes: stat) throws(Errno) {
        try FileCopy.copyExtendedAttributes(source, to: copy)
        if let owner {
            try SystemCall.setOwner(copy, user: owner.uid, group: owner.gid)
        } else {
            try FileCopy.giveOwner(copy, like: attributes)
        }
        try SystemCall.setMode(copy, attributes.permissions & 0o777)
        try SystemCall.setTimes(copy, access: attributes.st_atim, modification: attributes.st_mtim)
    }
}
