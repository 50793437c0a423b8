public import ArtifactRecords
public import Artifacts
internal import Glibc
public import SystemCalls
public import SystemPackage

/// A file or directory that was kept back: what is known of it from itself and from the reason beside it.
///
/// A reason that is missing or cannot be read is *unknown*: the bytes are there all the same.
public struct QuarantineEntry: Sendable {
    /// Its name in quarantine.
    public let id: String
    /// Which file it is.
    public let identity: FileIdentity
    /// Whose it is, by the file itself.
    public let owner: UInt32
    /// A file's, in bytes; of a directory ``QuarantineReader/extent(of:)`` tells.
    public let size: Int64
    /// When it was put away (RFC 3339); empty when that is not known.
    public let time: String
    /// The path on the mount that it was written to, or as much of it as its name has.
    public let path: String
    /// Why it was kept back, a sentence; nil when that is not known.
    public let reason: String?
    /// The rule that it was kept back by; nil when that is not known.
    public let rule: Rule?
    /// What is known of the artifact.
    public let record: ArtifactRecord

    /// The longest reason that is read, in bytes.
    package static let longestReason = 1 << 20

    /// What a file and the text of its reason say.
    ///
    /// - Parameters:
    ///   - id: its name in quarantine.
    ///   - found: the file.
    ///   - text: what the file beside it has; nil when it cannot be read.
    public init(id: String, found: FoundFile, reason text: [UInt8]?) {
        let value = text.flatMap { JSONValue(parsing: $0) }
        let record = value?["record"]?.object.map { ArtifactRecord($0) }
        self.id = id
        identity = found.identity
        owner = found.attributes.st_uid
        size = found.attributes.isDirectory ? 0 : Int64(found.attributes.st_size)
        reason = value?["reason"]?.string
        rule = value?["rule"]?.string.flatMap(Rule.init(rawValue:))
        time = value?["time"]?.string ?? Self.time(inName: id)
        path = record?.artifact.path ?? Self.path(inName: id)
        self.record = record ?? ArtifactRecord(path: path).quarantined
    }

    /// Whether it is a directory, which is one artifact.
    public var isDirectory: Bool { identity.kind == S_IFDIR }

    /// Whether it is published only with a reason for that.
    public var needsReason: Bool { KeptBytes.mayBeCut(keptBy: rule) }

    /// The path in a name of quarantine, `<time>-<path>`.
    package static func path(inName name: String) -> String {
        EscapedName.decode(name.drop { $0 != "-" }.dropFirst())
    }

    /// Whether such a name can be that of a path: a long one keeps its end only, and one that was taken has a number after it.
    package static func isName(_ name: String, of path: String) -> Bool {
        let found = self.path(inName: name)
        if found == path { return true }
        if found.hasPrefix("..."), path.hasSuffix(found.dropFirst(3)) { return true }
        return found.utf8.starts(with: (path + "-").utf8)
            && found.utf8.dropFirst(path.utf8.count + 1).allSatisfy {
                (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0)
            }
    }

    /// The time in such a name, as RFC 3339; empty when there is none.
    private static func time(inName name: String) -> String {
        let digits = Array(name.prefix { $0 != "-" }.utf8)
        guard digits.count == 20 else { return "" }
        func part(_ range: Range<Int>) -> String { String(decoding: digits[range], as: UTF8.self) }
        let text =
            "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(9..<11)):\(part(11..<13)):\(part(13..<20))"
        return digits[8] == UInt8(ascii: "T") && TimeText.time(text) != nil ? text : ""
    }
}

/// A store's quarantine, for who looks at it.
public struct QuarantineReader: Sendable {
    let directory: Directory

    init(_ directory: Directory) { self.directory = directory }

    /// The quarantine of a store that nobody needs to have open.
    ///
    /// - Parameter store: the store's path.
    /// - Throws: `EACCES` for who is neither its owner nor root, `ENOENT` when there is no store.
    public init(ofStore store: String) throws(Errno) {
        let root = Directory(owning: try SystemCall.open(SystemCall.currentDirectory, store, O_RDONLY | O_DIRECTORY))
        directory = try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.quarantine)
    }

    /// All that was kept back, the oldest first.
    public func entries() throws(Errno) -> [QuarantineEntry] {
        let names = Set(try directory.entries().map(\.name))
        var found: [QuarantineEntry] = []
        for name in names.sorted() where !Quarantine.isReason(name, among: names) {
            do throws(Errno) {
                found.append(
                    QuarantineEntry(id: name, found: try directory.file(name).look(), reason: try? reason(of: name)))
            } catch {
                // Gone meanwhile.
                guard error == .noSuchFileOrDirectory else { throw error }
            }
        }
        return found
    }

    /// One of them.
    ///
    /// - Throws: `ENOENT` when there is none of that name.
    public func entry(_ id: String) throws(Errno) -> QuarantineEntry {
        QuarantineEntry(id: id, found: try look(id), reason: try? reason(of: id))
    }

    /// The file of one of them.
    ///
    /// - Throws: `ENOENT` when there is none of that name.
    public func look(_ id: String) throws(Errno) -> FoundFile {
        guard Self.isName(id) else { throw .noSuchFileOrDirectory }
        if id.hasSuffix(Quarantine.reasonSuffix), !directory.file(id + Quarantine.reasonSuffix).exists {
            throw .noSuchFileOrDirectory
        }
        return try directory.file(id).look()
    }

    /// All files, and whether each has a reason beside it, without what it says.
    public func files() throws(Errno) -> [(id: String, found: FoundFile, hasReason: Bool)] {
        let names = Set(try directory.entries().map(\.name))
        var files: [(id: String, found: FoundFile, hasReason: Bool)] = []
        for name in names.sorted() where !Quarantine.isReason(name, among: names) {
            guard let found = try? directory.file(name).look() else { continue }
            files.append((name, found, names.contains(Self.reasonName(of: name))))
        }
        return files
    }

    /// The bytes that say why a file is here.
    public func reason(of id: String) throws(Errno) -> [UInt8] {
        guard Self.isName(id) else { throw .noSuchFileOrDirectory }
        let descriptor = try directory.file(id + Quarantine.reasonSuffix).open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        return try SystemCall.bytes(descriptor, at: 0, count: QuarantineEntry.longestReason)
    }

    /// How many files an entry has, and how many bytes they have together.
    ///
    /// - Throws: `ESTALE` when something else has its name, `EACCES` where the caller may not look.
    public func extent(of entry: QuarantineEntry) throws(Errno) -> (files: Int64, bytes: Int64) {
        guard entry.isDirectory else { return (1, entry.size) }
        let descriptor = try file(entry).open(O_RDONLY | O_DIRECTORY, seen: entry.identity)
        defer { SystemCall.close(descriptor) }
        let extent = try DirectoryTree.extent(of: descriptor)
        return (extent.files, extent.bytes)
    }

    /// The file of an entry.
    public func file(_ entry: QuarantineEntry) -> RealFile { directory.file(entry.id) }

    /// A file by a name that was found here.
    public func file(named id: String) -> RealFile { directory.file(id) }

    /// The name of the file that says why another is here.
    public static func reasonName(of id: String) -> String { id + Quarantine.reasonSuffix }

    /// Whose reason a file of this name has; nil when no reason is called so.
    public static func id(ofReason name: String) -> String? {
        name.hasSuffix(Quarantine.reasonSuffix) ? String(name.dropLast(Quarantine.reasonSuffix.count)) : nil
    }

    private static func isName(_ id: String) -> Bool {
        !id.isEmpty && id != "." && id != ".." && !id.utf8.contains(UInt8(ascii: "/")) && !id.utf8.contains(0)
    }
}

extension Quarantine {
    /// Whether a name is that of a reason. A file that is called so itself has a reason of its own beside it.
    static func isReason(_ name: String, among names: Set<String>) -> Bool {
        name.hasSuffix(reasonSuffix) && !names.contains(name + reasonSuffix)
    }
}
