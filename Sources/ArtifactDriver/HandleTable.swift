internal import FuseKernel
internal import Synchronization
internal import SystemPackage

/// Handles that have something of their own: open directories and entries that are made when they are read.
///
/// A file's handle is a number only: 0 for a reader, and a number of its own for a writer.
final class HandleTable: Sendable {
    /// One name of a listing.
    struct Listed: Sendable {
        /// The name's bytes, whatever they are, ended by a NUL.
        let bytes: [CChar]
        let number: UInt64
        /// `S_IFMT` bits, 0 when not known.
        let type: UInt32

        init(name: String, number: UInt64, type: UInt32) {
            bytes = Array(name.utf8CString)
            self.number = number
            self.type = type
        }

        init(bytes: [CChar], number: UInt64, type: UInt32) {
            self.bytes = bytes
            self.number = number
            self.type = type
        }

        /// The name as text; nil when it is not UTF-8.
        var name: String? {
            bytes.withUnsafeBufferPointer { $0.baseAddress.flatMap { String(validatingCString: $0) } }
        }

        /// Whether it is `.` or `..`.
        var isDot: Bool { bytes == [46, 0] || bytes == [46, 46, 0] }
    }

    /// What an open directory shows: its names as they were when reading began, so that positions stay true while names come and go.
    struct Listing: Sendable {
        var entries: [Listed]
        /// Whether the kernel is told what each name is, where it asks for that.
        var isDetailed: Bool
    }

    /// An open directory.
    final class Directory: Sendable {
        let listing = Mutex<Listing?>(nil)
    }

    private enum Handle: Sendable {
        case directory(Directory)
        case content([UInt8])
    }

    private struct State {
        var next: UInt64 = 1
        var handles: [UInt64: Handle] = [:]
    }

    private let state = Mutex(State())

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

    func openDirectory() -> HandleID { insert(.directory(Directory())) }
    func openContent(_ bytes: [UInt8]) -> HandleID { insert(.content(bytes)) }

    func directory(_ handle: HandleID) throws(Errno) -> Directory {
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

    func close(_ handle: HandleID) {
        let gone = state.withLock { $0.handles.removeValue(forKey: handle.rawValue) }
        _ = gone
    }
}

/// What `status.json` counts.
final class Counters: Sendable {
    let sealed = Atomic<Int>(0)
    let quarantined = Atomic<Int>(0)
}

/// Something that is to be done.
final class Flag: Sendable {
    let isSet = Atomic(false)
}
