package import ArtifactRecords
internal import Glibc
internal import Synchronization
package import SystemCalls
package import SystemPackage

/// With which code: what repositories of git say of themselves. Their files are read, and git is never run.
///
/// Everything is read with the rights of the user whose process it is, which are taken here and not by whoever asks: so the rights that a thing was read
/// with and those under which it is remembered cannot be two, and nobody can forget them. Environment variables that lead git elsewhere (`GIT_DIR`,
/// `GIT_WORK_TREE`) are not known here.
package final class GitRepositories: Sendable {
    private let walk: PathWalk
    /// A leaf in the order of locks; nothing is read under it.
    private let known = Lock(KnownRepositories())
    private let changes = ChangeMemory()
    private let hashes = FileHashes()

    /// - Parameter isAvoided: whether a device (`st_dev`) is not to be entered: the driver's own mounts.
    package init(avoiding isAvoided: @escaping @Sendable (_ device: UInt64) -> Bool = { _ in false }) {
        walk = PathWalk(isAvoided: isAvoided)
    }

    /// The code of the repository that a directory is in.
    ///
    /// - Parameters:
    ///   - directory: an absolute path, also one such as `/proc/PID/cwd`.
    ///   - role: how it was found, for the record.
    ///   - rights: those of the user whose process it is.
    ///   - changes: whether it is looked whether tracked files differ, which takes a look at each of them.
    /// - Returns: nil when it is in none, and when that cannot be told.
    package func code(
        forDirectory directory: FilePath, role: CodeRole, for rights: UserRights, changes: LookForChanges = .no
    ) -> ArtifactRecord.Code? {
        try? rights.acting { () throws(Errno) in
            let target = try walk.follow(Self.bytes(directory), from: nil, mayJump: true)
            guard target.attributes.isDirectory else { throw .notDirectory }
            return try code(from: target.file, role, rights, changes)
        }
    }

    /// The code of a file that a process runs: its script, which is described itself, too, or its program.
    ///
    /// - Parameters:
    ///   - file: a path, also one such as `/proc/PID/exe`; symbolic links are followed, and the file's own directory counts.
    ///   - directory: what a relative path is relative to: the working directory of the process.
    ///   - role: how it was found, for the record.
    ///   - rights: those of the user whose process it is.
    ///   - changes: whether it is looked whether tracked files of its repository differ.
    /// - Returns: nil when it cannot be read or is no plain file; for what is no script, also when it is in no repository.
    package func code(
        forFile file: FilePath, in directory: FilePath?, role: CodeRole, for rights: UserRights,
        changes: LookForChanges = .no
    ) -> ArtifactRecord.Code? {
        try? rights.acting { () throws(Errno) in
            var start: HeldFile?
            if let directory, file.isRelative {
                start = try walk.follow(Self.bytes(directory), from: nil, mayJump: true).file
            }
            let target = try walk.follow(Self.bytes(file), from: start, mayJump: true)
            guard target.attributes.isRegular else { throw .invalidArgument }
            guard role == .script else {
                return try code(from: try self.directory(of: target), role, rights, changes)
            }
            let hash = try hashes.sha256(of: target.file, for: rights)
            var code = ArtifactRecord.Code()
            do throws(Errno) {
                code = try self.code(from: try self.directory(of: target), role, rights, changes)
            } catch {
                // It is in none, or that cannot be told.
                code.role = role.rawValue
            }
            code.script = try target.file.path().map { NameText.text($0) }
            code.sha256 = hash
            return code
        }
    }

    /// The directory that a file is in.
    private func directory(of target: PathWalk.Target) throws(Errno) -> HeldFile {
        if let parent = target.parent { return parent }
        // The kernel led there: by the path that it shows, if that is the file's.
        guard let path = try target.file.path(), let slash = path.lastIndex(of: UInt8(ascii: "/")) else {
            throw .noSuchFileOrDirectory
        }
        let parent = try walk.follow(path[...slash], from: nil).file
        guard try parent.attributes(of: path[(slash + 1)...])?.number == target.attributes.number else {
            throw .noSuchFileOrDirectory
        }
        return parent
    }

    private static func bytes(_ path: FilePath) -> [UInt8] {
        path.withPlatformString {
            Array(UnsafeBufferPointer(start: $0, count: strlen($0)).map { UInt8(bitPattern: $0) })
        }
    }

    private func code(
        from directory: HeldFile, _ role: CodeRole, _ rights: UserRights, _ looks: LookForChanges
    ) throws(Errno) -> ArtifactRecord.Code {
        guard let place = try RepositoryPlace.find(from: directory, by: walk, for: rights) else {
            throw .noSuchFileOrDirectory
        }
        let identity = try identity(of: place, rights)
        var code = ArtifactRecord.Code()
        code.path = try place.top.path().map { NameText.text($0) }
        code.commit = identity.head?.commit?.text
        code.branch = identity.head?.branch.map { NameText.text($0) }
        code.remote = identity.remote
        code.role = role.rawValue
        if case .yes(let home) = looks {
            let search = ChangeSearch(walk: walk, rights: rights, home: home.map { Self.bytes($0) }, memory: changes)
            code.dirty = search.isChanged(place, identity)
        }
        return code
    }

    private func identity(of place: RepositoryPlace, _ rights: UserRights) throws(Errno) -> RepositoryIdentity {
        let key = KnownRepositories.RepositoryKey(
            rights: rights, top: try place.top.attributes().number, own: try place.own.attributes().number)
        if let found = known.withLock({ $0[key] }), try RepositoryReader.areUnchanged(found.read, in: place) {
            return found.identity
        }
        var reader = RepositoryReader(place, walk)
        let identity = RepositoryIdentity.read(by: &reader)
        let found = reader.mayBeKept ? KnownRepositories.Known(identity: identity, read: reader.read) : nil
        known.withLock { $0[key] = found }
        return identity
    }
}

/// Whether it is looked whether tracked files differ from the commit.
package enum LookForChanges: Sendable, Hashable {
    case no
    /// With the user's home directory, in which git's own configuration is; nil when it is not known, and then more cannot be told.
    case yes(home: FilePath?)
}

/// How code was found.
package enum CodeRole: String, Sendable, Hashable {
    /// The working directory of a process is in it.
    case cwd
    /// It has the script that a process runs.
    case script
    /// It has the program that a process runs.
    case program
}
