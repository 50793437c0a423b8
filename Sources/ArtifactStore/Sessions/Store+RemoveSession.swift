internal import ArtifactRecords
public import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Keeps every mount from taking up a session, as long as this lives.
public final class SessionGuard: Sendable {
    /// Which session.
    public let session: SessionName
    fileprivate let marker: RealFile
    private let hold: StoreHold

    fileprivate init(_ session: SessionName, _ marker: RealFile, _ hold: StoreHold) {
        (self.session, self.marker, self.hold) = (session, marker, hold)
    }
}

/// What became of a session that was to be removed.
public enum SessionRemoval: Sendable, Hashable {
    /// Nothing of it is left.
    case removed
    /// It is removed, and something of it, which is in staging and not in the session any more, could not be: the next recovery tries again.
    case left(Errno)
    /// Nothing was removed; why.
    case kept(Errno)
}

/// Removing sessions that have ended, each whole. The `session-removed` line comes first; then a session leaves its names by a rename in each layer,
/// and what was in it is removed. Who is killed in between leaves the rest to the next recovery.
extension Store {
    /// The mode of the marker of a session that was removed: its name stays taken, and nobody takes it up.
    static let removedMode: UInt32 = 0o400

    /// Keeps a session from being taken up.
    ///
    /// - Throws: `EBUSY` when a mount has it, `EROFS`.
    public func guardSession(_ session: SessionName) throws(Errno) -> SessionGuard {
        guard let writable else { throw .readOnlyFileSystem }
        let marker = writable.sessions.file(session.description)
        let descriptor: FileDescriptor
        do throws(Errno) { descriptor = try marker.open(O_RDWR) } catch {
            switch error {
            // One that was removed, and is there again.
            case .permissionDenied: descriptor = try marker.open(O_RDONLY)
            // Sessions that were made without the driver have a directory only.
            case .noSuchFileOrDirectory:
                descriptor = try makeMarker(marker, writable)
                // Root makes it for the store's owner.
                if geteuid() == 0, let own = try? SystemCall.attributes(writable.sessions.descriptor), own.st_uid != 0 {
                    try? SystemCall.setOwner(descriptor, user: own.st_uid, group: own.st_gid)
                }
            default: throw error
            }
        }
        return SessionGuard(
            session, marker, try hold(session, descriptor, writable, otherwise: .resourceBusy, says: false))
    }

    /// Removes sessions with all that is in them. With synced durability they wait for the disk together.
    ///
    /// - Parameters:
    ///   - sessions: each with what is in it, for the ledger.
    ///   - reason: why, a sentence for people.
    /// - Returns: what became of each, in their order.
    public func remove(
        _ sessions: [(held: SessionGuard, survey: SessionSurvey)], reason: String, by agent: Agent
    ) -> [SessionRemoval] {
        guard let writable else { return sessions.map { _ in .kept(.readOnlyFileSystem) } }
        let doomed = sessions.map { session -> Result<DoomedSession, Errno> in
            do throws(Errno) {
                return .success(try DoomedSession(session.held, session.survey, reason, agent, writable, beneath: root))
            } catch { return .failure(error) }
        }
        let lines = doomed.compactMap { try? $0.get().entry }
        guard !lines.isEmpty else { return doomed.map { $0.outcome { _ in .removed } } }
        do throws(Errno) { try writable.ledger.append(lines) } catch {
            // Room has to be made, perhaps by these very removals: each line comes with the first that has some.
            guard DiskRoom.isForWantOfRoom(error) else {
                // What could not be brought to disk may stand there all the same.
                return doomed.map { $0.outcome { $0.stays(error, writable) } }
            }
            return doomed.map { session in
                session.outcome { session in
                    let outcome = session.leave(isSaid: false, writable)
                    sync([session])
                    return outcome ?? session.clear(isSaid: false, writable)
                }
            }
        }
        let outcomes = doomed.map { $0.map { $0.leave(isSaid: true, writable) } }
        sync(doomed.compactMap { try? $0.get() })
        return zip(doomed, outcomes).map { session, outcome in
            session.outcome { session in (try? outcome.get()) ?? session.clear(isSaid: true, writable) }
        }
    }

    private func sync(_ sessions: [DoomedSession]) {
        guard durability == .synced else { return }
        var seen: Set<UInt64> = []
        for place in sessions.flatMap(\.places) {
            let parent = (try? SystemCall.attributes(place.parent.descriptor)).map { UInt64($0.st_ino) } ?? 0
            if seen.insert(parent).inserted { try? SystemCall.sync(place.parent.descriptor) }
        }
    }
}

extension Result<DoomedSession, Errno> {
    fileprivate func outcome(_ body: (DoomedSession) -> SessionRemoval) -> SessionRemoval {
        switch self {
        case .success(let session): body(session)
        case .failure(let error): .kept(error)
        }
    }
}

/// A session on its way out.
private final class DoomedSession {
    let places: [SessionPlace]
    private let held: SessionGuard
    private var line: LedgerEvent.RemovedSession
    /// Where its directories are.
    private var moved: [RealFile] = []

    var entry: LedgerEntry { LedgerEntry(.sessionRemoved(line)) }

    /// - Throws: `ENOENT` when it has no directory.
    init(
        _ held: SessionGuard, _ survey: SessionSurvey, _ reason: String, _ agent: Agent, _ writable: Store.Writable,
        beneath root: Directory
    ) throws(Errno) {
        self.held = held
        places = try SessionPlace.all(of: held.session.description, beneath: root)
        line = LedgerEvent.RemovedSession(
            mount: writable.staging.mountID, session: held.session.description,
            directories: Dictionary(uniqueKeysWithValues: places.map { ($0.path, $0.inode) }), files: survey.files,
            bytes: survey.bytes, reason: reason, uid: Int64(agent.user), pid: Int64(agent.process),
            command: agent.program)
        guard !places.isEmpty else { throw .noSuchFileOrDirectory }
        for place in places {
            guard let metadata = try SessionPlace.metadata(in: place.file) else { continue }
            (line.metadata, line.metadataLeftOut) = metadata
        }
    }

    /// Takes it away from its names, in all layers or in none.
    ///
    /// - Returns: nil when it is away.
    func leave(isSaid: Bool, _ writable: Store.Writable) -> SessionRemoval? {
        do throws(Errno) {
            for place in places {
                let name = writable.staging.unusedName(hint: place.path, kind: .discarded)
                moved.append(try place.moveAway(to: name))
                // What is in staging tells a recovery that all of it is to go, also where there was no room for the line.
                if moved.count == 1 { try held.marker.setMode(Store.removedMode) }
            }
            return nil
        } catch {
            // What cannot go back goes with the next recovery, as the line says.
            let isBack = zip(places, moved).reduce(true) { $1.0.moveBack(from: $1.1) && $0 }
            guard isBack else {
                if !isSaid { writable.ledger.appendLater([entry]) }
                return .left(error)
            }
            try? held.marker.setMode(0o600)
            return isSaid ? stays(error, writable) : .kept(error)
        }
    }

    /// Removes what was in it.
    func clear(isSaid: Bool, _ writable: Store.Writable) -> SessionRemoval {
        if !isSaid {
            for directory in moved { SessionPlace.emptyButMetadata(directory) }
            do throws(Errno) { try writable.ledger.append([entry]) } catch { writable.ledger.appendLater([entry]) }
        }
        var left: Errno?
        for directory in moved {
            do throws(Errno) { try DirectoryTree.remove(directory) } catch { left = left ?? error }
        }
        writable.ledger.settle()
        return left.map { .left($0) } ?? .removed
    }

    /// Says that it is there still.
    func stays(_ error: Errno, _ writable: Store.Writable) -> SessionRemoval {
        try? writable.ledger.append([
            LedgerEntry(
                .sessionKept(session: line.session, mount: line.mount, reason: "it is there still: \(error)"))
        ])
        return .kept(error)
    }
}
