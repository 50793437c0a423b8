internal import ArtifactRecords

/// A repository's index, versions 2, 3 and 4 (gitformat-index(5)): which files are tracked, and what they were when git looked last.
struct GitIndex: Sendable {
    /// The longest file that is read, in bytes.
    static let limit = 16 << 20
    /// The most tracked files that are looked at.
    static let mostEntries = 20_000
    /// The most bytes that their names may have together.
    fileprivate static let mostOfNames = 4 << 20

    /// A tracked file.
    struct Entry: Sendable {
        /// Where its name is.
        fileprivate(set) var name: Range<Int> = 0..<0
        var mode: TrackedMode = .file
        /// 0, or what it is in a merge that has conflicts.
        var stage: UInt8 = 0
        /// Of the status change and of the modification, in seconds and nanoseconds; cut to 32 bits as the inode's number and the size are.
        var changed: (seconds: UInt32, nanoseconds: UInt32) = (0, 0)
        var modified: (seconds: UInt32, nanoseconds: UInt32) = (0, 0)
        var inode: UInt32 = 0
        var size: UInt32 = 0
        /// git was told not to look (`--assume-unchanged`).
        var isAssumedUnchanged = false
        /// It needs not be in the working tree (sparse checkout).
        var skipsWorkingTree = false
        /// Only its name was added (`--intent-to-add`).
        var isIntended = false
    }

    /// What a tracked file is.
    enum TrackedMode: UInt32, Sendable {
        case file = 0o100644
        case program = 0o100755
        case symbolicLink = 0o120000
        /// A submodule.
        case commit = 0o160000
        /// All of a directory that is not checked out (sparse index).
        case directory = 0o040000
    }

    let entries: [Entry]
    /// The names of the `.gitattributes` among them.
    let attributes: Set<[UInt8]>
    private let names: [UInt8]
    private let ids: [UInt8]
    private let format: ObjectFormat

    /// One that is not there has nothing.
    init(emptyFor format: ObjectFormat) {
        entries = []
        attributes = []
        names = []
        ids = []
        self.format = format
    }

    /// Nil for what git would not write, for more files than are looked at, and for an index that is not all in this file (split index).
    init?(_ bytes: [UInt8], _ format: ObjectFormat) {
        var reader = IndexReader(bytes, format)
        guard let entries = reader.entries(),
            reader.passExtensions(hasDirectories: entries.contains { $0.mode == .directory })
        else { return nil }
        self.entries = entries
        let names = reader.names
        self.names = names
        let suffix = Array(".gitattributes".utf8)
        attributes = Set(
            entries.map { names[$0.name] }.filter { $0.suffix(suffix.count).elementsEqual(suffix) }.map { Array($0) })
        ids = reader.ids
        self.format = format
    }

    /// A file's name, from the top of the working tree; a directory's ends with a slash.
    func name(_ entry: Int) -> ArraySlice<UInt8> { names[entries[entry].name] }

    /// What git has of it.
    func id(_ entry: Int) -> ArraySlice<UInt8> { ids[entry * format.length..<(entry + 1) * format.length] }
}

/// Reads an index. No number in it is believed.
private struct IndexReader {
    private let bytes: [UInt8]
    private let format: ObjectFormat
    private var index = 0
    private(set) var names: [UInt8] = []
    private(set) var ids: [UInt8] = []

    init(_ bytes: [UInt8], _ format: ObjectFormat) {
        self.bytes = bytes
        self.format = format
    }

    private var remaining: Int { bytes.count - index }

    private mutating func number() -> UInt32? {
        guard remaining >= 4 else { return nil }
        defer { index += 4 }
        return bytes[index..<index + 4].reduce(0) { $0 << 8 | UInt32($1) }
    }

    private mutating func short() -> UInt16? {
        guard remaining >= 2 else { return nil }
        defer { index += 2 }
        return UInt16(bytes[index]) << 8 | UInt16(bytes[index + 1])
    }

    mutating func entries() -> [GitIndex.Entry]? {
        guard number() == 0x4449_5243, let version = number(), (2...4).contains(version), let count = number(),
            count <= GitIndex.mostEntries
        else { return nil }
        var entries: [GitIndex.Entry] = []
        entries.reserveCapacity(Int(count))
        for _ in 0..<count {
            guard let entry = entry(version, after: entries.last) else { return nil }
            entries.append(entry)
        }
        return entries
    }

    private mutating func entry(_ version: UInt32, after last: GitIndex.Entry?) -> GitIndex.Entry? {
        let start = index
        var entry = GitIndex.Entry()
        guard let changed = number(), let changedRest = number(), let modified = number(), let modifiedRest = number(),
            number() != nil, let inode = number(), let mode = number().flatMap({ GitIndex.TrackedMode(rawValue: $0) }),
            number() != nil, number() != nil, let size = number(), remaining >= format.length
        else { return nil }
        entry.changed = (changed, changedRest)
        entry.modified = (modified, modifiedRest)
        (entry.inode, entry.mode, entry.size) = (inode, mode, size)
        ids += bytes[index..<index + format.length]
        index += format.length
        guard let flags = short() else { return nil }
        entry.isAssumedUnchanged = flags & 0x8000 != 0
        entry.stage = UInt8(flags >> 12 & 3)
        if flags & 0x4000 != 0 {
            guard version >= 3, let more = short() else { return nil }
            entry.skipsWorkingTree = more & 0x4000 != 0
            entry.isIntended = more & 0x2000 != 0
        }
        let begin = names.count
        guard version == 4 ? compressedName(after: last) : plainName(length: Int(flags & 0xFFF), entry: start) else {
            return nil
        }
        guard names.count <= GitIndex.mostOfNames else { return nil }
        entry.name = begin..<names.count
        guard isName(names[begin...], isDirectory: mode == .directory) else { return nil }
        if let last {
            let (before, after) = (names[last.name], names[entry.name])
            guard before.lexicographicallyPrecedes(after) || (before == after && last.stage < entry.stage) else {
                return nil
            }
        }
        return entry
    }

    private mutating func plainName(length: Int, entry start: Int) -> Bool {
        guard let end = bytes[index...].prefix(4097).firstIndex(of: 0) else { return false }
        guard length == 0xFFF ? end - index >= length : end - index == length else { return false }
        names += bytes[index..<end]
        // One to eight zeros, to a multiple of eight bytes.
        let next = start + ((end - start + 8) & ~7)
        guard next <= bytes.count else { return false }
        index = next
        return true
    }

    private mutating func compressedName(after last: GitIndex.Entry?) -> Bool {
        guard let removed = variableNumber() else { return false }
        let before = last?.name ?? 0..<0
        guard removed <= before.count, let end = bytes[index...].prefix(4097).firstIndex(of: 0) else { return false }
        let kept = before.count - removed
        guard kept + end - index <= 4096 else { return false }
        names += names[before.prefix(kept)]
        names += bytes[index..<end]
        index = end + 1
        return true
    }

    /// As offsets in packs are written.
    private mutating func variableNumber() -> Int? {
        var value = 0
        while remaining > 0, value < 1 << 20 {
            let byte = bytes[index]
            index += 1
            value = value << 7 | Int(byte & 0x7F)
            if byte & 0x80 == 0 { return value }
            value += 1
        }
        return nil
    }

    /// What git would not check out is no name: it could lead out of the working tree.
    private func isName(_ name: ArraySlice<UInt8>, isDirectory: Bool) -> Bool {
        var name = name
        guard name.count <= 4096 else { return false }
        if isDirectory {
            guard name.last == UInt8(ascii: "/") else { return false }
            name.removeLast()
        }
        return name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
            switch part.count {
            case 0: false
            case 1: part.first != UInt8(ascii: ".")
            case 2: !part.elementsEqual("..".utf8)
            case 4: !part.map { $0 | 0x20 }.elementsEqual(".git".utf8.map { $0 | 0x20 })
            default: true
            }
        }
    }

    /// Passes over what comes after the files.
    ///
    /// - Returns: whether none of it changes what they mean.
    mutating func passExtensions(hasDirectories: Bool) -> Bool {
        var isSparse = false
        while remaining > format.length {
            guard let name = number(), let length = number(), length <= remaining - format.length else { return false }
            switch name {
            case 0x7364_6972: isSparse = true  // sdir
            // Those with a small first letter must be understood; `link` is the one of a split index.
            case _ where name >> 24 >= UInt8(ascii: "a"): return false
            default: break
            }
            index += Int(length)
        }
        return remaining == format.length && (isSparse || !hasDirectories)
    }
}
