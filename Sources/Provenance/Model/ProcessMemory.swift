package import ArtifactRecords
internal import Synchronization
internal import SystemCalls

/// What a process may remember: from when it ran its program, or was made, until it runs another one. It only grows.
package final class ProcessMemory: Sendable {
    /// A file that it opened to read, or was given open.
    struct PastRead: Sendable {
        let file: ReadFile
        let moment: Moment
        let how: ArtifactRecord.How
    }

    private struct WrittenPipe: Sendable { weak var flow: PipeFlow? }

    /// A pipe that it reads.
    struct ReadPipe: Sendable {
        let flow: PipeFlow
        /// Of one that comes from a process that it has made itself: since when it was seen to read it, in nanoseconds since the machine's start.
        let since: UInt64?
    }

    /// What it was made from, when it has run no program since.
    struct Parent: Sendable {
        let memory: ProcessMemory
        let time: Making
    }

    /// When a process was made.
    enum Making: Sendable {
        /// In nanoseconds since the machine's start.
        case at(UInt64)
        /// In ticks since the machine's start, and its number.
        case start(UInt64, process: Int32)
    }

    private struct State {
        var reads: [PastRead] = []
        /// Those of what is not on the mount; of very many the last.
        var outside: [PastRead] = []
        /// How many of those were forgotten.
        var forgotten = 0
        var known: Set<FileIdentity> = []
        var parent: Parent?
        var pipes: [ReadPipe] = []
        var knownPipes: Set<ObjectIdentifier> = []
        /// The pipes that it has to write, as long as it may become a program that has not.
        var written: [WrittenPipe] = []
        var id: ProcFile.MemoryID?
        var job: JobReads?
        /// How many inputs were told of what it wrote, and how many outside of the store.
        var told = 0
        var toldOutside = 0
    }

    /// What it is called, as `/proc/<pid>/comm` has it; empty when that was not seen.
    let name: String
    /// Whether it is that of a program that the process itself has run; nil when that was not seen.
    let isOfProgram: Bool?
    /// When its process was made, in nanoseconds since the machine's start; nil when that was not seen.
    let start: UInt64?
    /// The same, as it can be told from what its maker did before; nil when that was not seen.
    let making: Making?
    /// A leaf in the order of locks.
    private let state: Lock<State>

    /// More than that one process has read is not kept: it is left out, and that is told.
    private static let mostReads = 100_000
    private static let mostOutside = 10_000

    init(
        _ id: ProcFile.MemoryID?, name: String, isOfProgram: Bool?, start: UInt64? = nil, making: Making? = nil,
        job: JobReads? = nil
    ) {
        (self.name, self.isOfProgram, self.start, self.making) = (name, isOfProgram, start, making)
        state = Lock(State(id: id, job: job))
    }

    /// What its job has read.
    var job: JobReads? { state.withLock { $0.job } }

    var id: ProcFile.MemoryID? { state.withLock { $0.id } }

    /// It was seen later than the rest.
    func isNamed(_ id: ProcFile.MemoryID?, _ job: JobReads?) {
        state.withLock { state in
            if state.id == nil { state.id = id }
            if state.job == nil { state.job = job }
        }
    }

    func hasRead(_ file: FileIdentity) -> Bool { state.withLock { $0.known.contains(file) } }

    /// - Returns: whether it is new.
    @discardableResult
    func note(_ read: PastRead) -> Bool {
        state.withLock { state in
            guard state.known.count < 2 * Self.mostReads, state.reads.count < Self.mostReads else { return false }
            guard state.known.insert(read.file.identity).inserted else {
                // It was seen to be open before it was told who had opened it.
                if read.file.isOutside, read.how == .process,
                    let place = state.outside.lastIndex(where: { $0.file.identity == read.file.identity }),
                    state.outside[place].how != .process
                {
                    state.outside[place] = read
                }
                return false
            }
            guard read.file.isOutside else {
                state.reads.append(read)
                return true
            }
            if state.outside.count >= Self.mostOutside {
                state.outside.removeFirst(Self.mostOutside / 2)
                state.forgotten += Self.mostOutside / 2
            }
            state.outside.append(read)
            return true
        }
    }

    var parent: Parent? { state.withLock { $0.parent } }

    func note(_ parent: Parent) { state.withLock { $0.parent = parent } }

    /// It reads a pipe.
    ///
    /// - Parameter time: as ``ReadPipe/since``.
    func note(_ pipe: PipeFlow, since time: UInt64? = nil) {
        state.withLock { state in
            guard state.pipes.count < Self.mostReads, state.knownPipes.insert(ObjectIdentifier(pipe)).inserted else {
                return
            }
            state.pipes.append(ReadPipe(flow: pipe, since: time))
            pipe.hasReader()
        }
    }

    /// It has a pipe to write.
    fileprivate func writes(_ pipe: PipeFlow) {
        guard isOfProgram != true else { return }
        state.withLock { if $0.written.count < Self.mostWritten { $0.written.append(WrittenPipe(flow: pipe)) } }
    }

    private static let mostWritten = 64

    /// The child of a shell, or of another program, that this is has become a program, which has the pipes that it was given. When nothing was
    /// written meanwhile, nobody else writes to them. (Where something was, `(echo "$a"; cat b) | c`, or the program has by now, who it was stays a
    /// writer.)
    func hasBecomeProgram(_ hasWrittenNothing: () -> Bool) {
        let flows = takeWritten()
        guard !flows.isEmpty, hasWrittenNothing() else { return }
        for flow in flows { flow.forget(writer: self) }
    }

    private func takeWritten() -> [PipeFlow] {
        state.withLock { state in
            defer { state.written = [] }
            return state.written.compactMap(\.flow)
        }
    }

    /// All of it is another's: it was the same before it was seen what it is.
    func hand(to other: ProcessMemory) {
        let (reads, outside, parent, pipes) = sources
        for read in reads + outside { other.note(read) }
        if let parent { other.note(parent) }
        for pipe in pipes { other.note(pipe.flow, since: pipe.since) }
        for flow in takeWritten() {
            flow.forget(writer: self)
            flow.note(writer: other)
        }
    }

    /// How many of its own inputs are told of an artifact that it has written: all, until they are very many in all its artifacts together; and how
    /// many are not.
    package func share() -> (told: Int, leftOut: Int) {
        state.withLock { state in
            let all = state.reads.count
            guard state.told + all <= Self.mostTold else {
                let few = min(all, Self.fewInputs)
                return (few, all - few)
            }
            state.told += all
            return (all, 0)
        }
    }

    private static let mostTold = 20_000
    private static let fewInputs = 32

    /// The same of what is not on the mount, of which no artifact is told more than a thousand.
    package func outsideShare() -> (told: Int, leftOut: Int) {
        state.withLock { state in
            let all = state.outside.count
            let isMuch = state.toldOutside + all > Self.mostTold
            let told = min(all, isMuch ? Self.fewInputs : Self.mostToldOutside)
            if !isMuch { state.toldOutside += told }
            return (told, all - told + state.forgotten)
        }
    }

    /// So many of one artifact.
    package static let mostToldOutside = 1000

    /// What it read itself.
    var reads: [PastRead] { state.withLock { $0.reads + $0.outside } }

    private var sources: (reads: [PastRead], outside: [PastRead], parent: Parent?, pipes: [ReadPipe]) {
        state.withLock { ($0.reads, $0.outside, $0.parent, $0.pipes) }
    }

    // MARK: - Edges

    /// An input of what somebody wrote.
    package struct Edge: Sendable {
        /// What was read.
        package let file: ReadFile
        /// How that is known.
        package let how: ArtifactRecord.How
        /// For how long it was open before, in nanoseconds.
        package let age: UInt64
    }

    /// Until when what was read counts.
    private enum Limit {
        case time(UInt64)
        case making(Making)
        /// What was by a time, or before a process was made.
        case either(UInt64, Making?)

        func includes(_ moment: Moment) -> Bool? {
            switch self {
            case .time(let time), .making(.at(let time)): moment.time <= time
            case .making(.start(let start, let process)): moment.isBefore(start: start, of: process)
            case .either(let time, let making):
                moment.time <= time || making.flatMap { Limit.making($0).includes(moment) } == true
            }
        }

        /// The same without what the time of a file's last change is given for being coarse: what surely was before it, or before a process was made.
        func certain(orBefore making: Making?) -> Limit {
            guard case .time(let time) = self else { return self }
            return .either(time &- min(time, Clock.lagOfChanges()), making)
        }
    }

    /// So many memories are followed for one artifact at most.
    private static let mostFollowed = 10_000

    /// What a writer had read before a time, itself or through others (PROVENANCE.md, 2).
    ///
    /// - Parameters:
    ///   - writers: each with when it wrote last, in nanoseconds since the machine's start.
    ///   - most: of what each memory has read so many are told, those that it opened last.
    package static func edges(of writers: [(memory: ProcessMemory, time: UInt64)], most: Int = .max) -> [Edge] {
        traced(writers, most: most, mostOutside: .max).edges
    }

    /// The same, with who was asked.
    ///
    /// - Parameter mostOutside: as `most`, of what is not on the mount.
    /// - Returns: `start`: when the first of all those whose memories were followed was made, as ``start`` has it; nil when that was not seen of each.
    package static func traced(
        _ writers: [(memory: ProcessMemory, time: UInt64)], most: Int, mostOutside: Int
    ) -> (edges: [Edge], start: UInt64?) {
        var start: UInt64? = .max
        let now = Clock.sinceBoot()
        var edges: [Edge] = []
        var places: [FileIdentity: Int] = [:]
        func add(_ read: PastRead, _ how: ArtifactRecord.How) {
            let edge = Edge(file: read.file, how: how, age: now &- min(now, read.moment.time))
            guard let place = places[read.file.identity] else {
                places[read.file.identity] = edges.count
                return edges.append(edge)
            }
            if how.rank < edges[place].how.rank { edges[place] = edge }
        }
        // What comes back from processes that it has made itself counts until `back`, where that is not the same.
        var next: [(memory: ProcessMemory, limit: Limit, back: Limit, how: ArtifactRecord.How)] =
            writers
            .sorted { $0.time > $1.time }.map { ($0.memory, .time($0.time), .time($0.time), .process) }
        var followed = 0
        var best: [ObjectIdentifier: Int] = [:]
        // Breadth first: what is known better comes before what is known worse.
        while followed < next.count, followed < mostFollowed {
            let (memory, limit, back, how) = next[followed]
            followed += 1
            if followed > writers.count {
                let rank = best[ObjectIdentifier(memory)] ?? .max
                guard how.rank < rank else { continue }
                best[ObjectIdentifier(memory)] = how.rank
            }
            start = start.flatMap { start in memory.start.map { min(start, $0) } }
            let (reads, outside, parent, pipes) = memory.sources
            for read in [reads.suffix(most), outside.suffix(mostOutside)].joined() {
                let least = how == .process ? read.how : how
                switch limit.includes(read.moment) {
                case true?: add(read, least)
                case nil: add(read, .job)
                case false?: break
                }
            }
            if let parent {
                next.append((parent.memory, .making(parent.time), .making(parent.time), max(how, .ancestor)))
            }
            for pipe in pipes {
                let end = pipe.since == nil ? limit : back
                if let time = pipe.since, end.includes(Moment(time: time, lastProcess: 0)) != true { continue }
                let (writers, areStarters) = pipe.flow.writersOrStarter
                // Who starts a program and writes to it may go on to, but what it hears of others meanwhile is theirs, as far as that is known.
                let back = areStarters ? .time(memory.start ?? 0) : end
                // That is a guess of who wrote at all: what was opened about when the artifact was closed is none of it.
                let limit = areStarters ? end.certain(orBefore: memory.making) : end
                for writer in writers where writer !== memory { next.append((writer, limit, back, max(how, .pipe))) }
            }
        }
        if !edges.contains(where: { !$0.file.isOutside }) {
            // Nothing better is known than what others of the same job had read.
            for (memory, time) in writers {
                for read in memory.job?.reads ?? [] where !read.file.isOutside && read.moment.time <= time {
                    add(read, .job)
                }
            }
        }
        return (edges, start)
    }

    private static func max(_ one: ArtifactRecord.How, _ other: ArtifactRecord.How) -> ArtifactRecord.How {
        one.rank > other.rank ? one : other
    }
}

/// What the processes of a job, which is a process group, have read last.
final class JobReads: Sendable {
    private static let most = 32
    /// A leaf in the order of locks.
    private let state = Lock<[ProcessMemory.PastRead]>([])

    var reads: [ProcessMemory.PastRead] { state.withLock { $0 } }

    func note(_ read: ProcessMemory.PastRead) {
        state.withLock { reads in
            reads.removeAll { $0.file === read.file }
            if reads.count >= Self.most { reads.removeFirst() }
            reads.append(read)
        }
    }
}

extension ArtifactRecord.How {
    /// The better it is known the lower.
    fileprivate var rank: Int {
        switch self {
        case .process: 0
        case .ancestor: 1
        case .pipe: 2
        case .declared: 3
        case .job: 4
        }
    }
}

/// A pipe, and who writes to it.
final class PipeFlow: Sendable {
    private struct State {
        var writers: [ProcessMemory] = []
        var starter: ProcessMemory?
        var isRead = false
        /// How often it is still looked for who is at its ends.
        var (readerSearches, writerSearches) = (PipeFlow.mostSearches, PipeFlow.mostSearches)
        var pauses = ProcessModel.mostPauses
    }

    /// A leaf in the order of locks, after that of a memory.
    private let state = Lock(State())
    private static let mostWriters = 1024
    /// Whoever is at an end of a pipe is there within the first few looks, or is nobody of the job: what a service gives all its jobs as their
    /// input is not looked for again by each of their processes.
    private static let mostSearches = 4

    /// Whether it is known who reads it.
    var isRead: Bool { state.withLock { $0.isRead } }

    func hasReader() { state.withLock { $0.isRead = true } }

    /// Who writes to it: whoever has it to write, or else the one that started its reader.
    var writersOrStarter: (writers: [ProcessMemory], areStarters: Bool) {
        state.withLock { state in
            state.writers.isEmpty ? (state.starter.map { [$0] } ?? [], true) : (state.writers, false)
        }
    }

    /// Whether it is known who writes to it.
    var isWritten: Bool { state.withLock { !$0.writers.isEmpty } }

    /// Whether it is to be looked for who reads it, once more.
    func seeksReader() -> Bool {
        state.withLock { state in
            guard !state.isRead, state.readerSearches > 0 else { return false }
            state.readerSearches -= 1
            return true
        }
    }

    /// Whether nobody is known who reads it, and it is not given up to look for one.
    var lacksReader: Bool { state.withLock { !$0.isRead && $0.readerSearches > 0 } }

    /// Whether nobody is known who writes to it, and it is not given up to look for one.
    var lacksWriter: Bool { state.withLock { $0.writers.isEmpty && $0.writerSearches > 0 } }

    /// Whether it may be waited for a moment until it is seen who reads it: for so many moments at most.
    func mayAwaitReader() -> Bool {
        state.withLock { state in
            guard !state.isRead, state.pauses > 0 else { return false }
            state.pauses -= 1
            return true
        }
    }

    /// Whether it is to be looked for who writes to it, once more.
    func seeksWriter() -> Bool {
        state.withLock { state in
            guard state.writers.isEmpty, state.writerSearches > 0 else { return false }
            state.writerSearches -= 1
            return true
        }
    }

    func note(writer: ProcessMemory) {
        state.withLock { state in
            guard state.writers.count < Self.mostWriters, !state.writers.contains(where: { $0 === writer }) else {
                return
            }
            state.writers.append(writer)
        }
        writer.writes(self)
    }

    fileprivate func forget(writer: ProcessMemory) { state.withLock { $0.writers.removeAll { $0 === writer } } }

    /// The one that started its reader has it too.
    func note(starter: ProcessMemory) { state.withLock { $0.starter = starter } }
}
