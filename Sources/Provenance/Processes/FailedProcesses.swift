package import Artifacts
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// The processes of this machine that failed lately, and are gone: what they were called, whose children they were, how they ended. The kernel
/// keeps them for us until they are asked for; nothing wakes for them. Root's driver only (`CAP_NET_ADMIN`).
package final class FailedProcesses: Sendable {
    /// A process that is gone.
    package struct EndedProcess: Sendable {
        let process: Int32
        let parent: Int32
        /// 15 bytes at most.
        let program: String
        let ending: WriterEnding
    }

    private struct State {
        var last: [EndedProcess] = []
        /// Until when it counts that some were not read in time, on the monotonic clock.
        var gapEnd: UInt64 = 0
    }

    private static let most = 4096
    /// For how long a loss counts, in nanoseconds: a pipeline's programs begin together.
    private static let gap: UInt64 = 60_000_000_000
    private let socket: FileDescriptor
    /// A leaf in the order of locks; what is read under it is in memory.
    private let state = Lock(State())

    /// Nil where the kernel does not tell.
    package init?() {
        guard let socket = try? SystemCall.openFailedProcesses() else { return nil }
        self.socket = socket
    }

    deinit { SystemCall.close(socket) }

    /// What a process was, if it failed lately.
    package func find(_ process: Int32) -> EndedProcess? {
        state.withLock { state in
            read(&state)
            return state.last.last { $0.process == process }
        }
    }

    /// The child of a parent that was made last before another one, if it failed: their numbers follow each other. What was made in
    /// between, by whomever, makes that unknown.
    package func neighbour(of process: Int32, childOf parent: Int32) -> EndedProcess? {
        state.withLock { state in
            read(&state)
            return state.last.last { $0.process == process - 1 && $0.parent == parent }
        }
    }

    /// Whether no child of a parent has failed of late: then whoever of them is gone has ended well.
    package func allEndedWell(childrenOf parent: Int32) -> Bool {
        state.withLock { state in
            read(&state)
            return Clock.monotonic() >= state.gapEnd && !state.last.contains { $0.parent == parent }
        }
    }

    private func read(_ state: inout State) {
        while true {
            switch SystemCall.nextFailedProcess(socket) {
            case .none: return
            case .lost: state.gapEnd = Clock.monotonic() &+ Self.gap
            case .found(let process, let parent, let code, let program):
                // The oldest: who is asked about has ended just now.
                if state.last.count >= Self.most { state.last.removeFirst(Self.most / 2) }
                state.last.append(
                    EndedProcess(
                        process: process, parent: parent, program: program,
                        ending: WriterEnding(exitCode: UInt64(code))))
            }
        }
    }
}

/// A process that was gone when it was looked for, and failed.
package final class GoneProcess: WatchedProcess {
    private let failure: FailedProcesses.EndedProcess

    package init(_ failure: FailedProcesses.EndedProcess) { self.failure = failure }

    package var process: Int32 { failure.process }
    package var session: Int32 { 0 }
    package var program: String { failure.program }
    package func lookAgain() {}
    package func isCalled(_ program: String) {}
    package func isSeen(as name: String?) -> Bool { true }
    package var facts: WriterFacts? { nil }
    package func awaitFacts(atMost milliseconds: Int32) {}
    package var ending: WriterEnding { failure.ending }
    package var descriptor: Int32 { -1 }
}
