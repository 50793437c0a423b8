internal import ArtifactRecords
package import Artifacts
internal import Glibc
internal import Synchronization
package import SystemCalls
internal import SystemPackage

/// The processes of this machine, as `/proc` and pidfds show them.
package final class LinuxProcesses: ProcessObserver {
    /// Whether the exit codes of every user's processes are shown to the driver, while nobody has waited for them.
    package let seesAllEndings = SystemCall.mayTrace
    private let ownUser = geteuid()
    private let writers = WriterFiles()
    fileprivate let failed = FailedProcesses()
    /// The processes that were watched last: a program that writes many files is watched once. The last that was asked for comes last. A
    /// leaf in the order of locks.
    private let known = Lock<[LinuxProcess]>([])
    private static let most = 64
    let capture: ProcessCapture
    let model: ProcessModel
    private let made = MadeFiles()
    private let captures: Bool
    /// Set once. A leaf in the order of locks.
    let outsideObserver = Lock<OutsideObserver?>(nil)
    private let births = ProcessBirths()

    /// - Parameters:
    ///   - environment: which members of a writer's environment are kept.
    ///   - mountPoint: where the files are shown that processes read; empty when that is not known.
    ///   - observesOutside: whether ``observe(_:store:shown:)`` will be called.
    ///   - captures: whether it is seen what processes are and what they read, and not only how they end.
    package init(
        environment: EnvironmentNames = .builtIn, mountPoint: String = "", observesOutside: Bool = false,
        captures: Bool = true
    ) {
        self.captures = captures
        let reader = PatientReader()
        let model = ProcessModel(mountPoint: mountPoint, reader: reader, observesOutside: observesOutside)
        self.model = model
        let capture = ProcessCapture(
            environment, reader, isOther: { [weak model] in model?.hasBecomeAnother($0, $1) },
            hears: { [weak model] in model?.isHeard ?? false })
        self.capture = capture
        model.capture.withLock { $0 = capture }
    }

    package func look(at thread: Int32) -> ProcessSight {
        writers.look(at: thread, seesCode: seesEnding(ofThread: thread))
    }

    package func program(ofThread thread: Int32) -> String { ProcFile.program(ofThread: thread) }

    package func isSameProcess(_ one: Int32, _ other: Int32) -> Bool? {
        guard one > 0, other > 0 else { return nil }
        if one == other { return true }
        guard let first = ProcFile.processID(ofThread: one), let second = ProcFile.processID(ofThread: other) else {
            return nil
        }
        return first == second
    }

    package func bytesWritten(byThread thread: Int32) -> UInt64? { model.bytesWritten(byThread: thread) }

    package func groups(ofThread thread: Int32) -> [UInt32]? { ProcFile.groups(ofThread: thread) }

    /// To who may trace a process its exit code is shown before somebody has waited for it (ptrace(2), "Ptrace access mode checking").
    private func seesEnding(ofThread thread: Int32) -> Bool {
        seesAllEndings || ProcFile.owner(ofThread: thread) == ownUser
    }

    // MARK: - Watching

    package func leader(of process: any WatchedProcess) -> (any WatchedProcess)? {
        guard let group = try? SystemCall.group(ofProcess: process.process), group != process.process else {
            return nil
        }
        return watch(group)
    }

    package func watch(_ thread: Int32) -> (any WatchedProcess)? {
        guard thread > 0 else { return nil }
        // A thread's number may be another's once it is gone; a process's own thread has the process's number as long as that lives.
        let found = known.withLock { known -> LinuxProcess? in
            guard let index = known.lastIndex(where: { $0.process == thread }) else { return nil }
            let process = known.remove(at: index)
            guard process.isThere else { return nil }
            known.append(process)
            return process
        }
        if let found { return found }
        return LinuxProcess(ofThread: thread, observer: self).map(keep)
    }

    private func keep(_ process: LinuxProcess) -> LinuxProcess {
        var last: LinuxProcess?
        // Of one that has ended the descriptor is given up with this, whatever file it made that is still there.
        defer { _ = last?.ending }
        return known.withLock { known in
            if let other = known.first(where: { $0.process == process.process && $0.isThere }) { return other }
            if known.count >= Self.most { last = known.removeFirst() }
            known.append(process)
            return process
        }
    }

    package func observeOpening(_ watched: any WatchedProcess) {
        if captures, let process = watched as? LinuxProcess { capture.observeOpening(process) }
    }

    package func observeClosing(_ watched: any WatchedProcess, as name: String, mayBeLater: Bool) {
        guard captures, let process = watched as? LinuxProcess else { return }
        capture.observeClosing(process, as: name, mayBeLater: mayBeLater)
    }

    // MARK: - What was read

    package func opens(_ identity: FileIdentity, by thread: Int32, _ file: () -> ReadFile?) -> UInt64? {
        captures ? model.opens(identity, by: thread, file) : nil
    }

    package func closed(_ number: UInt64) { model.closed(number) }

    package var hearsPrograms: Bool { model.isHeard }

    package func closes(_ number: UInt64, by thread: Int32) { model.closes(number, by: thread) }

    package func awaitCloses() { model.catchUp() }

    package func opensToWrite(_ thread: Int32, _ watched: any WatchedProcess) {
        guard captures, let known = model.opensToWrite(thread, of: watched.process),
            let process = watched as? LinuxProcess
        else { return }
        process.isSeen(in: known.sight)
    }

    package func opensToMake(_ thread: Int32) -> FileMaking {
        guard captures, let known = model.opensToWrite(thread) else { return FileMaking() }
        var process = known.followed
        if process == nil {
            process = watch(known.process) as? LinuxProcess
            if let process { known.isFollowed(by: process) }
        }
        process?.isSeen(in: known.sight)
        if let process, !process.isSeen(as: nil) { capture.observeOpening(process) }
        return FileMaking(process, known.memory)
    }

    package func isBeingMade(_ file: FileIdentity, _ making: FileMaking, anew: Bool) {
        let maker = making.mayBecomeAnother ? nil : making.memory.map { FileMaker(making.watch as? LinuxProcess, $0) }
        made.isOpened(file, by: maker, anew: anew)
    }

    package func closesMade(_ file: FileIdentity, by thread: Int32, _ memory: ProcessMemory) {
        made.isClosed(file, by: FileMaker(watch(thread) as? LinuxProcess, memory))
    }

    package func isMade(_ file: FileIdentity, _ version: ReadFile.BytesState, time: UInt64) {
        made.isReleased(file, version, time)
    }

    package func makers(
        of file: FileIdentity, _ version: ReadFile.BytesState
    ) -> (makers: [FileMaker], time: UInt64)? { made.makers(of: file, version) }

    package func closes(_ thread: Int32, called name: String) -> ProcessMemory? {
        captures ? model.closes(thread, called: name) : nil
    }

    package func seesEnding(ofProcess process: Int32) -> Bool { seesEnding(ofThread: process) }

    // MARK: - Shells

    package func shell(of watched: any WatchedProcess) -> (any WatchedProcess)? {
        guard let known = watched as? LinuxProcess, !known.isProgram.load(ordering: .relaxed) else { return nil }
        guard let origin = known.lastSight?.origin ?? ProcFile.origin(of: watched.process) else { return nil }
        let parent = origin.parent
        if origin.isProgram {
            known.isProgram.store(true, ordering: .relaxed)
            return nil
        }
        // At a prompt a command has a process group of its own, before it opens anything: the shell goes on whatever becomes of it.
        guard parent > 1, let group = try? SystemCall.group(ofProcess: watched.process),
            (try? SystemCall.group(ofProcess: parent)) == group
        else { return nil }
        return watch(parent)
    }

    // MARK: - Pipelines

    /// No pipeline that people write has more processes than this.
    private static let mostOfPipeline = 64

    package func upstream(of watched: any WatchedProcess) -> Upstream {
        guard let known = watched as? LinuxProcess else { return Upstream() }
        if let found = known.pipeline.withLock({ $0 }) { return found }
        let found = findUpstream(of: watched.process, childOf: known.parent)
        known.pipeline.withLock { $0 = found }
        return found
    }

    private func findUpstream(of process: Int32, childOf parent: Int32) -> Upstream {
        var (process, parent) = (process, parent)
        guard parent > 0, let input = ProcFile.pipeNumber(ofProcess: process, descriptor: 0) else { return Upstream() }
        // A shell's commands read what the shell reads, where nothing else is said: it is the one that stands in the pipeline.
        while ProcFile.pipeNumber(ofProcess: parent, descriptor: 0) == input {
            guard let next = ProcFile.parent(of: parent) else { return Upstream() }
            (process, parent) = (parent, next)
        }
        // Who is in the same pipeline: the shell's other children, and theirs.
        var found = writers(to: input, childrenOf: parent, but: process, mayBeOld: true)
        // A shell's child may have got its ends in their places since.
        if found.isEmpty { found = writers(to: input, childrenOf: parent, but: process, mayBeOld: false) }
        let watched = found.compactMap { watch($0) }
        if !watched.isEmpty { return Upstream(processes: watched) }
        // The parent itself may write to it, as a program does that starts another, or one above it that has it too: that is no pipeline.
        var ancestor: Int32? = parent
        while let current = ancestor {
            let pipes = model.pipes.allEnds(of: current, mayBeOld: false)
            if pipes.written.contains(input) { return Upstream() }
            // Who made it has closed it by now, or never had it.
            guard pipes.read.contains(input) else { break }
            ancestor = ProcFile.parent(of: current)
        }
        // It was quicker than we are. Where the kernel tells, a failure of it is known.
        if let failed {
            if let gone = failed.neighbour(of: process, childOf: parent) {
                return Upstream(processes: [GoneProcess(gone)])
            }
            // A here-document looks the same, which the shell itself has written.
            if failed.allEndedWell(childrenOf: parent) { return Upstream() }
        }
        return Upstream(isUnknown: true)
    }

    /// Who writes to a pipe, and to those that these read.
    ///
    /// - Parameters:
    ///   - parent: the one that made the pipeline. Its children and theirs are looked at.
    ///   - reader: the one that is asked for.
    ///   - mayBeOld: whether what was seen of them a moment ago is enough.
    private func writers(
        to input: UInt64, childrenOf parent: Int32, but reader: Int32, mayBeOld: Bool
    ) -> [Int32] {
        let children = model.pipes.children(of: parent, mayBeOld: mayBeOld)
        var sought: Set<UInt64> = [input]
        var found: [Int32] = []
        var known: [(process: Int32, pipes: PipeSights.Ends)] = []
        func extend() {
            var isMore = true
            while isMore {
                isMore = false
                for (process, pipes) in known
                where !found.contains(process) && !sought.isDisjoint(with: pipes.written) {
                    found.append(process)
                    sought.formUnion(pipes.read)
                    isMore = true
                }
            }
        }
        // A shell makes the programs of a pipeline one after the other: the nearest are the likeliest.
        for child in children.sorted(by: { abs(Int($0) - Int(reader)) < abs(Int($1) - Int(reader)) })
        where child != reader {
            var next = [child]
            while let member = next.popLast(), known.count < Self.mostOfPipeline {
                // A shell's child may have its ends of pipes under other numbers still.
                known.append((member, model.pipes.allEnds(of: member, mayBeOld: mayBeOld)))
                next.append(contentsOf: model.pipes.children(of: member, mayBeOld: mayBeOld))
            }
            extend()
        }
        return found
    }

    // MARK: - Jobs

    package func isSameJob(_ one: Int32, _ other: any WatchedProcess) -> Bool? {
        guard one > 0, let process = ProcFile.processID(ofThread: one) else { return nil }
        if process == other.process { return true }
        guard let facts = ProcFile.facts(of: process) else { return nil }
        if other.session > 0, facts.session == other.session { return true }
        return isAncestor(other.process, of: facts.parent)
            || isAncestor(process, of: ProcFile.parent(of: other.process))
    }

    package func birth(ofThread thread: Int32) -> ProcessBirth? { births.birth(ofThread: thread) }
    package func nextBirth() -> UInt64? { births.next() }
    package func children(of process: Int32) -> [Int32] { ProcFile.children(of: process) }
    package func kin(of process: Int32) -> ProcessKin? { ProcFile.kin(of: process) }

    private func isAncestor(_ ancestor: Int32, of process: Int32?) -> Bool {
        var next = process
        for _ in 0..<100 {
            guard let current = next, current > 1 else { return false }
            if current == ancestor { return true }
            next = ProcFile.parent(of: current)
        }
        return false
    }
}

/// A process by its pidfd.
package final class LinuxProcess: WatchedProcess {
    package let process: Int32
    package let session: Int32
    /// Who made it, when it was found; 0 when that is not seen.
    let parent: Int32
    /// The rights that it had when it was found; nil when they are not shown.
    let rights: UserRights?
    /// Given up once it is known how the process ended. A leaf in the order of locks.
    private let file: Lock<FileDescriptor?>
    private let seesCode: Bool
    private let name: Lock<String>
    /// Who writes to it through pipes, once that was asked: the processes of its pipeline were there before it.
    fileprivate let pipeline = Lock<Upstream?>(nil)
    /// Whether it was seen to have become a program of its own.
    fileprivate let isProgram = Atomic(false)
    /// What it was seen to be. A leaf in the order of locks.
    private let seen = Lock(Seen())
    /// What `stat` said of it last. A leaf in the order of locks.
    private let sight = Lock<ProcFile.Sight?>(nil)
    private let codeState = Lock(CodeState.unasked)
    /// Whether what was seen is of the program that it has become: it is hardly ever another one after that.
    private let isSeenProgram = Atomic(false)
    /// Whether somebody is looking at it, or has got stuck in that, and who waits for that. A leaf in the order of locks.
    private let looking = Lock(Looking())
    /// How it ended, once that was seen.
    private let end = Lock<WriterEnding?>(nil)

    private let failures: FailedProcesses?

    private let capture: ProcessCapture

    package init?(ofThread thread: Int32, observer: LinuxProcesses) {
        (failures, capture) = (observer.failed, observer.capture)
        // Only a process's own thread has a pidfd; of most programs it is that one which asks.
        var process = thread
        var opened = try? SystemCall.openProcess(thread)
        var relations = ProcFile.facts(of: thread)
        if opened == nil, let group = relations?.process, group != thread {
            process = group
            opened = try? SystemCall.openProcess(group)
            relations = ProcFile.facts(of: group)
        }
        guard let opened else { return nil }
        self.process = process
        file = Lock(opened)
        seesCode = observer.seesEnding(ofProcess: process)
        (parent, session, rights) = (relations?.parent ?? 0, relations?.session ?? 0, relations?.rights)
        name = Lock(relations?.name ?? ProcFile.program(ofThread: process))
    }

    deinit { if let file = file.withLock({ $0 }) { SystemCall.close(file) } }

    package var descriptor: Int32 { file.withLock { $0?.rawValue ?? -1 } }

    package var facts: WriterFacts? {
        let seen = seen.withLock { $0 }
        guard var facts = seen.facts else { return nil }
        if case .known(let code) = codeState.withLock({ $0 }) { facts.code = code }
        return seen.isDoubtful ? facts.withoutProgram : facts
    }

    private struct Seen {
        var facts: WriterFacts?
        /// Whether it may have become a program that nobody saw.
        var isDoubtful = false
        /// Whether it was seen to be the same still when it closed something.
        var isConfirmed = false
    }

    private struct Looking {
        var isGoingOn = false
        var waiting: [PosixSemaphore] = []
    }

    /// What is known of its code.
    private enum CodeState {
        case unasked
        /// Somebody looks; who waits for it is told.
        case asked([PosixSemaphore])
        case known([ArtifactRecord.Code])
    }

    /// Whether the caller is to look with which code it works: once for a program.
    func beginLookingForCode(again isOther: Bool) -> Bool {
        codeState.withLock { code in
            switch code {
            case .asked: return false
            case .known where !isOther: return false
            case .unasked, .known:
                code = .asked([])
                return true
            }
        }
    }

    func noteCode(_ found: [ArtifactRecord.Code]) {
        let waiting = codeState.withLock { code -> [PosixSemaphore] in
            defer { code = .known(found) }
            if case .asked(let waiting) = code { return waiting }
            return []
        }
        for semaphore in waiting { semaphore.post() }
    }

    package func awaitFacts(atMost milliseconds: Int32) {
        capture.lookForCode(self)
        let told = PosixSemaphore()
        let waits = codeState.withLock { code in
            guard case .asked(let waiting) = code else { return false }
            code = .asked(waiting + [told])
            return true
        }
        if waits { _ = told.wait(milliseconds: milliseconds) }
    }

    package func isSeen(as name: String?) -> Bool {
        guard isSeenProgram.load(ordering: .acquiring) else { return false }
        return name.map { name in seen.withLock { $0.facts?.image.name == name } } ?? true
    }

    /// What `stat` said of it, when that was a moment ago.
    var lastSight: ProcFile.Sight? { sight.withLock { $0 }.flatMap { $0.isNew ? $0 : nil } }

    func isSeen(in sight: ProcFile.Sight?) { if let sight { self.sight.withLock { $0 = sight } } }

    /// Whether it was seen as what another process made, which had run no program of its own and had this name.
    func isFork(called name: String) -> Bool {
        seen.withLock { seen in seen.facts.map { !$0.image.isOfProgram && $0.image.name == name } ?? false }
    }

    /// Notes what was seen, unless more is known of the same program already: one that ends has given up its memory.
    func note(_ facts: WriterFacts) {
        seen.withLock { seen in
            if facts.image.arguments == nil, let known = seen.facts?.image, known.name == facts.image.name,
                known.origin.isProgram == facts.image.origin.isProgram
            {
                return
            }
            seen = Seen(facts: facts)
        }
        if facts.image.isOfProgram { isSeenProgram.store(true, ordering: .releasing) }
    }

    /// It was what it was seen to be when it closed something.
    func confirm() { seen.withLock { $0.isConfirmed = true } }

    /// It is called something else than when it was seen, or may have become a program, and nobody could look: what it was is not what wrote.
    func doubt(closingAs name: String) {
        guard !isSeen(as: name) else { return }
        seen.withLock { if !$0.isConfirmed { $0.isDoubtful = true } }
    }

    /// Whether the caller may look at it now: one at a time does.
    func beginLooking() -> Bool {
        looking.withLock { looking in
            defer { looking.isGoingOn = true }
            return !looking.isGoingOn
        }
    }

    func endLooking() {
        let waiting = looking.withLock { looking in
            defer { looking = Looking() }
            return looking.waiting
        }
        for semaphore in waiting { semaphore.post() }
    }

    /// Waits until nobody looks at it any more.
    ///
    /// - Parameter limit: for so many milliseconds at most.
    /// - Returns: whether somebody was.
    func awaitLook(atMost limit: Int32) -> Bool {
        let isOver = PosixSemaphore()
        let waits = looking.withLock { looking in
            if looking.isGoingOn { looking.waiting.append(isOver) }
            return looking.isGoingOn
        }
        if waits { _ = isOver.wait(milliseconds: limit) }
        return waits
    }

    package var program: String { name.withLock { $0 } }

    package func isCalled(_ program: String) { if !program.isEmpty { name.withLock { $0 = program } } }

    package func lookAgain() {
        guard isThere else { return }
        let now = ProcFile.program(ofThread: process)
        // Who took its number meanwhile is another.
        if !now.isEmpty, isThere { name.withLock { $0 = now } }
    }

    /// Whether it has not ended.
    package var isThere: Bool {
        file.withLock { file in
            guard let file else { return false }
            return !((try? SystemCall.waitToRead(file) { 0 }) ?? false)
        }
    }

    /// The kernel keeps the exit code of a process that is gone for who has a pidfd (linux/pidfd.h, `PIDFD_INFO_EXIT`, kernel 6.15; tried
    /// on 6.18); of one that nobody has waited for it stands in `/proc`.
    package var ending: WriterEnding {
        if let known = end.withLock({ $0 }) { return known }
        if isThere { return .running }
        var found = code() ?? zombie()
        // Somebody waited for it in between.
        if found == .unknown, let code = code() { found = code }
        guard found != .unknown else { return found }
        end.withLock { $0 = found }
        file.withLock { file in
            if let file { SystemCall.close(file) }
            file = nil
        }
        // It may have become another program since it was looked at last; what a failure means depends on that.
        if case .failed = found, let last = failures?.find(process)?.program { name.withLock { $0 = last } }
        return found
    }

    private func code() -> WriterEnding? {
        file.withLock { file in
            file.flatMap { SystemCall.exitCode($0) }.map { WriterEnding(exitCode: UInt64(UInt32(bitPattern: $0))) }
        }
    }

    private func zombie() -> WriterEnding {
        withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer in
            guard seesCode, let line = ProcFile.read(process, "stat", into: buffer) else { return .unknown }
            let found = WriterEnding.parse(line)
            return found == .running ? .unknown : found
        }
    }
}
