internal import ArtifactRecords
package import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
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

    /// - Parameter environment: which members of a writer's environment are kept.
    package init(environment: EnvironmentNames = .builtIn) { capture = ProcessCapture(environment) }

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

    package func bytesWritten(byThread thread: Int32) -> UInt64? { ProcFile.bytesWritten(byThread: thread) }

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

    package func observe(_ watched: any WatchedProcess, closingAs name: String?) {
        guard let process = watched as? LinuxProcess else { return }
        capture.observe(process, closingAs: name)
    }

    package func seesEnding(ofProcess process: Int32) -> Bool { seesEnding(ofThread: process) }

    // MARK: - Shells

    package func shell(of watched: any WatchedProcess) -> (any WatchedProcess)? {
        guard let known = watched as? LinuxProcess, !known.isProgram.load(ordering: .relaxed) else { return nil }
        guard let origin = ProcFile.origin(of: watched.process) else { return nil }
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
        let found = findUpstream(of: watched.process)
        known.pipeline.withLock { $0 = found }
        return found
    }

    private func findUpstream(of process: Int32) -> Upstream {
        var process = process
        guard let input = ProcFile.pipeNumber(ofProcess: process, descriptor: 0),
            var parent = ProcFile.parent(of: process)
        else { return Upstream() }
        // A shell's commands read what the shell reads, where nothing else is said: it is the one that stands in the pipeline.
        while ProcFile.pipeNumber(ofProcess: parent, descriptor: 0) == input {
            guard let next = ProcFile.parent(of: parent) else { return Upstream() }
            (process, parent) = (parent, next)
        }
        // Who is in the same pipeline: the shell's other children, and theirs.
        var members: [Int32] = []
        var next = ProcFile.children(of: parent)
        while let member = next.popLast(), members.count < Self.mostOfPipeline {
            guard member != process else { continue }
            members.append(member)
            next.append(contentsOf: ProcFile.children(of: member))
        }
        let ends = members.map { member in
            // A shell's child may have its ends of pipes under other numbers still.
            (member, pipes: ProcFile.pipes(ofProcess: member))
        }
        var sought: Set<UInt64> = [input]
        var found: [Int32] = []
        var isMore = true
        while isMore {
            isMore = false
            for (member, pipes) in ends where !found.contains(member) && !sought.isDisjoint(with: pipes.written) {
                found.append(member)
                sought.formUnion(pipes.read)
                isMore = true
            }
        }
        let processes = found.compactMap { watch($0) }
        if !processes.isEmpty { return Upstream(processes: processes) }
        // The parent itself may write to it, as a program does that starts another, or one above it: that is no pipeline.
        var ancestor: Int32? = parent
        while let current = ancestor {
            if ProcFile.pipes(ofProcess: current).written.contains(input) { return Upstream() }
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

    // MARK: - Jobs

    package func isSameJob(_ one: Int32, _ other: any WatchedProcess) -> Bool? {
        guard one > 0, let process = ProcFile.processID(ofThread: one) else { return nil }
        if process == other.process { return true }
        guard let facts = ProcFile.facts(of: process) else { return nil }
        if other.session > 0, facts.session == other.session { return true }
        return isAncestor(other.process, of: facts.parent)
            || isAncestor(process, of: ProcFile.parent(of: other.process))
    }

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
    /// Given up once it is known how the process ended. A leaf in the order of locks.
    private let file: Lock<FileDescriptor?>
    private let seesCode: Bool
    private let name: Lock<String>
    /// Who writes to it through pipes, once that was asked: the processes of its pipeline were there before it.
    fileprivate let pipeline = Lock<Upstream?>(nil)
    /// Whether it was seen to have become a program of its own.
    fileprivate let isProgram = Atomic(false)
    /// What it was seen to be. A leaf in the order of locks.
    private let seen = Lock<WriterFacts?>(nil)
    private let codeState = Lock(CodeState.unasked)
    /// Whether what was seen is of the program that it has become: it is hardly ever another one after that.
    private let isSeenProgram = Atomic(false)
    /// Whether it may have become a program that nobody saw.
    private let isDoubtful = Atomic(false)
    /// Whether somebody is looking at it, or has got stuck in that.
    private let isBeingSeen = Atomic(false)
    /// How it ended, once that was seen.
    private let end = Lock<WriterEnding?>(nil)

    private let failures: FailedProcesses?

    package init?(ofThread thread: Int32, observer: LinuxProcesses) {
        failures = observer.failed
        // Only a process's own thread has a pidfd; of most programs it is that one which asks.
        var process = thread
        var opened = try? SystemCall.openProcess(thread)
        if opened == nil, let group = ProcFile.processID(ofThread: thread), group != thread {
            process = group
            opened = try? SystemCall.openProcess(group)
        }
        guard let opened else { return nil }
        self.process = process
        file = Lock(opened)
        seesCode = observer.seesEnding(ofProcess: process)
        session = ProcFile.facts(of: process)?.session ?? 0
        name = Lock(ProcFile.program(ofThread: process))
    }

    deinit { if let file = file.withLock({ $0 }) { SystemCall.close(file) } }

    package var descriptor: Int32 { file.withLock { $0?.rawValue ?? -1 } }

    package var facts: WriterFacts? {
        guard var facts = seen.withLock({ $0 }) else { return nil }
        if case .known(let code) = codeState.withLock({ $0 }) { facts.code = code }
        return isDoubtful.load(ordering: .relaxed) ? facts.withoutProgram : facts
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
        return name.map { name in seen.withLock { $0?.image.name == name } } ?? true
    }

    /// Notes what was seen, unless more is known of the same program already: one that ends has given up its memory.
    func note(_ facts: WriterFacts) {
        seen.withLock { seen in
            if facts.image.arguments == nil, let known = seen?.image, known.name == facts.image.name,
                known.origin.isProgram == facts.image.origin.isProgram
            {
                return
            }
            seen = facts
            isDoubtful.store(false, ordering: .relaxed)
        }
        if facts.image.isOfProgram { isSeenProgram.store(true, ordering: .releasing) }
    }

    /// It is called something else than when it was seen, or may have become a program, and nobody could look: what it was is not what wrote.
    func doubt(closingAs name: String) {
        if !isSeen(as: name) { isDoubtful.store(true, ordering: .relaxed) }
    }

    /// Whether the caller may look at it now: one at a time does.
    func beginLooking() -> Bool { !isBeingSeen.exchange(true, ordering: .acquiringAndReleasing) }

    var isBeingLookedAt: Bool { isBeingSeen.load(ordering: .acquiring) }

    func endLooking() { isBeingSeen.store(false, ordering: .releasing) }

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
