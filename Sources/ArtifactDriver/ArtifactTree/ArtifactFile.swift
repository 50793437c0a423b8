internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// A file of a typed directory, of `plots/`, or a session's `metadata.json`.
final class ArtifactFile: AwaitsMakers {
    /// Where the bytes are.
    indirect enum Phase: Sendable {
        /// At the real path.
        case published
        /// It was sealed and has left its name: one of the former versions of that. Open handles read it on.
        case former(of: String, in: TreeDirectory, number: Int64)
        /// In the store's staging directory.
        case staged(RealFile)
        /// Staged and closed by its last writer; how those end who made it is not known yet.
        case settling(RealFile)
        /// Staged and closed; being checked and moved to its real path.
        case sealing(RealFile)
        /// Unlinked while it was being written: to quarantine when its last handle is closed.
        case discarded(RealFile)
        /// Removed; open handles still read and write the bytes.
        case gone
    }

    /// A handle that is open for writing.
    struct Writer: Sendable {
        let handle: HandleID
        /// The thread that opened it.
        let thread: Int32
        /// Whether a FLUSH has come since it was opened: it may be closing.
        var isFlushed = false
        /// Whether a FLUSH has come from the thread that opened it: it may be closed, and its RELEASE on the way.
        var isClosing = false
        /// Who had made the file by the time when what it had written was cut away, when it has shown no sign of life since: how they ended is
        /// nobody's concern.
        var voided: [Maker]?
        /// The thread that closed it last.
        var closer: Int32 = 0
        /// How the process that closed it last was ending.
        var ending: WriterEnding = .unknown
        /// Its process; nil when it cannot be followed.
        var watch: (any WatchedProcess)?
        /// Whether it was opened in a session or a test.
        var isOfSession = false
        /// What those have written at most that others have been who closed it; nil where there were bytes already, or that was not seen.
        var othersWrote: UInt64?
        /// The program that closed it last.
        var program = ""
        /// What the check at its last close found.
        var checked: CheckedContents?
        /// The refusal of its first close that failed.
        var denial: DenialLog.ID?
    }

    /// A process that had to do with a staged file's bytes.
    struct Maker: Sendable {
        let role: WriterFact.Role
        /// Nil when it cannot be followed.
        let watch: (any WatchedProcess)?
        /// The thread that asked.
        let thread: Int32
        /// How it was ending when it closed the file, when it was seen to.
        var seen: WriterEnding?
        var program = ""

        /// What is known by now.
        var fact: WriterFact {
            // First, because with the end comes what the program was called last.
            let ending = seen ?? watch?.ending ?? .unknown
            let program = watch.map { $0.program.isEmpty ? self.program : $0.program } ?? self.program
            return WriterFact(
                role: role, ending: ending, program: program, process: watch?.process ?? thread, heldOpen: seen != nil)
        }
    }

    /// What a staged file's record begins with.
    final class Birth: Sendable {
        /// Where it was made, from the mount point.
        let path: String
        let user: UInt32
        let group: UInt32
        let thread: Int32
        let time: timespec
        /// Where a promoted file was before.
        let origin: Origin?
        /// The run that it is of.
        let run: JobRun?

        init(path: String, caller: Caller, run: JobRun?, origin: Origin? = nil) {
            self.run = run
            self.path = path
            user = caller.user
            group = caller.group
            thread = caller.process
            time = Clock.now()
            self.origin = origin
        }
    }

    /// Where a promoted file came from.
    struct Origin: Sendable {
        let file: RealFile
        let path: String
        let directory: InodeNumber
        let name: String
        /// Who had made it; nil when that is not known.
        let maker: FileMaker?
    }

    /// What a process may remember that wrote to a file.
    struct MadeFrom: Sendable {
        let memory: ProcessMemory
        /// When it closed it last, in nanoseconds since the machine's start.
        var time: UInt64
    }

    /// Why what was written is not what a writer meant to leave.
    struct Spoiled: Sendable {
        let reason: String
        /// The rule that it is told with.
        var rule = Rule.failedCheck
    }

    /// Who may still set attributes of a sealed file, and until when.
    final class Settling: Sendable {
        /// The threads that opened and closed it; the process of either is the writer.
        let opener: Int32
        let closer: Int32
        /// On the monotonic clock, in nanoseconds.
        let deadline: UInt64

        init(opener: Int32, closer: Int32, deadline: UInt64) {
            self.opener = opener
            self.closer = closer
            self.deadline = deadline
        }
    }

    /// What only a file has that is being written, or was just now.
    private struct Writing: Sendable {
        var writers: [Writer] = []
        var lastWriter: Writer?
        var birth: Birth?
        var settling: Settling?
        var goesBack = false
        var makers: [Maker] = []
        var settleEnd: UInt64 = 0
        var isKeptBack = false
        var spoiled: Spoiled?
        var madeFrom: [MadeFrom] = []
        var written: ReadFile.BytesState?
        var heldBy: JobRun?
        var isHeld = false
    }

    /// Small: the kernel may know millions of files, of which few are open and fewer being written.
    struct State: Sendable {
        var phase: Phase
        /// Whether its name on the mount is transient.
        var isTransient: Bool
        /// Which file is published, as the kernel was told: it checked permissions with that one's attributes.
        var identity: FileIdentity?
        /// Whether a sealed file is so small that the kernel may as well keep all of it.
        var isSmall = false
        /// Whether a sealed file was opened before: then it may well be opened often.
        var wasOpened = false
        var open = OpenFile()
        /// None or one: an empty array is a word, and the usual case.
        private var writing: [Writing] = []

        init(phase: Phase, isTransient: Bool = false, birth: Birth? = nil) {
            self.phase = phase
            self.isTransient = isTransient
            self.birth = birth
            if let run = birth?.run?.holder { heldBy = run }
        }

        var writers: [Writer] {
            get { writing.first?.writers ?? [] }
            // In place: a `close` changes several members of one writer.
            _modify {
                if writing.isEmpty { writing.append(Writing()) }
                yield &writing[0].writers
            }
            set { change(isNothing: newValue.isEmpty) { $0.writers = newValue } }
        }
        /// Whose close or rename began the sealing.
        var lastWriter: Writer? {
            get { writing.first?.lastWriter }
            set { change(isNothing: newValue == nil) { $0.lastWriter = newValue } }
        }
        var birth: Birth? {
            get { writing.first?.birth }
            set { change(isNothing: newValue == nil) { $0.birth = newValue } }
        }
        var settling: Settling? {
            get { writing.first?.settling }
            set { change(isNothing: newValue == nil) { $0.settling = newValue } }
        }
        /// Whether a file that cannot be published goes back to where it was: only as long as nobody wrote to it since.
        var goesBack: Bool {
            get { writing.first?.goesBack ?? false }
            set { change(isNothing: !newValue) { $0.goesBack = newValue } }
        }

        /// Who had to do with the bytes since the file was made: also who closed it long ago.
        var makers: [Maker] {
            get { writing.first?.makers ?? [] }
            _modify {
                if writing.isEmpty { writing.append(Writing()) }
                yield &writing[0].makers
            }
            set { change(isNothing: newValue.isEmpty) { $0.makers = newValue } }
        }

        /// Until when it waits to hear how its makers end, on the monotonic clock.
        var settleEnd: UInt64 {
            get { writing.first?.settleEnd ?? 0 }
            set { change(isNothing: newValue == 0) { $0.settleEnd = newValue } }
        }

        /// Whether it is on its way to quarantine.
        var isKeptBack: Bool {
            get { writing.first?.isKeptBack ?? false }
            set { change(isNothing: !newValue) { $0.isKeptBack = newValue } }
        }

        /// Why the bytes are not what a writer meant to leave, whoever closes last.
        var spoiled: Spoiled? {
            get { writing.first?.spoiled }
            set { change(isNothing: newValue == nil) { $0.spoiled = newValue } }
        }

        /// Who wrote the bytes.
        var madeFrom: [MadeFrom] {
            get { writing.first?.madeFrom ?? [] }
            _modify {
                if writing.isEmpty { writing.append(Writing()) }
                yield &writing[0].madeFrom
            }
            set { change(isNothing: newValue.isEmpty) { $0.madeFrom = newValue } }
        }

        /// How it was when somebody closed it last.
        var written: ReadFile.BytesState? {
            get { writing.first?.written }
            set { change(isNothing: newValue == nil) { $0.written = newValue } }
        }

        /// Which file it is, as far as that is known without its name: of one that is not published only while it is open.
        var bytes: FileIdentity? { identity ?? open.any.flatMap { try? SystemCall.look($0).identity } }

        /// The run that it is of, when that is all or nothing.
        var heldBy: JobRun? {
            get { writing.first?.heldBy }
            set { change(isNothing: newValue == nil) { $0.heldBy = newValue } }
        }

        /// Whether it has bytes, and who wrote them was done with it at the last close: it is published, or not, when its run ends.
        var isHeld: Bool {
            get { writing.first?.isHeld ?? false }
            set { change(isNothing: !newValue) { $0.isHeld = newValue } }
        }

        private mutating func change(isNothing: Bool, _ body: (inout Writing) -> Void) {
            if writing.isEmpty {
                if isNothing { return }
                writing.append(Writing())
            }
            body(&writing[0])
        }
    }

    let id: InodeNumber
    /// Guards everything about the file; before `Namespace`'s lock in the order. Two files are locked in the order of their ids.
    let state: Lock<State>

    init(id: InodeNumber, phase: Phase, isTransient: Bool = false, birth: Birth? = nil) {
        self.id = id
        state = Lock(State(phase: phase, isTransient: isTransient, birth: birth))
    }

    /// A published file of so many bytes.
    init(id: InodeNumber, size: Int64, identity: FileIdentity? = nil) {
        self.id = id
        var state = State(phase: .published)
        state.identity = identity
        state.isSmall = size <= Self.fewBytes
        self.state = Lock(state)
    }

    /// A small sealed file that is opened again and again is best in the kernel's page cache: an open costs no system call here, against
    /// opening, registering, ending the registration and closing. It is read in one round trip.
    static let fewBytes: Int64 = 128 << 10
}

extension ArtifactFile.State {
    /// Notes who has to do with the bytes from now on.
    mutating func note(_ makers: [ArtifactFile.Maker]) { if !makers.isEmpty { self.makers.note(makers) } }

    /// Notes how a writer was ending when it closed the file.
    mutating func note(_ ending: WriterEnding, program: String, of writer: ArtifactFile.Writer) {
        for index in makers.indices where makers[index].role == .writer {
            let isIt = writer.watch.map { makers[index].watch === $0 } ?? (makers[index].thread == writer.thread)
            guard isIt else { continue }
            if !program.isEmpty { makers[index].program = program }
            if ending != .running { makers[index].seen = ending == .unknown ? nil : ending }
        }
    }

    /// Somebody writes to a settling file again.
    mutating func resumeWriting(in staging: Staging?) {
        guard case .settling(let real) = phase, !isKeptBack else { return }
        phase = .staged(staging?.resume(real) ?? real)
        settleEnd = 0
        settling = nil
        goesBack = false
    }

    var isPublished: Bool { if case .published = phase { true } else { false } }

    /// The policy's state, given what the file's scope allows.
    func fileState(standing: Standing) -> FileState {
        switch phase {
        case .published: OverwritePolicy.stateOfPublished(in: standing)
        case .staged where isHeld && !isTransient && writers.isEmpty: .held
        case .staged:
            OverwritePolicy.stateOfStaged(isTransientName: isTransient, writers: writers.count, isSealing: false)
        case .settling: isKeptBack ? .sealing : .settling
        case .sealing: OverwritePolicy.stateOfStaged(isTransientName: false, writers: 0, isSealing: true)
        case .former: .sealed
        case .discarded, .gone: .transient
        }
    }

    /// Whether a file to be published has writers and each has seen a FLUSH: the RELEASE may be on the way.
    var isPerhapsClosing: Bool {
        guard case .staged = phase, !isTransient else { return false }
        return !writers.isEmpty && writers.allSatisfy(\.isFlushed)
    }
}

extension [ArtifactFile.Maker] {
    /// Adds those that are not known.
    mutating func note(_ makers: [ArtifactFile.Maker]) {
        for maker in makers {
            let index = firstIndex { known in
                maker.watch.map { known.watch === $0 } ?? (known.watch == nil && known.thread == maker.thread)
            }
            guard let index else {
                append(maker)
                continue
            }
            // A shell that opened it for a command writes to it itself now.
            if maker.role == .writer, self[index].role == .shell { self[index] = maker }
        }
    }
}
