/// Names by a pattern: `*` stands for any bytes, also none, and `?` for one letter or digit.
///
/// A pattern of `?` alone is for random names: it takes none of small letters only, which are words that people write.
public struct NamePattern: Hashable, Sendable, CustomStringConvertible {
    /// As it is written.
    public let description: String
    private let bytes: [UInt8]
    private let isRandom: Bool
    private let hasStar: Bool
    /// The length of the shortest name that fits.
    private let least: Int

    static let any = UInt8(ascii: "*")
    static let one = UInt8(ascii: "?")

    /// Checks a pattern.
    ///
    /// - Returns: nil when it is empty, too long, or has bytes that no name of a contig or a program's temporary file has.
    public init?(_ text: String) {
        bytes = Array(text.utf8)
        guard !bytes.isEmpty, bytes.count <= NameRules.longestName, bytes.allSatisfy(NameRules.isPrintable) else {
            return nil
        }
        description = text
        isRandom = bytes.allSatisfy { $0 == Self.one }
        let stars = bytes.count { $0 == Self.any }
        (hasStar, least) = (stars > 0, bytes.count - stars)
    }

    /// The bytes before the first wildcard.
    var beginning: ArraySlice<UInt8> { bytes.prefix { !Self.isWild($0) } }
    /// The bytes after the last wildcard.
    var ending: ArraySlice<UInt8> { bytes.suffix(while: { !Self.isWild($0) }) }

    /// What has to be somewhere in a name, where that is all that is asked.
    var inside: [UInt8]? {
        guard bytes.count > 2, bytes.first == Self.any, bytes.last == Self.any else { return nil }
        let middle = bytes[1..<(bytes.count - 1)]
        return middle.contains(where: Self.isWild) ? nil : Array(middle)
    }

    private static func isWild(_ byte: UInt8) -> Bool { byte == any || byte == one }

    /// A name that fits.
    var example: String { String(decoding: bytes.map { Self.isWild($0) ? UInt8(ascii: "1") : $0 }, as: UTF8.self) }

    /// Whether a name fits.
    package func matches(_ name: String) -> Bool { NameRules.withBytes(name) { matches($0) } }

    /// Whether a name fits. Its end is compared first, where most names differ; what the last `*` before that took is tried again, one byte
    /// longer, and those before it need not be.
    func matches(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard name.count >= least, hasStar || name.count == least else { return false }
        // What stands after the last `*`, from its end.
        var (end, limit) = (bytes.count, name.count)
        while end > 0, bytes[end - 1] != Self.any {
            guard Self.fits(name[limit - 1], bytes[end - 1]) else { return false }
            (end, limit) = (end - 1, limit - 1)
        }
        var (at, place) = (0, 0)
        var again: (at: Int, place: Int)?
        while place < limit {
            if at < end, bytes[at] == Self.any {
                at += 1
                again = (at, place)
            } else if at < end, Self.fits(name[place], bytes[at]) {
                at += 1
                place += 1
            } else if let last = again {
                again = (last.at, last.place + 1)
                (at, place) = (last.at, last.place + 1)
            } else {
                return false
            }
        }
        while at < end {
            guard bytes[at] == Self.any else { return false }
            at += 1
        }
        return !isRandom || !name.allSatisfy { (UInt8(ascii: "a")...UInt8(ascii: "z")).contains($0) }
    }

    /// Whether a byte of a name is one of a pattern's, which is no `*`.
    private static func fits(_ byte: UInt8, _ wanted: UInt8) -> Bool {
        wanted == one ? NameRules.isAlphanumeric(byte) : wanted == byte
    }
}

extension BidirectionalCollection {
    fileprivate func suffix(while isIn: (Element) -> Bool) -> SubSequence {
        var begin = endIndex
        while begin > startIndex, isIn(self[index(before: begin)]) { begin = index(before: begin) }
        return self[begin...]
    }
}

/// The names that programs give to files they mean to rename, whatever the type (SEMANTICS 1.2).
public struct TransientNames: Hashable, Sendable {
    /// One reference: every type has these names, and types are copied with every place in the tree.
    private let table: Table

    /// All patterns, as they were declared.
    public var patterns: [NamePattern] { table.patterns }

    /// Names that fit one of the patterns.
    public init(_ patterns: [NamePattern]) { table = Table(patterns) }

    /// Whether both have the same patterns in the same order.
    public static func == (one: TransientNames, other: TransientNames) -> Bool {
        one.table === other.table || one.patterns == other.patterns
    }

    /// Hashes the patterns.
    public func hash(into hasher: inout Hasher) { hasher.combine(patterns.count) }

    /// Whether a name is one of them.
    func contains(_ name: some StringProtocol) -> Bool { NameRules.withBytes(name) { table.isIn($0) } }

    /// Whether a name is one of them.
    func contains(_ name: UnsafeBufferPointer<UInt8>) -> Bool { table.isIn(name) }

    /// The pattern that a name fits, for people.
    public func pattern(of name: String) -> NamePattern? {
        NameRules.withBytes(name) { bytes in patterns.first { $0.matches(bytes) } }
    }

    /// The built-in names.
    public static let builtIn = TransientNames(
        [
            // Hidden files, and what editors and interpreters leave beside a file: Emacs's `#x#` (its `.#x` is hidden), JetBrains' IDEs,
            // sed -i, gawk -i inplace, perl -i (a random name), dos2unix.
            ".*", "*~", "#*#", "*.swp", "*.swo", "*.swx", "*___jb_tmp___", "*___jb_old___", "sed??????",
            "*.gawk.??????", "????????",
            "d2utmp*",
            // Whatever is being made, told at the end or before the extension.
            "tmp*", "*.tmp", "*.temp", "*_tmp", "*-tmp", "*.tmp.*", "*.temp.*", "*_tmp.*", "*-tmp.*", "*.part",
            "*.partial",
            "*.partial.*", "*_partial.*", "*.incomplete", "*.incomplete.*",
            // Downloads: gsutil, aria2, axel, browsers, wget and curl in people's scripts.
            "*_.gstmp", "*.aria2", "*.aria2__temp", "*.st", "*.crdownload", "*.download", "*.filepart",
            // Locks.
            "*.lock", "*.lck",
        ].compactMap { NamePattern($0) })

    /// Patterns, by what is quick to see. Names are judged at every lookup: only those are tried whose first or last byte a name has.
    private final class Table: Sendable {
        let patterns: [NamePattern]
        private let beginnings: [NamePattern]
        private let endings: [NamePattern]
        private let insides: [[UInt8]]
        private let others: [NamePattern]
        private let firstBytes: ByteSet
        private let lastBytes: ByteSet
        private let insideBytes: ByteSet
        private let secondBytes: ByteSet
        private let hasShortInside: Bool

        init(_ patterns: [NamePattern]) {
            self.patterns = patterns
            var (beginnings, endings, others): ([NamePattern], [NamePattern], [NamePattern]) = ([], [], [])
            var insides: [[UInt8]] = []
            var (firstBytes, lastBytes) = (ByteSet(), ByteSet())
            var (insideBytes, secondBytes) = (ByteSet(), ByteSet())
            for pattern in patterns {
                if let first = pattern.beginning.first {
                    beginnings.append(pattern)
                    firstBytes.insert(first)
                } else if let last = pattern.ending.last {
                    endings.append(pattern)
                    lastBytes.insert(last)
                } else if let inside = pattern.inside {
                    insides.append(inside)
                    insideBytes.insert(inside[0])
                    if inside.count > 1 { secondBytes.insert(inside[1]) }
                } else {
                    others.append(pattern)
                }
            }
            (self.beginnings, self.endings, self.others, self.insides) = (beginnings, endings, others, insides)
            (self.firstBytes, self.lastBytes) = (firstBytes, lastBytes)
            (self.insideBytes, self.secondBytes) = (insideBytes, secondBytes)
            hasShortInside = insides.contains { $0.count == 1 }
        }

        func isIn(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
            guard let first = name.first, let last = name.last else { return false }
            if firstBytes.contains(first), beginnings.contains(where: { $0.matches(name) }) { return true }
            if lastBytes.contains(last), endings.contains(where: { $0.matches(name) }) { return true }
            var place = 0
            while place < name.count {
                if insideBytes.contains(name[place]),
                    hasShortInside || (place + 1 < name.count && secondBytes.contains(name[place + 1])),
                    insides.contains(where: { NameRules.isAt(place, of: name, $0) })
                {
                    return true
                }
                place += 1
            }
            return others.contains { $0.matches(name) }
        }
    }
}

/// Which bytes of ASCII are in it: patterns have no others.
private struct ByteSet: Sendable {
    private var low: UInt64 = 0
    private var high: UInt64 = 0

    mutating func insert(_ byte: UInt8) {
        if byte < 64 { low |= 1 << UInt64(byte) } else if byte < 128 { high |= 1 << UInt64(byte & 63) }
    }

    func contains(_ byte: UInt8) -> Bool {
        byte < 128 && (byte < 64 ? low : high) >> UInt64(byte & 63) & 1 == 1
    }
}
