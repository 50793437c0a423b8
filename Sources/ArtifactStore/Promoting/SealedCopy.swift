internal import ArtifactRecords
public import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A copy in staging that is sealed instead of a file or directory of which a program may have something open, and how that was when it was copied.
struct SealedCopy {
    private enum Seen {
        /// `sha256`: of a file of which times do not tell whether it was written to in the same second (MooseFS).
        case file(stat, sha256: String?)
        /// ``DirectoryLook/digest``.
        case directory(String)
    }

    private let source: RealFile
    private let identity: FileIdentity
    private let seen: Seen

    /// Copies, sharing blocks where the file system can.
    ///
    /// - Parameters:
    ///   - identity: which file it is.
    ///   - staged: a name that nothing has.
    ///   - owner: whose the copy is; nil for the owner of what is copied.
    ///   - looked: of a directory what was seen of it before: nothing else is copied. Nil when nobody has looked.
    /// - Throws: `EBUSY` when it changed meanwhile. There is no copy then.
    init(
        of source: RealFile, seen identity: FileIdentity, isDirectory: Bool, to staged: RealFile,
        owner: (uid: UInt32, gid: UInt32)? = nil, looked: String? = nil
    ) throws(PromotionObstacle) {
        (self.source, self.identity) = (source, identity)
        do throws(PublishFailure) {
            let original = try attempt("opened") { () throws(Errno) in
                try source.open(isDirectory ? O_RDONLY | O_DIRECTORY : O_RDONLY, seen: identity)
            }
            defer { SystemCall.close(original) }
            if isDirectory {
                let copied = try DirectoryCopy.make(of: original, to: staged, owner: owner)
                var before = looked
                if before == nil { before = try DirectoryLook(at: original).digest }
                guard copied == before else { throw .system(doing: "copied", .resourceBusy) }
                seen = .directory(copied)
            } else {
                let attributes = try attempt("copied") { () throws(Errno) in try Self.copy(original, to: staged, owner)
                }
                let isCoarse = attributes.st_mtim.tv_nsec == 0
                seen = .file(
                    attributes,
                    sha256: isCoarse ? try attempt("read") { () throws(Errno) in try staged.sha256() } : nil)
            }
        } catch {
            if isDirectory { try? DirectoryTree.remove(staged) } else { try? staged.unlink() }
            if case .system(_, let errno) = error { throw .system(errno) }
            throw .refused(RefusedRename(.source, .ofPublishing(.failedCheck)), detail: error.reason)
        }
    }

    private static func copy(
        _ original: FileDescriptor, to staged: RealFile, _ owner: (uid: UInt32, gid: UInt32)?
    ) throws(Errno) -> stat {
        let before = try SystemCall.attributes(original)
        try FileCopy.copy(original, to: staged, isSynced: false)
        if let owner { try staged.setOwner(user: owner.uid, group: owner.gid) }
        try staged.setMode(before.permissions & 0o777)
        guard try SystemCall.attributes(original).hasSameModification(as: before) else { throw .resourceBusy }
        return before
    }

    /// Removes what was copied, now that the copy is sealed. What has changed since stays where it is.
    ///
    /// - Parameter staging: by which a directory goes.
    func removeOriginal(by staging: Staging) {
        switch seen {
        case .file(let before, let sha256):
            guard let found = try? source.look(), found.identity == identity,
                found.attributes.hasSameModification(as: before), sha256 == nil || (try? source.sha256()) == sha256
            else { return }
            try? source.unlink()
        case .directory(let before):
            guard let found = try? source.look(), found.identity == identity,
                let directory = try? source.open(O_RDONLY | O_DIRECTORY, seen: identity)
            else { return }
            let now = try? DirectoryLook(at: directory).digest
            SystemCall.close(directory)
            let doomed = staging.unusedName(hint: source.name, kind: .discarded)
            guard now == before, (try? source.moveWhole(to: doomed)) != nil else { return }
            try? DirectoryTree.remove(doomed)
        }
    }
}

extension Store {
    /// Whether what is in a session, a test or quarantine is copied before it is sealed, because a program of another host may have it open.
    ///
    /// - Parameter path: on the mount.
    func isCopied(from path: String) -> Bool { refusalToMove(from: path) != nil }

    /// What says so to who wants to move it: copied it is in nobody else's hands.
    public func refusalToMove(from path: String) -> RefusedRename? {
        guard leases.isShared else { return nil }
        return OverwritePolicy.judgeMoving(from: origin(of: path), isShared: true)
    }

    private func origin(of path: String) -> BytesOrigin {
        guard !path.hasPrefix(StoreLayout.quarantineDirectory + "/") else { return .quarantine }
        switch schema.locate(path).directory.scope {
        case .session(let name):
            guard let client = leases.holder?.client,
                let marker = try? writable?.sessions.file(name.description).open(O_RDONLY | O_NONBLOCK)
            else { return .session(isAlwaysOurs: false) }
            defer { SystemCall.close(marker) }
            return .session(isAlwaysOurs: SessionMarker.isAlwaysOurs(marker, client))
        case .test: return .test
        case .production, nil: return .staging
        }
    }
}
