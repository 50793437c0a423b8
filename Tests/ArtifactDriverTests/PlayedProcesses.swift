import Artifacts
import Synchronization
import Provenance
import SystemPackage

@testable import ArtifactDriver
@testable import SystemCalls

/// Processes that end when a test says so, and of which is seen what a test says.
final class PlayedProcesses: ProcessObserver {
    final class Played: WatchedProcess {
        let process: Int32
        let session: Int32
        let program: String
        private let state = Mutex(WriterEnding.running)
        private let event: FileDescriptor

        init(_ process: Int32, session: Int32, program: String) throws {
            self.process = process
            self.session = session
            self.program = program
            event = try SystemCall.makeEvent()
        }

        deinit { SystemCall.close(event) }

        func isSeen(as name: String?) -> Bool { true }
        var facts: WriterFacts? { nil }
        func awaitFacts(atMost milliseconds: Int32) {}
        func lookAgain() {}
        func isCalled(_ program: String) {}
        var ending: WriterEnding { state.withLock { $0 } }
        var descriptor: Int32 { event.rawValue }

        func end(_ ending: WriterEnding) {
            state.withLock { $0 = ending }
            SystemCall.signal(event)
        }
    }

    let seesAllEndings = true
    private let all: [Int32: Played]
    private let pipes: [Int32: [Int32]]
    private let shells: [Int32: Int32]

    /// - Parameters:
    ///   - pipes: who writes to whom.
    ///   - shells: who opens files for whom.
    init(_ all: [Played], pipes: [Int32: [Int32]] = [:], shells: [Int32: Int32] = [:]) {
        self.shells = shells
        self.all = Dictionary(uniqueKeysWithValues: all.map { ($0.process, $0) })
        self.pipes = pipes
    }

    func look(at thread: Int32) -> ProcessSight {
        ProcessSight(ending: all[thread]?.ending ?? .unknown, program: all[thread]?.program ?? "")
    }
    func program(ofThread thread: Int32) -> String { all[thread]?.program ?? "" }
    func isSameProcess(_ one: Int32, _ other: Int32) -> Bool? { one == other }
    func bytesWritten(byThread thread: Int32) -> UInt64? { nil }
    func observeOpening(_ process: any WatchedProcess) {}
    func observeClosing(_ process: any WatchedProcess, as name: String, mayBeLater: Bool) {}
    func opens(_ identity: FileIdentity, by thread: Int32, _ file: () -> ReadFile?) -> UInt64? { nil }
    func closed(_ number: UInt64) {}
    let hearsPrograms = false
    func closes(_ number: UInt64, by thread: Int32) {}
    func awaitCloses() {}
    func opensToWrite(_ thread: Int32, _ process: any WatchedProcess) {}
    func opensToMake(_ thread: Int32) -> FileMaking { FileMaking() }
    func isBeingMade(_ file: FileIdentity, _ making: FileMaking, anew: Bool) {}
    func closesMade(_ file: FileIdentity, by thread: Int32, _ memory: ProcessMemory) {}
    func isMade(_ file: FileIdentity, _ version: ReadFile.BytesState, time: UInt64) {
        made.withLock { _ = $0.insert(file) }
    }
    func makers(of file: FileIdentity, _ version: ReadFile.BytesState) -> (makers: [FileMaker], time: UInt64)? { nil }
    func closes(_ thread: Int32, called name: String) -> ProcessMemory? { nil }
    func groups(ofThread thread: Int32) -> [UInt32]? { [] }
    func watch(_ thread: Int32) -> (any WatchedProcess)? { all[thread] }
    func upstream(of process: any WatchedProcess) -> Upstream {
        Upstream(processes: (pipes[process.process] ?? []).compactMap { all[$0] })
    }
    func leader(of process: any WatchedProcess) -> (any WatchedProcess)? { nil }
    func shell(of process: any WatchedProcess) -> (any WatchedProcess)? { shells[process.process].flatMap { all[$0] } }
    func isSameJob(_ one: Int32, _ other: any WatchedProcess) -> Bool? {
        all[one].map { $0.session == other.session }
    }
    func birth(ofThread thread: Int32) -> ProcessBirth? {
        family.withLock { family in
            family.members[thread].map { ProcessBirth(process: thread, number: $0.number) }
        }
    }
    func nextBirth() -> UInt64? { family.withLock { $0.last + 1 } }
    func kin(of process: Int32) -> ProcessKin? { family.withLock { $0.members[process]?.kin } }

    func children(of process: Int32) -> [Int32] {
        family.withLock { family in family.members.filter { $0.value.kin.parent == process }.map(\.key) }
    }

    /// The files of sessions that are as their makers have left them.
    let made = Mutex<Set<FileIdentity>>([])

    // MARK: - Who was made by whom

    private struct Family {
        var last: UInt64 = 0
        var members: [Int32: (number: UInt64, kin: ProcessKin)] = [:]
    }
    private let family = Mutex(Family())

    /// A process is made.
    ///
    /// - Parameter session: its maker's when not given.
    func make(
        _ process: Int32, by parent: Int32, session: Int32? = nil, user: UInt32 = 1000, isAtPrompt: Bool = false
    ) {
        family.withLock { family in
            family.last += 1
            family.members[process] = (
                family.last,
                ProcessKin(
                    parent: parent, session: session ?? family.members[parent]?.kin.session ?? process, user: user,
                    isAtPrompt: isAtPrompt)
            )
        }
    }

    /// A process is gone; what it made is the first one's.
    func remove(_ process: Int32) {
        family.withLock { family in
            family.members[process] = nil
            for child in Array(family.members.keys) where family.members[child]?.kin.parent == process {
                family.members[child]?.kin.parent = 1
            }
        }
    }
}
