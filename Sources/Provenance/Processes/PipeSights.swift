internal import Glibc
internal import Synchronization
internal import SystemCalls

/// The pipes and the children of processes as they were looked at last. One request asks for them twice: who a writer has its data from, and for
/// whose end its file waits.
final class PipeSights: Sendable {
    typealias Ends = (read: Set<UInt64>, written: Set<UInt64>)

    private struct Seen {
        let pipes: [ProcFile.OpenDescriptor]
        let time: UInt64
    }

    private static let most = 256

    /// A leaf in the order of locks.
    private let state = Lock<(pipes: [Int32: Seen], children: [Int32: (all: [Int32], time: UInt64)])>(([:], [:]))

    /// The pipes that a process has now, by their inode numbers. What is said on the standard error stream is no data.
    func ends(of process: Int32) -> Ends { Self.ends(look(process), countsErrors: false) }

    /// The same with the standard error stream.
    ///
    /// - Parameter mayBeOld: whether those do that it had a moment ago.
    func allEnds(of process: Int32, mayBeOld: Bool) -> Ends {
        if mayBeOld, let seen = state.withLock({ $0.pipes[process] }), isNew(seen.time) {
            return Self.ends(seen.pipes, countsErrors: true)
        }
        return Self.ends(look(process), countsErrors: true)
    }

    /// The processes that a process has made and that are there.
    ///
    /// - Parameter mayBeOld: whether those do that were there a moment ago.
    func children(of process: Int32, mayBeOld: Bool = false) -> [Int32] {
        if mayBeOld, let seen = state.withLock({ $0.children[process] }), isNew(seen.time) { return seen.all }
        let children = ProcFile.children(of: process)
        state.withLock { state in
            if state.children.count >= Self.most { state.children = [:] }
            state.children[process] = (children, Clock.monotonic())
        }
        return children
    }

    private func isNew(_ time: UInt64) -> Bool { Clock.monotonic() &- time < ProcFile.moment }

    private func look(_ process: Int32) -> [ProcFile.OpenDescriptor] {
        let pipes = ProcFile.descriptors(of: process, below: nil, seesFlags: false).filter { $0.pipe != nil }
        state.withLock { state in
            if state.pipes.count >= Self.most { state.pipes = [:] }
            state.pipes[process] = Seen(pipes: pipes, time: Clock.monotonic())
        }
        return pipes
    }

    /// The named ones among descriptors.
    static func namedEnds(_ descriptors: [ProcFile.OpenDescriptor]) -> Ends {
        ends(descriptors.filter { $0.pipe.map(ProcFile.isFifo) ?? false }, countsErrors: false)
    }

    private static func ends(_ descriptors: [ProcFile.OpenDescriptor], countsErrors: Bool) -> Ends {
        var ends: Ends = ([], [])
        for descriptor in descriptors {
            // How those end who are at the other end of a named one is not asked.
            guard let pipe = descriptor.pipe, !countsErrors || !ProcFile.isFifo(pipe) else { continue }
            if descriptor.isRead { ends.read.insert(pipe) }
            if descriptor.isWritten, countsErrors || descriptor.number != STDERR_FILENO { ends.written.insert(pipe) }
        }
        return ends
    }
}
