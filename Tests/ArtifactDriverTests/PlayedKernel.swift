import Artifacts
import FuseKernel
import Glibc
import SystemPackage

@testable import ArtifactDriver

/// A program's system calls by path, as the kernel asks a driver for them: it looks names up and says by itself what it says on any file
/// system (path_resolution(7), fs/namei.c).
struct PlayedKernel {
    struct Node {
        let inode: InodeNumber
        let kind: UInt32
        var isDirectory: Bool { kind == S_IFDIR }
    }

    let volume: Volume
    /// Who asks.
    let caller: Caller
    let root = Node(inode: .root, kind: S_IFDIR)

    func call<Result>(_ body: (borrowing Request) throws(Errno) -> Result) throws(Errno) -> Result {
        try body(Request(caller: caller))
    }

    private func named<Result>(
        _ name: String, _ body: (borrowing Request, EntryName) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        try name.withEntryName { name throws(Errno) in
            try call { request throws(Errno) in try body(request, name) }
        }
    }

    // MARK: - Looking

    func lookup(_ name: String, in parent: Node) throws(Errno) -> Node {
        guard parent.isDirectory else { throw Errno.notDirectory }
        let entry = try named(name) { request, name throws(Errno) in
            try volume.lookup(request, parent: parent.inode, name: name)
        }
        return Node(inode: entry.inode, kind: entry.attributes.st_mode & S_IFMT)
    }

    /// What has a path from the mount point, which is the empty path; a link itself.
    func find(_ path: String) throws(Errno) -> Node {
        var node = root
        for name in path.split(separator: "/") { node = try lookup(String(name), in: node) }
        return node
    }

    private func parent(of path: String) throws(Errno) -> (directory: Node, name: String) {
        var names = path.split(separator: "/").map(String.init)
        // The mount point's own name is in another file system, which knows what is mounted there.
        guard let name = names.popLast() else { throw Errno.resourceBusy }
        let directory = try find(names.joined(separator: "/"))
        guard directory.isDirectory else { throw Errno.notDirectory }
        return (directory, name)
    }

    private func existing(_ name: String, in directory: Node) throws(Errno) -> Node? {
        do throws(Errno) { return try lookup(name, in: directory) } catch .noSuchFileOrDirectory { return nil }
    }

    /// Where a link leads.
    func resolved(_ path: String) throws(Errno) -> String {
        guard let node = try? find(path), node.kind == S_IFLNK else { return path }
        let target = try call { request throws(Errno) in try volume.readLink(request, inode: node.inode) }
        let directory = path.split(separator: "/").dropLast().joined(separator: "/")
        return directory + "/" + String(decoding: target, as: UTF8.self)
    }

    // MARK: - Calls

    /// open(2) and close(2).
    ///
    /// - Parameter use: what is done in between, where it is no directory.
    func open(
        _ path: String, _ flags: Int32, _ use: (Node, HandleID) throws(Errno) -> Void = { _, _ in }
    ) throws(Errno) {
        let node: Node
        let opened: Opened
        if flags & O_CREAT != 0 {
            if path.isEmpty { throw Errno.isDirectory }
            let (directory, name) = try parent(of: path)
            if let found = try existing(name, in: directory) {
                if found.isDirectory { throw Errno.isDirectory }
                node = found
                opened = try call { request throws(Errno) in
                    try volume.open(request, inode: found.inode, flags: OpenFlags(rawValue: flags & ~O_CREAT))
                }
            } else {
                let created = try named(name) { request, name throws(Errno) in
                    try volume.create(
                        request, parent: directory.inode, name: name, mode: 0o644, flags: OpenFlags(rawValue: flags))
                }
                node = Node(inode: created.entry.inode, kind: S_IFREG)
                opened = created.opened
            }
        } else {
            node = try find(path)
            if node.isDirectory {
                if flags & O_ACCMODE != O_RDONLY { throw Errno.isDirectory }
                let opened = try call { request throws(Errno) in
                    try volume.openDirectory(request, inode: node.inode)
                }
                return volume.releaseDirectory(inode: node.inode, handle: opened.handle)
            }
            opened = try call { request throws(Errno) in
                try volume.open(request, inode: node.inode, flags: OpenFlags(rawValue: flags))
            }
        }
        defer {
            _ = try? call { request throws(Errno) in
                try volume.flush(request, inode: node.inode, handle: opened.handle)
            }
            volume.release(inode: node.inode, handle: opened.handle)
        }
        try use(node, opened.handle)
    }

    /// ftruncate(2) on a handle: writes and stores by mmap go the same way, without the driver.
    func change(_ node: Node, handle: HandleID) throws(Errno) {
        var changes = AttributeChanges()
        changes.size = 4
        _ = try call { request throws(Errno) in
            try volume.setAttributes(request, inode: node.inode, changes: changes, handle: handle)
        }
    }

    func truncate(_ path: String) throws(Errno) {
        let node = try find(path)
        if node.isDirectory { throw Errno.isDirectory }
        var changes = AttributeChanges()
        changes.size = 0
        _ = try call { request throws(Errno) in
            try volume.setAttributes(request, inode: node.inode, changes: changes, handle: nil)
        }
    }

    func chown(_ path: String) throws(Errno) {
        let node = try find(path)
        var changes = AttributeChanges()
        // To the user of these tests, another one for a file that the kernel was asked for.
        changes.user = geteuid() == 0 ? 61002 : geteuid()
        _ = try call { request throws(Errno) in
            try volume.setAttributes(request, inode: node.inode, changes: changes, handle: nil)
        }
    }

    func chmod(_ path: String) throws(Errno) {
        let node = try find(path)
        var changes = AttributeChanges()
        changes.mode = node.isDirectory ? 0o755 : 0o644
        _ = try call { request throws(Errno) in
            try volume.setAttributes(request, inode: node.inode, changes: changes, handle: nil)
        }
    }

    func setExtendedAttribute(_ path: String) throws(Errno) {
        let node = try find(path)
        try named("user.note") { request, name throws(Errno) in
            let result = "n".utf8.withContiguousStorageIfAvailable { bytes in
                Result<Void, Errno> { () throws(Errno) in
                    try volume.setExtendedAttribute(
                        request, inode: node.inode, name: name, value: UnsafeRawBufferPointer(bytes), flags: 0)
                }
            }
            try result?.get()
        }
    }

    func rename(_ path: String, to newPath: String, _ flags: RenameFlags = []) throws(Errno) {
        let (directory, name) = try parent(of: path)
        let (newDirectory, newName) = try parent(of: newPath)
        let node = try lookup(name, in: directory)
        let target = try existing(newName, in: newDirectory)
        if flags.contains(.exchange) {
            if target == nil { throw Errno.noSuchFileOrDirectory }
        } else if let target {
            if node.isDirectory, !target.isDirectory { throw Errno.notDirectory }
            if !node.isDirectory, target.isDirectory { throw Errno.isDirectory }
        }
        try name.withEntryName { name throws(Errno) in
            try named(newName) { request, newName throws(Errno) in
                try volume.rename(
                    request, parent: directory.inode, name: name, newParent: newDirectory.inode, newName: newName,
                    flags: flags)
            }
        }
    }

    func unlink(_ path: String) throws(Errno) {
        let (directory, name) = try parent(of: path)
        if try lookup(name, in: directory).isDirectory { throw Errno.isDirectory }
        try named(name) { request, name throws(Errno) in
            try volume.unlink(request, parent: directory.inode, name: name)
        }
    }

    func removeDirectory(_ path: String) throws(Errno) {
        let (directory, name) = try parent(of: path)
        guard try lookup(name, in: directory).isDirectory else { throw Errno.notDirectory }
        try named(name) { request, name throws(Errno) in
            try volume.removeDirectory(request, parent: directory.inode, name: name)
        }
    }

    func link(_ path: String, to newPath: String) throws(Errno) {
        let node = try find(path)
        let (directory, name) = try parent(of: newPath)
        if try existing(name, in: directory) != nil { throw Errno.fileExists }
        if node.isDirectory { throw Errno.notPermitted }
        _ = try named(name) { request, name throws(Errno) in
            try volume.link(request, inode: node.inode, newParent: directory.inode, newName: name)
        }
    }

    func make(_ creation: Creation, _ path: String) throws(Errno) {
        if path.isEmpty { throw Errno.fileExists }
        let (directory, name) = try parent(of: path)
        if try existing(name, in: directory) != nil { throw Errno.fileExists }
        _ = try named(name) { request, name throws(Errno) in
            switch creation {
            case .directory: try volume.makeDirectory(request, parent: directory.inode, name: name, mode: 0o755)
            case .symbolicLink:
                // To a name that is one wherever the link's own is.
                try (path.split(separator: "/").last.map(String.init) ?? "x").withEntryName { target throws(Errno) in
                    try volume.makeSymbolicLink(request, parent: directory.inode, name: name, target: target)
                }
            case .file, .specialFile:
                try volume.makeNode(
                    request, parent: directory.inode, name: name, mode: S_IFIFO | 0o644, device: 0)
            }
        }
    }
}

extension PlayedKernel: TreeSight {
    func kind(of path: String) -> SeenKind {
        do throws(Errno) {
            return switch try find(path).kind {
            case S_IFREG: .plainFile
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        } catch { return error == .notDirectory ? .belowFile : .nothing }
    }

    func names(in path: String) -> [String] {
        guard let node = try? find(path), let kind = try? volume.directoryKind(node.inode) else { return [] }
        let listing: Listing?
        switch kind {
        case .artifacts(let directory): listing = try? volume.listing(of: directory, withDots: true)
        case .free(let parent): listing = try? volume.listing(of: parent)
        case .made(let number): listing = try? volume.listing(ofMade: number)
        case .quarantine: listing = try? volume.listing(ofKept: caller)
        }
        return (listing.map { $0.compactMap(\.name) } ?? []).filter { $0 != "." && $0 != ".." }
    }

    func attribute(_ name: String, of path: String) -> String? {
        guard let node = try? find(path) else { return nil }
        let value = try? named(name) { request, name throws(Errno) in
            try volume.extendedAttribute(request, inode: node.inode, name: name)
        }
        return value.map { String(decoding: $0, as: UTF8.self) }
    }
}
