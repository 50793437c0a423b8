internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A session's real directory in one layer.
struct SessionPlace {
    let parent: Directory
    let name: String
    /// Relative to the store.
    let path: String
    let found: stat

    var inode: UInt64 { UInt64(found.st_ino) }
    var file: RealFile { parent.file(name) }
    /// What it is called beside itself while it is removed, where staging is on another file system. No session has such a name.
    var hidden: RealFile { Self.hidden(name, in: parent) }

    static func hidden(_ name: String, in parent: Directory) -> RealFile {
        parent.file(".artifactfs-removed-" + name)
    }

    /// The directories that hold the layers' sessions, as far as they are there.
    static func parents(beneath root: Directory) throws(Errno) -> [(path: String, directory: Directory)] {
        var found: [(path: String, directory: Directory)] = []
        for layer in Layer.allCases {
            let path = layer.directoryName + "/" + StoreLayout.sessionsDirectory
            if let directory = try RealDirectory.open(path, beneath: root) { found.append((path, directory)) }
        }
        return found
    }

    /// A session's directories, of the layers that have one. A link or a file of its name is none.
    static func all(of session: String, beneath root: Directory) throws(Errno) -> [SessionPlace] {
        var places: [SessionPlace] = []
        for (path, parent) in try parents(beneath: root) {
            do throws(Errno) {
                let found = try SystemCall.attributes(parent.descriptor, session)
                guard found.isDirectory else { continue }
                places.append(
                    SessionPlace(parent: parent, name: session, path: path + "/" + session, found: found))
            } catch .noSuchFileOrDirectory {}
        }
        return places
    }

    /// Takes it away from its name by one rename.
    ///
    /// - Parameter doomed: an unused name in staging.
    /// - Returns: where it is then.
    func moveAway(to doomed: RealFile) throws(Errno) -> RealFile {
        do throws(Errno) { return try move(to: doomed) } catch .improperLink {
            if hidden.exists { try DirectoryTree.remove(hidden) }
            return try move(to: hidden)
        }
    }

    /// A call that was done and reports an error all the same is a success.
    private func move(to target: RealFile) throws(Errno) -> RealFile {
        do throws(Errno) { try file.moveWhole(to: target) } catch {
            guard !file.exists, let moved = try? target.attributes(), UInt64(moved.st_ino) == inode else { throw error }
        }
        return target
    }

    /// Takes back ``moveAway(to:)``.
    ///
    /// - Returns: whether it has its name again.
    func moveBack(from doomed: RealFile) -> Bool {
        do throws(Errno) { try doomed.moveWhole(to: file) } catch {
            return (try? file.attributes())?.st_ino == found.st_ino
        }
        return true
    }

    /// Makes room: all that is in a directory goes but what the session says of itself, as far as that can be.
    static func emptyButMetadata(_ doomed: RealFile) {
        guard let directory = try? doomed.directory.directory(doomed.name), let entries = try? directory.entries()
        else {
            return
        }
        for entry in entries where entry.name != StoreLayout.metadataName {
            let file = directory.file(entry.name)
            if entry.isDirectory { try? DirectoryTree.remove(file) } else { try? file.unlink() }
        }
    }

    /// The session that a directory of staging was, by what its name says; nil when it was none.
    static func session(ofDiscarded path: String) -> SessionName? {
        let parts = path.split(separator: "/").map(String.init)
        guard parts.count == 3, parts[1] == StoreLayout.sessionsDirectory,
            Layer.allCases.contains(where: { $0.directoryName == parts[0] })
        else { return nil }
        return SessionName(parts[2])
    }

    /// The longest `metadata.json` that the ledger keeps, in bytes.
    static let longestMetadata = 256 << 10

    /// What a session says of itself, of the directory that has it: its text, or its length where it is too long or is no text; nil where it says
    /// nothing.
    static func metadata(in directory: RealFile) throws(Errno) -> (text: String?, leftOut: Int64?)? {
        let file: FileDescriptor
        do throws(Errno) {
            let opened = try directory.directory.directory(directory.name)
            let own = opened.file(StoreLayout.metadataName)
            // A link or a fifo is not what it says.
            guard try own.attributes().isRegular else { return nil }
            file = try own.open(O_RDONLY | O_NONBLOCK)
        } catch .noSuchFileOrDirectory { return nil }
        defer { SystemCall.close(file) }
        let size = Int64(try SystemCall.attributes(file).st_size)
        guard size > 0 else { return nil }
        guard size <= Int64(longestMetadata) else { return (nil, size) }
        let bytes = try SystemCall.bytes(file, at: 0, count: longestMetadata)
        guard let text = String(validating: bytes, as: UTF8.self) else { return (nil, size) }
        return (text, nil)
    }
}
