internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What a machine that stopped took away of artifacts that were published without waiting for the disk.
///
/// `.artifactfs/unsynced/<boot>` says that mounts of that run of a machine published so; its time is the first one's. Whoever opens the store
/// to write in another run looks at what lies at the real paths since then.
extension Recovery {
    /// How long a file system may take to bring to disk by itself what was written, in seconds: half a minute until the kernel begins, some
    /// seconds until it commits (proc_sys_vm(5), `dirty_expire_centisecs`), and as much again.
    private static let writebackTime = 120
    /// How long another host's kernel may keep what it has not sent to a server, in seconds.
    private static let foreignTime = 600

    /// Looks at what was published in other runs of machines without waiting for the disk, and says so of this one when it does the same.
    ///
    /// - Returns: whether that is said: not when there is no room.
    mutating func checkUnsynced(in own: Directory) -> Bool {
        do throws(Errno) {
            guard durability == .relaxed else {
                do throws(Errno) {
                    try check(in: try own.directory(StoreFormat.unsynced))
                } catch .noSuchFileOrDirectory {}
                return true
            }
            let directory = try own.directory(StoreFormat.unsynced, orMakeWith: 0o700)
            try check(in: directory)
            try Self.mark(directory, ledger.host, LedgerPlace(endOf: ledger))
            return true
        } catch {
            guard !DiskRoom.isForWantOfRoom(error) else { return false }
            problem("what was published before the machine stopped cannot be looked at: \(error)")
            return false
        }
    }

    /// Says that this run of the machine publishes without waiting for the disk.
    static func mark(_ directory: Directory, _ host: String, _ place: LedgerPlace?) throws(Errno) {
        let name = Machine.boot.isEmpty ? "unknown" : Machine.boot
        do throws(Errno) {
            let file = try directory.file(name).open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
            defer { SystemCall.close(file) }
            // The second line says where to read the ledger from.
            let second = place.map { JSONValue.object($0.json).description + "\n" } ?? ""
            try SystemCall.write(file, Array((host + "\n" + second).utf8))
            // It must be there when a name is.
            try SystemCall.sync(file)
            try SystemCall.sync(directory.descriptor)
        } catch .fileExists {}
    }

    /// A file at a real path that was perhaps not brought to disk.
    private struct Suspect {
        let directory: Directory
        let path: String
        let name: String
        let type: TypeDefinition
        let layer: Layer
        let attributes: stat
        var key: String { path + "/" + name }
        var file: RealFile { directory.file(name) }
        var time: Int { attributes.st_ctim.tv_sec }
    }

    private mutating func check(in directory: Directory) throws(Errno) {
        var since: Int?
        var marks: [RealFile] = []
        /// Where to read from, by host; nil for what is not known.
        var starts: [String: [LedgerPlace?]] = [:]
        var waits = false
        let living = try bootsOfLivingMounts()
        for entry in try directory.entries() where !entry.isDirectory && entry.name != Machine.boot {
            guard !living.contains(entry.name) else { continue }
            let mark = directory.file(entry.name)
            let descriptor = try mark.open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            let text = String(decoding: try SystemCall.bytes(descriptor, at: 0, count: 4096), as: UTF8.self)
            let lines = text.split(separator: "\n")
            let other = lines.first.map { String($0) } ?? ""
            if other != ledger.host { waits = true }
            starts[other, default: []].append(
                lines.dropFirst().first.flatMap { JSONValue(parsing: $0.utf8) }.flatMap { LedgerPlace($0) })
            since = min(since ?? .max, try SystemCall.attributes(descriptor).st_mtim.tv_sec)
            marks.append(mark)
        }
        guard let since else { return }
        let all = try suspects(since: since &- 5)
        // What another host has not sent yet may still come.
        let quiet = Clock.now().tv_sec &- Self.foreignTime
        let suspects = waits ? all.filter { $0.time < quiet } : all
        if let newest = suspects.map(\.time).max() {
            let all = Set(suspects.map(\.key))
            var records = try records(of: all, from: starts)
            // What is not in these lines and says itself what it is may be another host's.
            let left = suspects.filter { records[$0.key] == nil && Seal(of: $0.file) != nil }.map(\.key)
            if !left.isEmpty { records.merge(try self.records(of: Set(left), from: [:])) { one, _ in one } }
            for suspect in suspects {
                try judge(suspect, records[suspect.key], isAtRisk: suspect.time >= newest &- Self.writebackTime)
            }
        }
        guard suspects.count == all.count else { return }
        for mark in marks { try mark.unlink() }
    }

    /// The runs of machines that mounts are of which live.
    private func bootsOfLivingMounts() throws(Errno) -> Set<String> {
        var boots: Set<String> = []
        for entry in try stagings.entries() where entry.isDirectory {
            guard let directory = try? stagings.directory(entry.name),
                let lock = try? directory.file(Staging.lockName).open(O_RDWR | O_NONBLOCK)
            else { continue }
            defer { SystemCall.closeLock(lock) }
            do throws(Errno) { try leases.take(lock) } catch {
                if error == .wouldBlock, let mount = MountDescription(lock) { boots.insert(mount.boot) }
            }
        }
        return boots
    }

    /// The read-only files of production since a time, under names that a type claims.
    private func suspects(since: Int) throws(Errno) -> [Suspect] {
        var found: [Suspect] = []
        for layer in Layer.allCases {
            for type in schema.types(in: layer) {
                let path = StoreLayout.directory(of: .typed(.production, layer, type))
                guard let directory = try RealDirectory.open(path, beneath: root) else { continue }
                for entry in try directory.entries().sorted(by: { $0.name < $1.name }) where !entry.isDirectory {
                    guard type.virtualName(forReal: entry.name) != nil,
                        let attributes = try? directory.file(entry.name).attributes(), attributes.isRegular,
                        attributes.permissions & 0o222 == 0, attributes.st_ctim.tv_sec >= since
                    else { continue }
                    found.append(
                        Suspect(
                            directory: directory, path: path, name: entry.name, type: type, layer: layer,
                            attributes: attributes))
                }
            }
        }
        return found
    }

    /// What the ledgers say last of real files.
    ///
    /// - Parameter starts: where to read from, by host; empty for everything of all hosts.
    private func records(of keys: Set<String>, from starts: [String: [LedgerPlace?]]) throws(Errno) -> [String: Seal] {
        var found: [String: (time: String, seal: Seal)] = [:]
        let needle = Array("\"sha256\"".utf8)
        func read(_ line: ArraySlice<UInt8>) {
            guard LedgerReader.contains(line, needle), let line = LedgerLine(parsing: line) else { return }
            switch line.event {
            case .sealIntent(let intent), .sealed(let intent, _):
                let key = intent.directory + "/" + intent.name
                guard keys.contains(key), found[key].map({ $0.time <= line.time }) ?? true else { return }
                found[key] = (line.time, Seal(size: intent.size, sha256: intent.sha256))
            default: return
            }
        }
        let reader = LedgerReader(directory: ledgers.descriptor)
        if starts.isEmpty { try reader.forEachLine(read) }
        for (host, places) in starts {
            // Of several runs the first: every one has a place, or the whole ledger is read.
            let known = places.compactMap { $0 }
            let first = known.count == places.count ? known.min(by: { $0.isBefore($1) }) : nil
            try reader.forEachLine(of: host, from: first.map { ($0.file, $0.offset) }, read)
        }
        return found.mapValues(\.seal)
    }

    /// A file that is not what it was is put away. One that is whole and lacks its record gets one.
    private mutating func judge(_ suspect: Suspect, _ known: Seal?, isAtRisk: Bool) throws(Errno) {
        let size = Int64(suspect.attributes.st_size)
        // Without record and seal it may be anybody's, but an artifact is never empty.
        let seal = known ?? Seal(of: suspect.file)
        let sha256 = isAtRisk && seal?.size == size ? try hash(of: suspect.file) : nil
        let name = suspect.type.virtualName(forReal: suspect.name) ?? suspect.name
        let path = "production/\(suspect.layer.rawValue)/\(suspect.type.name)/\(name)"
        var record = ArtifactRecord(
            path: path, type: suspect.type.name, layer: suspect.layer, scope: .production,
            key: suspect.type.key(of: name), format: suspect.type.format(of: name))
        if size == 0 || seal.map({ $0.size != size || sha256 != nil && $0.sha256 != sha256 }) == true {
            try take(
                suspect.file, "", path,
                "it is not whole: the machine stopped before its bytes were on disk", .storeFailed,
                record.quarantined.json)
        } else if known == nil, let seal {
            if sha256 == nil, try hash(of: suspect.file) != seal.sha256 { return }
            (record.artifact.sha256, record.artifact.size, record.artifact.state) = (seal.sha256, size, .sealed)
            let intent = SealIntent(
                mount: "", staged: "", directory: suspect.path, name: suspect.name,
                inode: UInt64(suspect.attributes.st_ino), size: size,
                modified: TimeText.rfc3339(suspect.attributes.st_mtim), sha256: seal.sha256, record: record.json)
            try finish(intent)
        }
    }
}
