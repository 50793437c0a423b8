internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls

extension ProcessModel {
    /// A process, and what it runs now.
    final class SeenProcess: Sendable {
        /// What it has open, as that was seen last.
        struct Open: Sendable {
            /// What it has opened itself and nobody has closed, by the numbers of the handles; whether it was seen to pass it on to another program
            /// as a standard stream.
            var own: [UInt64: (file: ReadFile, isStandard: Bool)] = [:]
            /// What it was given and passes on, with the lowest descriptor.
            var files: [(file: ReadFile, descriptor: Int32)] = []
            /// The pipes that it passes on, with the lowest descriptor.
            var (read, written): ([UInt64: Int32], [UInt64: Int32]) = ([:], [:])
            /// The pipes that it has from the program that made it, and does not pass on; and those of which it has both ends.
            var kept: (read: Set<UInt64>, written: Set<UInt64>) = ([], [])
            /// Whether it has opened something to write since, which a shell's child does that puts it in the place of a stream.
            var isRedirected = false
        }

        private struct State {
            var memory: ProcessMemory
            /// When that was seen first, on the monotonic clock.
            var seenAt = Clock.monotonic()
            var start: UInt64?
            /// As ``SystemCall/birth(ofProcess:)``; nil when that was not asked.
            var birth: UInt64?
            var open = Open()
            var isSeen = false
            /// When it has run its program, on the monotonic clock; nil when that was not heard.
            var ranAt: UInt64?
            /// Whom it has made last.
            var children: [Child] = []
            /// The pipes that it had when it was seen to read one.
            var pipes: Set<UInt64>?
            /// What `stat` said of it last.
            var sight: ProcFile.Sight?
            /// The same process as it is followed to its end, as long as somebody does that.
            weak var followed: LinuxProcess?
        }

        /// A process that it has made.
        struct Child: Sendable {
            let known: SeenProcess
            /// When it was made, and what it had then.
            let made: ProcessMemory.Parent
            /// On the monotonic clock.
            let begin: UInt64
            var end: UInt64?
            /// Where it was heard.
            let session: Int
        }

        let process: Int32
        private let state: Lock<State>
        /// How many opens are looked at before it is known well.
        let looksLeft = Atomic(ProcessModel.firstLooks)

        init(_ process: Int32, start: UInt64?, _ memory: ProcessMemory) {
            self.process = process
            state = Lock(State(memory: memory, start: start))
        }

        var memory: ProcessMemory { state.withLock { $0.memory } }

        /// When it has run its program, on the monotonic clock; nil when that was not heard.
        var ranAt: UInt64? { state.withLock { $0.ranAt } }

        /// Whether what it is was seen after a time only.
        func isSeen(since time: UInt64) -> Bool { state.withLock { $0.seenAt >= time } }

        func ran(_ time: UInt64) { state.withLock { $0.ranAt = time } }

        /// What `stat` said of it last.
        var sight: ProcFile.Sight? {
            get { state.withLock { $0.sight } }
            set { state.withLock { $0.sight = newValue } }
        }

        var followed: LinuxProcess? { state.withLock { $0.followed } }

        func isFollowed(by process: LinuxProcess) { state.withLock { $0.followed = process } }

        /// When it was made, in ticks since the machine's start; nil when that was not seen yet.
        var start: UInt64? { state.withLock { $0.start } }

        /// Whether its descriptors were looked at.
        var isSeen: Bool { state.withLock { $0.isSeen } }

        /// Whether its descriptors were never looked at; they are now.
        func isFirstLook() -> Bool {
            state.withLock { state in
                defer { state.isSeen = true }
                return !state.isSeen
            }
        }

        /// Whether it may be the process that the kernel has given a number; it is from now on.
        ///
        /// - Parameter birth: nil when that is not known.
        func isBorn(_ birth: UInt64?) -> Bool {
            guard let birth else { return true }
            return state.withLock { state in
                if state.birth == nil { state.birth = birth }
                return state.birth == birth
            }
        }

        func began(_ start: UInt64) { state.withLock { if $0.start == nil { $0.start = start } } }

        /// It has made another process.
        func made(_ child: Child) {
            state.withLock { state in
                if state.children.count >= 32 { state.children.removeFirst(16) }
                state.children.append(child)
            }
        }

        var hasChildren: Bool { state.withLock { !$0.children.isEmpty } }

        /// It has made another one perhaps, of which nothing is known: whom it makes next is none that comes after another.
        func madeUnknown() { state.withLock { $0.children = [] } }

        func hasEnded(_ process: Int32, _ time: UInt64) {
            state.withLock { state in
                guard let index = state.children.lastIndex(where: { $0.known.process == process }) else { return }
                state.children[index].end = time
            }
        }

        /// A child, and the one that was made before it and may have lived then; nil when the child's making was not heard, or when none was
        /// heard before it: there may have been one that nobody heard of.
        func child(_ process: Int32) -> (child: Child, before: Child?)? {
            state.withLock { state in
                guard let index = state.children.lastIndex(where: { $0.known.process == process }), index > 0,
                    state.children[index - 1].session == state.children[index].session
                else { return nil }
                let child = state.children[index]
                return (child, state.children[..<index].last { $0.end.map { $0 > child.begin } ?? true })
            }
        }

        var open: Open { state.withLock { $0.open } }

        /// It read from a pipe, and had these.
        func had(_ ends: PipeSights.Ends) { state.withLock { $0.pipes = ends.read.union(ends.written) } }

        /// Whether it was seen not to have a pipe, which it has now and can only have made since, as long as it has not become a program.
        func hasMade(_ pipe: UInt64) -> Bool { state.withLock { $0.pipes.map { !$0.contains(pipe) } ?? false } }

        /// - Returns: false when somebody else has seen that first.
        func begin(_ memory: ProcessMemory, after former: ProcessMemory, start: UInt64?) -> Bool {
            let isFirst = state.withLock { state in
                guard state.memory === former else { return false }
                (state.memory, state.seenAt) = (memory, Clock.monotonic())
                state.open.isRedirected = false
                if let start { state.start = start }
                return true
            }
            if isFirst { looksLeft.store(ProcessModel.firstLooks, ordering: .relaxed) }
            return isFirst
        }

        func isRedirected() { state.withLock { $0.open.isRedirected = true } }

        func hold(_ number: UInt64, _ file: ReadFile) { state.withLock { $0.open.own[number] = (file, false) } }

        /// A handle of it is closed.
        ///
        /// - Parameter name: what it is called now. A program closes its standard input itself; before it was run, a shell has closed what
        ///   its command is not to have.
        func closed(_ number: UInt64, called name: String) {
            state.withLock { state in
                guard let held = state.open.own[number] else { return }
                if !held.isStandard || state.memory.name == name { state.open.own[number] = nil }
            }
        }

        /// What was seen of its descriptors.
        func has(_ open: Open, standard: Set<ObjectIdentifier>) {
            state.withLock { state in
                let own = state.open.own.mapValues { held in
                    (held.file, held.isStandard || standard.contains(ObjectIdentifier(held.file)))
                }
                let isRedirected = state.open.isRedirected
                state.open = open
                (state.open.own, state.open.isRedirected) = (own, isRedirected)
            }
        }
    }
}
