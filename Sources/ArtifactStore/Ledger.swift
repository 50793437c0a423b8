internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// One thing that happened, before it has its place in the ledger.
public struct LedgerEntry: Sendable {
    /// What happened, such as `sealed`; stable, lower case.
    public let event: String
    /// The rest of the line as JSON, without an object's braces. `seq`, `prev`, `time` and `event` are the ledger's own and come
    /// first.
    private let members: [UInt8]

    /// An entry with members in their order.
    public init(event: String, _ members: JSONObject) {
        self.event = event
        var text: [UInt8] = []
        text.reserveCapacity(1024)
        JSONValue.write(members, to: &text)
        self.members = text
    }

    /// The same of another event.
    init(event: String, like other: LedgerEntry) {
        self.event = event
        members = other.members
    }

    /// Appends the line, without its newline.
    func write(seq: Int64, after hash: String, at time: String, to text: inout [UInt8]) {
        text.append(UInt8(ascii: "{"))
        JSONValue.write(
            ["seq": .integer(seq), "prev": .string(hash), "time": .string(time), "event": .string(event)], to: &text)
        if !members.isEmpty { text.append(UInt8(ascii: ",")) }
        text.append(contentsOf: members)
        text.append(UInt8(ascii: "}"))
    }
}

/// The record of what happened in a store: one file a host, `.artifactfs/ledger/<host>.jsonl`, one JSON object a line,
/// only ever appended to. Each line has the SHA-256 of the line before it without its newline (`prev`; 64 zeros in the
/// first line), so that a line that was changed or taken out shows.
///
/// Several drivers of one host share the file: reading its last line and appending are under its `flock`. A last line
/// that a crash cut off is never removed: a newline ends it, and the next line, `ledger-repaired`, says so and carries
/// its hash.
public final class Ledger: Sendable {
    /// The `prev` of a first line.
    static let noHash = String(repeating: "0", count: 64)

    /// A line's number; nil when it is not a ledger line. A number that not every JSON reader keeps (RFC 8259, section 6) is none: what is
    /// counted on from one never comes to an end.
    static func number(of line: JSONValue) -> Int64? {
        line["seq"]?.integer.flatMap { (1..<(1 << 53)).contains($0) ? $0 : nil }
    }

    private final class Pending: Sendable {
        let entries: [LedgerEntry]
        let isSynced: Bool
        /// Whether somebody waits for it; otherwise it can be written later.
        let isAwaited: Bool
        /// Set by whoever writes the batch.
        let result = Mutex<Result<Void, Errno>?>(nil)

        init(entries: [LedgerEntry], isSynced: Bool, isAwaited: Bool) {
            self.entries = entries
            self.isSynced = isSynced
            self.isAwaited = isAwaited
        }
    }

    /// How much is kept for later while nothing can be written.
    private static let mostWaiting = 1000

    private let descriptor: FileDescriptor
    private let isSynced: Bool
    private let lost = Atomic<Bool>(false)
    /// Guards what waits to be written. A leaf in the order of locks.
    private let queue = Mutex<[Pending]>([])
    /// Guards the file's end; held while writing and syncing. Before `queue` in the order of locks.
    private let tail = Mutex(Tail(size: -1, seq: 0, hash: Ledger.noHash, needsNewline: false, isDamaged: false))

    /// - Parameter descriptor: open for reading and appending; closed with this object.
    init(owning descriptor: FileDescriptor, durability: Durability) {
        self.descriptor = descriptor
        isSynced = durability == .synced
    }

    deinit { SystemCall.close(descriptor) }

    /// Appends lines, together or not at all; with ``Durability/synced`` they are on disk when this returns. Concurrent callers share
    /// one write and one fdatasync(2).
    public func append(_ entries: [LedgerEntry]) throws(Errno) {
        let mine = Pending(entries: entries, isSynced: isSynced, isAwaited: true)
        queue.withLock { $0.append(mine) }
        // Whoever gets the lock writes for all that wait; the others find their result there when their turn comes.
        tail.withLock { tail in
            if mine.result.withLock({ $0 != nil }) { return }
            let batch = queue.withLock { queue in
                let all = queue
                queue = []
                return all
            }
            write(batch, &tail)
        }
        if case .failure(let error)? = mine.result.withLock({ $0 }) { throw error }
    }

    /// Lines that can be added again by recovery, or that nobody waits for: they go with the next that are appended, or with `settle`, and
    /// while there is no room with those after them.
    func appendLater(_ entries: [LedgerEntry]) {
        queue.withLock { $0.append(Pending(entries: entries, isSynced: false, isAwaited: false)) }
    }

    /// How many additions wait.
    var waiting: Int { queue.withLock { $0.count } }

    /// Writes what `appendLater` left.
    func settle() {
        tail.withLock { tail in
            let batch = queue.withLock { queue in
                let all = queue
                queue = []
                return all
            }
            if !batch.isEmpty { write(batch, &tail) }
        }
    }

    /// Whether lines were lost that nobody waited for.
    var hasLost: Bool { lost.load(ordering: .relaxed) }

    /// Brings to disk what was appended without waiting.
    func sync() { if isSynced { try? SystemCall.syncData(descriptor) } }

    private func write(_ batch: [Pending], _ tail: inout Tail) {
        let result: Result<Void, Errno>
        do throws(Errno) {
            try append(batch.flatMap(\.entries), &tail)
            if batch.contains(where: \.isSynced) { try SystemCall.syncData(descriptor) }
            result = .success(())
        } catch {
            tail.size = -1
            result = .failure(error)
            lost.store(true, ordering: .relaxed)
            // On a full disk there may be room later.
            let later = batch.filter { !$0.isAwaited }
            queue.withLock { queue in
                if queue.count + later.count <= Self.mostWaiting { queue.insert(contentsOf: later, at: 0) }
            }
        }
        for pending in batch { pending.result.withLock { $0 = result } }
    }

    private func append(_ entries: [LedgerEntry], _ tail: inout Tail) throws(Errno) {
        try SystemCall.lock(descriptor, waiting: true)
        defer { SystemCall.unlock(descriptor) }
        let size = Int64(try SystemCall.attributes(descriptor).st_size)
        if size != tail.size { tail = try Tail(of: descriptor, size: size) }
        var next = tail
        var bytes: [UInt8] = []
        if next.needsNewline { bytes.append(UInt8(ascii: "\n")) }
        var entries = entries
        if next.isDamaged {
            entries.insert(
                LedgerEntry(
                    event: "ledger-repaired",
                    [
                        "note": .string(
                            "the line before this one is not whole: a driver or the machine stopped while writing it")
                    ]),
                at: 0)
        }
        let time = TimeText.rfc3339(Clock.now())
        for entry in entries {
            next.seq += 1
            let start = bytes.count
            entry.write(seq: next.seq, after: next.hash, at: time, to: &bytes)
            next.hash = try SHA256.digest(bytes[start...])
            bytes.append(UInt8(ascii: "\n"))
        }
        do throws(Errno) {
            try SystemCall.write(descriptor, bytes)
        } catch {
            // What was written of these lines was never true for anybody: it goes again, as far as the system lets us.
            try? SystemCall.truncate(descriptor, to: size)
            throw error
        }
        next.size = size + Int64(bytes.count)
        next.needsNewline = false
        next.isDamaged = false
        tail = next
    }
}

/// The end of a ledger file: what the next line needs to know.
private struct Tail {
    /// The file's size when this was read or written; -1 when it is not known.
    var size: Int64
    /// The number of the last whole line.
    var seq: Int64
    /// The hash of the last line, whole or not.
    var hash: String
    var needsNewline: Bool
    /// The last line is not a ledger line.
    var isDamaged: Bool

    init(size: Int64, seq: Int64, hash: String, needsNewline: Bool, isDamaged: Bool) {
        self.size = size
        self.seq = seq
        self.hash = hash
        self.needsNewline = needsNewline
        self.isDamaged = isDamaged
    }

    /// Longer than every line. A file without lines in its last part is no ledger, and as long as somebody made it.
    private static let farthest: Int64 = 32 << 20

    /// Reads backwards from the end until a whole line is found.
    ///
    /// - Throws: `EFBIG` when there is none near the end.
    init(of descriptor: FileDescriptor, size: Int64) throws(Errno) {
        self.init(size: size, seq: 0, hash: Ledger.noHash, needsNewline: false, isDamaged: false)
        guard size > 0 else { return }
        var length: Int64 = 65_536
        while true {
            let start = max(0, size - length)
            let bytes = try SystemCall.bytes(descriptor, at: start, count: Int(size - start))
            needsNewline = bytes.last != UInt8(ascii: "\n")
            let end = needsNewline ? bytes.count : bytes.count - 1
            var lines = bytes[..<end].split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
            // The first line of the piece may have begun before it.
            if start > 0 { lines.removeFirst() }
            if let last = lines.last {
                let whole = lines.last { Self.seq(of: $0) != nil }
                if whole != nil || start == 0 {
                    hash = try SHA256.digest(last)
                    isDamaged = needsNewline || Self.seq(of: last) == nil
                    seq = whole.flatMap(Self.seq(of:)) ?? 0
                    return
                }
            }
            guard length < Self.farthest else { throw .fileTooLarge }
            length *= 8
        }
    }

    private static func seq(of line: some Collection<UInt8>) -> Int64? {
        JSONValue(parsing: line).flatMap(Ledger.number)
    }
}
