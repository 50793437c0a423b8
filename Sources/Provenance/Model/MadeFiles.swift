package import Artifacts
internal import Synchronization
internal import SystemCalls

/// Who wrote the files of sessions and tests. They have no records; but when one is promoted, its record tells who made it, and not only who
/// moved it.
final class MadeFiles: Sendable {
    fileprivate struct Made {
        var makers: [FileMaker]
        /// How it was when the last of them had closed it, and when it was changed last; nil as long as somebody has it open.
        var end: (version: ReadFile.BytesState, time: UInt64)?
    }

    private struct State {
        /// Those that were opened last, and those that were opened before.
        var (files, former): ([FileIdentity: Made], [FileIdentity: Made]) = ([:], [:])

        mutating func add(_ file: FileIdentity) {
            if files.count >= MadeFiles.mostFiles { (files, former) = ([:], files) }
            files[file] = Made(makers: [])
            former[file] = nil
        }

        /// Changes what is known of a file, if anything is.
        mutating func change(_ file: FileIdentity, _ body: (inout Made) -> Void) {
            if files[file] == nil, let made = former.removeValue(forKey: file) {
                add(file)
                files[file] = made
            }
            if var made = files.removeValue(forKey: file) {
                body(&made)
                files[file] = made
            }
        }
    }

    /// So many are known at least.
    private static let mostFiles = 8192
    private static let mostMakers = 64

    /// A leaf in the order of locks.
    private let state = Lock(State())

    /// Somebody opens a file to write.
    ///
    /// - Parameters:
    ///   - maker: nobody as long as it is not known what that becomes.
    ///   - anew: whether nothing that was in it is left. Else nobody is noted where it is not known who made that.
    func isOpened(_ file: FileIdentity, by maker: FileMaker?, anew: Bool) {
        state.withLock { state in
            if anew { state.add(file) }
            state.change(file) { made in
                if let maker { made.add(maker, most: Self.mostMakers) }
                made.end = nil
            }
        }
    }

    /// Somebody has written to it who may have become another program since it was opened.
    func isClosed(_ file: FileIdentity, by maker: FileMaker) {
        state.withLock { $0.change(file) { $0.add(maker, most: Self.mostMakers) } }
    }

    /// Nobody has it open to write any more.
    ///
    /// - Parameter time: when it was changed last, in nanoseconds since the machine's start.
    func isReleased(_ file: FileIdentity, _ version: ReadFile.BytesState, _ time: UInt64) {
        state.withLock { state in
            state.change(file) { made in
                made.end = (version, time)
                for index in made.makers.indices { made.makers[index].keepFacts() }
            }
        }
    }

    /// Who made a file as it is now, who made it first being the first; nil when it was changed by others since, or that is not known.
    func makers(of file: FileIdentity, _ version: ReadFile.BytesState) -> (makers: [FileMaker], time: UInt64)? {
        state.withLock { state in
            guard let made = state.files[file] ?? state.former[file], let end = made.end, end.version == version,
                !made.makers.isEmpty
            else { return nil }
            return (made.makers, end.time)
        }
    }
}

extension MadeFiles.Made {
    /// Of very many those after the first are forgotten.
    fileprivate mutating func add(_ maker: FileMaker, most: Int) {
        guard makers.count < most, !makers.contains(where: { $0.memory === maker.memory }) else { return }
        makers.append(maker)
    }
}

/// Who wrote to a file of a session or a test.
package struct FileMaker: Sendable {
    /// What it may remember.
    package let memory: ProcessMemory
    /// The process, as long as somebody else follows it.
    private weak var process: LinuxProcess?
    private var kept: WriterFacts?

    init(_ process: LinuxProcess?, _ memory: ProcessMemory) { (self.process, self.memory) = (process, memory) }

    /// What the process was, as far as that was seen.
    package var facts: WriterFacts? { kept ?? process?.facts }

    /// How it is doing, or how it ended, as long as somebody follows it.
    package var ending: WriterEnding { process?.ending ?? .unknown }

    /// What is known by now is of who made the file: the process may become another program.
    fileprivate mutating func keepFacts() { if kept == nil { kept = process?.facts } }
}
