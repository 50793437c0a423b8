public import ArtifactFormats
internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// The processes in which a driver lets checks run that could trap. A process is started with the first file that needs one, answers
/// for one file at a time, and is kept for the next.
///
/// A process that dies with a file is started anew for one more try, since it may have been ended from outside; when that dies as
/// well, the file is refused. A quick check, for which somebody waits, has a deadline: then its process is ended, and nothing is known.
public final class CheckProcesses: Sendable {
    private struct State {
        /// Program and arguments; empty as long as checks run where they are asked for.
        var command: [String] = []
        var idle: [HelperProcess] = []
    }

    /// So many are kept without work.
    private static let most = 2
    /// A leaf in the order of locks; nothing is waited for under it.
    private let state = Lock(State())

    init() {}

    deinit { end() }

    /// From now on checks run in processes.
    ///
    /// - Parameter command: a program and its arguments; it calls ``CheckService/serve(socket:)`` with its standard input.
    public func start(by command: [String]) { state.withLock { $0.command = command } }

    /// Ends the processes that have no work.
    public func end() {
        let idle = state.withLock { state in
            defer { state.idle = [] }
            return state.idle
        }
        for process in idle { _ = process.end() }
    }

    /// What a check says of a whole file, from a process of its own.
    ///
    /// - Returns: nil for a check that needs none, and where there is none to be had.
    func answer(of check: FormatCheck, _ file: FileDescriptor) -> CheckAnswer? {
        guard check.isIntricate, let place = CheckService.place(of: check) else { return nil }
        switch ask(place, file, until: nil) {
        case nil, .late?: return nil
        case .died(let ending)?: return .refused(Self.reason(ending))
        case .answered(let answer)?: return answer
        }
    }

    /// What a quick check says of a file, from a process of its own; for who waits for it, and so bounded.
    ///
    /// - Parameter time: in milliseconds; after that the process is ended.
    /// - Returns: nil for a check that needs none, and where there is none to be had.
    public func quickAnswer(
        of check: FormatCheck, _ file: FileDescriptor, within time: Int64 = CheckProcesses.longestQuickCheck
    ) -> QuickAnswer? {
        guard check.isIntricate, let place = CheckService.place(of: check) else { return nil }
        switch ask(place | CheckService.quick, file, until: HelperProcess.now() + time) {
        case nil: return nil
        case .died(let ending)?: return .refused(Self.reason(ending))
        case .late?: return .unknown
        case .answered(.refused(let reason))?: return .refused(reason)
        case .answered(.unreadable(let errno))?: return .unreadable(errno)
        case .answered(.passed)?: return .fits
        }
    }

    /// What a whole check says of a file, for who waits for it: from a process of its own where it needs one and one is to be had.
    ///
    /// - Parameter time: in milliseconds; after that the process is ended.
    public func contents(
        of check: FormatCheck, _ file: FileDescriptor, within time: Int64 = CheckProcesses.longestCheckAtClose
    ) -> ContentsAnswer {
        guard check.isIntricate, let place = CheckService.place(of: check) else {
            return ContentsAnswer(CheckAnswer(of: check, file), of: check)
        }
        switch ask(place, file, until: HelperProcess.now() + time) {
        case nil: return ContentsAnswer(CheckAnswer(of: check, file), of: check)
        case .died(let ending)?: return .refused(Self.reason(ending))
        case .late?: return .unknown
        case .answered(let answer)?: return ContentsAnswer(answer, of: check)
        }
    }

    /// In milliseconds: at a close that takes so long, publishing is left to judge.
    public static let longestCheckAtClose: Int64 = 60_000

    /// A few hundred KiB are read: what takes longer than this many milliseconds is stuck, or the machine is.
    public static let longestQuickCheck: Int64 = 5_000

    private static func reason(_ ending: String) -> String {
        "its check ends the process that it runs in (\(ending)): its content is damaged in an uncommon way"
    }

    private enum Outcome {
        case answered(CheckAnswer)
        /// Twice, and how.
        case died(String)
        /// There was no answer in time.
        case late
    }

    /// - Parameter deadline: on `HelperProcess.now()`.
    private func ask(_ request: UInt8, _ file: FileDescriptor, until deadline: Int64?) -> Outcome? {
        var ending: String?
        for attempt in 0..<2 {
            // One that waited for work may have been ended from outside meanwhile.
            guard let process = take(fresh: attempt > 0) else { break }
            if let answer = process.answer(request, file, until: deadline) {
                giveBack(process)
                return .answered(answer)
            }
            let isLate = deadline.map { HelperProcess.now() >= $0 } ?? false
            ending = process.end()
            if isLate { return .late }
        }
        return ending.map { .died($0) }
    }

    private func take(fresh: Bool) -> HelperProcess? {
        let (known, command) = state.withLock { (fresh ? nil : $0.idle.popLast(), $0.command) }
        return known ?? HelperProcess(command)
    }

    private func giveBack(_ process: HelperProcess) {
        let isKept = state.withLock { state in
            guard state.idle.count < Self.most else { return false }
            state.idle.append(process)
            return true
        }
        if !isKept { _ = process.end() }
    }
}

extension HelperProcess {
    /// An answer has columns and their types, of which a record takes 1 MiB.
    private static let longestAnswer: UInt64 = 64 << 20

    /// Nil when the process died, says what no check says, or nothing until the deadline.
    fileprivate func answer(_ request: UInt8, _ file: FileDescriptor, until deadline: Int64?) -> CheckAnswer? {
        do throws(Errno) { try send(request, with: file) } catch { return nil }
        return text(longest: Self.longestAnswer, until: deadline).flatMap { JSONValue(parsing: $0) }.flatMap {
            CheckAnswer($0)
        }
    }
}
