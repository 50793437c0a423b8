internal import Artifacts
internal import ArtifactRecords
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Who has read what: noted when it is opened, told when what was made from it is published.
extension Volume {
    /// A caller opened an artifact to read.
    ///
    /// - Returns: the number of its handle, when it is to be told that that is closed.
    func noteRead(_ file: ArtifactFile, _ caller: Caller) -> UInt64? {
        // On a read-only mount nothing is made from it. What its job reads while it settles is the file that it becomes.
        guard !store.isReadOnly, let identity = file.state.withLock({ $0.bytes }) else { return nil }
        return processes.opens(identity, by: caller.process) {
            guard let place = namespace.place(of: file.id) else { return nil }
            let path = place.parent.path(of: place.name)
            if place.parent.isProduction { return ReadFile(identity, path: path, version: nil) }
            let attributes = file.state.withLock { state in
                state.open.any.flatMap { try? SystemCall.attributes($0) }
            }
            return attributes.map { ReadFile(identity, path: path, version: ReadFile.BytesState($0)) }
        }
    }

    /// The same of a file in `logs/`, in `scratch/`, or in a directory that is an artifact: what is in one of production is that artifact.
    func noteRead(_ node: FreeNode, _ caller: Caller) -> UInt64? {
        if store.isReadOnly || node.artifact?.isMaking == true { return nil }
        return processes.opens(node.identity, by: caller.process) {
            let path = shownPath(of: node)
            if node.scope == .production { return Self.published(path, node.identity, store) }
            let attributes = try? node.withDescriptor { path throws(Errno) in try SystemCall.attributes(path) }
            return attributes.map { ReadFile(node.identity, path: path, version: ReadFile.BytesState($0)) }
        }
    }

    /// Opens to read what its opener may pass on to another program: each close of it is told of.
    func passesOn(_ number: UInt64, _ opened: inout Opened) {
        opened.handle = HandleID(reading: number)
        if processes.hearsPrograms { opened.traits.remove(.noFlush) }
    }

    /// An artifact of production by the path of what is in it, if it is a directory; nil for a path that names none.
    private static func published(_ path: String, _ identity: FileIdentity, _ store: Store) -> ReadFile? {
        let (_, rest) = store.schema.locate(path)
        guard !rest.isEmpty else { return nil }
        let parts = path.split(separator: "/", omittingEmptySubsequences: false).dropLast(rest.count - 1)
        return ReadFile(identity, path: parts.joined(separator: "/"), version: nil)
    }

    /// Begins to look at what is opened outside of the mount.
    static func observe(
        _ directories: [String], _ store: Store, _ processes: LinuxProcesses
    ) throws(StoreError) {
        do throws(Errno) {
            try processes.observe(ObservedPlaces(directories: directories), store: store.path) {
                path, attributes, identity in
                switch path.split(separator: "/").first.flatMap({ Mode(rawValue: String($0)) }) {
                case .production?: return published(path, identity, store)
                case .development?, .test?:
                    return ReadFile(identity, path: path, version: ReadFile.BytesState(attributes))
                case nil: return nil
                }
            }
        } catch {
            throw .system(
                doing: "observe what is read outside of the store", path: directories.joined(separator: ":"), error)
        }
    }

    /// Notes who closes a file that was changed since somebody closed it last: one that is staged, or one of a session or a test. A shell that has
    /// written to it between its commands (`{ echo "$a"; cat b; } > c`) closes it when it was changed by them: by more bytes than they wrote.
    func noteWritten(_ file: ArtifactFile, by thread: Int32, called name: String) {
        let (isChanged, isOwn, opener, changed, made) = file.state.withLock {
            state -> (Bool, Bool, (thread: Int32, handle: HandleID)?, timespec, FileIdentity?) in
            guard let opener = state.writers.first,
                let written = state.open.writing.flatMap({ try? SystemCall.attributes($0) }), written.st_size > 0
            else { return (false, false, nil, timespec(), nil) }
            let version = ReadFile.BytesState(written)
            defer { state.written = version }
            return (
                version != state.written, opener.othersWrote.map { UInt64(written.st_size) > $0 } ?? false,
                (opener.thread, opener.handle), written.st_ctim, opener.isOfSession ? state.bytes : nil
            )
        }
        guard let opener else { return }
        // What it has opened elsewhere counts as what it has opened here.
        if isChanged { processes.catchUp() }
        let bytes = opener.thread != thread ? processes.bytesWritten(byThread: thread) : nil
        if isChanged, opener.thread != thread {
            file.state.withLock { state in
                guard let known = state.writers.first, known.handle == opener.handle else { return }
                state.writers[0].othersWrote = known.othersWrote.flatMap { known in bytes.map { Self.sum(known, $0) } }
            }
        }
        // Several may write at a time: who closes last changes nothing any more.
        guard isChanged || (opener.thread == thread ? isOwn : bytes ?? 0 > 0),
            let memory = processes.closes(thread, called: name)
        else { return }
        if let made { processes.closesMade(made, by: thread, memory) }
        // What is opened after the last write is no input.
        let now = Self.time(ofChange: changed)
        file.state.withLock { state in
            if made != nil, state.isPublished { return }
            if let index = state.madeFrom.firstIndex(where: { $0.memory === memory }) {
                state.madeFrom[index].time = now
            } else {
                state.madeFrom.append(.init(memory: memory, time: now))
            }
        }
    }

    private static func sum(_ one: UInt64, _ other: UInt64) -> UInt64 {
        let (sum, isMore) = one.addingReportingOverflow(other)
        return isMore ? .max : sum
    }

    /// When a file was changed last, at the latest, in nanoseconds since the machine's start. What the file system says of it is coarse.
    private static func time(ofChange changed: timespec) -> UInt64 {
        let (ago, lag) = (Clock.nanoseconds(from: changed, to: Clock.now()), Clock.lagOfChanges())
        return ProcessModel.now &- (ago > lag ? ago &- lag : 0)
    }

    /// Somebody has opened a file of a session or a test to write.
    func noteMaking(_ making: FileMaking?, _ state: borrowing ArtifactFile.State, truncates: Bool) {
        guard let making, let identity = state.bytes else { return }
        processes.isBeingMade(identity, making, anew: truncates && state.writers.allSatisfy(\.isClosing))
    }

    /// Nobody has a file of a session or a test open to write any more. The kernel tells of that when the program has gone on: where it told of
    /// the close too, and the file is not any more as it was then, who changed it since is not known.
    func noteMade(_ state: borrowing ArtifactFile.State, by writer: ArtifactFile.Writer) {
        guard let identity = state.bytes, let made = state.open.writing.flatMap({ try? SystemCall.attributes($0) })
        else { return }
        let version = ReadFile.BytesState(made)
        guard !writer.isFlushed || made.st_size == 0 || version == state.written else { return }
        processes.isMade(identity, version, time: Self.time(ofChange: made.st_ctim))
    }

    /// Notes in a request what the file was made from that somebody had read; of too many what was opened last.
    func noteUsed(_ madeFrom: [ArtifactFile.MadeFrom], in request: inout PublishRequest) {
        // What had been told by then and was not looked at yet.
        if !madeFrom.isEmpty {
            processes.catchUp()
            processes.awaitCloses()
        }
        let now = Clock.now()
        let writers = madeFrom.map { ($0.memory, $0.time) }
        let shares = madeFrom.map { $0.memory.share() }
        let leftOut = shares.reduce(0) { $0 + $1.leftOut }
        let further = madeFrom.map { $0.memory.outsideShare() }
        let furtherLeftOut = further.reduce(0) { $0 + $1.leftOut }
        let (edges, start) = ProcessMemory.traced(
            writers, most: leftOut > 0 ? shares.map(\.told).max() ?? 0 : .max,
            mostOutside: furtherLeftOut > 0 ? further.map(\.told).max() ?? 0 : ProcessMemory.mostToldOutside)
        request.record.inputsLeftOut = Int64(leftOut)
        request.used = edges.filter { !$0.file.isOutside }.sorted { $0.age > $1.age }.map { edge in
            let file = edge.file
            return UsedFile(
                path: file.path, how: edge.how, opened: Clock.time(now, before: edge.age), identity: file.identity,
                size: file.version?.size, modified: file.version?.modified, known: file.input,
                found: { file.isFound($0) })
        }
        // Of what nobody was seen to write it is not known what it was made from.
        guard let look = processes.outside, !madeFrom.isEmpty else {
            request.record.outsideSeen = .no
            return
        }
        request.record.outsideSeen = look.lastLoss > 0 && start.map { $0 <= look.lastLoss } ?? true ? .partly : .yes
        request.record.outsideBelow = look.directories
        let outside = edges.filter { $0.file.isOutside }.sorted { $0.age > $1.age }
        let told = outside.suffix(ProcessMemory.mostToldOutside)
        request.record.outsideLeftOut = Int64(furtherLeftOut + outside.count - told.count)
        request.record.outside = told.map { edge in
            var input = ArtifactRecord.OutsideInput()
            (input.path, input.how) = (edge.file.path, edge.how)
            input.at = TimeText.rfc3339(Clock.time(now, before: edge.age))
            input.size = edge.file.version?.size
            input.modified = (edge.file.version?.changed).map(TimeText.rfc3339)
            return input
        }
    }
}
