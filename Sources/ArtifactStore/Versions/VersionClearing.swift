internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What is done with a former version that is removed: by who removes it, and by who finishes what that one was killed at.
enum VersionClearing {
    /// Writes what is to be left of it. Beside the version itself that says nothing.
    ///
    /// - Parameters:
    ///   - directory: that of the versions of its name.
    ///   - time: when it is removed (RFC 3339).
    static func leave(
        _ line: LedgerEvent.RemovedVersion, in directory: Directory, at time: String
    ) throws(Errno) {
        let file = directory.file(String(line.version))
        let owner = try file.attributes()
        let list = try? file.extendedAttribute(AccessList.accessAttribute)
        var all: JSONObject =
            (try? VersionReader(directory).description(of: line.version)).flatMap { JSONValue(parsing: $0)?.object }
            ?? [:]
        all["removed"] = VersionRemoval(time: time, reason: line.reason, uid: line.uid).json
        try WholeFile.write(
            Array((JSONValue.object(all).description + "\n").utf8),
            to: directory.file(VersionShelf.removedName(line.version)), isAlone: true
        ) { copy throws(Errno) in
            // Who could read it may know of it, no one else.
            if (owner.st_uid, owner.st_gid) != (geteuid(), getegid()) {
                guard (try? SystemCall.setOwner(copy, user: owner.st_uid, group: owner.st_gid)) != nil else { return }
            }
            try SystemCall.setMode(copy, owner.permissions & 0o444)
            if let list { try SystemCall.setExtendedAttribute(AccessList.accessAttribute, list, of: copy) }
        }
    }

    /// Takes that back, where the version is there still.
    static func takeBack(_ line: LedgerEvent.RemovedVersion, in directory: Directory) {
        guard directory.file(String(line.version)).exists else { return }
        try? directory.file(VersionShelf.removedName(line.version)).unlink()
    }

    /// Takes it out of the versions. A call that was done and reports an error all the same is a success.
    ///
    /// - Parameter away: where a directory goes, whole.
    /// - Returns: the directory that is to be removed now; nil where nothing is left.
    static func takeAway(
        _ line: LedgerEvent.RemovedVersion, in directory: Directory, to away: RealFile
    ) throws(Errno) -> RealFile? {
        let file = directory.file(String(line.version))
        let isDirectory = try file.attributes().isDirectory
        let wasImmutable: Bool
        do throws(Errno) { wasImmutable = try ImmutableFlag.remove(from: file) } catch {
            // Who may not read it cannot take the flag either.
            guard error == .permissionDenied else { throw error }
            wasImmutable = false
        }
        do throws(Errno) {
            if isDirectory { try file.moveWhole(to: away) } else { try file.unlink() }
        } catch {
            guard !file.exists, !isDirectory || away.exists else {
                if wasImmutable { try? ImmutableFlag.putBack(on: file, isWanted: true) }
                throw error
            }
        }
        try? SystemCall.sync(directory.descriptor)
        return isDirectory ? away : nil
    }

    /// Removes the description of what is not there any more: what is left of it has all of that.
    static func finish(_ line: LedgerEvent.RemovedVersion, in directory: Directory) throws(Errno) {
        do throws(Errno) { try directory.file(VersionShelf.descriptionName(line.version)).unlink() } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
        }
    }
}

/// What one who was killed while former versions were removed had not done yet.
extension Recovery {
    /// - Parameter staging: the mount's staging directory.
    /// - Returns: false when the next time must look again.
    mutating func finishClearing(_ history: MountHistory, in staging: Directory) -> Bool {
        var isDone = true
        for (title, line) in history.removedVersions.sorted(by: { $0.key < $1.key }) {
            do throws(Errno) { try finishClearing(line, in: staging) } catch {
                problem("\(title), which is to be removed: \(error)")
                isDone = false
            }
        }
        return isDone
    }

    private func finishClearing(_ line: LedgerEvent.RemovedVersion, in staging: Directory) throws(Errno) {
        guard let shelf = try VersionShelf.open(beneath: root),
            let directory = try shelf.directory(of: line.directory + "/" + line.name)
        else { return }
        let file = directory.file(String(line.version))
        let found: stat?
        do throws(Errno) { found = try file.attributes() } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            found = nil
        }
        if let found {
            // What somebody has put there since is another one.
            guard UInt64(found.st_ino) == line.inode else { return }
            if !directory.file(VersionShelf.removedName(line.version)).exists {
                try VersionClearing.leave(line, in: directory, at: TimeText.rfc3339(Clock.now()))
            }
            let away = staging.file(
                StagedName.text(.discarded, "0", EscapedName.encode("versions/\(line.path)", limit: 200)))
            if away.exists { try DirectoryTree.remove(away) }
            if let doomed = try VersionClearing.takeAway(line, in: directory, to: away) {
                try DirectoryTree.remove(doomed)
            }
        }
        try VersionClearing.finish(line, in: directory)
    }
}
