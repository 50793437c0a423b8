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
    /// Where it is heard when one becomes a command that is soon enough for what may be missed.
    private static let heardPause: UInt64 = 16_000_000
    private static let mostFollowed = 1024
    private static let mostKnown = 1024
    /// In nanoseconds: meanwhile a process does not end, be forgotten, and its number come back as another's.
    private static let ancestorTime: UInt64 = 200_000_000
    /// A job is told with its nearest ancestors.
    private static let mostAncestors = 64

    private let environment: EnvironmentNames
    private let reader: PatientReader
    private let isOther: @Sendable (Int32, ProcFile.Descent) -> Void
    private let hears: @Sendable () -> Bool
    private let code = CodeCapture()
    private let bell = PosixSemaphore()
    /// A leaf in the order of locks.
    private let state = Lock(State())

    /// - Parameters:
    ///   - isOther: told of a process that has become another program, on a thread that may wait.
    ///   - hears: whether ``hasRun(_:)`` is told of who runs another program.
    init(
        _ environment: EnvironmentNames, _ reader: PatientReader,
        isOther: @escaping @Sendable (Int32, ProcFile.Descent) -> Void, hears: @escaping @Sendable () -> Bool
    ) {
        (self.environment, self.reader, self.isOther, self.hears) = (environment, reader, isOther, hears)
    }

    /// Sees what a process is that opens something.
    func observeOpening(_ process: LinuxProcess) {
        guard !seeFork(process) else { return follow(process) }
        if look(process, isClosing: false) == true, !process.isSeen(as: nil) { follow(process) }
    }

    /// Sees what a process is that closes something, before it is answered.
    ///
    /// - Parameters:
    ///   - name: what it is called by now.
    ///   - mayBeLater: whether it may still be another program when it closes that for the last time.
    func observeClosing(_ process: LinuxProcess, as name: String, mayBeLater: Bool) {
        // A shell's child closes what it opened for its command as soon as it has another descriptor of it. Whether it is the same still is looked at
        // without letting it wait.
        if mayBeLater, process.isFork(called: name) {
            // When it becomes another that is heard.
            if hears() { return }
            let isTaken = reader.submit { [self] in
                guard process.beginLooking() else { return }
                // Somebody else may have seen by now what it has become.
                if !see(process, isClosing: false), !process.isSeen(as: nil) { process.doubt(closingAs: name) }
                process.endLooking()
            }
            if isTaken { return }
        }
        var isDone = look(process, isClosing: true)
        // Somebody is looking, who may have begun before it was what it is now.
        let end = Clock.monotonic() &+ UInt64(Self.patience) &* 1_000_000
        while isDone == nil, Clock.monotonic() < end, process.awaitLook(atMost: Self.patience) {
            if process.isSeen(as: name) { break }
            isDone = look(process, isClosing: true)
        }
        if process.isSeen(as: name) { return process.confirm() }
        if isDone == true { process.confirm() } else { process.doubt(closingAs: name) }
    }

    /// Of a process that another one has made, and that has run no program of its own, nothing has to be asked that is known of that one. What is
    /// read here waits for nobody (`ProcFile.origin`).
    private func seeFork(_ process: LinuxProcess) -> Bool {
        guard process.beginLooking() else { return false }
        defer { process.endLooking() }
        guard process.facts == nil, let sight = process.lastSight ?? ProcFile.sight(of: process.process),
            !sight.origin.isProgram, let parent = knownAncestor(sight.origin.parent),
            let image = parent.child(process.process, sight, process.rights),
            let ancestors = ancestors(of: image, known: true)
        else { return false }
        note(process, image, ancestors)
        return true
    }

    /// Looks at a process whose program may be another than was seen.
    ///
    /// - Returns: whether it was seen; nil when somebody else is looking, or nobody can.
    private func look(_ process: LinuxProcess, isClosing: Bool) -> Bool? {
        guard process.beginLooking() else { return nil }
        let isSeen = Atomic(false)
        let isDone = reader.run(within: Self.patience) { [self] in
            defer { process.endLooking() }
            isSeen.store(see(process, isClosing: isClosing), ordering: .releasing)
        }
        if isDone == nil { process.endLooking() }
        return isDone == true ? isSeen.load(ordering: .acquiring) : nil
    }

    /// Sees what a process is, on a thread that may wait.
    private func see(_ process: LinuxProcess, isClosing: Bool) -> Bool {
        // Nothing has changed since it was made: a look at its name and flags is enough.
        if let known = process.facts, isUnchanged(process, known.image) {
            // What closes a file is what it is, though it has not become another program.
            if isClosing { code.look(process, known.image, known.ancestors, again: false) }
            return true
        }
        guard let image = ProcessImage(process.process, environment), process.isThere,
            let ancestors = ancestors(of: image)
        else { return false }
        note(process, image, ancestors)
        if image.isOfProgram { isOther(process.process, image.origin) }
        if image.isOfProgram || isClosing { code.look(process, image, ancestors, again: true) }
        return true
    }

    private func isUnchanged(_ process: LinuxProcess, _ known: ProcessImage) -> Bool {
        guard let now = ProcFile.origin(of: process.process) else { return false }
        // What has given up its memory ends.
        let isSameMemory = now.memory == nil || known.origin.memory == nil || now.memory == known.origin.memory
        return now.isProgram == known.isOfProgram && isSameMemory
            && ProcFile.program(ofThread: process.process) == known.name
    }

    private func note(_ process: LinuxProcess, _ image: ProcessImage, _ ancestors: [ProcessImage]) {
        process.note(WriterFacts(image: image, ancestors: ancestors, user: (image.rights?.user).flatMap(userName)))
    }

    /// Asks with which code a process works, when nobody has: of one that was not seen to close anything.
    func lookForCode(_ process: LinuxProcess) {
        guard let facts = process.facts else { return }
        code.look(process, facts.image, facts.ancestors, again: false)
    }

    /// From the parent to the leader of the session, or as far as they are seen and the same user's.
    ///
    /// - Parameter known: only those that were seen a moment ago count: nobody waits.
    /// - Returns: nil when one of them was not seen a moment ago.
    private func ancestors(of image: ProcessImage, known isKnown: Bool = false) -> [ProcessImage]? {
        var ancestors: [ProcessImage] = []
        var last = image
        while last.process != image.origin.session, last.origin.parent > 1, ancestors.count < Self.mostAncestors {
            let found = isKnown ? knownAncestor(last.origin.parent) : ancestor(last.origin.parent)
            if isKnown, found == nil { return nil }
            guard let found,
                // A child is no older; who has the number of a parent that is gone may be.
                found.origin.start <= last.origin.start, found.origin.session == image.origin.session,
                // What another user does, of whom this one was given a process, is not for those to see who may read the artifact.
                found.rights?.user == image.rights?.user
            else { break }
            ancestors.append(found)
            last = found
        }
        return ancestors
    }

    /// An ancestor of a process that is there: it is read once, and that it is the same is asked once in a while. It costs no descriptor.
    private func ancestor(_ process: Int32) -> ProcessImage? {
        if let known = knownAncestor(process) { return known }
        let isHeard = hears()
        if let known = state.withLock({ $0.ancestors[process] })?.image, let origin = ProcFile.origin(of: process),
            origin == known.origin, ProcFile.program(ofThread: process) == known.name
        {
            if known.isOfProgram || isHeard {
                state.withLock { $0.ancestors[process]?.end = Clock.monotonic() &+ Self.ancestorTime }
            }
            return known.now
        }
        guard let seen = ProcessImage(process, environment) else { return nil }
        state.withLock { state in
            if state.ancestors.count >= Self.mostKnown { state.ancestors = [:] }
            // What has not become a program yet may do so at any time: where that is not heard it is asked each time whether it has.
            let time = seen.isOfProgram || isHeard ? Self.ancestorTime : 0
            state.ancestors[process] = Ancestor(image: seen, end: Clock.monotonic() &+ time)
        }
        return seen
    }

    /// One that was looked at a moment ago.
    private func knownAncestor(_ process: Int32) -> ProcessImage? {
        let now = Clock.monotonic()
        return state.withLock { state in
            state.ancestors[process].flatMap { now < $0.end ? $0.image : nil }
        }?.now
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
        let isHeard = hears()
        let starts = state.withLock { state -> Bool? in
            guard state.followed.count < Self.mostFollowed, !state.followed.contains(where: { $0.process === process })
            else { return nil }
            let pause = isHeard ? Self.heardPause : Self.firstPause
            state.followed.append(Followed(process: process, next: Clock.monotonic() &+ pause, pause: pause))
            defer { state.hasThread = true }
            return !state.hasThread
        }
        guard let starts else { return }
        guard starts else {
            if !isHeard { bell.post() }
            return
        }
        if let thread = WorkerThread(name: "artifactfs-follow", { self.serve() }) {
            thread.detach()
        } else {
            state.withLock { ($0.followed, $0.hasThread) = ([], false) }
        }
    }

    /// It was heard that a process runs another program.
    func hasRun(_ process: Int32) {
        let followed = state.withLock { state in
            state.ancestors[process] = nil
            return state.followed.first { $0.process.process == process }?.process
        }
        guard let followed else { return }
        _ = reader.submit { [self] in
            guard followed.beginLooking() else { return }
            defer { followed.endLooking() }
            _ = see(followed, isClosing: false)
        }
    }

    private func serve() {
        while let pause = nextPause() {
            // At most that; who is new rings.
            if pause > 0 { _ = bell.wait(milliseconds: Int32(clamping: pause)) }
            let now = Clock.monotonic()
            for followed in state.withLock({ state in state.followed.filter { $0.next <= now } }) {
                let process = followed.process
                // Most have become nothing else.
                if process.isThere, process.facts.map({ !isUnchanged(process, $0.image) }) ?? true {
                    _ = look(process, isClosing: false)
                }
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
