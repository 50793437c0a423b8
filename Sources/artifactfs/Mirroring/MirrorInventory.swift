import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Mirrors
import ObjectStorage
import Queries
import SystemCalls
import SystemPackage

/// What of a store goes to a mirror: what is sealed, former versions, and what is known of them.
struct MirrorInventory {
    /// A file whose bytes are to be there.
    struct MirroredFile {
        /// Where it is, from the store.
        let path: [UInt8]
        let size: Int64
        let sha256: String
        let key: String
        /// What it is of, for people.
        let title: String
        /// Where that is, from the store.
        let root: [UInt8]
        /// The artifact's path on the mount, and its version; nil of what is none.
        let artifact: MirroredArtifact?
    }

    /// An artifact, by what it is called.
    struct MirroredArtifact: Hashable {
        let path: String
        let version: Int64?
        /// As its record has it.
        let sha256: String
        /// Its path, with `@` and a number of what has left its name.
        let title: String

        var absent: MirrorSnapshot.AbsentArtifact { .init(title: title, sha256: sha256) }
    }

    /// A ledger's file, as far as its lines are whole.
    struct LedgerFile {
        let name: String
        let size: Int64
    }

    private(set) var entries: [MirrorSnapshot.Entry] = []
    private(set) var items: [MirroredFile] = []
    /// What has no bytes here, for a mirror has them: which one.
    private(set) var evicted: [(item: MirroredFile, mirror: String)] = []
    private(set) var ledgers: [LedgerFile] = []
    /// Whose files are added now.
    private var artifact: MirroredArtifact?
    /// What this store has not, as it was restored from a mirror for which that was not chosen.
    private(set) var absent: [MirrorSnapshot.AbsentArtifact] = []
    /// What cannot be sent, and why, for people.
    private(set) var problems: [String] = []
    private let store: String
    /// What is in the store.
    let tree: StoreRoot
    private var seen: Set<[UInt8]> = [[]]

    /// How long a key's parts may be, in bytes: together with the rest they have room.
    private static let (pathRoom, partRoom) = (250, 250)
    /// How often a store that changes is looked at again.
    private static let tries = 5

    /// What a store has now.
    static func of(_ place: StorePlace, _ store: String) throws -> MirrorInventory {
        var found = try MirrorInventory(place, store)
        for _ in 1..<tries {
            // While nothing was written meanwhile, all of it is of one moment.
            let now = try ledgers(of: store, found.tree)
            if found.ledgers.map(\.size) == now.map(\.size) { return found }
            found = try MirrorInventory(place, store)
        }
        // What is sent has its records: the ledgers are as long as they are now.
        found.ledgers = try ledgers(of: store, found.tree)
        return found
    }

    private init(_ place: StorePlace, _ store: String) throws {
        self.store = store
        tree = try StoreRoot(store)
        ledgers = try Self.ledgers(of: store, tree)
        let schema = try place.schema()
        let asked = try AskedQuery(
            ChosenArtifacts.withVersions, .artifacts, columns: "path,sha256,size,state,version,removed", sort: nil)
        var rows: [(shown: String, sha256: String?, version: Int64?, number: Int64?)] = []
        try place.asking { catalog in
            rows = []
            if catalog.isBehind {
                throw Failure(.busy, "another process brings the catalog up to date; try again in a moment")
            }
            var seen: Set<String> = []
            try catalog.find(asked.query, .artifacts, columns: asked.columns) { row in
                let isSealed = row[3].text == ArtifactRecord.State.sealed.rawValue
                let version: Int64? = if !isSealed, case .integer(let number) = row[4] { number } else { nil }
                // What gc has removed has a description, and no bytes.
                if row[5] == .unknown, isSealed || version != nil,
                    seen.insert("\(row[0].text)@\(version ?? 0)").inserted
                {
                    let number: Int64? = if case .integer(let number) = row[4] { number } else { nil }
                    rows.append((row[0].text, row[1] == .unknown ? nil : row[1].text, version, number))
                }
                return true
            }
        }
        let known = AbsentArtifacts(of: store)
        for row in rows.sorted(by: { ($0.shown, $0.version ?? 0) < ($1.shown, $1.version ?? 0) }) {
            let real = schema.realPath(ofShown: row.shown)
            let title = row.version.map { "\(row.shown)@\($0)" } ?? row.shown
            guard let sha256 = row.sha256 else {
                problems.append("\(title): its record has no hash")
                continue
            }
            let artifact = MirroredArtifact(path: row.shown, version: row.number, sha256: sha256, title: title)
            self.artifact = artifact
            do throws(Errno) {
                try addArtifact(
                    Array((row.version.map { VersionReader.path(of: real, number: $0) } ?? real).utf8), real, sha256,
                    title,
                    isNamed: row.version == nil)
            } catch {
                if error == .noSuchFileOrDirectory, known.has(title, sha256: sha256) {
                    absent.append(artifact.absent)
                    continue
                }
                problems.append(
                    "\(title): "
                        + (error == .noSuchFileOrDirectory ? "it is not there" : "it cannot be read: \(error)"))
            }
        }
        artifact = nil
        try addOwnFiles()
    }

    /// The titles of what a query finds, as `artifactfs find` does.
    static func titles(of query: String, _ place: StorePlace) throws -> Set<String> {
        let asked = try AskedQuery(query, .artifacts, columns: "path,state,version", sort: nil)
        var titles: Set<String> = []
        try place.asking { catalog in
            titles = []
            if catalog.isBehind {
                throw Failure(.busy, "another process brings the catalog up to date; try again in a moment")
            }
            try catalog.find(asked.query, .artifacts, columns: asked.columns) { row in
                let isSealed = row[1].text == ArtifactRecord.State.sealed.rawValue
                let version: Int64? = if !isSealed, case .integer(let number) = row[2] { number } else { nil }
                titles.insert(version.map { "\(row[0].text)@\($0)" } ?? row[0].text)
                return true
            }
        }
        return titles
    }

    // MARK: - Artifacts

    private mutating func addArtifact(
        _ path: [UInt8], _ real: String, _ sha256: String, _ title: String, isNamed: Bool
    ) throws(Errno) {
        let found = try tree.attributes(path)
        let base = Self.key(ofReal: real, sha256: sha256)
        if found.isSymbolicLink { return try addEvicted(path, real, sha256, base, title) }
        if found.isRegular {
            try addParents(of: path)
            try add(path, found, sha256, base, title, isNamed, root: path)
            return
        }
        guard found.isDirectory else { throw .notSupported }
        let manifest = Array("\(StoreLayout.privateDirectory)/manifests/\(sha256)".utf8)
        guard let text = try? tree.bytes(of: manifest), (try? SHA256.digest(text)) == sha256
        else {
            problems.append("\(title): its manifest is not in \(StoreLayout.privateDirectory)/manifests, or is another")
            return
        }
        var files: [[UInt8]: String] = [:]
        for file in SealedManifest.files(in: text) { files[file.path] = file.sha256 }
        try addParents(of: path)
        // All of it, or nothing.
        let begun = (entries.count, items.count)
        do throws(Errno) {
            try addDirectory(path, found, modified: true, isArtifact: isNamed)
            try addTree(path, [], &files, base, title, root: path, depth: 0)
        } catch {
            takeBack(to: begun)
            throw error
        }
        if let missing = files.keys.first {
            takeBack(to: begun)
            problems.append("\(title): '\(String(decoding: missing, as: UTF8.self))' in it is not there")
        }
    }

    /// The key of an artifact that is a file, and the beginning of those of one that is a directory.
    ///
    /// - Parameter real: its real path, from the store.
    static func key(ofReal real: String, sha256: String) -> String {
        "artifacts/\(ObjectKey.encoded(real.utf8, room: pathRoom))/\(sha256)"
    }

    /// What a mirror has and this store has not: it is in the next snapshot as it was in the last one.
    private mutating func addEvicted(
        _ path: [UInt8], _ real: String, _ sha256: String, _ key: String, _ title: String
    ) throws(Errno) {
        guard let mark = EvictionMark(try tree.target(path)), mark.sha256 == sha256, seen.insert(path).inserted else {
            throw Errno(rawValue: EUCLEAN)
        }
        try addParents(of: path)
        let attributes = (try? tree.userAttributes(Array(EvictionMark.place(ofReal: real).utf8))) ?? [:]
        entries.append(
            MirrorSnapshot.Entry(
                path: path, content: .file(size: mark.size, sha256: sha256, key: key), mode: mark.mode,
                modified: mark.modified, attributes: attributes, isArtifact: true))
        evicted.append(
            (
                MirroredFile(
                    path: path, size: mark.size, sha256: sha256, key: key, title: title, root: path, artifact: artifact),
                mark.mirror
            ))
    }

    private mutating func takeBack(to begun: (entries: Int, items: Int)) {
        for entry in entries[begun.entries...] { seen.remove(entry.path) }
        entries.removeSubrange(begun.entries...)
        items.removeSubrange(begun.items...)
    }

    private static let deepest = 130

    /// What is in a directory that is an artifact. What its manifest does not have is a problem.
    private mutating func addTree(
        _ directory: [UInt8], _ inside: [UInt8], _ files: inout [[UInt8]: String], _ base: String, _ title: String,
        root: [UInt8], depth: Int
    ) throws(Errno) {
        guard depth < Self.deepest else { throw Errno(rawValue: ELOOP) }
        for name in try tree.names(directory) {
            let path = directory + [UInt8(ascii: "/")] + name
            let relative = inside.isEmpty ? name : inside + [UInt8(ascii: "/")] + name
            let found = try tree.attributes(path)
            if found.isDirectory {
                try addDirectory(path, found, modified: true)
                try addTree(path, relative, &files, base, title, root: root, depth: depth + 1)
            } else {
                guard found.isRegular, let sha256 = files.removeValue(forKey: relative) else {
                    throw Errno(rawValue: EUCLEAN)
                }
                let key = base + "/" + ObjectKey.encoded(relative, room: Self.partRoom)
                try add(path, found, sha256, key, title, false, root: root)
            }
        }
    }

    private mutating func add(
        _ path: [UInt8], _ found: stat, _ sha256: String, _ key: String, _ title: String, _ isArtifact: Bool,
        root: [UInt8]
    ) throws(Errno) {
        guard seen.insert(path).inserted else { return }
        let size = Int64(found.st_size)
        entries.append(
            MirrorSnapshot.Entry(
                path: path, content: .file(size: size, sha256: sha256, key: key), mode: found.st_mode & 0o777,
                modified: Clock.nanoseconds(found.st_mtim), attributes: try tree.userAttributes(path),
                isArtifact: isArtifact
            ))
        items.append(
            MirroredFile(
                path: path, size: size, sha256: sha256, key: key, title: title, root: root, artifact: artifact))
    }

    private mutating func addDirectory(
        _ path: [UInt8], _ found: stat, modified: Bool, isArtifact: Bool = false
    ) throws(Errno) {
        guard seen.insert(path).inserted else { return }
        entries.append(
            MirrorSnapshot.Entry(
                path: path, content: .directory, mode: found.st_mode & 0o3777,
                modified: modified ? Clock.nanoseconds(found.st_mtim) : nil,
                attributes: modified ? try tree.userAttributes(path) : [:], isArtifact: isArtifact))
    }

    /// The directories that lead to it.
    private mutating func addParents(of path: [UInt8]) throws(Errno) {
        let parent = MirrorSnapshot.parent(of: path)
        guard !seen.contains(parent) else { return }
        try addParents(of: parent)
        try addDirectory(parent, try tree.attributes(parent), modified: false)
    }

    // MARK: - What is known of them

    /// In the store's own directory: what is the same for ever, and the schema. Nothing that is for this machine alone.
    private mutating func addOwnFiles() throws {
        do throws(Errno) {
            let own = Array(StoreLayout.privateDirectory.utf8)
            try addParents(of: own + Array("/ledger/x".utf8))
            for name in MirrorSnapshot.ownFiles { try addOwn(own + Array("/\(name)".utf8)) }
            for name in MirrorSnapshot.ownDirectories {
                try addOwnTree(own + Array("/\(name)".utf8), depth: 0)
            }
        } catch { throw Failure(.failed, "\(store)/\(StoreLayout.privateDirectory) cannot be read: \(error)") }
    }

    private mutating func addOwnTree(_ directory: [UInt8], depth: Int) throws(Errno) {
        let all: [[UInt8]]
        do throws(Errno) { all = try tree.names(directory) } catch .noSuchFileOrDirectory { return }
        try addParents(of: directory + Array("/x".utf8))
        for name in all where name.first != UInt8(ascii: ".") && !name.elementsEqual("lock".utf8) {
            let path = directory + [UInt8(ascii: "/")] + name
            // A former version that no record speaks of is none that is sent.
            guard let found = try? tree.attributes(path) else { continue }
            let isVersion = depth == 1 && name.allSatisfy { (0x30...0x39).contains($0) }
            if found.isDirectory, depth == 0 {
                try addOwnTree(path, depth: depth + 1)
            } else if found.isRegular, !isVersion, !seen.contains(path) {
                try addOwn(path)
            }
        }
    }

    private mutating func addOwn(_ path: [UInt8]) throws(Errno) {
        let file: FileDescriptor
        do throws(Errno) {
            file = try tree.open(path, O_RDONLY)
        } catch .noSuchFileOrDirectory { return }
        defer { SystemCall.close(file) }
        let found = try SystemCall.attributes(file)
        let sha256 = try FileHash.sha256(of: file)
        let inside = path.dropFirst(StoreLayout.privateDirectory.utf8.count + 1)
        let key = "store/\(ObjectKey.encoded(inside, room: Self.pathRoom))/\(sha256)"
        try addParents(of: path)
        try add(path, found, sha256, key, String(decoding: path, as: UTF8.self), false, root: path)
    }

    /// Takes the ledgers as they are now, where all that they have more is what mirrors have noted.
    ///
    /// - Returns: false when they have anything else: then the store is another.
    mutating func takeNotes() throws -> Bool {
        let now = try Self.ledgers(of: store, tree)
        guard Set(ledgers.map(\.name)).isSubset(of: now.map(\.name)) else { return false }
        for ledger in now {
            let begin = ledgers.first { $0.name == ledger.name }?.size ?? 0
            guard begin <= ledger.size else { return false }
            let bytes: [UInt8]
            do throws(Errno) {
                let path = "\(StoreLayout.privateDirectory)/ledger/\(ledger.name)"
                let file = try tree.open(Array(path.utf8), O_RDONLY)
                defer { SystemCall.close(file) }
                bytes = try SystemCall.bytes(file, at: begin, count: Int(clamping: ledger.size - begin))
            } catch { return false }
            for line in bytes.split(separator: UInt8(ascii: "\n")) {
                switch LedgerLine(parsing: line)?.event {
                case .mirrored, .ledgerContinues: break
                default: return false
                }
            }
        }
        ledgers = now
        return true
    }

    private static func ledgers(of store: String, _ tree: StoreRoot) throws -> [LedgerFile] {
        let directory = Array("\(StoreLayout.privateDirectory)/ledger".utf8)
        do throws(Errno) {
            var all: [LedgerFile] = []
            for bytes in try tree.names(directory) {
                guard let name = String(validating: bytes, as: UTF8.self), LedgerFiles.understand(name) != nil else {
                    continue
                }
                let file = try tree.open(directory + [UInt8(ascii: "/")] + bytes, O_RDONLY)
                defer { SystemCall.close(file) }
                all.append(LedgerFile(name: name, size: try FileHash.wholeLines(of: file)))
            }
            return all
        } catch { throw Failure(.failed, "cannot read the ledger of \(store): \(error)") }
    }
}

/// Hashes of files.
enum FileHash {
    /// Of all of a file, or a part of it.
    static func sha256(of file: FileDescriptor, from offset: Int64 = 0, count: Int64 = .max) throws(Errno) -> String {
        var hash = try SHA256()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        var (place, left) = (offset, count)
        while left > 0 {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(left, 1 << 18))])
            let got = try SystemCall.read(file, at: place, into: part)
            if got == 0 { break }
            hash.update(UnsafeRawBufferPointer(rebasing: part[..<got]))
            (place, left) = (place &+ Int64(got), left - Int64(got))
        }
        return try hash.finish()
    }

    /// How many bytes a file's whole lines have.
    static func wholeLines(of file: FileDescriptor) throws(Errno) -> Int64 {
        var end = Int64(try SystemCall.attributes(file).st_size)
        while end > 0 {
            let begin = max(0, end - (1 << 16))
            let bytes = try SystemCall.bytes(file, at: begin, count: Int(end - begin))
            if let newline = bytes.lastIndex(of: UInt8(ascii: "\n")) { return begin + Int64(newline) + 1 }
            end = begin
        }
        return 0
    }
}
