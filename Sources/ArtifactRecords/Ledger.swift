internal import Glibc
internal import Synchronization
package import SystemCalls
package import SystemPackage

/// The record of what happened in a store: `.artifactfs/ledger/<host>.jsonl` of each host, one JSON object a line,
/// only ever appended to. Each line has the SHA-256 of the line before it without its newline (`prev`; 64 zeros in the
/// first line), so that a line that was changed or taken out shows. A file that has become large ends with a line that says
/// so, and its chain goes on in the next one (``LedgerFiles``).
///
/// Several drivers of one host share the file: reading its last line and appending are under its `flock`. A last line
/// that a crash cut off is never removed: a newline ends it, and the next line, `ledger-repaired`, says so and carries
/// its hash.
package final class Ledger: Sendable {
    /// The `prev` of a first line.
    package static let noHash = String(repeating: "0", count: 64)

    private final class Pending: Sendable {
        let entries: [LedgerEntry]
        let isSynced: Bool
        /// Whether somebody waits for it; otherwise it can be written later.
        let isAwaited: Bool
        /// Set by whoever writes the batch.
        let result = Lock<Result<Void, Errno>?>(nil)

        init(entries: [LedgerEntry], isSynced: Bool, isAwaited: Bool) {
            self.entries = entries
            self.isSynced = isSynced
            self.isAwaited = isAwaited
        }
    }

    /// How much is kept for later while nothing can be written.
    private static let mostWaiting = 1000

    /// The size from which on a file is not added to, in bytes: what is read and kept as a whole stays small.
    package static let usualLimit: Int64 = 64 << 20

    /// Whose it is, by its file's name.
    package let host: String
    private let isSynced: Bool
    private let limit: Int64
    /// Where the next file is made.
    private let directory: FileDescriptor
    private let lost = Atomic<Bool>(false)
    /// Where the next line came, when that was looked at last. A leaf in the order of locks.
    private let reached = Lock<(number: Int, offset: Int64)?>(nil)
    /// Who is told that it has grown. A leaf in the order of locks.
    private let follower = Lock<Follower?>(nil)
    /// Guards what waits to be written. A leaf in the order of locks.
    private let queue = Lock<[Pending]>([])
    /// Guards the file's end; held while writing and syncing. Before `queue` in the order of locks.
    private let end: Lock<End>

    /// The file that is added to.
    private struct End {
        var descriptor: FileDescriptor
        var number: Int
        var tail = LedgerTail.unknown
    }

    private struct Follower {
        let semaphore: PosixSemaphore
        let step: Int64
        var grown: Int64 = 0
    }

    /// A semaphore that is posted each time when so many bytes were added by this process: who waits for it costs nothing while nothing happens.
    package func growth(every step: Int64) -> PosixSemaphore {
        let semaphore = PosixSemaphore()
        follower.withLock { $0 = Follower(semaphore: semaphore, step: step) }
        return semaphore
    }

    /// - Parameters:
    ///   - descriptor: of the host's newest file (``LedgerFiles/newest(of:in:)``), open for reading and appending; closed with this object.
    ///   - name: that file's name.
    ///   - directory: where the ledgers are.
    ///   - isSynced: whether what is appended is on disk before it counts.
    ///   - limit: the size from which on a file is not added to, in bytes.
    package init(
        owning descriptor: FileDescriptor, named name: String, of host: String, in directory: FileDescriptor,
        isSynced: Bool, limit: Int64 = Ledger.usualLimit
    ) throws(Errno) {
        do throws(Errno) { self.directory = try SystemCall.duplicate(directory) } catch {
            SystemCall.close(descriptor)
            throw error
        }
        end = Lock(End(descriptor: descriptor, number: LedgerFiles.understand(name)?.number ?? 1))
        self.host = host
        self.isSynced = isSynced
        self.limit = limit
    }

    deinit {
        SystemCall.close(directory)
        SystemCall.close(end.withLock { $0.descriptor })
    }

    /// Where the next line comes, or after it: what is appended from now on is not before this place.
    package func position() throws(Errno) -> (file: String, offset: Int64) {
        try end.withLock { end throws(Errno) in
            (
                LedgerFiles.name(of: host, number: end.number),
                Int64(try SystemCall.attributes(end.descriptor).st_size)
            )
        }
    }

    /// A place that what is appended from now on is not before, and not far from: nobody is waited for, who may be writing and waiting for the
    /// disk just now. Nil when none is known.
    package func placeBefore() -> (file: String, offset: Int64)? {
        let now = end.withLockIfAvailable { end -> (number: Int, offset: Int64)? in
            (try? SystemCall.attributes(end.descriptor)).map { (end.number, Int64($0.st_size)) }
        }
        let found = reached.withLock { reached -> (number: Int, offset: Int64)? in
            if let now = now ?? nil { reached = now }
            return reached
        }
        return found.map { (LedgerFiles.name(of: host, number: $0.number), $0.offset) }
    }

    /// Appends lines, together or not at all; where the ledger is synced they are on disk when this returns. Concurrent callers share
    /// one write and one fdatasync(2).
    package func append(_ entries: [LedgerEntry]) throws(Errno) {
        let mine = Pending(entries: entries, isSynced: isSynced, isAwaited: true)
        queue.withLock { $0.append(mine) }
        // Whoever gets the lock writes for all that wait; the others find their result there when their turn comes.
        end.withLock { end in
            if mine.result.withLock({ $0 != nil }) { return }
            let batch = queue.withLock { queue in
                let all = queue
                queue = []
                return all
            }
            write(batch, &end)
        }
        if case .failure(let error)? = mine.result.withLock({ $0 }) { throw error }
    }

    /// Lines that can be added again by recovery, or that nobody waits for: they go with the next that are appended, or with `settle`, and
    /// while there is no room with those after them.
    package func appendLater(_ entries: [LedgerEntry]) {
        queue.withLock { $0.append(Pending(entries: entries, isSynced: false, isAwaited: false)) }
    }

    /// How many additions wait.
    package var waiting: Int { queue.withLock { $0.count } }

    /// Writes what `appendLater` left.
    package func settle() {
        end.withLock { end in
            let batch = queue.withLock { queue in
                let all = queue
                queue = []
                return all
            }
            if !batch.isEmpty { write(batch, &end) }
        }
    }

    /// Whether lines were lost that nobody waited for.
    package var hasLost: Bool { lost.load(ordering: .relaxed) }

    /// Brings to disk what was appended without waiting.
    ///
    /// - Parameter always: with relaxed durability too.
    package func sync(always: Bool = false) {
        if isSynced || always { end.withLock { try? SystemCall.syncData($0.descriptor) } }
    }

    private func write(_ batch: [Pending], _ end: inout End) {
        let result: Result<Void, Errno>
        do throws(Errno) {
            try append(batch.flatMap(\.entries), &end)
            if batch.contains(where: \.isSynced) { try SystemCall.syncData(end.descriptor) }
            result = .success(())
        } catch {
            end.tail = .unknown
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

    private func append(_ entries: [LedgerEntry], _ end: inout End) throws(Errno) {
        try SystemCall.lock(end.descriptor, waiting: true)
        defer { SystemCall.unlock(end.descriptor) }
        try look(&end)
        while let file = end.tail.continuation { try goOn(in: file, &end) }
        if end.tail.size >= limit, let next = makeNext(end) {
            try add([LedgerEntry(.ledgerContinues(file: next))], to: &end)
            if isSynced { try SystemCall.syncData(end.descriptor) }
            try goOn(in: next, &end)
        }
        try add(entries, to: &end)
    }

    /// Learns what another driver added.
    private func look(_ end: inout End) throws(Errno) {
        let size = Int64(try SystemCall.attributes(end.descriptor).st_size)
        guard size != end.tail.size else { return }
        end.tail = try LedgerTail(of: end.descriptor, size: size)
        // A file that was just made goes on where the one before it stopped.
        guard size == 0, end.number > 1 else { return }
        let former = try SystemCall.open(
            directory, LedgerFiles.name(of: host, number: end.number - 1), O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        defer { SystemCall.close(former) }
        let last = try LedgerTail(of: former, size: Int64(try SystemCall.attributes(former).st_size))
        (end.tail.seq, end.tail.hash) = (last.seq, last.hash)
    }

    /// Leaves a file that is full. Its lock is held, and the next one's then.
    private func goOn(in file: String, _ end: inout End) throws(Errno) {
        // A line that names anything but the next file would lead astray.
        guard let (name, number) = LedgerFiles.understand(file), name == host, number == end.number + 1 else {
            throw .illegalByteSequence
        }
        let next = try SystemCall.open(directory, file, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
        do throws(Errno) { try SystemCall.lock(next, waiting: true) } catch {
            SystemCall.closeLock(next)
            throw error
        }
        SystemCall.closeLock(end.descriptor)
        end = End(descriptor: next, number: number)
        try look(&end)
    }

    /// Makes the file after this one; nil when there is no room for it, or it cannot be made: then this one grows on.
    private func makeNext(_ end: End) -> String? {
        let name = LedgerFiles.name(of: host, number: end.number + 1)
        guard let made = try? SystemCall.open(directory, name, O_RDWR | O_CREAT | O_NOFOLLOW | O_NONBLOCK, 0o600)
        else { return nil }
        SystemCall.close(made)
        if isSynced, (try? SystemCall.sync(directory)) == nil { return nil }
        return name
    }

    private func add(_ entries: [LedgerEntry], to end: inout End) throws(Errno) {
        var next = end.tail
        var bytes: [UInt8] = []
        if next.needsNewline { bytes.append(UInt8(ascii: "\n")) }
        var entries = entries
        if next.isDamaged { entries.insert(LedgerEntry(.ledgerRepaired), at: 0) }
        let time = TimeText.rfc3339(Clock.now())
        for entry in entries {
            next.seq += 1
            let start = bytes.count
            entry.write(seq: next.seq, after: next.hash, at: time, to: &bytes)
            next.hash = try SHA256.digest(bytes[start...])
            bytes.append(UInt8(ascii: "\n"))
        }
        do throws(Errno) {
            // Where this process, under the lock, knows the end to be: an append that is sent again after a cut stands there twice (GlusterFS).
            try SystemCall.write(end.descriptor, at: end.tail.size, bytes)
        } catch {
            // What was written of these lines was never true for anybody: it goes again, as far as the system lets us.
            try? SystemCall.truncate(end.descriptor, to: end.tail.size)
            throw error
        }
        // Before these lines: who has not written yet may be among them.
        let begin = (number: end.number, offset: end.tail.size)
        reached.withLock { $0 = begin }
        follower.withLock { follower in
            follower?.grown += Int64(bytes.count)
            guard let now = follower, now.grown >= now.step else { return }
            follower?.grown = 0
            now.semaphore.post()
        }
        next.size += Int64(bytes.count)
        next.needsNewline = false
        next.isDamaged = false
        end.tail = next
    }
}
