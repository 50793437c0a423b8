internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

extension Recovery {
    /// What the ledgers say of one mount that was killed.
    ///
    /// Its own host's ledger is read from where it stood when the mount began, which its lock file says; another host's from where it stood
    /// when a recovery there first looked at this mount, which a file beside the lock says, `.lock-ledger-<host>`. What says neither (an
    /// older version, a full disk) is read whole.
    struct MountHistory {
        /// Intents that no later line settles.
        private(set) var open: [SealIntent] = []
        /// Intents that one says are sealed.
        private(set) var sealed: [SealIntent] = []
        /// What left quarantine by it without being published, by the names there.
        private(set) var left: [String: LedgerEvent] = [:]
        /// Artifacts that were about to leave their names, by what those have that leave together.
        private(set) var unsealing: [String: [UnsealedArtifact]] = [:]
        /// Of these, those that have left, or have not.
        private(set) var unsealed: Set<UnsealedArtifact> = []
        /// Former versions that it was to remove, by what they were of.
        private(set) var removedVersions: [String: LedgerEvent.RemovedVersion] = [:]
        /// What has no immutable flag for a moment, as no later line says otherwise.
        private(set) var lifted: Set<LedgerEvent.LiftedFlag> = []
        /// The sessions that it was to remove, by their names.
        private(set) var removed: [String: LedgerEvent.RemovedSession] = [:]
        /// Runs that are all or nothing, of which all intents are there: they count.
        private(set) var sealing: Set<String> = []
        /// Files that came, or were about to come, into staging to be published together, by their names there.
        private(set) var promoting: [String: PromotionIntent] = [:]
        /// Names in quarantine.
        private(set) var putAway: Set<String> = []

        /// Reads, and notes for later recoveries where this host's ledger stands.
        init(
            of mount: String, _ description: MountDescription?, in staging: Directory, by host: String,
            _ ledger: Ledger, _ ledgers: Directory
        ) throws(Errno) {
            let reader = LedgerReader(directory: ledgers.descriptor)
            var unsettled: [String: SealIntent] = [:]
            // Only lines that name the mount are parsed.
            let needle = Array(JSONValue.string(mount).description.utf8)
            func read(_ line: ArraySlice<UInt8>) {
                guard LedgerReader.contains(line, needle), let value = JSONValue(parsing: line),
                    value["mount"]?.string == mount
                else { return }
                let event = LedgerEvent(value)
                switch event {
                case .discarded(let file), .takenOut(let file): left[file.quarantined] = event
                case .quarantined(_, let name): left[name] = nil
                case .sessionRemoved(let session): removed[session.session] = session
                case .sessionKept(let session, _, _): removed[session] = nil
                case .versionRemoved(let version):
                    removedVersions["\(version.path)@\(version.version)"] = version
                case .versionKept(let version): removedVersions["\(version.path)@\(version.version)"] = nil
                case .runSealing(_, let run, _): sealing.insert(run)
                case .unsealIntent(let artifact): unsealing[artifact.together, default: []].append(artifact)
                case .unsealed(let artifact), .unsealAbandoned(let artifact): unsealed.insert(artifact)
                case .flagLifted(let lift): lifted.insert(lift)
                case .flagRestored(let lift): lifted.remove(lift)
                default: break
                }
                guard let staged = value["staged"]?.string else { return }
                switch event {
                case .promotionIntent(let intent): promoting[staged] = intent
                case .sealed, .quarantined, .restored: promoting[staged] = nil
                default: break
                }
                if case .sealIntent(let intent) = event { unsettled[staged] = intent } else { unsettled[staged] = nil }
                if case .sealed(let intent, _) = event { sealed.append(intent) }
                if case .quarantined(_, let name) = event { putAway.insert(name) }
            }
            if let description, let place = description.ledger {
                if description.host != host { try Self.note(LedgerPlace(endOf: ledger), of: host, in: staging) }
                for other in try reader.hosts() {
                    let start = other == description.host ? place : Self.noted(of: other, in: staging)
                    if let start { try reader.forEachLine(of: other, from: (start.file, start.offset), read) }
                }
            } else {
                try reader.forEachLine(read)
            }
            open = unsettled.values.sorted { $0.staged < $1.staged }
        }

        private static func name(of host: String) -> String { Staging.lockName + "-ledger-" + host }

        private static func note(_ place: LedgerPlace?, of host: String, in staging: Directory) throws(Errno) {
            guard let place else { return }
            do throws(Errno) {
                let file = try staging.file(name(of: host)).open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
                defer { SystemCall.close(file) }
                try SystemCall.write(file, Array((JSONValue.object(place.json).description + "\n").utf8))
            } catch .fileExists {}
        }

        private static func noted(of host: String, in staging: Directory) -> LedgerPlace? {
            guard let file = try? staging.file(name(of: host)).open(O_RDONLY | O_NONBLOCK) else { return nil }
            defer { SystemCall.close(file) }
            // One that was killed while it noted had written no line yet.
            return (try? SystemCall.bytes(file, at: 0, count: 1024)).flatMap { JSONValue(parsing: $0) }
                .flatMap { LedgerPlace($0) }
        }
    }
}
