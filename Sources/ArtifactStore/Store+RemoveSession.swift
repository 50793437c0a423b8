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
    private let descriptor: FileDescriptor

    fileprivate init(_ session: SessionName, _ marker: RealFile, owning descriptor: FileDescriptor) {
        (self.session, self.marker, self.descriptor) = (session, marker, descriptor)
    }

    deinit { SystemCall.closeLock(descriptor) }
}

/// Removing sessions that have ended, whole. The `session-removed` line comes first; then a session leaves its names by a rename in each layer, and
/// what was in it is removed. Who is killed in between leaves the rest to the next recovery.
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
            case .noSuchFileOrDirectory: descriptor = try makeMarker(marker, writable)
            default: throw error
            }
        }
        do throws(Errno) { try Self.take(descriptor) } catch {
            SystemCall.closeLock(descriptor)
            throw error == .wouldBlock ? .resourceBusy : error
        }
        return SessionGuard(session, marker, owning: descriptor)
    }

    /// Removes a session with all that is in it.
    ///
    /// - Parameters:
    ///   - survey: what is in it, for the ledger.
    ///   - reason: why, a sentence for people.
    /// - Returns: why something of it, which is in staging and not in the session any more, could not be removed; nil when all is gone. The next
    ///   recovery tries that again.
    /// - Throws: why nothing was removed; all of it is there then.
    @discardableResult
    public func remove(
        _ held: SessionGuard, _ survey: SessionSurvey, reason: String, by agent: Agent
    ) throws(Errno) -> Errno? {
        guard let writable else { throw .readOnlyFileSystem }
        let session = held.session.description
        let places = try SessionPlace.all(of: session, beneath: root)
        guard !places.isEmpty else { throw .noSuchFileOrDirectory }
        var line = LedgerEvent.RemovedSession(
            mount: writable.staging.mountID, session: session,
            directories: Dictionary(uniqueKeysWithValues: places.map { ($0.path, $0.inode) }), files: survey.files,
            bytes: survey.bytes, reason: reason, uid: Int64(agent.user), pid: Int64(agent.process),
            command: agent.program)
        for place in places {
            guard let metadata = try SessionPlace.metadata(in: place.file) else { continue }
            (line.metadata, line.metadataLeftOut) = metadata
        }
        var isSaid = true
        do throws(Errno) { try writable.ledger.append([LedgerEntry(.sessionRemoved(line))]) } catch {
            // Room has to be made, perhaps by this very removal: the line comes with the first that has some.
            guard DiskRoom.isForWantOfRoom(error) else {
                // What could not be brought to disk may stand there all the same.
                stays(session, error, writable)
                throw error
            }
            isSaid = false
        }
        var doomed: [RealFile] = []
        do throws(Errno) {
            for place in places {
                let name = writable.staging.unusedName(hint: place.path, kind: .discarded)
                doomed.append(try place.moveAway(to: name))
                // What is in staging tells a recovery that all of it is to go, also where there was no room for the line.
                if doomed.count == 1 { try held.marker.setMode(Self.removedMode) }
            }
        } catch {
            // All layers' directories go, or none. What cannot go back goes with the next recovery, as the line says.
            let isBack = zip(places, doomed).reduce(true) { $1.0.moveBack(from: $1.1) && $0 }
            guard isBack else {
                if !isSaid { writable.ledger.appendLater([LedgerEntry(.sessionRemoved(line))]) }
                return error
            }
            try? held.marker.setMode(0o600)
            if isSaid { stays(session, error, writable) }
            throw error
        }
        if durability == .synced { for place in places { try? SystemCall.sync(place.parent.descriptor) } }
        if !isSaid {
            for directory in doomed { SessionPlace.emptyButMetadata(directory) }
            do throws(Errno) { try writable.ledger.append([LedgerEntry(.sessionRemoved(line))]) } catch {
                writable.ledger.appendLater([LedgerEntry(.sessionRemoved(line))])
            }
        }
        var left: Errno?
        for directory in doomed {
            do throws(Errno) { try DirectoryTree.remove(directory) } catch { left = left ?? error }
        }
        writable.ledger.settle()
        return left
    }

    private func stays(_ session: String, _ error: Errno, _ writable: Writable) {
        try? writable.ledger.append([
            LedgerEntry(
                .sessionKept(session: session, mount: writable.staging.mountID, reason: "it is there still: \(error)"))
        ])
    }
}
