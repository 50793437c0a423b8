internal import Synchronization
internal import SystemCalls

/// Tells the uses of named pipes apart. A named pipe outlives who has it open: what goes through it is gone when nobody has it any more, and who
/// opens it then reads nothing of those before.
///
/// A use is known by who was seen to have the pipe. Whoever opens one waits for another who opens the other end (fifo(7)): who was made only after
/// somebody was seen to have it did not open it together with that one, and counts as somebody of the next use. Rather an edge is missing than false.
final class NamedPipes: Sendable {
    /// A process that has a pipe, as it was seen.
    struct PipeHolder: Sendable {
        let process: Int32
        /// When it was made, in ticks since the machine's start.
        let start: UInt64
        /// Not later than it was seen to have the pipe.
        let seen: Moment
        var (isReader, isWriter): (Bool, Bool)
    }

    private struct Use {
        let number: UInt64
        var holders: [PipeHolder]
    }

    private struct State {
        var uses: [UInt64: [Use]] = [:]
        var last: UInt64 = 0
    }

    private static let most = 4096
    /// So many uses of a pipe are remembered, and so many processes of each.
    private static let (mostUses, mostHolders) = (8, 32)
    /// So often it is looked again when somebody else was seen meanwhile.
    private static let mostTries = 4

    /// A leaf in the order of locks.
    private let state = Lock(State())

    /// The uses of a pipe that a process which has it may be of, by numbers that no other pipe has; a new one, when it is of none that is known.
    ///
    /// - Parameters:
    ///   - pipe: its name, as ``ProcFile/OpenDescriptor/pipe`` has it.
    ///   - hasNow: whether a process has the pipe now.
    func uses(of pipe: UInt64, by holder: PipeHolder, hasNow: (Int32) -> Bool) -> [UInt64] {
        for _ in 0..<Self.mostTries {
            let (known, last) = state.withLock { ($0.uses[pipe] ?? [], $0.last) }
            let chosen = known.filter { Self.isOf($0.holders, holder, hasNow) }.map(\.number)
            let numbers = state.withLock { state -> [UInt64]? in
                guard chosen.isEmpty else {
                    Self.add(holder, to: chosen, &state.uses[pipe, default: []])
                    return chosen
                }
                guard state.last == last else { return nil }
                if state.uses.count >= Self.most { state.uses = [:] }
                state.last &+= 1
                let number = ProcFile.fifoMark | state.last
                state.uses[pipe, default: []].append(Use(number: number, holders: [holder]))
                state.uses[pipe] = state.uses[pipe]?.suffix(Self.mostUses)
                return [number]
            }
            if let numbers { return numbers }
        }
        return []
    }

    private static func add(_ holder: PipeHolder, to numbers: [UInt64], _ uses: inout [Use]) {
        for use in uses.indices where numbers.contains(uses[use].number) {
            if let place = uses[use].holders.firstIndex(where: {
                $0.process == holder.process && $0.start == holder.start
            }) {
                if holder.isReader { uses[use].holders[place].isReader = true }
                if holder.isWriter { uses[use].holders[place].isWriter = true }
            } else {
                uses[use].holders = uses[use].holders.suffix(mostHolders - 1) + [holder]
            }
        }
    }

    /// Whether who has a pipe now is of a former use of it, as far as that is known.
    ///
    /// - Parameter former: who was seen in that use.
    static func isOf(_ former: [PipeHolder], _ holder: PipeHolder, _ hasNow: (Int32) -> Bool) -> Bool {
        if former.contains(where: { $0.process == holder.process && $0.start == holder.start }) { return true }
        guard former.contains(where: { $0.seen.isBefore(start: holder.start, of: holder.process) == false }) else {
            return false
        }
        // Of a use of which both ends were seen, and that is over, it is not another one, however old.
        let lacksSuch = !former.contains { holder.isReader && $0.isReader || holder.isWriter && $0.isWriter }
        return lacksSuch || former.contains { hasNow($0.process) }
    }
}
