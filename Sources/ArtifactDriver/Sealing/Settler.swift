internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What waits to hear how those end who made it: a file, or a directory that is an artifact.
protocol AwaitsMakers: AnyObject, Sendable {
    /// Its inode.
    var id: InodeNumber { get }
}

/// Files that wait to hear how those end who made them. One thread sleeps until one of them ends, or until a file has waited long enough;
/// while no file waits there is nothing that wakes it.
final class Settler: Sendable {
    /// Judges a file; whether it still waits.
    typealias Judge = @Sendable (any AwaitsMakers) -> Bool

    private struct Waiting {
        let file: any AwaitsMakers
        /// On the monotonic clock.
        var end: UInt64
        /// Who made it.
        var makers: [ObjectIdentifier] = []
    }

    private struct Followed {
        let process: any WatchedProcess
        var files: Set<UInt64> = []
        /// It has ended, and how is told once somebody has waited for it (`POLLHUP`).
        var awaitsReaping = false
    }

    private struct State {
        var waiting: [UInt64: Waiting] = [:]
        var followed: [ObjectIdentifier: Followed] = [:]
        /// Those of them of whom there is something to hear: of a loop's programs few live, and their files wait for the shell.
        var listened: Set<ObjectIdentifier> = []
        /// In the order in which they are over; what was decided before stays in it.
        var ends: [(end: UInt64, file: UInt64)] = []
        var firstEnd = 0
        var judge: Judge?
        var hasThread = false
        var isEnded = false
        /// Who waits until no file waits.
        var idle: [PosixSemaphore] = []
    }

    /// In nanoseconds.
    private static let again: UInt64 = 500_000_000

    /// A leaf in the order of locks.
    private let state = Lock(State())
    /// Rings when there is something new; nil when the process has no descriptor left.
    private let wake = try? SystemCall.makeEvent()

    private let startThread: SealQueue.ThreadStart

    /// - Parameter startThread: for tests.
    init(
        startThread: @escaping SealQueue.ThreadStart = { name, body in
            guard let thread = WorkerThread(name: name, body) else { return false }
            thread.detach()
            return true
        }
    ) {
        self.startThread = startThread
    }

    deinit { if let wake { SystemCall.close(wake) } }

    /// - Parameter judge: called without locks held.
    func start(_ judge: @escaping Judge) { state.withLock { $0.judge = judge } }

    /// How many files wait.
    var count: Int { state.withLock { $0.waiting.count } }

    /// Judges a file when a process ends, and at a time.
    ///
    /// - Parameter end: on the monotonic clock; later than that of every file before. Nil for no time: only ends are waited for.
    /// - Returns: the files that the caller has to see to, because there is no thread to be had: this one, and those that others added while
    ///   it was tried to start one.
    func add(
        _ file: any AwaitsMakers, until end: UInt64?, _ processes: [any WatchedProcess]
    ) -> [any AwaitsMakers] {
        let id = file.id.rawValue
        let (starts, isReady, isNews) = state.withLock { state -> (Bool, Bool, Bool) in
            guard wake != nil, !state.isEnded, state.judge != nil else { return (false, false, false) }
            // The thread sleeps until an earlier end, and looks at these processes already, for all but the first file of a program.
            var isNews = state.firstEnd >= state.ends.count
            // Who closed it before may come later: the last end counts.
            if let end, state.waiting[id].map({ $0.end < end || $0.end == .max }) ?? true {
                state.waiting[id, default: Waiting(file: file, end: end)].end = end
                state.ends.append((end, id))
            } else if state.waiting[id] == nil {
                state.waiting[id] = Waiting(file: file, end: .max)
                isNews = true
            }
            for process in processes {
                let key = ObjectIdentifier(process)
                if state.followed[key, default: Followed(process: process)].files.insert(id).inserted {
                    state.waiting[id]?.makers.append(key)
                }
                // It may have ended since it was heard for another file.
                if state.listened.insert(key).inserted { isNews = true }
            }
            defer { state.hasThread = true }
            return (!state.hasThread, true, isNews)
        }
        guard isReady else { return [file] }
        guard starts else {
            if isNews { ring() }
            return []
        }
        if startThread("artifactfs-settle", { self.serve() }) { return [] }
        return state.withLock { state in
            state.hasThread = false
            defer {
                (state.waiting, state.followed, state.listened) = ([:], [:], [])
                (state.ends, state.firstEnd) = ([], 0)
            }
            return state.waiting.values.map(\.file)
        }
    }

    /// Waits until nothing waits that waits for a time, and ends.
    ///
    /// - Parameter limit: for so many milliseconds at most.
    func finish(atMost limit: Int32) {
        let idle = PosixSemaphore()
        let waits = state.withLock { state in
            guard Self.isAnyTimed(state) else { return false }
            state.idle.append(idle)
            return true
        }
        if waits { _ = idle.wait(milliseconds: limit) }
        state.withLock { $0.isEnded = true }
        ring()
    }

    /// Whether anything waits for a time; the rest may wait for ever.
    private static func isAnyTimed(_ state: State) -> Bool { state.waiting.values.contains { $0.end < .max } }

    private func ring() { if let wake { SystemCall.signal(wake) } }

    private func silence() { if let wake { _ = try? SystemCall.bytes(wake, atMost: 8) } }

    // MARK: - The thread

    private static func remove(_ id: UInt64, _ state: inout State) {
        for key in state.waiting.removeValue(forKey: id)?.makers ?? [] {
            state.followed[key]?.files.remove(id)
            guard state.followed[key]?.files.isEmpty == true else { continue }
            state.followed[key] = nil
            state.listened.remove(key)
        }
    }

    private func serve() {
        while true {
            let (listened, timeout, isEnded) = state.withLock { state -> ([Followed], Int32, Bool) in
                (state.listened.compactMap { state.followed[$0] }, Self.timeout(&state), state.isEnded)
            }
            if isEnded { return }
            let processes = listened.map(\.process)
            var polled = listened.map { followed in
                // A hang-up is told whatever is asked for (poll(2)).
                pollfd(
                    fd: followed.process.descriptor, events: followed.awaitsReaping ? 0 : Int16(POLLIN), revents: 0)
            }
            // How it ended is known already: somebody else has asked.
            let isAnyOver = polled.contains { $0.fd < 0 }
            polled.append(pollfd(fd: wake?.rawValue ?? -1, events: Int16(POLLIN), revents: 0))
            let found = poll(&polled, nfds_t(polled.count), isAnyOver ? 0 : timeout)
            if found > 0, polled[polled.count - 1].revents != 0 { silence() }
            var files = takeOver()
            for (index, process) in processes.enumerated() {
                if polled[index].fd < 0 {
                    files.append(contentsOf: hear(process, Int16(POLLHUP)))
                } else if found > 0, polled[index].revents != 0 {
                    files.append(contentsOf: hear(process, polled[index].revents))
                }
            }
            for file in files { judge(file) }
        }
    }

    /// Milliseconds until a file has waited long enough; -1 for ever.
    private static func timeout(_ state: inout State) -> Int32 {
        while state.firstEnd < state.ends.count {
            let (end, id) = state.ends[state.firstEnd]
            if state.waiting[id]?.end == end {
                let now = Clock.monotonic()
                return now >= end ? 0 : Int32(clamping: (end - now) / 1_000_000 + 1)
            }
            state.firstEnd += 1
        }
        state.ends = []
        state.firstEnd = 0
        return -1
    }

    /// The files that have waited long enough.
    private func takeOver() -> [any AwaitsMakers] {
        state.withLock { state in
            var files: [any AwaitsMakers] = []
            let now = Clock.monotonic()
            while state.firstEnd < state.ends.count {
                let (end, id) = state.ends[state.firstEnd]
                if let waiting = state.waiting[id], waiting.end == end {
                    guard now >= end else { break }
                    files.append(waiting.file)
                }
                state.firstEnd += 1
            }
            if state.firstEnd > 4096, state.firstEnd * 2 > state.ends.count {
                state.ends.removeSubrange(..<state.firstEnd)
                state.firstEnd = 0
            }
            return files
        }
    }

    /// A process has ended, or was waited for after it had: the files that it had to do with.
    private func hear(_ process: any WatchedProcess, _ events: Int16) -> [any AwaitsMakers] {
        let isReaped = events & Int16(POLLHUP) != 0
        let isUnknown = process.ending == .unknown
        return state.withLock { state in
            let key = ObjectIdentifier(process)
            guard let files = state.followed[key]?.files else { return [] }
            if isUnknown, !isReaped {
                state.followed[key]?.awaitsReaping = true
                return []
            }
            state.listened.remove(key)
            return files.compactMap { state.waiting[$0]?.file }
        }
    }

    private func judge(_ file: any AwaitsMakers) {
        let (known, end) = state.withLock { ($0.judge, $0.waiting[file.id.rawValue]?.end) }
        guard let known else { return }
        if known(file) {
            // It waits on, though its time is over: it is looked at again in a while.
            let now = Clock.monotonic()
            state.withLock { state in
                guard let waiting = state.waiting[file.id.rawValue], waiting.end == end, waiting.end <= now else {
                    return
                }
                state.waiting[file.id.rawValue]?.end = now + Self.again
                state.ends.append((now + Self.again, file.id.rawValue))
            }
            return
        }
        let idle = state.withLock { state -> [PosixSemaphore] in
            // Written to again and closed again meanwhile: then it waits anew.
            guard state.waiting[file.id.rawValue]?.end == end else { return [] }
            Self.remove(file.id.rawValue, &state)
            guard !Self.isAnyTimed(state) else { return [] }
            defer { state.idle = [] }
            return state.idle
        }
        for semaphore in idle { semaphore.post() }
    }
}
