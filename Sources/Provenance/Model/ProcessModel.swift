internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// What processes have read, and how it came to those that write: a model of processes, fed by their opens.
///
/// Every statement of it is of what was seen. A process is looked at when it opens a file for the first time, then a few times more, because a young
/// one may run another program, and from then on once in a while. A program is told from another one by its memory (`ProcFile.MemoryID`).
package final class ProcessModel: Sendable {
    struct Entry {
        let known: SeenProcess
        /// Until when a thread's number is taken to be the same thread's, on the clock of moments.
        var end: UInt64
        /// As long as that goes on, its end would have been heard; 0 of none.
        var session: Int

        func isValid(at now: UInt64, in session: Int) -> Bool { now < end || session != 0 && self.session == session }
    }

    /// What is open to read, and who has opened it.
    struct Held {
        let known: SeenProcess
        let file: ReadFile
    }

    struct State {
        /// By the numbers of threads.
        var threads: [Int32: Entry] = [:]
        /// By the numbers of pipes.
        var pipes: [UInt64: PipeFlow] = [:]
        /// What was read, by its path on the mount.
        var files: [String: ReadFile] = [:]
        /// Of whose memories it is known what they are.
        var memories: Set<ProcFile.MemoryID> = []
        /// What the processes of a group have read, by its number.
        var jobs: [Int32: JobReads] = [:]
        /// Who has ended of late, by their numbers, where it is told late what they had opened.
        var ended: [Int32: SeenProcess] = [:]
        /// Who made a process, by its number, as long as it lives.
        var makers: [Int32: SeenProcess] = [:]
        /// Who opened what is to be told when it is closed.
        var handles: [UInt64: Held] = [:]
        var nextHandle: UInt64 = 1
    }

    /// So many opens of a program are looked at, before it is taken to be one that goes on.
    static let firstLooks = 8
    /// In nanoseconds: meanwhile a process does not end, be forgotten, and its number come back as another's.
    static let validity: UInt64 = 200_000_000
    /// In nanoseconds: two ticks and more.
    static let youth: UInt64 = 30_000_000
    static let most = 8192
    private static let mostFiles = 65_536
    static let mostEnded = 512
    /// A program of a pipeline is not farther from its shell than that.
    static let mostLevels = 8
    static let mostOfPipeline = 64
    /// So often, and for so many microseconds, it is waited for what a process does next.
    static let (mostPauses, pause): (Int, UInt32) = (20, 100)
    /// In milliseconds: for what is read of a process that may be running another program at this moment.
    static let patience: Int32 = 1000
    /// The same where everybody else would wait.
    static let eventPatience: Int32 = 3

    /// Where the files are shown, with a slash; empty when that is not known.
    let place: [UInt8]
    let moments = MomentSource()
    let reader: PatientReader
    /// The pipes of processes.
    let pipes = PipeSights()
    /// Those that have names.
    let named = NamedPipes()
    /// Sees what a process has become, when that is heard. Set once.
    let capture = Lock<ProcessCapture?>(nil)
    /// Set once.
    let events = Lock<ProcessEvents?>(nil)
    /// A leaf in the order of locks.
    let state = Lock(State())

    /// Whether other files are told of than those of the mount (``OutsideObserver``).
    let observesOutside: Bool

    /// - Parameters:
    ///   - mountPoint: where the files are shown.
    ///   - reader: reads of processes what may have to wait for them.
    ///   - observesOutside: whether other files are told of too.
    init(mountPoint: String, reader: PatientReader, observesOutside: Bool = false) {
        self.observesOutside = observesOutside
        place = mountPoint.isEmpty ? [] : Array(mountPoint.utf8) + [UInt8(ascii: "/")]
        self.reader = reader
        let events = ProcessEvents { [weak self] in self?.hear($0) }
        self.events.withLock { $0 = events }
    }

    // MARK: - What happens

    /// A thread opens a file to read. It waits for our answer.
    ///
    /// - Parameters:
    ///   - time: when it had done so, where that is told late.
    ///   - file: called when it is new to its process.
    /// - Returns: a number, when it is to be told that the handle is closed.
    func opens(_ identity: FileIdentity, by thread: Int32, at time: UInt64 = .max, _ file: () -> ReadFile?) -> UInt64? {
        guard thread > 0 else { return nil }
        let known: SeenProcess
        if let entry = entry(of: thread), entry.known.looksLeft.load(ordering: .relaxed) <= 0 {
            known = entry.known
            if known.memory.hasRead(identity) { return nil }
        } else {
            listen()
            guard let seen = look(at: thread) else { return nil }
            known = seen
            known.looksLeft.subtract(1, ordering: .relaxed)
        }
        let memory = known.memory
        guard let file = file().map(shared) else { return nil }
        let read = ProcessMemory.PastRead(file: file, moment: now.no(later: time), how: .process)
        if memory.note(read) { memory.job?.note(read) }
        // It may run another program, with this open still.
        // Some shells open themselves what their commands are given.
        guard memory.isOfProgram == false || JobKind.shells.contains(memory.name) else { return nil }
        let number = state.withLock { state -> UInt64? in
            guard state.handles.count < Self.most else { return nil }
            defer { state.nextHandle += 1 }
            state.handles[state.nextHandle] = Held(known: known, file: file)
            return state.nextHandle
        }
        // The kernel has not been told of it yet: nobody closes it before.
        if let number { known.hold(number, file) }
        guard memory.isOfProgram == false else { return number }
        // What it makes of that is seen as soon as it has our answer.
        let process = known.process
        _ = reader.submit { [self] in _ = see(process) }
        return number
    }

    /// The memory of a process that is known well, and need not be looked at when it opens a file to read; nil of any other.
    func knownMemory(of process: Int32) -> ProcessMemory? {
        guard let entry = entry(of: process), entry.known.looksLeft.load(ordering: .relaxed) <= 0 else { return nil }
        return entry.known.memory
    }

    /// A process that has ended had opened a file to read. What it was is known when somebody had seen it, or has heard of it.
    func opened(_ file: ReadFile, byEnded process: Int32, at time: UInt64) {
        guard let known = state.withLock({ $0.threads[process]?.known ?? $0.ended[process] }) else { return }
        known.memory.note(.init(file: shared(file), moment: now.no(later: time), how: .process))
    }

    /// The last descriptor of a file is closed that was opened to read.
    func closed(_ number: UInt64) {
        guard let known = state.withLock({ $0.handles.removeValue(forKey: number) })?.known else { return }
        known.closed(number, called: ProcFile.program(ofThread: known.process))
    }

    /// A process has become another program, it was seen. Called on a thread that may wait.
    ///
    /// - Parameters:
    ///   - origin: what was seen of it.
    ///   - time: when it had, on the monotonic clock.
    func hasBecomeAnother(_ process: Int32, _ origin: ProcFile.Descent? = nil, at time: UInt64 = .max) {
        guard let known = state.withLock({ $0.threads[process]?.known }) else { return }
        let former = known.memory
        // That was heard, and looked at.
        if let origin, isHeard, former.isOfProgram == true, former.id == origin.memory { return }
        guard see(process) == nil else { return }
        // Who closed what it had written was seen as what it is.
        if former.isOfProgram == true, known.isSeen(since: time) { return }
        // It is gone: what it was made from it did not remember any more.
        _ = known.begin(ProcessMemory(nil, name: "", isOfProgram: true), after: former, start: nil)
    }

    /// A thread opens a file to write. It waits for our answer.
    ///
    /// - Parameter process: which one that is of, where that is known.
    /// - Returns: its process; nil when that is not seen.
    func opensToWrite(_ thread: Int32, of process: Int32? = nil) -> SeenProcess? {
        guard thread > 0 else { return nil }
        if let entry = entry(of: thread), entry.known.looksLeft.load(ordering: .relaxed) <= 0 { return entry.known }
        listen()
        guard let known = look(at: thread, of: process) else { return nil }
        known.looksLeft.subtract(1, ordering: .relaxed)
        if known.memory.isOfProgram == false { known.isRedirected() }
        return known
    }

    /// A thread closes a file that it, or a process that it comes from, has written to. It waits for our answer, and may be running another program
    /// at this moment.
    ///
    /// - Parameter name: what it is called by now.
    /// - Returns: what it may remember; nil when that is not seen.
    func closes(_ thread: Int32, called name: String) -> ProcessMemory? {
        guard thread > 0 else { return nil }
        if let entry = entry(of: thread) {
            let memory = entry.known.memory
            if memory.isOfProgram == true, memory.name == name { return memory }
        }
        guard let process = ProcFile.processID(ofThread: thread) else { return nil }
        // Nobody waits for long for what may wait for us.
        let found = Lock<SeenProcess?>(nil)
        let isDone = reader.runAwake(within: Self.patience) { [self] in
            let seen = see(process)
            found.withLock { $0 = seen }
        }
        guard isDone == true, let known = found.withLock({ $0 }) else {
            return entry(of: thread).map(\.known.memory).flatMap { $0.name == name ? $0 : nil }
        }
        keep(known, thread)
        return known.memory
    }

    /// How many bytes a process has written, to whatever; nil when that is not shown.
    func bytesWritten(byThread thread: Int32) -> UInt64? {
        let written = Lock<UInt64?>(nil)
        // In execve(2) it would have to be waited for.
        let isDone = reader.runAwake(within: Self.patience) {
            let bytes = ProcFile.bytesWritten(byThread: thread)
            written.withLock { $0 = bytes }
        }
        return isDone == true ? written.withLock { $0 } : nil
    }

    /// Now, for ``ProcessMemory/edges(of:)``.
    package static var now: UInt64 { Clock.sinceBoot() }

    /// The order of what a process reads and of what it makes is told by the times that are heard, or else by the numbers of processes.
    private var now: Moment {
        isHeard ? Moment(time: Clock.sinceBoot(), lastProcess: 0) : moments.now
    }

    /// Whether it is heard what processes do.
    var isHeard: Bool { events.withLock { $0 }?.isHeard == true }

    var session: Int { events.withLock { $0 }?.session ?? 0 }

    private func listen() { events.withLock { $0 }?.need() }

    /// What the processes of a group have read.
    func job(_ group: Int32) -> JobReads? {
        guard group > 0 else { return nil }
        return state.withLock { state in
            if let job = state.jobs[group] { return job }
            if state.jobs.count >= Self.most { state.jobs = [:] }
            let job = JobReads()
            state.jobs[group] = job
            return job
        }
    }

    // MARK: - Files

    /// The one object for a file.
    private func shared(_ file: ReadFile) -> ReadFile {
        state.withLock { state in
            if let known = state.files[file.path], known.identity == file.identity, known.version == file.version {
                return known
            }
            // They are kept by who has read them; it is looked up for who is given one open.
            if state.files.count >= Self.mostFiles { state.files = [:] }
            state.files[file.path] = file
            return file
        }
    }

    func file(shownAt target: [UInt8]) -> ReadFile? {
        guard !place.isEmpty, target.count > place.count, target.starts(with: place) else {
            guard observesOutside else { return nil }
            let path = NameText.text(target)
            return state.withLock { $0.files[path] }
        }
        let path = String(decoding: target.dropFirst(place.count), as: UTF8.self)
        return state.withLock { $0.files[path] }
    }

    /// Forgets who is gone, once in a while: what they have read stays with those who have it from them.
    func tidy() {
        let numbers = state.withLock { state -> [Int32] in
            return state.threads.count > Self.most ? Array(state.threads.keys) : []
        }
        guard !numbers.isEmpty else { return }
        let gone = numbers.filter { kill($0, 0) != 0 && errno == ESRCH }
        state.withLock { state in
            for number in gone { state.threads[number] = nil }
            // All of them live: those who were not seen of late are looked at again.
            if state.threads.count > Self.most {
                let now = Clock.sinceBoot()
                state.threads = state.threads.filter { now < $0.value.end }
            }
            state.memories = Set(state.threads.values.compactMap(\.known.memory.id))
        }
    }
}
