internal import FuseKernel
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Handles that have something of their own: open directories and entries that are made when they are read.
///
/// A file's handle is a number only: 0 for a reader, and a number of its own for a writer.
final class HandleTable: Sendable {
    /// What open directories show: the names as they were when reading began, so that positions stay true while names come and go.
    /// Handles that began while nothing changed show the same.
    final class Shown: Sendable {
        let listing: Listing
        /// What it was made of; nil for what is nobody else's.
        let state: ListingState?

        init(_ listing: Listing, state: ListingState?) {
            self.listing = listing
            self.state = state
        }
    }

    /// An open directory.
    final class OpenDirectory: Sendable {
        struct Reading: Sendable {
            let shown: Shown
            /// Whether the kernel is told what each name is, where it asks for that.
            let isDetailed: Bool
        }

        let inode: InodeNumber
        let reading = Lock<Reading?>(nil)

        init(inode: InodeNumber) { self.inode = inode }
    }

    private enum Handle: Sendable {
        case directory(OpenDirectory)
        case content([UInt8])
        case file(FileDescriptor)
    }

    private struct Shared { weak var shown: Shown? }

    private struct State {
        var next: UInt64 = 1
        var handles: [UInt64: Handle] = [:]
        var shared: [InodeNumber: Shared] = [:]
        /// What listings took that went since memory was last given back, in bytes.
        var gone = 0
    }

    private let state = Lock(State())

    /// So much is worth giving back to the system.
    private static let much = 8 << 20

    /// A number for a handle that writes.
    func nextNumber() -> HandleID {
        state.withLock { state in
            defer { state.next += 1 }
            return HandleID(rawValue: state.next)
        }
    }

    private func insert(_ handle: Handle) -> HandleID {
        state.withLock { state in
            defer { state.next += 1 }
            state.handles[state.next] = handle
            return HandleID(rawValue: state.next)
        }
    }

    func openDirectory(_ inode: InodeNumber) -> HandleID { insert(.directory(OpenDirectory(inode: inode))) }
    func openContent(_ bytes: [UInt8]) -> HandleID { insert(.content(bytes)) }

    func openFile(_ descriptor: FileDescriptor) -> HandleID { insert(.file(descriptor)) }

    func directory(_ handle: HandleID) throws(Errno) -> OpenDirectory {
        guard case .directory(let directory)? = state.withLock({ $0.handles[handle.rawValue] }) else {
            throw Errno.badFileDescriptor
        }
        return directory
    }

    func content(_ handle: HandleID) throws(Errno) -> [UInt8] {
        guard case .content(let bytes)? = state.withLock({ $0.handles[handle.rawValue] }) else {
            throw Errno.badFileDescriptor
        }
        return bytes
    }

    func file(_ handle: HandleID) throws(Errno) -> FileDescriptor {
        guard case .file(let descriptor)? = state.withLock({ $0.handles[handle.rawValue] }) else {
            throw Errno.badFileDescriptor
        }
        return descriptor
    }

    /// What another handle of a directory shows, if it was made of the same.
    func shown(of inode: InodeNumber, in listingState: ListingState) -> Shown? {
        let shown = state.withLock { $0.shared[inode]?.shown }
        return shown?.state == listingState ? shown : nil
    }

    /// From now on handles of a directory that begin in the same state show this.
    func share(_ shown: Shown, of inode: InodeNumber) {
        if shown.state != nil { state.withLock { $0.shared[inode] = Shared(shown: shown) } }
    }

    /// - Returns: whether so much went that memory should be given back to the system.
    func close(_ handle: HandleID) -> Bool {
        guard let gone = state.withLock({ $0.handles.removeValue(forKey: handle.rawValue) }) else { return false }
        if case .file(let descriptor) = gone { SystemCall.close(descriptor) }
        guard case .directory(let directory) = gone else { return false }
        guard
            let size = directory.reading.withLock({ reading -> Int? in
                defer { reading = nil }  // The last reference, perhaps: outside the table's lock.
                return reading?.shown.listing.size
            })
        else { return false }
        return state.withLock { state in
            if let shared = state.shared[directory.inode] {
                if shared.shown != nil { return false }
                state.shared[directory.inode] = nil
            }
            state.gone += size
            guard state.gone >= Self.much else { return false }
            state.gone = 0
            return true
        }
    }
}

/// What `status.json` counts.
final class Counters: Sendable {
    let sealed = Atomic<Int>(0)
    let quarantined = Atomic<Int>(0)
    /// Artifacts that nothing was written to.
    let empty = Atomic<Int>(0)
}

/// Something that is to be done.
final class Flag: Sendable {
    let isSet = Atomic(false)
}
