public import ArtifactRecords
public import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

// A session's name is taken for ever by a file, .artifactfs/sessions/<name>, made with O_EXCL; the mount whose session
// it is holds the file's flock, and in a store of several hosts a reserved name (`StoreHold`). So two mounts never have one session, whether they are of
// one process, one host, or several hosts on one file system.
extension Store {
    /// The sessions that have a directory in a layer, the earliest first.
    public func sessions() throws(Errno) -> [SessionName] {
        try names(under: StoreLayout.sessionsDirectory).compactMap(SessionName.init).sorted()
    }

    /// The tests that have a directory in a layer, by name.
    public func tests() throws(Errno) -> [TestName] {
        try names(under: StoreLayout.testsDirectory).compactMap(TestName.init).sorted()
    }

    private func names(under directoryName: String) throws(Errno) -> Set<String> {
        var names: Set<String> = []
        for layer in Layer.allCases {
            guard let directory = try directory(layer.directoryName + "/" + directoryName).refresh() else { continue }
            for entry in try directory.entries() where entry.isDirectory { names.insert(entry.name) }
        }
        return names
    }

    /// Takes a session for this mount, named for this second, or the next one that nobody has taken.
    public func beginSession() throws(StoreError) -> SessionName {
        guard writable != nil else { throw .readOnly(path: path) }
        var second = Int64(Clock.now().tv_sec)
        while true {
            guard let name = SessionName(secondsSince1970: second) else {
                throw .system(doing: "name a session for the time of this machine", path: path, .invalidArgument)
            }
            do throws(Errno) {
                try beginSession(named: name)
                return name
            } catch .fileExists {
                second += 1
            } catch {
                throw .system(doing: "begin a session", path: path + "/.artifactfs/sessions", error)
            }
        }
    }

    /// Takes a session of a given name for this mount.
    ///
    /// - Throws: `EEXIST` when there is or was one of that name, `EROFS`.
    public func beginSession(named name: SessionName) throws(Errno) {
        guard let writable else { throw .readOnlyFileSystem }
        guard try !hasDirectory(.session(name)) else { throw .fileExists }
        let marker = writable.sessions.file(name.description)
        let hold = try hold(name, try makeMarker(marker, writable), writable, otherwise: .fileExists, isNew: true)
        // Should it fail the marker stays: the name is taken, and nothing is lost by it.
        if durability == .synced { try SystemCall.sync(writable.sessions.descriptor) }
        try record(.sessionBegun(session: name.description, mount: writable.staging.mountID), writable)
        heldSessions.withLock { $0[name] = hold }
    }

    /// Holds a session by its marker.
    ///
    /// - Parameters:
    ///   - marker: open; closed with the hold, or when it throws.
    ///   - error: what it throws when another mount has it.
    ///   - says: whether the marker is to say who has it.
    ///   - isNew: whether the session begins.
    func hold(
        _ name: SessionName, _ marker: FileDescriptor, _ writable: Writable, otherwise error: Errno, says: Bool = true,
        isNew: Bool = false
    ) throws(Errno) -> StoreHold {
        do throws(Errno) { try Self.take(marker) } catch let problem {
            // A host that was cut off may have the flock for as long as it is.
            let isLeft = try? SessionMarker.isHeldElsewhere(marker, root.descriptor) == false
            guard problem == .wouldBlock, isLeft == true else {
                SystemCall.closeLock(marker)
                throw problem == .wouldBlock ? error : problem
            }
        }
        let path = "\(StoreLayout.privateDirectory)/\(StoreFormat.sessions)/\(name)"
        do throws(Errno) {
            let hold = try StoreHold(owning: marker, as: path, writable.staging)
            // For who looks whether the session goes on, where the flock is not seen.
            if says, let holder = leases.holder {
                let isOurs = isNew || SessionMarker.isAlwaysOurs(marker, holder.client)
                let text = SessionMarker.text(of: holder.mount, holder.client, isAlwaysOurs: isOurs)
                try? SystemCall.write(marker, text)
                try? SystemCall.truncate(marker, to: Int64(text.count))
            }
            return hold
        } catch let problem { throw problem == .wouldBlock ? error : problem }
    }

    /// Takes a session's marker. Who looks whether a session is live (a catalog does) has it shared for microseconds.
    static func take(_ marker: FileDescriptor) throws(Errno) {
        for _ in 0..<mostLooks {
            do throws(Errno) { return try SystemCall.lock(marker, waiting: false) } catch {
                guard error == .wouldBlock else { throw error }
                usleep(1000)
            }
        }
        try SystemCall.lock(marker, waiting: false)
    }

    private static let mostLooks = 50

    func makeMarker(_ marker: RealFile, _ writable: Writable) throws(Errno) -> FileDescriptor {
        do throws(Errno) { return try marker.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600) } catch {
            guard let spare = writable.spare, DiskRoom.isForWantOfRoom(error) else { throw error }
            try spare.takeSession(as: marker)
            return try marker.open(O_RDWR)
        }
    }

    /// A run's line. What cannot be written now is written with the next that can.
    public func recordRun(_ event: LedgerEvent) {
        guard let writable else { return }
        do throws(Errno) { try record(event, writable) } catch { writable.ledger.appendLater([LedgerEntry(event)]) }
    }

    /// A session's line; on a full disk it is written when there is room.
    private func record(_ event: LedgerEvent, _ writable: Writable) throws(Errno) {
        let entry = LedgerEntry(event)
        do throws(Errno) { try writable.ledger.append([entry]) } catch {
            guard DiskRoom.isForWantOfRoom(error) else { throw error }
            writable.ledger.appendLater([entry])
        }
    }

    /// Takes up a session again that began earlier.
    ///
    /// - Throws: `StoreError.notFound` when there was none, `StoreError.inUse` when another mount has it.
    public func resumeSession(_ name: SessionName) throws(StoreError) {
        guard let writable else { throw .readOnly(path: path) }
        if heldSessions.withLock({ $0[name] != nil }) { return }
        let place = path + "/" + StoreLayout.directory(of: .session(name), in: .base)
        let descriptor = try Self.doing("resume the session", place) { () throws(Errno) -> FileDescriptor? in
            let marker = writable.sessions.file(name.description)
            if let found = try? marker.attributes(), found.permissions == Self.removedMode { return nil }
            do throws(Errno) {
                return try marker.open(O_RDWR)
            } catch .noSuchFileOrDirectory {
                // Sessions that were made without the driver have a directory only.
                guard try hasDirectory(.session(name)) else { return nil }
                return try marker.open(O_RDWR | O_CREAT, mode: 0o600)
            }
        }
        guard let descriptor else {
            let marker = try? writable.sessions.file(name.description).attributes()
            let isRemoved = marker?.permissions == Self.removedMode
            throw .notFound(
                what: "session \(name)" + (isRemoved ? " any more, 'artifactfs gc' has removed it" : ""), path: place)
        }
        let hold: StoreHold
        do throws(Errno) {
            hold = try self.hold(name, descriptor, writable, otherwise: .wouldBlock)
            try record(.sessionResumed(session: name.description, mount: writable.staging.mountID), writable)
        } catch {
            guard error != .wouldBlock else { throw .inUse(what: "session \(name)", path: place) }
            throw .system(doing: "resume the session", path: place, error)
        }
        heldSessions.withLock { $0[name] = hold }
    }

    /// Lets a session go that has ended: its name stays taken, and another mount may resume it.
    public func endSession(_ name: SessionName) {
        // What it held goes outside the lock.
        _ = heldSessions.withLock { $0.removeValue(forKey: name) }
    }

    /// Makes the directory of a session, for its first write or an explicit `mkdir`.
    ///
    /// - Throws: `EEXIST`.
    @discardableResult
    public func makeSessionDirectory(
        _ name: SessionName, mode: UInt32, owner: (uid: UInt32, gid: UInt32)
    ) throws(Errno) -> Directory {
        try makeScope(.session(name), mode: mode, owner: owner)
    }

    /// Makes a test.
    ///
    /// - Throws: `EEXIST` when a layer has it.
    @discardableResult
    public func makeTest(
        _ name: TestName, mode: UInt32, owner: (uid: UInt32, gid: UInt32)
    ) throws(Errno) -> Directory {
        guard try !hasDirectory(.test(name)) else { throw .fileExists }
        return try makeScope(.test(name), mode: mode, owner: owner)
    }

    /// Removes a test that has no files: its directories in both layers, with the typed and free directories in them, and the
    /// layers' directories of tests when it was the last and they were made for tests only.
    ///
    /// - Throws: `ENOTEMPTY` when there is anything else in it, `ENOENT`.
    public func removeTest(_ name: TestName) throws(Errno) { try removeScope(.test(name)) }

    /// Removes a session's directories, as ``removeTest(_:)``; its name stays taken.
    public func removeSessionDirectory(_ name: SessionName) throws(Errno) { try removeScope(.session(name)) }

    private func makeScope(
        _ scope: Scope, mode: UInt32, owner: (uid: UInt32, gid: UInt32)
    ) throws(Errno) -> Directory {
        guard !isReadOnly else { throw .readOnlyFileSystem }
        let (parent, name) = parentAndName(of: scope, in: .base)
        // When the last test goes in between, the directory of tests goes with it.
        var attempts = 0
        while true {
            do throws(Errno) {
                return try RealDirectory.make(
                    name, in: try parent.ensure(), mode: mode, owner: owner, isSynced: durability == .synced,
                    mayExist: false)
            } catch .noSuchFileOrDirectory where attempts < 100 {
                attempts += 1
            }
        }
    }

    func parentAndName(of scope: Scope, in layer: Layer) -> (RealDirectory, String) {
        let path = StoreLayout.directory(of: scope, in: layer)
        let parts = path.split(separator: "/")
        return (directory(parts.dropLast().joined(separator: "/")), String(parts.last ?? ""))
    }

    /// Whether a session or test has a directory in one of the layers.
    public func hasDirectory(_ scope: Scope) throws(Errno) -> Bool {
        for layer in Layer.allCases {
            let (parent, name) = parentAndName(of: scope, in: layer)
            guard let parent = try parent.refresh() else { continue }
            do throws(Errno) {
                _ = try parent.file(name).attributes()
                return true
            } catch .noSuchFileOrDirectory {}
        }
        return false
    }

    private func removeScope(_ scope: Scope) throws(Errno) {
        guard !isReadOnly else { throw .readOnlyFileSystem }
        var found: [(parent: Directory, name: String, directory: Directory, children: [String])] = []
        for layer in Layer.allCases {
            let (parent, name) = parentAndName(of: scope, in: layer)
            guard let parent = try parent.refresh() else { continue }
            let directory: Directory
            do throws(Errno) { directory = try parent.directory(name) } catch .noSuchFileOrDirectory { continue }
            var known = Set(schema.types(in: layer).map(\.directory))
            if layer == .base { known.formUnion(UntypedDirectory.allCases.map(\.rawValue)) }
            let entries = try directory.entries()
            for entry in entries {
                guard entry.isDirectory, known.contains(entry.name),
                    try directory.directory(entry.name).entries().isEmpty
                else { throw .directoryNotEmpty }
            }
            found.append((parent, name, directory, entries.map(\.name)))
        }
        guard !found.isEmpty else { throw .noSuchFileOrDirectory }
        for scope in found {
            for child in scope.children { try SystemCall.unlink(scope.directory.descriptor, child, isDirectory: true) }
        }
        for scope in found {
            try SystemCall.unlink(scope.parent.descriptor, scope.name, isDirectory: true)
            if durability == .synced { try SystemCall.sync(scope.parent.descriptor) }
        }
        guard case .test = scope else { return }
        for layer in Layer.allCases {
            try? directory(layer.directoryName + "/" + StoreLayout.testsDirectory).removeIfImplicit()
        }
    }
}
