internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What one who was killed while a session was removed had not done yet.
extension Recovery {
    /// What was to be removed leaves its names; what is in staging then goes with all that was discarded.
    ///
    /// - Parameter staging: the mount's staging directory.
    /// - Returns: false when the next time must look again.
    mutating func finishRemoving(_ history: MountHistory, in staging: Directory, mount: String) -> Bool {
        var isDone = true
        for (session, line) in history.removed.sorted(by: { $0.key < $1.key }) where SessionName(session) != nil {
            told.insert(session)
            do throws(Errno) { try finishRemoving(session, line, in: staging) } catch {
                problem("session \(session), which is to be removed: \(error)")
                isDone = false
            }
        }
        do throws(Errno) { try tellRemoved(in: staging, mount: mount) } catch {
            problem("sessions that were being removed: \(error)")
            isDone = false
        }
        return isDone
    }

    private func finishRemoving(
        _ session: String, _ line: LedgerEvent.RemovedSession, in staging: Directory
    ) throws(Errno) {
        for (_, parent) in try SessionPlace.parents(beneath: root) {
            let hidden = SessionPlace.hidden(session, in: parent)
            if hidden.exists { try DirectoryTree.remove(hidden) }
        }
        // What was put there since, from a copy elsewhere, is another one.
        let places = try SessionPlace.all(of: session, beneath: root).filter {
            line.directories[$0.path] == $0.inode
        }
        guard !places.isEmpty else { return }
        let marker = try own.directory(StoreFormat.sessions).file(session)
        let descriptor = try marker.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.closeLock(descriptor) }
        do throws(Errno) { try SystemCall.lock(descriptor, waiting: false) } catch {
            guard error == .wouldBlock else { throw error }
            let event = LedgerEvent.sessionKept(
                session: session, mount: line.mount, reason: "a mount has taken it up again")
            return try ledger.append([LedgerEntry(event)])
        }
        try moveAway(places, marker, to: staging)
    }

    private func moveAway(_ places: [SessionPlace], _ marker: RealFile, to staging: Directory) throws(Errno) {
        try marker.setMode(Store.removedMode)
        for place in places {
            let name = StagedName.text(.discarded, "0", EscapedName.encode(place.path, limit: 200))
            let doomed = staging.file(name)
            if doomed.exists { try DirectoryTree.remove(doomed) }
            let moved = try place.moveAway(to: doomed)
            if durability == .synced { try SystemCall.sync(place.parent.descriptor) }
            if moved.name != doomed.name { try DirectoryTree.remove(moved) }
        }
    }

    /// Sessions that were being removed for whose lines there was no room: what is left of them at its place goes too, and the ledger says so.
    mutating func tellRemoved(in staging: Directory, mount: String) throws(Errno) {
        var parts: [String: [RealFile]] = [:]
        for entry in try staging.entries() where entry.isDirectory {
            guard let staged = Staging.understand(entry.name), staged.kind == .discarded,
                let session = SessionPlace.session(ofDiscarded: staged.path)?.description, !told.contains(session)
            else { continue }
            parts[session, default: []].append(staging.file(entry.name))
        }
        for (session, found) in parts.sorted(by: { $0.key < $1.key }) {
            let places = try SessionPlace.all(of: session, beneath: root)
            try moveAway(places, own.directory(StoreFormat.sessions).file(session), to: staging)
            var line = LedgerEvent.RemovedSession(
                mount: mount, session: session, directories: [:], files: 0, bytes: 0,
                reason: "it was being removed, and there was no room to say so",
                uid: Int64(try found[0].attributes().st_uid), pid: 0, command: "")
            for directory in found {
                if let metadata = try? SessionPlace.metadata(in: directory) {
                    (line.metadata, line.metadataLeftOut) = metadata
                }
            }
            do throws(Errno) { try ledger.append([LedgerEntry(.sessionRemoved(line))]) } catch {
                guard DiskRoom.isForWantOfRoom(error) else { throw error }
                for directory in found { SessionPlace.emptyButMetadata(directory) }
                do throws(Errno) { try ledger.append([LedgerEntry(.sessionRemoved(line))]) } catch {
                    ledger.appendLater([LedgerEntry(.sessionRemoved(line))])
                }
            }
            told.insert(session)
        }
    }
}
