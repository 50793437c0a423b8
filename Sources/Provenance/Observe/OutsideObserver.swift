internal import ArtifactRecords
package import Glibc
internal import Synchronization
package import SystemCalls
internal import SystemPackage

/// Follows what processes open outside of the mount, and what they open on read-only mounts of the same store (fanotify(7)), for the model of
/// what processes have read. Root's driver only.
///
/// The kernel tells of it after it was done. A process that is gone by the time that it is looked at is left out, and so is what was opened to
/// write. Nobody waits for this but who closes a file that was written, for a moment (``catchUp()``).
package final class OutsideObserver: Sendable {
    /// What a file is that is shown on a read-only mount of the store, by its path from the mount point; nil for what counts for nothing.
    package typealias ShownFile = @Sendable (_ path: String, _ attributes: stat, _ identity: FileIdentity) -> ReadFile?

    /// What the thread works with.
    private struct Work {
        /// Directories that are not looked at, by file system and handle.
        var passedOver: Set<[UInt8]> = []
        /// Until when they are not, on the monotonic clock: they may be renamed.
        var passedOverUntil: UInt64 = 0
        /// Files that are known by handles only are reached through these; open while there is something to do, or nobody could unmount them.
        var mounts: [UInt64: [FileDescriptor]] = [:]
        /// Until when it is told who runs which program, on the monotonic clock; 0 while it is not.
        var programsUntil: UInt64 = 0
        /// What processes have opened and had closed before it was looked at.
        var closed: [Int32: Set<FileIdentity>] = [:]

        mutating func rest() {
            for mount in mounts.values.joined() { SystemCall.close(mount) }
            mounts = [:]
        }
    }

    private struct State {
        var isStopped = false
        /// Who waits until all is taken in that was there.
        var waiting: [PosixSemaphore] = []
        /// Where file systems are mounted, by their ids.
        var places: [UInt64: [String]] = [:]
        /// Read-only mounts of the store.
        var readOnly: [[UInt8]] = []
        /// Nobody waits before that again, on the monotonic clock.
        var busyUntil: UInt64 = 0
        /// Whether something was mounted, or unmounted.
        var isMounted = false
    }

    let places: ObservedPlaces
    private let store: String
    private let model: ProcessModel
    private let reader: PatientReader
    private let shown: ShownFile
    private let queue: FileEventQueue
    private let wake: FileDescriptor
    private let mounts: FileDescriptor
    private let ownProcess = getpid()
    /// A leaf in the order of locks.
    private let state = Lock(State())
    private let isBusy = Atomic(false)
    /// There is something to do for who looks at processes.
    private let bell = PosixSemaphore()
    /// There is room again for what the kernel tells.
    private let room = PosixSemaphore()
    private let isFull = Atomic(false)
    /// When some may have been missed, last; 0 for never. On the clock of moments.
    private let lossTime = Atomic<UInt64>(0)

    /// In milliseconds: for what is read of a process that may be running another program at this moment.
    private static let patience: Int32 = 250
    /// In milliseconds, as long as somebody's close waits.
    private static let catchUpTime: Int32 = 100
    private static let mostClosed = 1024
    /// In milliseconds: for so long after somebody opened something it is told who runs programs.
    private static let programsTime: Int32 = 1000

    /// - Throws: `EPERM` for who may not, and what the kernel says of a directory that was named.
    init(
        _ places: ObservedPlaces, store: String, _ model: ProcessModel, _ reader: PatientReader,
        shown: @escaping ShownFile
    ) throws(Errno) {
        (self.places, self.store, self.model, self.reader, self.shown) = (places, store, model, reader, shown)
        queue = try FileEventQueue()
        wake = try SystemCall.makeEvent()
        do throws(Errno) {
            mounts = try SystemCall.open(SystemCall.currentDirectory, "/proc/self/mountinfo", O_RDONLY)
        } catch {
            SystemCall.close(wake)
            throw error
        }
        try watch(isFirst: true)
    }

    deinit {
        SystemCall.close(wake)
        SystemCall.close(mounts)
    }

    /// Begins.
    ///
    /// - Throws: `ENOMEM` when there is no thread to be had.
    func start() throws(Errno) {
        guard let looking = WorkerThread(name: "artifactfs-open", { self.serve() }) else { throw .noMemory }
        looking.detach()
        guard let thread = WorkerThread(name: "artifactfs-hear", { self.hear() }) else {
            stop()
            throw .noMemory
        }
        thread.detach()
    }

    /// Ends it. What it is waiting for at the moment is not waited for.
    func stop() {
        state.withLock { $0.isStopped = true }
        SystemCall.signal(wake)
        bell.post()
        room.post()
    }

    /// Since when nothing was missed, on the clock of moments.
    var lastLoss: UInt64 { lossTime.load(ordering: .relaxed) }

    /// Waits until all is taken in that was opened before, for a moment.
    func catchUp() {
        // In this order: what was taken out of the queue is being looked at by then.
        if queue.isEmpty, !isBusy.load(ordering: .acquiring) { return }
        let told = PosixSemaphore()
        let isWaiting = state.withLock { state in
            guard !state.isStopped, Clock.monotonic() >= state.busyUntil else { return false }
            state.waiting.append(told)
            return true
        }
        guard isWaiting else { return noteLoss() }
        bell.post()
        if told.wait(milliseconds: Self.catchUpTime) { return }
        noteLoss()
        state.withLock { state in
            state.waiting.removeAll { $0 === told }
            state.busyUntil = Clock.monotonic() &+ 10 * UInt64(Self.catchUpTime) * 1_000_000
        }
    }

    private func noteLoss() { lossTime.store(Clock.sinceBoot(), ordering: .relaxed) }

    // MARK: - Watching

    /// Asks for all that is to be looked at; a file system that was asked for is not told of twice.
    private func watch(isFirst: Bool) throws(Errno) {
        let (paths, readOnly) = places.watched(among: ObservedMount.all(), store: store)
        var found: [UInt64: [String]] = [:]
        for path in paths {
            do throws(Errno) {
                let place = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK)
                defer { SystemCall.close(place) }
                try watch(path)
                found[try SystemCall.fileSystemID(place), default: []].append(path)
            } catch {
                if isFirst, places.directories.contains(path) || path == store { throw error }
            }
        }
        for mount in readOnly {
            // It opens nothing by itself: such a mount's driver is not asked.
            if let files = queue.byFiles { try? SystemCall.watch(files, mount.mountPoint, .mount) }
        }
        let own = readOnly.filter { $0.source == store }.map { Array($0.mountPoint.utf8) + [UInt8(ascii: "/")] }
        state.withLock { state in (state.places, state.readOnly) = (found, own) }
    }

    private func watch(_ path: String) throws(Errno) {
        do throws(Errno) {
            try SystemCall.watch(queue.byHandles, path, .fileSystem)
        } catch {
            // It has no handles.
            let errors: [Errno] = [Errno(rawValue: ENODEV), .notSupported, .improperLink, .invalidArgument]
            guard errors.contains(error), let files = queue.byFiles
            else { throw error }
            try SystemCall.watch(files, path, .mount)
        }
    }

    // MARK: - Following

    /// Takes in what the kernel tells.
    private func hear() {
        // Its time counts.
        WorkerThread.hurry()
        while !state.withLock({ $0.isStopped }) {
            let isMounted = SystemCall.waitForFileEvents(
                queue.byHandles, queue.byFiles, wake: wake, mounts: mounts)
            if isMounted { state.withLock { $0.isMounted = true } }
            let hasRoom = queue.fill()
            bell.post()
            if !hasRoom {
                isFull.store(true, ordering: .releasing)
                _ = room.wait(milliseconds: Self.catchUpTime)
            }
        }
    }

    /// Looks at who has opened what.
    private func serve() {
        // What it looks at is soon gone.
        WorkerThread.hurry()
        var work = Work()
        while !state.withLock({ $0.isStopped }) {
            if work.programsUntil > 0 { _ = bell.wait(milliseconds: Self.programsTime) } else { bell.wait() }
            isBusy.store(true, ordering: .releasing)
            let (waiting, isMounted) = state.withLock { state in
                defer { (state.waiting, state.isMounted) = ([], false) }
                return (state.waiting, state.isMounted)
            }
            if isMounted { try? watch(isFirst: false) }
            while let (event, time) = queue.next() {
                handle(event, time, &work)
                event.close()
            }
            if isFull.exchange(false, ordering: .acquiringAndReleasing) { room.post() }
            if queue.wasLossy() { noteLoss() }
            tellPrograms(false, &work)
            work.rest()
            isBusy.store(false, ordering: .releasing)
            for one in waiting { one.post() }
        }
        for one in state.withLock({ $0.waiting }) { one.post() }
    }

    /// Has the kernel tell who runs another program, in the order of the rest, or not any more: an idle mount is not woken by what others run.
    private func tellPrograms(_ isNeeded: Bool, _ work: inout Work) {
        let now = Clock.monotonic()
        if isNeeded {
            if work.programsUntil == 0 {
                for path in programs() { try? SystemCall.watch(queue.byHandles, path, .programs) }
            }
            work.programsUntil = now &+ UInt64(Self.programsTime) * 1_000_000
        } else if work.programsUntil > 0, now >= work.programsUntil {
            for path in programs() { try? SystemCall.watch(queue.byHandles, path, .noPrograms) }
            work.programsUntil = 0
        }
    }

    /// Where programs are, but for the file systems all of which is told.
    private func programs() -> [String] {
        ["/", "/usr"].filter { path in
            guard let file = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY) else {
                return false
            }
            defer { SystemCall.close(file) }
            let id = try? SystemCall.fileSystemID(file)
            return state.withLock { state in id.map { state.places[$0] == nil } ?? false }
        }
    }

    /// - Parameter time: when it had been done, on the clock of moments.
    private func handle(_ event: SystemCall.FileEvent, _ time: UInt64, _ work: inout Work) {
        if event.deeds.contains(.lost) { return noteLoss() }
        guard event.process > 0, event.process != ownProcess,
            event.deeds.contains(.opened) || work.closed[event.process] != nil
        else { return }
        let now = Clock.monotonic()
        if now >= work.passedOverUntil {
            (work.passedOver, work.closed) = ([], [:])
            work.passedOverUntil = now &+ 1_000_000_000
        }
        let key =
            event.directory.isEmpty
            ? [] : withUnsafeBytes(of: event.fileSystem) { Array($0) } + event.directory
        guard key.isEmpty || !work.passedOver.contains(key), let (found, path) = find(event, &work) else { return }
        guard let slash = path.lastIndex(of: UInt8(ascii: "/")) else { return }
        let isShown = own(path) != nil
        if !isShown, !places.showDirectory(Array(path[..<slash])) {
            if !key.isEmpty, work.passedOver.count < 4096 { work.passedOver.insert(key) }
            return
        }
        guard isShown || ObservedPlaces.showName(path[(slash + 1)...]) else { return }
        tell(event, time, found, path, &work)
    }

    /// The file, and where it is.
    private func find(_ event: SystemCall.FileEvent, _ work: inout Work) -> (FoundFile, path: [UInt8])? {
        if let file = event.file {
            guard let found = try? SystemCall.lookAtKnown(file), found.isRegular else { return nil }
            return (try? SystemCall.path(of: file)).map { (found, $0) }
        }
        guard !event.handle.isEmpty else { return nil }
        if work.mounts[event.fileSystem] == nil {
            let paths = state.withLock { $0.places[event.fileSystem] ?? [] }
            work.mounts[event.fileSystem] = paths.compactMap { path in
                try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY | O_NONBLOCK)
            }
        }
        var elsewhere: (FoundFile, path: [UInt8])?
        for mount in work.mounts[event.fileSystem] ?? [] {
            guard let file = try? SystemCall.open(handle: event.handle, on: mount) else { continue }
            defer { SystemCall.close(file) }
            guard let found = try? SystemCall.look(file), found.isRegular, var path = try? SystemCall.path(of: file)
            else {
                return nil
            }
            let deleted = Array(" (deleted)".utf8)
            if found.attributes.st_nlink == 0, path.suffix(deleted.count).elementsEqual(deleted) {
                path.removeLast(deleted.count)
            }
            // A file system may be mounted at several places.
            if places.show(path) { return (found, path) }
            elsewhere = (found, path)
        }
        return elsewhere
    }

    /// The path from the mount point of what is on a read-only mount of the store.
    private func own(_ path: [UInt8]) -> String? {
        state.withLock { $0.readOnly }.first { path.starts(with: $0) }.map { mountPoint in
            String(decoding: path.dropFirst(mountPoint.count), as: UTF8.self)
        }
    }

    private func tell(
        _ event: SystemCall.FileEvent, _ time: UInt64, _ found: FoundFile, _ path: [UInt8], _ work: inout Work
    ) {
        let (process, deeds, identity) = (event.process, event.deeds, found.identity)
        if !deeds.contains(.opened) {
            // What is open to read only is closed, and it was told before that it was opened.
            guard work.closed[process]?.remove(identity) != nil else { return }
            if work.closed[process]?.isEmpty == true { work.closed[process] = nil }
        }
        let memory = model.knownMemory(of: process)
        if memory?.hasRead(identity) == true { return }
        let read: ReadFile?
        if let path = own(path) {
            read = shown(path, found.attributes, identity)
        } else {
            read = ReadFile(identity, path: NameText.text(path), version: ReadFile.BytesState(found.attributes))
        }
        guard let read else { return }
        // Of one that has ended nothing is shown any more; that it was open to read only the kernel tells with its close.
        guard event.processFile.map({ (try? SystemCall.waitToRead($0) { 0 }) == false }) ?? false else {
            // What was run itself is a program: it is closed with that.
            if deeds.contains(.run) { return }
            if deeds.contains(.closed) { return model.opened(read, byEnded: process, at: time) }
            return remember(identity, closedBy: process, &work)
        }
        tellPrograms(true, &work)
        let opening = ProcFile.opening(of: identity.number, by: process)
        switch opening {
        case .toWrite: return
        case .toRead where memory != nil: return note(identity, process, time) { read }
        case .none where deeds.isDisjoint(with: [.closed, .run]) && !hasMapped(read, process):
            return remember(identity, closedBy: process, &work)
        case .none, .toRead: break
        }
        // What `/proc` says of a process that runs another program may come when that is done.
        let isDone = reader.run(within: Self.patience) { [self] in
            if opening == .toRead { return note(identity, process, time) { read } }
            note(identity, process, time) {
                // Of a script another program is run, which has it from then on.
                if deeds.contains(.run) {
                    return ProcFile.link(process, "exe").map { $0 != read.path } ?? false ? read : nil
                }
                // What the process is by now it was then, or another program had opened it.
                return queue.runs(process) ? nil : read
            }
        }
        if isDone != true { noteLoss() }
    }

    /// Whether a process has closed a file but mapped it before.
    private func hasMapped(_ file: ReadFile, _ process: Int32) -> Bool {
        let found = Lock(false)
        // It may have to be waited for.
        let isDone = reader.run(within: Self.patience) {
            let isMapped = ProcFile.hasMapped(file.identity.number, shownAt: file.path, process)
            found.withLock { $0 = isMapped }
        }
        if isDone != true { noteLoss() }
        return isDone == true && found.withLock { $0 }
    }

    private func remember(_ identity: FileIdentity, closedBy process: Int32, _ work: inout Work) {
        if work.closed.count >= Self.mostClosed { work.closed = [:] }
        if work.closed[process]?.count ?? 0 < Self.mostClosed { work.closed[process, default: []].insert(identity) }
    }

    private func note(_ identity: FileIdentity, _ process: Int32, _ time: UInt64, _ file: () -> ReadFile?) {
        // What it passes on to another program is seen among what that has open.
        if let number = model.opens(identity, by: process, at: time, file) { model.closed(number) }
    }
}
