/// What waits to be published, in lanes by weight: what takes long never stands before what is quick, and in each lane the users take
/// turns, so that nobody waits for all that another has closed.
struct SealBacklog: Sendable {
    enum Work: Sendable {
        case publish(ArtifactFile, weight: Int, by: SealQueue.Publish)
        case other(@Sendable () -> Void)

        var weight: Int { if case .publish(_, let weight, _) = self { weight } else { 1 } }
    }

    enum Lane: Int, CaseIterable, Sendable {
        /// Milliseconds.
        case short
        /// Seconds.
        case long
        /// Minutes.
        case longest

        /// The lane for a file of so many bytes, holes included: they are hashed too.
        init(bytes: Int64) {
            switch bytes {
            case ...(4 << 20): self = .short
            case ...(256 << 20): self = .long
            default: self = .longest
            }
        }
    }

    /// Work that was taken, and whose it is.
    struct Taken: Sendable {
        let run: @Sendable () -> Void
        fileprivate let user: UInt32
    }

    /// How much is taken together: a small file weighs 1.
    static let batch = 64

    /// How many workers one lane may have, and how many of them for one user.
    private struct Limits {
        var all: Int
        var each: Int
    }

    private struct Waiting {
        /// By user; there is none without work.
        var users: [UInt32: Line<Work>] = [:]
        /// Whose turn it is, each user with work once.
        var turns = Line<UInt32>()
        var count = 0
        var weight = 0
        var limits: Limits
        var running = 0
        /// Where a user's share is limited: how much of it is taken.
        var shares: [UInt32: Int] = [:]

        mutating func add(_ work: Work, of user: UInt32) {
            if users[user] == nil { turns.add(user) }
            users[user, default: Line()].add(work)
            count += 1
            weight += work.weight
        }

        /// The user whose turn it is, who then stands behind the others.
        mutating func nextUser() -> UInt32? {
            for _ in 0..<turns.count {
                guard let user = turns.take() else { return nil }
                if mayHaveMore(user) { return user }
                turns.add(user)
            }
            return nil
        }

        func mayHaveMore(_ user: UInt32) -> Bool {
            limits.each >= limits.all || shares[user, default: 0] < limits.each
        }

        func next(of user: UInt32) -> Work? { users[user]?.first }

        /// Takes a user's next work; the user has been taken from `turns`.
        mutating func take(of user: UInt32) -> Work? {
            guard let work = users[user]?.take() else { return nil }
            if users[user]?.count == 0 { users[user] = nil } else { turns.add(user) }
            count -= 1
            weight -= work.weight
            return work
        }
    }

    private var lanes: [Waiting]

    /// - Parameter workers: how many one lane has at most.
    init(workers: Int) {
        let all = max(1, workers)
        // Of what takes long nobody has so much under way that another could not begin.
        lanes = [all, max(1, all / 2), max(1, all / 4)].map { Waiting(limits: Limits(all: all, each: $0)) }
    }

    /// How much waits.
    var count: Int { lanes.reduce(0) { $0 + $1.count } }
    /// Whether a lane has work for another worker.
    func hasWork(in lane: Lane) -> Bool {
        lanes[lane.rawValue].users.keys.contains(where: lanes[lane.rawValue].mayHaveMore)
    }
    func count(of user: UInt32) -> Int { lanes.reduce(0) { $0 + ($1.users[user]?.count ?? 0) } }
    func weight(in lane: Lane) -> Int { lanes[lane.rawValue].weight }
    func running(in lane: Lane) -> Int { lanes[lane.rawValue].running }
    var running: Int { lanes.reduce(0) { $0 + $1.running } }

    mutating func add(_ work: Work, of user: UInt32, in lane: Lane) { lanes[lane.rawValue].add(work, of: user) }

    /// Whether a lane may have another worker.
    func hasRoom(in lane: Lane) -> Bool { lanes[lane.rawValue].running < lanes[lane.rawValue].limits.all }

    mutating func begin(_ lane: Lane) { lanes[lane.rawValue].running += 1 }
    mutating func end(_ lane: Lane) { lanes[lane.rawValue].running -= 1 }

    /// The next work of a lane, with as many of the small files behind it as go together.
    mutating func next(in lane: Lane) -> Taken? {
        let place = lane.rawValue
        guard let user = lanes[place].nextUser(), let work = lanes[place].take(of: user) else { return nil }
        if lanes[place].limits.each < lanes[place].limits.all { lanes[place].shares[user, default: 0] += 1 }
        switch work {
        case .other(let work): return Taken(run: work, user: user)
        case .publish(let file, var weight, let publish):
            var files = [file]
            while lane == .short, let user = lanes[place].nextUser() {
                guard case .publish(let file, let more, _)? = lanes[place].next(of: user), weight + more <= Self.batch
                else {
                    lanes[place].turns.addFirst(user)
                    break
                }
                _ = lanes[place].take(of: user)
                files.append(file)
                weight += more
            }
            return Taken(run: { [files] in publish(files) }, user: user)
        }
    }

    /// What was taken is done.
    mutating func finish(_ taken: Taken, in lane: Lane) {
        guard let share = lanes[lane.rawValue].shares[taken.user] else { return }
        lanes[lane.rawValue].shares[taken.user] = share > 1 ? share - 1 : nil
    }

    /// Forgets all that waits.
    ///
    /// - Returns: it, to be destroyed outside the lock.
    mutating func removeAll() -> [[UInt32: Line<Work>]] {
        var all: [[UInt32: Line<Work>]] = []
        for place in lanes.indices {
            all.append(lanes[place].users)
            lanes[place].users = [:]
            lanes[place].turns = Line()
            lanes[place].count = 0
            lanes[place].weight = 0
        }
        return all
    }
}

/// First come, first served.
struct Line<Element: Sendable>: Sendable {
    /// From `start` on; before it, what was taken.
    private var elements: [Element?] = []
    private var start = 0

    var count: Int { elements.count - start }
    var first: Element? { count > 0 ? elements[start] : nil }

    mutating func add(_ element: Element) { elements.append(element) }

    mutating func addFirst(_ element: Element) {
        if start > 0 {
            start -= 1
            elements[start] = element
        } else {
            elements.insert(element, at: 0)
        }
    }

    mutating func take() -> Element? {
        guard count > 0 else { return nil }
        let next = elements[start]
        elements[start] = nil
        start += 1
        if start == elements.count || start >= 1024 {
            elements.removeSubrange(..<start)
            start = 0
        }
        return next
    }
}
