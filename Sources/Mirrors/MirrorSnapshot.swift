public import ArtifactRecords
internal import Artifacts
internal import ObjectStorage

/// What a store consisted of at a moment, as a mirror has it: every file and directory that a restore makes.
public struct MirrorSnapshot: Sendable, Hashable {
    /// A file, a directory, or a ledger's file.
    public struct Entry: Sendable, Hashable {
        /// What is there.
        public enum EntryContent: Sendable, Hashable {
            case directory
            /// A file, and the key of its object.
            case file(size: Int64, sha256: String, key: String)
            /// A file that is put together from pieces.
            case pieces([Piece])
        }

        /// From the store, as bytes, with `/` between names.
        public var path: [UInt8]
        /// What is there.
        public var content: EntryContent
        /// Its permission bits.
        public var mode: UInt32
        /// When it was modified, in nanoseconds since 1970; nil where that says nothing.
        public var modified: Int64?
        /// Its extended attributes of `user.*`.
        public var attributes: [String: [UInt8]] = [:]
        /// How many artifacts it stands for: 1 of the first of its files, where it is one that has its name.
        public var isArtifact = false
        /// Which of its object's versions was sent, where the bucket keeps them; of a file.
        public var version: String?

        /// An entry.
        public init(
            path: [UInt8], content: EntryContent, mode: UInt32, modified: Int64? = nil,
            attributes: [String: [UInt8]] = [:], isArtifact: Bool = false, version: String? = nil
        ) {
            (self.path, self.content, self.mode, self.modified) = (path, content, mode, modified)
            (self.attributes, self.isArtifact, self.version) = (attributes, isArtifact, version)
        }
    }

    /// A piece of a file.
    public struct Piece: Sendable, Hashable {
        /// From the mirror's prefix.
        public let key: String
        /// In bytes.
        public let size: Int64
        /// In lower-case hexadecimal digits.
        public let sha256: String
        /// Which of the object's versions was sent, where the bucket keeps them.
        public var version: String?

        /// A piece.
        public init(key: String, size: Int64, sha256: String, version: String? = nil) {
            (self.key, self.size, self.sha256, self.version) = (key, size, sha256, version)
        }
    }

    /// An artifact that the ledgers know of and whose bytes are not there, as it was not chosen.
    public struct AbsentArtifact: Sendable, Hashable {
        /// Its path on the mount, with `@` and a number of what has left its name.
        public let title: String
        /// As its record has it.
        public let sha256: String

        /// As JSON.
        public var json: JSONObject { ["path": .string(title), "sha256": .string(sha256)] }

        /// Such an artifact.
        public init(title: String, sha256: String) { (self.title, self.sha256) = (title, sha256) }

        /// Reads ``json``.
        public init?(_ json: JSONValue) {
            guard let title = json["path"]?.string, let sha256 = json["sha256"]?.string else { return nil }
            self.init(title: title, sha256: sha256)
        }
    }

    /// From 1.
    public var number: Int64
    /// Which store it is of.
    public var store: String
    /// When it was made (RFC 3339).
    public var time: String
    /// A directory comes before what is in it.
    public var entries: [Entry]
    /// What was not chosen.
    public var absent: [AbsentArtifact] = []

    /// A snapshot.
    public init(
        number: Int64, store: String, time: String, entries: [Entry], absent: [AbsentArtifact] = []
    ) {
        (self.number, self.store, self.time, self.entries, self.absent) = (number, store, time, entries, absent)
    }

    /// Which form this version writes and reads.
    public static let format: Int64 = 1
    /// There is no higher number: every JSON reader keeps it, and one more is a number.
    private static let highest: Int64 = 1 << 53

    /// Its key in a mirror.
    public var key: String { Self.key(number) }

    /// What the keys of snapshots begin with.
    public static let keys = "snapshots/"

    /// The key of a snapshot.
    public static func key(_ number: Int64) -> String {
        let digits = String(number)
        return keys + String(repeating: "0", count: max(0, 12 - digits.count)) + digits + ".jsonl"
    }

    /// The number in a key; nil of one that is none.
    public static func number(ofKey key: some StringProtocol) -> Int64? {
        guard key.hasPrefix(keys), key.hasSuffix(".jsonl"),
            let number = Int64(key.dropFirst(keys.count).dropLast(".jsonl".count)), (1..<highest).contains(number),
            Self.key(number) == key
        else { return nil }
        return number
    }

    /// When it was made, for people.
    public var shownTime: String { time.prefix(19) + "Z" }

    /// How many artifacts have their names in it.
    public var artifacts: Int { entries.reduce(0) { $0 + ($1.isArtifact ? 1 : 0) } }

    /// All bytes that a restore brings.
    public var bytes: Int64 {
        entries.reduce(0) { sum, entry in
            switch entry.content {
            case .directory: sum
            case .file(let size, _, _): sum &+ size
            case .pieces(let pieces): pieces.reduce(sum) { $0 &+ $1.size }
            }
        }
    }

    /// The objects that it needs, each once.
    public var objects: [Piece] {
        var seen: Set<String> = []
        return entries.flatMap { entry -> [Piece] in
            switch entry.content {
            case .directory: []
            case .file(let size, let sha256, let key):
                [Piece(key: key, size: size, sha256: sha256, version: entry.version)]
            case .pieces(let pieces): pieces
            }
        }.filter { seen.insert($0.key).inserted }
    }

    // MARK: - As text

    /// A JSON object a line: what it is, then its entries.
    public var text: [UInt8] {
        var head: JSONObject = [
            "format": .integer(Self.format), "store": .string(store), "number": .integer(number), "time": .string(time),
            "entries": .integer(Int64(entries.count)),
        ]
        if !absent.isEmpty { head["absent"] = .array(absent.map { .object($0.json) }) }
        var text = Array("\(JSONValue.object(head))\n".utf8)
        for entry in entries { text += "\(JSONValue.object(entry.json))\n".utf8 }
        return text
    }

    /// Reads ``text``. What is not whole, or leads out of a store, is none.
    ///
    /// - Returns: nil, and what is wrong, for people.
    public static func read(_ text: [UInt8]) -> (snapshot: MirrorSnapshot?, problem: String) {
        let lines = text.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: true)
        guard let first = lines.first, let head = JSONValue(parsing: first) else { return (nil, "it is no JSON") }
        guard head["format"]?.integer == format else {
            return (nil, "it is of a format that this version does not know")
        }
        guard let store = head["store"]?.string, let number = head["number"]?.integer,
            (1..<highest).contains(number), let time = head["time"]?.string,
            head["entries"]?.integer == Int64(lines.count - 1)
        else { return (nil, "it is not whole") }
        var absent: [AbsentArtifact] = []
        if let list = head["absent"] {
            guard case .array(let list) = list else { return (nil, "it does not say what was not chosen") }
            absent = list.compactMap { AbsentArtifact($0) }
            guard absent.count == list.count else { return (nil, "it does not say what was not chosen") }
        }
        var entries: [Entry] = []
        var kinds: [[UInt8]: Bool] = [[]: true]
        var bytes: Int64 = 0
        for (place, line) in lines.enumerated().dropFirst() {
            guard let entry = JSONValue(parsing: line).flatMap(Entry.init), isPlace(entry.path),
                kinds[parent(of: entry.path)] == true, kinds[entry.path] == nil
            else { return (nil, "its line \(place + 1) says nothing that is in a store") }
            // No sum of what is in it is more than a number has.
            for size in entry.sizes {
                let (sum, isOver) = bytes.addingReportingOverflow(size)
                guard !isOver else { return (nil, "its line \(place + 1) is of more bytes than there are") }
                bytes = sum
            }
            kinds[entry.path] = entry.content == .directory
            entries.append(entry)
        }
        return (MirrorSnapshot(number: number, store: store, time: time, entries: entries, absent: absent), "")
    }

    /// The path of the directory that it is in; empty of the store's own.
    public static func parent(of path: [UInt8]) -> [UInt8] {
        path.lastIndex(of: UInt8(ascii: "/")).map { Array(path[..<$0]) } ?? []
    }

    /// What of the store's own directory is in a mirror: files, and directories. Nothing that is for one machine alone.
    public static let (ownFiles, ownDirectories) = (
        ["format", "schema.yaml"], ["sessions", "tags", "manifests", "versions", "attestations"]
    )
    private static let ledgers = "ledger"

    /// Whether a path leads to something in a layer, or to what is mirrored of the store's own directory, and nowhere else.
    private static func isPlace(_ path: [UInt8]) -> Bool {
        let parts = path.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        guard let top = parts.first else { return false }
        if top.elementsEqual(StoreLayout.privateDirectory.utf8) {
            let own = ownFiles + ownDirectories + [ledgers]
            guard parts.count == 1 || own.contains(where: { $0.utf8.elementsEqual(parts[1]) }) else { return false }
        } else if !Layer.allCases.contains(where: { $0.directoryName.utf8.elementsEqual(top) }) {
            return false
        }
        return parts.allSatisfy { part in
            !part.isEmpty && part.count < 256 && !part.contains(0) && !part.elementsEqual(".".utf8)
                && !part.elementsEqual("..".utf8)
        }
    }
}

extension MirrorSnapshot.Entry {
    fileprivate var json: JSONObject {
        var json: JSONObject = [
            "path": .string(ObjectKey.encoded(path, room: .max)), "mode": .string(String(mode, radix: 8)),
        ]
        json["modified"] = modified.map { .integer($0) }
        switch content {
        case .directory: json["kind"] = .string("directory")
        case .file(let size, let sha256, let key):
            (json["size"], json["sha256"], json["key"]) = (.integer(size), .string(sha256), .string(key))
            json["version"] = version.map { .string($0) }
        case .pieces(let pieces): json["pieces"] = .array(pieces.map { .object($0.json) })
        }
        if isArtifact { json["artifact"] = .bool(true) }
        if !attributes.isEmpty {
            var all = JSONObject()
            for (name, value) in attributes.sorted(by: { $0.key < $1.key }) {
                all[name] = .string(Base64Text.encoded(value))
            }
            json["attributes"] = .object(all)
        }
        return json
    }

    /// How large what it is made of is, in bytes.
    fileprivate var sizes: [Int64] {
        switch content {
        case .directory: []
        case .file(let size, _, _): [size]
        case .pieces(let pieces): pieces.map(\.size)
        }
    }

    fileprivate init?(_ json: JSONValue) {
        guard let path = json["path"]?.string.flatMap(ObjectKey.decoded), !path.isEmpty,
            let mode = json["mode"]?.string.flatMap({ UInt32($0, radix: 8) }),
            // A file that runs with another's rights is none that was sent.
            mode & ~(json["kind"]?.string == "directory" ? 0o3777 : 0o777) == 0
        else { return nil }
        let content: EntryContent
        var version: String?
        if let kind = json["kind"] {
            guard kind.string == "directory" else { return nil }
            content = .directory
        } else if let list = json["pieces"] {
            guard case .array(let list) = list else { return nil }
            let pieces = list.compactMap(MirrorSnapshot.Piece.init)
            guard pieces.count == list.count else { return nil }
            content = .pieces(pieces)
        } else if let piece = MirrorSnapshot.Piece(json) {
            content = .file(size: piece.size, sha256: piece.sha256, key: piece.key)
            version = piece.version
        } else {
            return nil
        }
        var attributes: [String: [UInt8]] = [:]
        for (name, value) in json["attributes"]?.object?.sorted ?? [] {
            guard name.hasPrefix("user."), name.utf8.count < 256, !name.utf8.contains(0),
                let bytes = value.string.flatMap(Base64Text.decoded)
            else { return nil }
            attributes[name] = bytes
        }
        self.init(
            path: path, content: content, mode: mode, modified: json["modified"]?.integer, attributes: attributes,
            isArtifact: json["artifact"] == .bool(true), version: version)
    }
}

extension MirrorSnapshot.Piece {
    fileprivate var json: JSONObject {
        var json: JSONObject = ["key": .string(key), "size": .integer(size), "sha256": .string(sha256)]
        json["version"] = version.map { .string($0) }
        return json
    }

    fileprivate init?(_ json: JSONValue) {
        guard let key = json["key"]?.string, key.utf8.count <= ObjectKey.longest, Self.isKey(key),
            let size = json["size"]?.integer, size >= 0, let sha256 = json["sha256"]?.string, sha256.utf8.count == 64,
            sha256.utf8.allSatisfy({ (0x30...0x39).contains($0) || (0x61...0x66).contains($0) })
        else { return nil }
        self.init(key: key, size: size, sha256: sha256, version: json["version"]?.string)
    }

    /// Whether a key is one below the mirror's prefix, whatever a server makes of dots.
    private static func isKey(_ key: String) -> Bool {
        key.split(separator: "/", omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && part != "." && part != ".." && part.utf8.allSatisfy { (0x21...0x7E).contains($0) }
        }
    }
}
