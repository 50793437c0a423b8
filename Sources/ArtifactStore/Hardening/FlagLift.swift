internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
package import SystemPackage

/// What the immutable flag of something sealed is taken for, for a moment. There is nothing else.
package enum LiftReason: String, Sendable {
    /// It leaves its name (SEMANTICS 2.8), or has it back after that failed.
    case unsealing
    /// Its owner sets its mode or times, or its writer attributes (SEMANTICS 2.2).
    case attributes
    /// It is taken up where it is, and somebody has made it immutable before.
    case adoption
    /// Its bytes go, for a mirror has them.
    case eviction
    /// Recovery removes its name in staging, which could not be removed when it was published.
    case recovery
}

/// What may be thrown by who acts on what is immutable.
package protocol LiftFailure: Error {
    /// Whether a test stopped there, as if the process had been killed: nothing is put back then.
    var isStop: Bool { get }
}

extension Errno: LiftFailure {
    package var isStop: Bool { false }
}

extension UnsealObstacle: LiftFailure {
    package var isStop: Bool { if case .stopped = self { true } else { false } }
}

extension PublishFailure: LiftFailure {
    package var isStop: Bool { if case .stopped = self { true } else { false } }
}

/// Where it is written that a flag is taken for a moment, so that recovery gives it back when nobody else does. What has an intent of its own in the
/// ledger needs none.
package struct LiftNote: Sendable {
    let ledger: Ledger
    let mount: String
    /// The store.
    let root: Directory
}

extension Hardening {
    /// Runs while something sealed has no immutable flag, if it has one, and gives it back: to the same file, whatever its name is then.
    ///
    /// A process that is killed meanwhile leaves the rest to recovery, which knows of it by an `unseal-intent`, or by the note.
    ///
    /// - Parameters:
    ///   - file: the file, or the directory itself: what is in it keeps the flag.
    ///   - note: where it is written before; nil where something else in the ledger says that it goes on.
    ///   - otherwise: makes an error of a flag that could not be taken.
    package func lifting<Value, Failure: LiftFailure>(
        _ file: RealFile, for reason: LiftReason, noted note: LiftNote? = nil, otherwise: (Errno) -> Failure,
        _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        // Who may not read it cannot lift anything either.
        guard let descriptor = try? file.open(O_RDONLY | O_NONBLOCK) else { return try body() }
        defer { SystemCall.close(descriptor) }
        return try lifting(open: descriptor, for: reason, noted: note, otherwise: otherwise, body)
    }

    /// The same of an open file, no `O_PATH` one.
    package func lifting<Value, Failure: LiftFailure>(
        open descriptor: FileDescriptor, for reason: LiftReason, noted note: LiftNote? = nil,
        otherwise: (Errno) -> Failure, _ body: () throws(Failure) -> Value
    ) throws(Failure) -> Value {
        var line: LedgerEvent.LiftedFlag?
        let isLifted: Bool
        do throws(Errno) { isLifted = try lift(descriptor, reason, note, &line) } catch { throw otherwise(error) }
        guard isLifted else { return try body() }
        do throws(Failure) {
            let value = try body()
            putBack(descriptor, line, note)
            return value
        } catch {
            if !error.isStop { putBack(descriptor, line, note) }
            throw error
        }
    }

    /// - Returns: whether it had the flag, and has it no more.
    private func lift(
        _ descriptor: FileDescriptor, _ reason: LiftReason, _ note: LiftNote?, _ line: inout LedgerEvent.LiftedFlag?
    ) throws(Errno) -> Bool {
        guard try ImmutableFlag.isSet(on: descriptor) else { return false }
        if let note, let file = Self.path(of: descriptor, in: note.root) {
            let inode = UInt64(try SystemCall.attributes(descriptor).st_ino)
            let lifted = LedgerEvent.LiftedFlag(
                mount: note.mount, file: file, inode: inode, reason: reason.rawValue)
            try note.ledger.append([LedgerEntry(.flagLifted(lifted))])
            line = lifted
        }
        try ImmutableFlag.set(false, on: descriptor)
        // Of what somebody made immutable by hand recovery is to know too.
        ImmutableFlag.mark(descriptor)
        return true
    }

    private func putBack(_ descriptor: FileDescriptor, _ line: LedgerEvent.LiftedFlag?, _ note: LiftNote?) {
        do throws(Errno) { try ImmutableFlag.set(true, on: descriptor) } catch {
            // Without a line that says that it is done, the next recovery tries it.
            return self.note(error, Self.path(of: descriptor))
        }
        if let note, let line { note.ledger.appendLater([LedgerEntry(.flagRestored(line))]) }
    }

    private static func path(of descriptor: FileDescriptor) -> String {
        (try? SystemCall.path(of: descriptor)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// The real path, relative to the store; nil of what is not below it.
    private static func path(of descriptor: FileDescriptor, in root: Directory) -> String? {
        let (file, store) = (path(of: descriptor), path(of: root.descriptor) + "/")
        guard file.utf8.starts(with: store.utf8) else { return nil }
        return String(decoding: file.utf8.dropFirst(store.utf8.count), as: UTF8.self)
    }
}

extension Store {
    /// Changes attributes of something sealed that its owner or writer may change, while it is not immutable: the change was tried, and `EPERM`.
    ///
    /// - Parameter descriptor: `O_PATH` too.
    package func changeAttributes(
        ofImmutable descriptor: FileDescriptor, _ change: () throws(Errno) -> Void
    ) throws(Errno) {
        guard let writable, let file = try? SystemCall.reopen(descriptor, O_RDONLY) else { throw .notPermitted }
        defer { SystemCall.close(file) }
        guard try ImmutableFlag.isSet(on: file) else { throw .notPermitted }
        let note = LiftNote(ledger: writable.ledger, mount: writable.staging.mountID, root: root)
        try hardening.lifting(open: file, for: .attributes, noted: note, otherwise: { $0 }, change)
    }
}
