internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Synchronization
internal import SystemCalls

/// Files that are whole and closed, and that the store has no room for or fails for. They stay staged until it takes them.
///
/// Of each user and directory one file is tried at a time, the smallest, and when it is published the others are. One timer serves all, and
/// there is none while nothing waits. A try costs at most a tenth of the time, however large the file is.
final class WaitingFiles: Sendable {
    struct Entry: Sendable {
        let file: ArtifactFile
        let bytes: Int64
        /// Where it goes.
        let target: RealDirectory
        /// On the monotonic clock, as all times here.
        var notBefore: UInt64 = 0
    }

    /// What those have in common of which the first is tried for all.
    private struct Place: Hashable {
        let user: UInt32
        let directory: String
        let rule: Rule
    }

    private struct Group {
        var entries: [Entry] = []
        /// The one that is tried.
        var trying: InodeNumber?
        var failures = 0
        var notBefore: UInt64 = 0
    }

    private struct State {
        var groups: [Place: Group] = [:]
        /// Where each file is that is waiting or is tried again.
        var places: [InodeNumber: Place] = [:]
        /// Whether killed mounts have left finished files that wait too, when they are looked at again, and how often they were.
        var hasLeftovers = false
        var leftoversNotBefore: UInt64 = 0
        var leftoversFailures = 0
        /// To the next look, in milliseconds.
        var delay = WaitingFiles.shortest
        var hasTimer = false
        var isStopping = false
    }

    /// How long it is from one look at the file systems to the next, in milliseconds.
    private static let shortest = 250
    private static let longest = 8_000
    /// How long it is at most from one try in vain to the next, in nanoseconds, unless a try takes long.
    private static let longestPause: UInt64 = 300_000_000_000

    /// A leaf in the order of locks.
    private let state = Lock(State())
    private let hasAny = Atomic(false)
    private let isLooking = Atomic(false)

    /// Whether something waits; costs next to nothing.
    var isAny: Bool { hasAny.load(ordering: .relaxed) }

    /// How many files wait for room, and how many for the store's file system to work again.
    var counts: (room: Int, store: Int) {
        state.withLock { state in
            let room = state.places.values.count { $0.rule == .noRoom }
            return (room, state.places.count - room)
        }
    }

    /// After how long something is tried again that failed so many times.
    private static func pause(after failures: Int) -> UInt64 {
        min(longestPause, 250_000_000 << UInt64(min(max(failures, 0), 16)))
    }

    /// Takes a file that could not be published.
    ///
    /// - Parameters:
    ///   - took: how long the try took, in nanoseconds.
    /// - Returns: whether it was not known.
    func add(_ entry: Entry, of user: UInt32, because rule: Rule, took: UInt64, now: UInt64) -> Bool {
        let id = entry.file.id
        var entry = entry
        entry.notBefore = now &+ min(took, .max >> 8) &* 10
        return state.withLock { state in
            defer { updateHasAny(state) }
            let former = state.places[id]
            if let former, state.groups[former]?.trying == id {
                let failures = (state.groups[former]?.failures ?? 0) + 1
                state.groups[former]?.trying = nil
                state.groups[former]?.failures = failures
                state.groups[former]?.notBefore = now &+ Self.pause(after: failures)
            }
            let place = Place(user: user, directory: entry.target.path, rule: rule)
            if let former, former != place { Self.removeIfEmpty(former, &state) }
            state.places[id] = place
            state.groups[place, default: Group()].entries.append(entry)
            return former == nil
        }
    }

    private static func removeIfEmpty(_ place: Place, _ state: inout State) {
        if let group = state.groups[place], group.entries.isEmpty, group.trying == nil { state.groups[place] = nil }
    }

    /// The files to try next, one of each user and directory; they are taken.
    ///
    /// - Parameters:
    ///   - evenIfTriedJustNow: for the last time.
    ///   - hasRoom: asks the file systems.
    func next(now: UInt64, evenIfTriedJustNow: Bool = false, hasRoom: (Entry) -> Bool) -> [Entry] {
        let candidates = state.withLock { state in
            state.groups.compactMap { place, group -> (Place, Entry)? in
                guard group.trying == nil, evenIfTriedJustNow || group.notBefore <= now else { return nil }
                return group.entries.filter { evenIfTriedJustNow || $0.notBefore <= now }
                    .min { $0.bytes < $1.bytes }.map { (place, $0) }
            }
        }
        let chosen = candidates.filter { $0.0.rule != .noRoom || hasRoom($0.1) }
        return state.withLock { state in
            chosen.compactMap { place, entry in
                guard state.groups[place]?.trying == nil,
                    let index = state.groups[place]?.entries.firstIndex(where: { $0.file === entry.file })
                else { return nil }
                state.groups[place]?.trying = entry.file.id
                return state.groups[place]?.entries.remove(at: index)
            }
        }
    }

    /// Forgets a file of which it is known what became.
    ///
    /// - Returns: the files that are to be tried now because this one is published; they are taken.
    func end(_ id: InodeNumber, isPublished: Bool, now: UInt64, hasRoom: (Entry) -> Bool) -> [Entry] {
        guard isAny else { return [] }
        let (place, candidates) = state.withLock { state -> (Place?, [Entry]) in
            guard let place = state.places.removeValue(forKey: id) else { return (nil, []) }
            defer {
                Self.removeIfEmpty(place, &state)
                updateHasAny(state)
            }
            guard state.groups[place]?.trying == id else { return (nil, []) }
            state.groups[place]?.trying = nil
            guard isPublished else { return (nil, []) }
            state.groups[place]?.failures = 0
            return (place, state.groups[place]?.entries.filter { $0.notBefore <= now } ?? [])
        }
        guard let place else { return [] }
        let chosen = Set(candidates.filter { place.rule != .noRoom || hasRoom($0) }.map(\.file.id))
        return state.withLock { state in
            let all = state.groups[place]?.entries ?? []
            state.groups[place]?.entries.removeAll { chosen.contains($0.file.id) }
            return all.filter { chosen.contains($0.file.id) }
        }
    }

    /// A file that is tried is put off for another reason: others may be tried.
    func skip(_ id: InodeNumber) {
        guard isAny else { return }
        state.withLock { state in
            guard let place = state.places[id], state.groups[place]?.trying == id else { return }
            state.groups[place]?.trying = nil
        }
    }

    private func updateHasAny(_ state: borrowing State) {
        hasAny.store(!state.places.isEmpty || state.hasLeftovers, ordering: .relaxed)
    }

    // MARK: - What killed mounts left

    /// - Parameter took: how long the look took, in nanoseconds.
    func noteLeftovers(_ isSome: Bool, took: UInt64 = 0, now: UInt64) {
        state.withLock { state in
            state.leftoversFailures = isSome && state.hasLeftovers ? state.leftoversFailures + 1 : 0
            state.hasLeftovers = isSome
            let pause = max(Self.pause(after: state.leftoversFailures), min(took, .max >> 8) &* 10)
            state.leftoversNotBefore = now &+ pause
            updateHasAny(state)
        }
    }

    func leftoversAreDue(now: UInt64) -> Bool {
        state.withLock { $0.hasLeftovers && !$0.isStopping && $0.leftoversNotBefore <= now }
    }

    // MARK: - The timer

    /// In how many milliseconds to look next; nil when a timer runs or none is needed. The caller sets it.
    func startTimer() -> Int? {
        state.withLock { state in
            guard !state.hasTimer, !state.isStopping else { return nil }
            guard !state.places.isEmpty || state.hasLeftovers else {
                state.delay = Self.shortest
                return nil
            }
            state.hasTimer = true
            defer { state.delay = min(state.delay * 2, Self.longest) }
            return state.delay
        }
    }

    func timerHasEnded() { state.withLock { $0.hasTimer = false } }

    /// Whether to look now, because something was removed: not when somebody is about to.
    func beginLook() -> Bool { isAny && !isLooking.exchange(true, ordering: .relaxed) }
    func lookBegins() { isLooking.store(false, ordering: .relaxed) }

    /// From now on nothing is tried by itself.
    func stop() { state.withLock { $0.isStopping = true } }
    var isStopping: Bool { state.withLock { $0.isStopping } }
}
