internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// Sends files to a bucket, several at once, and the parts of large ones beside each other, on threads of its own.
///
/// A thread takes a part of a file that is under way before it begins another file. So there are never more files open than threads, and what is
/// held of each is what libcurl holds: memory does not grow with files, nor with how many there are.
public final class ObjectSender: Sendable {
    /// A file that is to be there.
    public struct Wanted: Sendable {
        let key: String
        let size: Int64
        let sha256: String
        let uploads: [String]
        let version: String?
        let open: @Sendable () -> FileDescriptor?

        /// - Parameters:
        ///   - key: all of it, with the prefix.
        ///   - size: in bytes.
        ///   - sha256: that all its bytes have, in lower-case hexadecimal digits.
        ///   - uploads: in parts, that have begun at another time.
        ///   - version: as which it was sent once, where the bucket keeps versions: while that is there it is not sent again, whatever is over it.
        ///   - open: opens it to read; nil when it is not there, or another.
        public init(
            key: String, size: Int64, sha256: String, uploads: [String] = [], version: String? = nil,
            open: @escaping @Sendable () -> FileDescriptor?
        ) {
            (self.key, self.size, self.sha256, self.uploads) = (key, size, sha256, uploads)
            (self.version, self.open) = (version, open)
        }
    }

    /// What has happened; a number is a file's place in what is wanted.
    public enum Event: Sendable {
        /// An upload in parts has begun.
        case begun(upload: String, Int)
        /// It has ended, or is to be given up no more.
        case ended(upload: String)
        /// So many bytes more are there; fewer when something begins anew.
        case bytes(Int64)
        /// The file is there.
        case done(Int, Bucket.Put)
        /// The file is not there, or another.
        case gone(Int)
        /// The file was not sent.
        case failed(Int, StorageFault)
    }

    /// A file in parts that is under way.
    private struct Parted {
        let file: PartedFile
        /// The part that is read next.
        var next: Int64 = 1
        var isRead = false
        /// How many are read or sent now.
        var underWay = 0
        var sent: [Int64: (tag: String, sha256: String)] = [:]
        var fault: StorageFault?
    }

    private struct State {
        var next = 0
        /// Files whose uploads begin anew.
        var again: [Int] = []
        /// How often those of a file have.
        var begun: [Int: Int] = [:]
        var parted: [Int: Parted] = [:]
        var atWork = 0
        var idle = 0
        /// What ends all of it.
        var end: StorageFault?
        /// How many have failed one after the other.
        var failures = 0
        var events: [Event] = []
        var lanes = 0
    }

    private enum Task {
        case file(Int)
        case part(PartedFile, Int64)
    }

    /// How many are sent at once at most.
    private static let mostLanes = 8
    /// What each of them has at least, in bytes a second, of what there is to have.
    private static let leastRate: Int64 = 64 << 10
    /// How many may fail one after the other before it ends.
    private static let patience = 8

    private let access: BucketAccess
    private let wanted: [Wanted]
    private let lanes: Int
    private let state = Lock(State())
    /// For who has nothing to do, and for who is told.
    private let bell = PosixSemaphore()
    private let told = PosixSemaphore()

    /// - Parameter wanted: no two have one key.
    public init(_ access: BucketAccess, _ wanted: [Wanted]) {
        (self.access, self.wanted) = (access, wanted)
        let most = access.pace.map { Int(clamping: max(1, $0.limit / Self.leastRate)) } ?? Self.mostLanes
        let parts = wanted.reduce(Int64(0)) { $0 &+ max(1, $1.size / Bucket.partSize) }
        lanes = min(Self.mostLanes, most, Int(clamping: parts))
    }

    /// Sends them, and returns when nothing is under way any more.
    ///
    /// - Parameter body: told what happens, on the calling thread.
    /// - Returns: what has ended it before its time; nil when all were tried.
    public func run(_ body: (Event) -> Void) -> StorageFault? {
        guard !wanted.isEmpty else { return nil }
        var threads: [WorkerThread] = []
        for _ in 0..<lanes {
            state.withLock { $0.lanes += 1 }
            guard let thread = WorkerThread(name: "artifactfs-send", { self.serve() }) else {
                state.withLock { $0.lanes -= 1 }
                break
            }
            threads.append(thread)
        }
        // Without a thread to be had, this one does it.
        if threads.isEmpty {
            state.withLock { $0.lanes += 1 }
            serve()
        }
        var isOver = false
        while !isOver {
            told.wait()
            let events: [Event]
            (events, isOver) = state.withLock { state in
                defer { state.events = [] }
                return (state.events, state.lanes == 0)
            }
            for event in events { body(event) }
        }
        for thread in threads { thread.join() }
        return state.withLock { $0.end }
    }

    // MARK: - A thread

    private func serve() {
        do throws(StorageFault) {
            let bucket = try Bucket(access)
            while let task = next() {
                switch task {
                case .file(let number): send(number, bucket)
                case .part(let file, let part): send(part, of: file, bucket)
                }
                wake { $0.atWork -= 1 }
            }
        } catch { wake { $0.end = $0.end ?? error } }
        state.withLock { $0.lanes -= 1 }
        told.post()
    }

    /// Changes something, and has those look again who had nothing to do.
    private func wake(_ body: (inout sending State) -> Void) {
        let count = state.withLock { state in
            body(&state)
            defer { state.idle = 0 }
            return state.idle
        }
        for _ in 0..<count { bell.post() }
    }

    private func tell(_ event: Event) {
        state.withLock { $0.events.append(event) }
        told.post()
    }

    /// What is to be done next; nil when nothing comes any more.
    private func next() -> Task? {
        while true {
            let (task, isOver) = state.withLock { state -> (Task?, Bool) in
                if state.end == nil {
                    for (number, one) in state.parted {
                        guard !one.isRead, one.fault == nil, one.next <= one.file.parts else { continue }
                        state.parted[number]?.isRead = true
                        state.parted[number]?.underWay += 1
                        state.parted[number]?.next += 1
                        state.atWork += 1
                        return (.part(one.file, one.next), false)
                    }
                    if let number = state.again.popLast() {
                        state.atWork += 1
                        return (.file(number), false)
                    }
                    if state.next < wanted.count {
                        state.next += 1
                        state.atWork += 1
                        return (.file(state.next - 1), false)
                    }
                }
                // Who is at work may find more to do.
                if state.atWork == 0 { return (nil, true) }
                state.idle += 1
                return (nil, false)
            }
            if let task { return task }
            if isOver {
                // The others see it as well.
                wake { _ in }
                return nil
            }
            bell.wait()
        }
    }

    private func failed(_ number: Int, _ fault: StorageFault) {
        wake { state in
            state.events.append(.failed(number, fault))
            switch fault.kind {
            case .noBucket, .noCredentials, .unreachable: state.end = state.end ?? fault
            case .denied, .other:
                state.failures += 1
                if state.failures >= Self.patience { state.end = state.end ?? fault }
            // Of this one alone.
            case .differs, .local, .missing, .taken, .unfinished: break
            }
        }
        told.post()
    }

    private func done(_ number: Int, _ put: Bucket.Put) {
        state.withLock { state in
            state.failures = 0
            state.events.append(.done(number, put))
        }
        told.post()
    }

    // MARK: - Files

    private func send(_ number: Int, _ bucket: Bucket) {
        let one = wanted[number]
        guard let file = one.open() else { return tell(.gone(number)) }
        do throws(StorageFault) {
            if let version = one.version,
                let put = try bucket.kept(one.key, version: version, size: one.size, sha256: one.sha256)
            {
                SystemCall.close(file)
                tell(.bytes(one.size))
                return done(number, put)
            }
            if one.size >= Bucket.worthAsking, let found = try bucket.facts(of: one.key) {
                try bucket.compare(found, one.size, one.sha256, one.key)
                SystemCall.close(file)
                tell(.bytes(one.size))
                return done(number, Bucket.Put(isNew: false, version: found.version))
            }
            if bucket.place.isParted(one.size) {
                let (upload, kept) = try begin(number, bucket)
                // From here on it is the object that closes it.
                let parted = PartedFile(number, file, one.size, one.sha256, one.key, upload, kept)
                return wake { $0.parted[number] = Parted(file: parted) }
            }
            let put = try bucket.put(file, size: one.size, sha256: one.sha256, as: one.key)
            SystemCall.forgetContents(of: file)
            SystemCall.close(file)
            tell(.bytes(one.size))
            done(number, put)
        } catch {
            SystemCall.close(file)
            failed(number, error)
        }
    }

    /// An upload that had begun and is there still, or a new one.
    private func begin(_ number: Int, _ bucket: Bucket) throws(StorageFault) -> (String, [Int64: KeptPart]) {
        let one = wanted[number]
        // What was given up once is not looked at again.
        let isFirst = state.withLock { $0.begun[number] == nil }
        for upload in isFirst ? one.uploads : [] {
            do throws(StorageFault) {
                if let kept = try bucket.parts(of: upload, one.key) { return (upload, kept) }
            } catch {
                // One that cannot be looked at is of no use.
                guard [.denied, .other].contains(error.kind) else { throw error }
                try bucket.abort(upload, of: one.key)
            }
            tell(.ended(upload: upload))
        }
        let upload = try bucket.begin(one.key, sha256: one.sha256)
        tell(.begun(upload: upload, number))
        return (upload, [:])
    }

    private func send(_ part: Int64, of file: PartedFile, _ bucket: Bucket) {
        let (offset, count) = file.range(part)
        do throws(StorageFault) {
            let (sha256, known): (String, String?)
            do throws(Errno) { (sha256, known) = try file.read(part) } catch {
                throw StorageFault(.local, bucket.place.shown(file.key), "the file cannot be read: \(error)")
            }
            wake { $0.parted[file.number]?.isRead = false }
            let tag: String
            if let known {
                tag = known
            } else {
                tag = try bucket.send(
                    part, of: file.upload, file.key, file.file, offset: offset, count: count, sha256: sha256)
            }
            tell(.bytes(count))
            settle(file, bucket) { $0.sent[part] = (tag, sha256) }
        } catch {
            settle(file, bucket) { one in
                one.isRead = false
                one.fault = one.fault ?? error
            }
        }
    }

    /// A part has ended; who ends the last one ends the file.
    private func settle(_ file: PartedFile, _ bucket: Bucket, _ change: (inout Parted) -> Void) {
        let last = state.withLock { state -> Parted? in
            guard var one = state.parted[file.number] else { return nil }
            one.underWay -= 1
            change(&one)
            let isOver = one.underWay == 0 && (one.fault != nil || state.end != nil || one.sent.count == file.parts)
            state.parted[file.number] = isOver ? nil : one
            return isOver ? one : nil
        }
        guard let last else { return }
        SystemCall.forgetContents(of: file.file)
        do throws(StorageFault) {
            if let fault = last.fault { throw fault }
            // All of it ends: what is there is of use to the next.
            guard last.sent.count == file.parts else { return }
            let found: String
            do throws(Errno) { found = try file.finish() } catch {
                throw StorageFault(.local, bucket.place.shown(file.key), "its SHA-256 cannot be had: \(error)")
            }
            try Bucket.check(found, file.sha256, bucket.place.shown(file.key))
            let parts = (1...file.parts).compactMap { last.sent[$0] }
            let put = try bucket.complete(parts, file.size, file.sha256, file.key, file.upload)
            tell(.ended(upload: file.upload))
            if let put { done(file.number, put) } else { beginAnew(file, bucket) }
        } catch { giveUp(file, error, bucket) }
    }

    /// How often an upload begins anew.
    private static let mostBegun = 4

    /// An upload that came to nothing, as another request for its key was between: all of it is sent again, a moment later.
    private func beginAnew(_ file: PartedFile, _ bucket: Bucket) {
        let count = state.withLock { state in
            state.begun[file.number, default: 0] += 1
            return state.begun[file.number, default: 0]
        }
        guard count <= Self.mostBegun else {
            let fault = StorageFault(
                .unfinished, bucket.place.shown(file.key),
                "the upload was not put together, \(count) times: other requests for this name were always between (409), or it was "
                    + "given up by somebody else; try again later")
            return failed(file.number, fault)
        }
        Bucket.wait(after: count)
        wake { state in
            state.events.append(.bytes(-file.size))
            state.again.append(file.number)
        }
        told.post()
    }

    private func giveUp(_ file: PartedFile, _ fault: StorageFault, _ bucket: Bucket) {
        if fault.kind == .missing {
            do throws(StorageFault) {
                tell(.ended(upload: file.upload))
                // Somebody else has given it up, or has put it together.
                guard try bucket.facts(of: file.key) != nil else { return beginAnew(file, bucket) }
                return done(file.number, try bucket.wasThere(file.key, file.size, file.sha256))
            } catch { return failed(file.number, error) }
        }
        switch fault.kind {
        // What is there is of use to the next.
        case .unreachable, .noCredentials, .noBucket: break
        // What is left of it would cost, and nobody would see it.
        default: if (try? bucket.abort(file.upload, of: file.key)) != nil { tell(.ended(upload: file.upload)) }
        }
        failed(file.number, fault)
    }
}
