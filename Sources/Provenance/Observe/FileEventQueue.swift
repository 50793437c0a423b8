internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What processes opened, in the order in which they did, as the kernel tells it, each with a time before which it was; a few, since each holds
/// descriptors.
final class FileEventQueue: Sendable {
    private struct State {
        var events: [(event: SystemCall.FileEvent, time: UInt64)] = []
        var next = 0
        var isLossy = false

        var isTaken: Bool { next == events.count }
    }

    /// Tells of files by handles.
    let byHandles: FileDescriptor
    /// Tells of files by opening them, where a file system has no handles; nil where there is none to be had.
    let byFiles: FileDescriptor?
    /// A leaf in the order of locks; what is read under it is there already.
    private let state = Lock(State())
    private static let most = 256

    /// - Throws: what the kernel says.
    init() throws(Errno) {
        byHandles = try SystemCall.openFileEvents(byHandles: true)
        byFiles = try? SystemCall.openFileEvents(byHandles: false)
    }

    deinit {
        state.withLock { state in for one in state.events[state.next...] { one.event.close() } }
        SystemCall.close(byHandles)
        if let byFiles { SystemCall.close(byFiles) }
    }

    /// Whether all there is was taken out.
    var isEmpty: Bool {
        state.withLock { state in
            state.isTaken && [byHandles, byFiles].allSatisfy { $0.map { SystemCall.countFileEvents($0) == 0 } ?? true }
        }
    }

    /// Takes in what there is, at once: what is looked at may take its time.
    ///
    /// - Returns: false when there is no more room.
    func fill() -> Bool {
        state.withLock { state in
            fill(&state)
            return state.events.count - state.next < Self.most
        }
    }

    /// The next one, which is the caller's to close, and when it had been done, on the clock of moments; nil when there is none at the moment.
    func next() -> (event: SystemCall.FileEvent, time: UInt64)? {
        state.withLock { state in
            if state.isTaken { fill(&state) }
            guard !state.isTaken else { return nil }
            defer { state.next += 1 }
            return state.events[state.next]
        }
    }

    /// Whether a process has begun to run something since what was taken out last: what it is by now is not what it was then.
    func runs(_ process: Int32) -> Bool {
        state.withLock { state in
            fill(&state)
            return state.events[state.next...].contains { $0.event.process == process && $0.event.deeds.contains(.run) }
        }
    }

    /// Whether some were lost since this was asked last.
    func wasLossy() -> Bool {
        state.withLock { state in
            defer { state.isLossy = false }
            return state.isLossy
        }
    }

    private func fill(_ state: inout State) {
        if state.isTaken {
            state.events.removeAll(keepingCapacity: true)
            state.next = 0
        }
        for source in [byHandles, byFiles].compactMap({ $0 }) where state.events.count - state.next < Self.most {
            do {
                let events = try SystemCall.nextFileEvents(source)
                let time = Clock.sinceBoot()
                state.events += events.map { ($0, time) }
            } catch {
                // It could not open the file for us.
                state.isLossy = true
            }
        }
    }
}
