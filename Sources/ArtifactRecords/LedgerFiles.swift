internal import Glibc
internal import SystemCalls
package import SystemPackage

/// The files of a store's ledgers: `<host>.jsonl` is a host's first one, `<host>~2.jsonl` its second. A name of a host has no `~`.
package enum LedgerFiles {
    private static let suffix = ".jsonl"

    /// A file's name.
    ///
    /// - Parameter number: from 1.
    package static func name(of host: String, number: Int) -> String {
        (number > 1 ? "\(host)~\(number)" : host) + suffix
    }

    /// Takes a name apart; nil when it is not a ledger's.
    package static func understand(_ name: String) -> (host: String, number: Int)? {
        guard name.hasSuffix(suffix), name.utf8.count > suffix.utf8.count else { return nil }
        let stem = name.dropLast(suffix.count)
        guard let mark = stem.lastIndex(of: "~") else { return (String(stem), 1) }
        let digits = stem[stem.index(after: mark)...]
        guard !stem[..<mark].isEmpty, digits.first != "0",
            digits.utf8.allSatisfy({ (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) }),
            let number = Int(digits), number > 1, number < 1_000_000_000
        else { return nil }
        return (String(stem[..<mark]), number)
    }

    /// The numbers of all hosts' files in a directory, in their order.
    package static func all(in directory: FileDescriptor) throws(Errno) -> [String: [Int]] {
        var found: [String: [Int]] = [:]
        try SystemCall.forEachName(in: directory) { name, _, _ in
            guard let text = String(validatingCString: name), let (host, number) = understand(text) else { return }
            found[host, default: []].append(number)
        }
        return found.mapValues { $0.sorted() }
    }

    /// The file that a host's next line belongs to, as far as names tell: the newest, or the one before it while that one is empty, because
    /// the older one may not have said yet that it is full.
    package static func newest(of host: String, in directory: FileDescriptor) throws(Errno) -> String {
        let numbers = try all(in: directory)[host] ?? []
        guard let last = numbers.last, last > 1 else { return name(of: host, number: 1) }
        let isEmpty = try SystemCall.attributes(directory, name(of: host, number: last)).st_size == 0
        return name(of: host, number: isEmpty && numbers.contains(last - 1) ? last - 1 : last)
    }
}

/// A place in a host's ledger: what is before it has been read. It is kept between readings, and names the line before it by its hash, so that
/// a ledger that was changed since is noticed.
public struct LedgerCursor: Sendable, Hashable {
    /// The file's name in the store's `ledger` directory.
    public var file: String
    /// In bytes, after a line's newline.
    public var offset: Int64
    /// The number of the line before it; 0 at the beginning.
    public var seq: Int64
    /// The hash of the line before it; 64 zeros at the beginning.
    public var hash: String

    /// A place.
    public init(file: String, offset: Int64, seq: Int64, hash: String) {
        (self.file, self.offset, self.seq, self.hash) = (file, offset, seq, hash)
    }

    /// The beginning of a host's ledger.
    public init(beginningOf host: String) {
        self.init(file: LedgerFiles.name(of: host, number: 1), offset: 0, seq: 0, hash: Ledger.noHash)
    }

    /// As JSON, to be kept.
    public var json: JSONObject {
        ["file": .string(file), "offset": .integer(offset), "seq": .integer(seq), "hash": .string(hash)]
    }

    /// Reads ``json``; nil for anything else.
    public init?(_ json: JSONValue) {
        guard let file = json["file"]?.string, LedgerFiles.understand(file) != nil, !file.contains("/"),
            let offset = json["offset"]?.integer, offset >= 0, let seq = json["seq"]?.integer, seq >= 0,
            let hash = json["hash"]?.string, hash.utf8.count == 64
        else { return nil }
        self.init(file: file, offset: offset, seq: seq, hash: hash)
    }
}
