internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// A former version that is there.
public struct ShelvedVersion: Sendable {
    /// Its real path, from the store, where that is known.
    public let real: String
    /// What is known of it.
    public let version: FormerVersion
    let file: RealFile

    /// The path on the mount that it had; nil where it is not known what it is.
    public var path: String? { version.left?.path }

    /// For people: the path with the number.
    public var title: String { "\(path ?? real)@\(version.number)" }

    /// Whether it is there still.
    public var isThere: Bool { file.exists }

    /// What is in it, and whether who asks may remove it.
    public func survey() throws(Errno) -> SessionSurvey { try SessionSurvey(of: file, title) }
}

/// The steps of removing former versions, in their order; a crash can come after each.
///
/// | step | what is on disk then | what recovery makes of it |
/// | --- | --- | --- |
/// | `described` | the versions, and beside each what is to be left of it | nothing |
/// | `logged` | and a `version-removed` line of each | they are removed |
/// | `removed` | what is left of them, and their descriptions | the descriptions are removed |
enum VersionClearingStep: String, CaseIterable, Sendable {
    case described
    case logged
    case removed
}

/// Removing former versions, so that what they were and that they were removed stays known (DISK FORMAT, "Former versions"). Every line is on disk before
/// the first byte goes, whatever the durability.
extension Store {
    /// All former versions that are there, those of a name beside each other, the oldest first.
    public func shelvedVersions() throws(Errno) -> [ShelvedVersion] {
        guard let shelf = try VersionShelf.open(beneath: root) else { return [] }
        var all: [ShelvedVersion] = []
        for entry in try shelf.directory.entries().sorted(by: { $0.name < $1.name }) where entry.isDirectory {
            let reader = VersionReader(try shelf.directory.directory(entry.name))
            for version in try reader.all() where version.removed == nil {
                let said = version.left.map { $0.directory + "/" + $0.name }
                // What is described as another's is not known.
                let isIts = said.map { EscapedName.unique($0) == entry.name } ?? false
                let known =
                    isIts && version.left?.version == version.number
                    ? version
                    : FormerVersion(
                        number: version.number, identity: version.identity, time: version.time, left: nil, record: nil,
                        removed: nil)
                all.append(
                    ShelvedVersion(
                        real: isIts ? said ?? "" : EscapedName.decode(entry.name[...]), version: known,
                        file: reader.file(version.number)))
            }
        }
        return all
    }

    /// Removes former versions.
    ///
    /// - Parameters:
    ///   - versions: each with why, a sentence for people.
    ///   - stillGoes: asked of each when nobody changes versions any more.
    /// - Returns: what failed of each, in their order: such a version is there as it was, or is removed but for what the next opening removes. `EAGAIN` of one
    ///   that does not go any more.
    public func remove(
        _ versions: [(version: ShelvedVersion, reason: String)], by agent: Agent,
        stillGoes: (ShelvedVersion) -> Bool = { _ in true }
    ) throws(UnsealObstacle) -> [Errno?] {
        try withShelf(versions.first?.version.path ?? "") { shelf, writable throws(UnsealObstacle) in
            var failures = [Errno?](repeating: nil, count: versions.count)
            var lines: [(place: Int, line: LedgerEvent.RemovedVersion)] = []
            for (place, (version, reason)) in versions.enumerated() {
                do throws(Errno) {
                    guard stillGoes(version) else { throw Errno.resourceTemporarilyUnavailable }
                    guard let line = try line(of: version, reason, agent, writable) else {
                        throw Errno.noSuchFileOrDirectory
                    }
                    try VersionClearing.leave(line, in: version.file.directory, at: TimeText.rfc3339(Clock.now()))
                    lines.append((place, line))
                } catch { failures[place] = error }
            }
            try clearingStep(.described)
            guard !lines.isEmpty else { return failures }
            do throws(Errno) {
                try writable.ledger.append(lines.map { LedgerEntry(.versionRemoved($0.line)) })
            } catch {
                // What could not be brought to disk may stand there all the same.
                keep(lines.map(\.line), writable)
                for (place, line) in lines {
                    failures[place] = error
                    VersionClearing.takeBack(line, in: versions[place].version.file.directory)
                }
                return failures
            }
            writable.ledger.sync(always: true)
            try clearingStep(.logged)
            var doomed: [(place: Int, line: LedgerEvent.RemovedVersion, directory: RealFile?)] = []
            for (place, line) in lines {
                let directory = versions[place].version.file.directory
                let away = writable.staging.unusedName(hint: "versions/\(line.path)", kind: .discarded)
                do throws(Errno) {
                    doomed.append((place, line, try VersionClearing.takeAway(line, in: directory, to: away)))
                } catch {
                    failures[place] = error
                    keep([line], writable)
                    VersionClearing.takeBack(line, in: directory)
                }
            }
            try clearingStep(.removed)
            for (place, line, directory) in doomed {
                do throws(Errno) {
                    try VersionClearing.finish(line, in: versions[place].version.file.directory)
                    if let directory { try DirectoryTree.remove(directory) }
                } catch {
                    failures[place] = error
                    writable.staging.keepForRecovery()
                }
            }
            return failures
        }
    }

    private func keep(_ lines: [LedgerEvent.RemovedVersion], _ writable: Writable) {
        writable.ledger.appendLater(lines.map { LedgerEntry(.versionKept($0)) })
        settle()
    }

    private func line(
        of shelved: ShelvedVersion, _ reason: String, _ agent: Agent, _ writable: Writable
    ) throws(Errno) -> LedgerEvent.RemovedVersion? {
        let found = try shelved.file.look()
        guard let left = shelved.version.left, found.identity == shelved.version.identity else { return nil }
        return LedgerEvent.RemovedVersion(
            mount: writable.staging.mountID, path: left.path, directory: left.directory, name: left.name,
            version: left.version, inode: UInt64(found.attributes.st_ino), size: left.size, sha256: left.sha256,
            reason: reason, uid: Int64(agent.user), pid: Int64(agent.process), command: agent.program)
    }

    private func clearingStep(_ step: VersionClearingStep) throws(UnsealObstacle) {
        if stopClearingAfter.withLock({ $0 == step }) { throw .stopped }
    }
}
