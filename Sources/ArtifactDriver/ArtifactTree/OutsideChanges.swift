internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Notices what others change in production's real directories (inotify(7)), and makes the kernel forget what it knows of that, so
/// that it may know it for long.
///
/// For read-only mounts: whatever changes there, others changed it. Directories on file systems that other machines write to are
/// not watched, because the kernel does not tell of their changes.
final class OutsideChanges: Sendable {
    private struct Watched {
        /// The directories of the tree that show the real one.
        var directories: [TreeDirectory]
    }

    private struct State {
        var watches: [Int32: Watched] = [:]
        /// By the real directory's path in the store.
        var numbers: [String: Int32] = [:]
        /// Real directories that cannot be watched.
        var unwatched: Set<String> = []
        var thread: WorkerThread?
    }

    private let descriptor: FileDescriptor
    /// Readable when the thread is to end.
    private let end: FileDescriptor
    private let state = Lock(State())
    private let namespace: Namespace

    /// Nil where the system has no inotify to give.
    init?(namespace: Namespace) {
        guard let descriptor = try? SystemCall.makeWatcher() else { return nil }
        guard let end = try? SystemCall.makeEvent() else {
            SystemCall.close(descriptor)
            return nil
        }
        (self.descriptor, self.end) = (descriptor, end)
        self.namespace = namespace
    }

    deinit {
        SystemCall.close(descriptor)
        SystemCall.close(end)
    }

    /// Begins to tell the kernel.
    func start(_ connection: KernelConnection) {
        state.withLock { $0.thread = WorkerThread(name: "artifactfs-look") { self.serve(connection) } }
    }

    func stop() {
        let thread = state.withLock { state in
            defer { state.thread = nil }
            return state.thread
        }
        guard let thread else { return }
        SystemCall.signal(end)
        thread.join()
    }

    /// Whether changes in a directory are noticed, and were when what is to be answered now was looked at: not the first time, which
    /// begins it. The kernel looks a directory up before it looks at its files.
    func watches(_ directory: TreeDirectory) -> Bool {
        let path = directory.real.path
        let known = state.withLock { state -> Bool? in
            if state.thread == nil { return false }
            if state.unwatched.contains(path) { return false }
            guard let number = state.numbers[path] else { return nil }
            if state.watches[number]?.directories.contains(where: { $0 === directory }) == false {
                state.watches[number]?.directories.append(directory)
            }
            return true
        }
        if let known { return known }
        guard let real = try? directory.real.current() else { return false }
        return state.withLock { state in
            guard FileSystemKind.isLocal(real.descriptor) else {
                state.unwatched.insert(path)
                return false
            }
            // No watch to be had (fs.inotify.max_user_watches): perhaps later.
            guard let number = try? SystemCall.watch(real.descriptor, by: descriptor) else { return false }
            state.numbers[path] = number
            state.watches[number, default: Watched(directories: [])].directories.append(directory)
            return false
        }
    }

    // MARK: - Events

    struct Batch: Equatable {
        var names: [Int32: Set<String>] = [:]
        var lost: Set<Int32> = []
        var overflowed = false
    }

    /// How long after a change the kernel is told once more, in nanoseconds.
    private static let again: UInt64 = 100_000_000

    private func serve(_ connection: KernelConnection) {
        // An answer that was computed before the change may reach the kernel after it was told: it is told once more.
        var told: [(again: UInt64, batch: Batch)] = []
        while true {
            let now = Clock.monotonic()
            while let first = told.first, first.again <= now {
                apply(first.batch, connection)
                told.removeFirst()
            }
            var polls = (
                pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0),
                pollfd(fd: end.rawValue, events: Int16(POLLIN), revents: 0)
            )
            let time = told.first.map { Int32(clamping: ($0.again &- now) / 1_000_000 + 1) } ?? -1
            withUnsafeMutableBytes(of: &polls) { bytes in
                if let first = bytes.assumingMemoryBound(to: pollfd.self).baseAddress { _ = poll(first, 2, time) }
            }
            if polls.1.revents != 0 { return }
            guard polls.0.revents != 0 else { continue }
            let batch = read()
            apply(batch, connection)
            told.append((Clock.monotonic() &+ Self.again, batch))
        }
    }

    private func read() -> Batch {
        var batch = Batch()
        withUnsafeTemporaryAllocation(byteCount: 65_536, alignment: 8) { buffer in
            while let count = try? SystemCall.read(descriptor, into: buffer), count > 0 {
                Self.parse(UnsafeRawBufferPointer(rebasing: buffer[..<count]), into: &batch)
            }
        }
        return batch
    }

    /// `struct inotify_event`: descriptor, mask, cookie, length, name.
    static func parse(_ bytes: UnsafeRawBufferPointer, into batch: inout Batch) {
        var rest = bytes[...]
        while rest.count >= 16 {
            let event = UnsafeRawBufferPointer(rebasing: rest)
            let number = event.loadUnaligned(as: Int32.self)
            let mask = event.loadUnaligned(fromByteOffset: 4, as: UInt32.self)
            let length = Int(event.loadUnaligned(fromByteOffset: 12, as: UInt32.self))
            guard event.count >= 16 + length else { return }
            if mask & 0x4000 != 0 { batch.overflowed = true }  // IN_Q_OVERFLOW
            // IN_IGNORED, IN_MOVE_SELF: it is not where its path leads.
            if mask & 0x8800 != 0 { batch.lost.insert(number) }
            let name = String(decoding: event[16..<(16 + length)].prefix { $0 != 0 }, as: UTF8.self)
            batch.names[number, default: []].insert(name)
            rest = rest.dropFirst(16 + length)
        }
    }

    private func apply(_ batch: Batch, _ connection: KernelConnection) {
        let (changed, all) = state.withLock { state -> ([(TreeDirectory, Set<String>)], [TreeDirectory]) in
            let all = batch.overflowed ? state.watches.values.flatMap(\.directories) : []
            var changed: [(TreeDirectory, Set<String>)] = []
            for (number, names) in batch.names {
                for directory in state.watches[number]?.directories ?? [] { changed.append((directory, names)) }
            }
            var gone = all
            for number in batch.lost {
                guard let directories = state.watches.removeValue(forKey: number)?.directories else { continue }
                gone += directories
                for (path, other) in state.numbers where other == number { state.numbers[path] = nil }
                SystemCall.endWatch(number, by: descriptor)
            }
            return (changed, gone)
        }
        for (directory, names) in changed {
            for name in names {
                guard let shown = directory.name(ofReal: name) ?? directory.name(ofRealDirectory: name) else {
                    continue
                }
                forget(shown, in: directory, connection)
            }
            connection.invalidate(directory.id, andData: true)
        }
        for directory in all {
            directory.real.forget()
            for name in namespace.names(in: directory.id) { forget(name, in: directory, connection) }
            connection.invalidate(directory.id, andData: true)
        }
    }

    private func forget(_ name: String, in directory: TreeDirectory, _ connection: KernelConnection) {
        guard let number = namespace.number(of: name, in: directory.id) else { return }
        connection.invalidate(name: name, in: directory.id)
        connection.invalidate(number, andData: true)
    }
}
