internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// Sees what processes are that write, as long as they are there: at their first request, again once a shell's child has become its command,
/// and when it closes.
final class ProcessCapture: Sendable {
    private struct Followed {
        let process: LinuxProcess
        /// When it is looked at next, on the monotonic clock.
        var next: UInt64
        /// How long after that, in nanoseconds.
        var pause: UInt64
    }

    private struct Ancestor {
        let image: ProcessImage
        /// Until when it is taken to be the same, on the monotonic clock.
        var end: UInt64
    }

    private struct State {
        var followed: [Followed] = []
        var hasThread = false
        /// Ancestors by their numbers, as they were seen last.
        var ancestors: [Int32: Ancestor] = [:]
        /// Names of users. What a name service does not answer is asked again.
        var users: [UInt32: String] = [:]
    }

    /// For so many milliseconds a request waits. Reading takes a tenth of one, but a busy machine gives a thread its turn late.
    private static let patience: Int32 = 1000
    /// Commands are run within a millisecond; what has not become one for a second is a shell of its own.
    private static let (firstPause, longestPause): (UInt64, UInt64) = (500_000, 1_000_000_000)
    private static let mostFollowed = 1024
    private static let mostKnown = 1024
    /// In nanoseconds: meanwhile a process does not end, be forgotten, and its number come back as another's.
    private static let ancestorTime: UInt64 = 200_000_000
    /// A job is told with its nearest ancestors.
    private static let mostAncestors = 64

    private let environment: EnvironmentNames
    private let reader = PatientReader()
    private let code = CodeCapture()
    private let bell = PosixSemaphore()
    /// A leaf in the order of locks.
    private let state = Lock(State())

    init(_ environment: EnvironmentNames) { self.environment = environment }

    /// - Parameter name: what it is called by now, when its request is a close.
    func observe(_ process: LinuxProcess, closingAs name: String?) {
        var isDone = look(process, closingAs: name)
        // Somebody is looking, who may have begun before it was what it is now.
        let end = Clock.monotonic() &+ UInt64(Self.patience) &* 1_000_000
        while name != nil, isDone == nil, process.isBeingLookedAt, Clock.monotonic() < end {
            _ = PosixSemaphore().wait(milliseconds: 1)
            isDone = look(process, closingAs: name)
        }
        if let name {
            if isDone != true { process.doubt(closingAs: name) }
        } else if isDone == true, !process.isSeen(as: nil) {
            follow(process)
        }
    }

    /// Looks at a process whose program may be another than was seen.
    ///
    /// - Returns: whether it was seen; nil when somebody else is looking, or nobody can.
    private func look(_ process: LinuxProcess, closingAs name: String?) -> Bool? {
        guard process.beginLooking() else { return nil }
        let isSeen = Atomic(false)
        let isClosing = name != nil
        let isDone = reader.run(within: Self.patience) { [self] in
            defer { process.endLooking() }
            // Nothing has changed since it was made: a look at its name and flags is enough.
            if let known = process.facts?.image, let now = ProcFile.origin(of: process.process),
                now.isProgram == known.isOfProgram, ProcFile.program(ofThread: process.process) == known.name
            {
                // What closes a file is what it is, though it has not become another program.
                if isClosing, let facts = process.facts {
                    code.look(process, facts.image, facts.ancestors, again: false)
                }
                return isSeen.store(true, ordering: .releasing)
            }
            guard let image = ProcessImage(process.process, environment), process.isThere else { return }
            let ancestors = ancestors(of: image)
            process.note(WriterFacts(image: image, ancestors: ancestors, user: (image.rights?.user).flatMap(userName)))
            if image.isOfProgram || isClosing { code.look(process, image, ancestors, again: true) }
            isSeen.store(true, ordering: .releasing)
        }
        if isDone == nil { process.endLooking() }
        return isDone == true ? isSeen.load(ordering: .acquiring) : nil
    }

    /// From the parent to the leader of the session, or as far as they are seen and the same user's.
    private func ancestors(of image: ProcessImage) -> [ProcessImage] {
        var ancestors: [ProcessImage] = []
        var last = image
        while last.process != image.origin.session, last.origin.parent > 1, ancestors.count < Self.mostAncestors {
            guard let seen = ancestor(last.origin.parent),
                // A child is no older; who has the number of a parent that is gone may be.
                seen.origin.start <= last.origin.start, seen.origin.session == image.origin.session,
                // What another user does, of whom this one was given a process, is not for those to see who may read the artifact.
                seen.rights?.user == image.rights?.user
            else { break }
            ancestors.append(seen)
            last = seen
        }
        return ancestors
    }

    /// An ancestor of a process that is there: it is read once, and that it is the same is asked once in a while. It costs no descriptor.
    private func ancestor(_ process: Int32) -> ProcessImage? {
        let now = Clock.monotonic()
        if let known = state.withLock({ $0.ancestors[process] }) {
            if now < known.end { return known.image.now }
            if let origin = ProcFile.origin(of: process), origin.start == known.image.origin.start,
                origin.parent == known.image.origin.parent, origin.session == known.image.origin.session,
                origin.isProgram == known.image.isOfProgram, ProcFile.program(ofThread: process) == known.image.name
            {
                state.withLock { $0.ancestors[process]?.end = now &+ Self.ancestorTime }
                return known.image.now
            }
        }
        guard let seen = ProcessImage(process, environment) else { return nil }
        guard seen.isOfProgram else { return seen }
        state.withLock { state in
            if state.ancestors.count >= Self.mostKnown { state.ancestors = [:] }
            state.ancestors[process] = Ancestor(image: seen, end: now &+ Self.ancestorTime)
        }
        return seen
    }

    private func userName(_ number: UInt32) -> String? {
        if let known = state.withLock({ $0.users[number] }) { return known }
        guard let name = SystemCall.userName(number) else { return nil }
        state.withLock { state in
            if state.users.count >= Self.mostKnown { state.users = [:] }
            state.users[number] = name
        }
        return name
    }

    // MARK: - Shells' children

    /// Looks at a process again and again while it is young: it becomes a program, which may be a script that becomes another one, and may close
    /// nothing before it ends, and then what it ran is not to be seen any more.
    private func follow(_ process: LinuxProcess) {
        let starts = state.withLock { state -> Bool? in
            guard state.followed.count < Self.mostFollowed, !state.followed.contains(where: { $0.process === process })
            else { return nil }
            state.followed.append(
                Followed(
                    process: process, next: Clock.monotonic() &+ Self.firstPause, pause: Self.firstPause))
            defer { state.hasThread = true }
            return !state.hasThread
        }
        guard let starts else { return }
        guard starts else { return bell.post() }
        if let thread = WorkerThread(name: "artifactfs-follow", { self.serve() }) {
            thread.detach()
        } else {
            state.withLock { ($0.followed, $0.hasThread) = ([], false) }
        }
    }

    private func serve() {
        while let pause = nextPause() {
            // At most that; who is new rings.
            if pause > 0 { _ = bell.wait(milliseconds: Int32(clamping: pause)) }
            let now = Clock.monotonic()
            for followed in state.withLock({ state in state.followed.filter { $0.next <= now } }) {
                let process = followed.process
                if process.isThere { _ = look(process, closingAs: nil) }
                state.withLock { state in
                    guard let index = state.followed.firstIndex(where: { $0.process === process }) else { return }
                    let pause = followed.pause &* 2
                    if !process.isThere || pause > Self.longestPause {
                        state.followed.remove(at: index)
                    } else {
                        state.followed[index].pause = pause
                        state.followed[index].next = now &+ pause
                    }
                }
            }
        }
    }

    /// Milliseconds until somebody is to be looked at; nil when nobody is, and the thread ends.
    private func nextPause() -> UInt64? {
        state.withLock { state in
            guard let next = state.followed.map(\.next).min() else {
                state.hasThread = false
                return nil
            }
            let now = Clock.monotonic()
            return next > now ? (next &- now) / 1_000_000 &+ 1 : 0
        }
    }
}
