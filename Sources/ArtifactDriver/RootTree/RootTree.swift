internal import ArtifactStore
internal import Artifacts
public import FuseKernel
internal import Glibc
internal import Logging
internal import Synchronization
internal import SystemCalls
package import SystemPackage

/// Every store below a directory, on one mount: a `FileSystem` that has the directories above the stores, and hands each request that goes
/// into a store to that store's `Volume`.
///
/// A store's inodes have its number in the upper half of theirs (`InodeSpace`); handles need none, for they come with an inode. A store is
/// opened by a thread of its own when somebody first goes into it; meanwhile that request waits without a worker, and one that hangs keeps
/// nobody from the others.
public final class RootTree: FileSystem {
    /// Opens a store. What it throws is why it cannot be, for people.
    package typealias Opener = @Sendable (RootOpening) throws -> Volume

    /// What is above the stores.
    enum Own: Sendable {
        /// - Parameter path: from the root, real and shown.
        case directory(path: String, level: Int)
        case hiddenDirectory
        case status
    }

    struct State {
        /// Directories by number.
        var directories: [UInt64: (path: String, level: Int, lookups: UInt64)] = [:]
        var numbers: [String: UInt64] = [:]
        var next: UInt64 = 16
        /// By number; the stores' directories, the last known of each path, by that.
        var stores: [UInt32: RootStore] = [:]
        var paths: [String: RootStore] = [:]
        var nextStore: UInt32 = 1
        var hasEnded = false
        /// What is read of open directories and of `status.json`.
        var listings: [UInt64: Listing] = [:]
        var contents: [UInt64: [UInt8]] = [:]
        /// What `status.json` was when its size was last asked for: a read-only mount may know no handles.
        var content: [UInt8] = []
        var nextHandle: UInt64 = 1
    }

    /// The root's directory.
    let path: String
    let mountPoint: String
    let version: String
    let isReadOnly: Bool
    let top: FileDescriptor
    /// The mount that the root is on.
    let topMount: UInt64?
    /// Leaf in the order of locks.
    let state = Lock(State())
    let descriptors = DescriptorBudget(processLimit: Store.descriptorLimit())
    let log = Logger(label: "artifactfs.root")
    let startTime = Clock.monotonic()
    private let opener: Opener
    private let connection = Lock<KernelConnection?>(nil)

    static let hiddenDirectory = InodeNumber(rawValue: 2)
    static let statusFile = InodeNumber(rawValue: 3)
    /// How long a store that could not be opened is left alone, in nanoseconds.
    private static let patience: UInt64 = 5_000_000_000

    /// - Parameters:
    ///   - path: the directory, absolute and without links.
    ///   - open: opens a store.
    /// - Throws: the errno of opening the directory.
    package init(
        path: String, mountPoint: String, isReadOnly: Bool, version: String, open: @escaping Opener
    ) throws(Errno) {
        top = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY)
        topMount = Self.mount(of: top)
        (self.path, self.mountPoint, self.isReadOnly, self.version) = (path, mountPoint, isReadOnly, version)
        opener = open
    }

    deinit { SystemCall.close(top) }

    public func start(_ connection: KernelConnection) { self.connection.withLock { $0 = connection } }

    public func allIsClosed() { for store in stores { store.volume?.allIsClosed() } }

    public func stop() {
        state.withLock { $0.hasEnded = true }
        // All at the same time: each may have to wait for what is being published.
        let ended = PosixSemaphore()
        var count = 0
        for store in stores {
            let volume = store.state.withLock { state -> Volume? in
                defer { state = .ended }
                if case .open(let volume) = state { return volume }
                return nil
            }
            guard let volume else { continue }
            let thread = WorkerThread(name: "artifactfs-end") {
                volume.stop()
                ended.post()
            }
            if let thread {
                thread.detach()
                count += 1
            } else {
                volume.stop()
            }
        }
        for _ in 0..<count { ended.wait() }
        connection.withLock { $0 = nil }
    }

    /// The stores that were looked for.
    var stores: [RootStore] { state.withLock { Array($0.stores.values) } }

    /// The volumes that are open.
    var volumes: [Volume] { stores.compactMap(\.volume) }

    /// How many files wait to be published, or are being published.
    public var pendingSeals: Int { volumes.reduce(0) { $0 &+ $1.pendingSeals } }

    // MARK: - Opening

    private enum Step: Sendable {
        case has(Volume)
        case wait
        case begin
        case fail(Errno)
    }

    /// A store's volume, for a request that goes into it.
    ///
    /// - Throws: `Errno.answerWhenTold` while it is being opened, where the caller can wait; `EIO` where it cannot be opened.
    func volume(of store: RootStore, for caller: Caller) throws(Errno) -> Volume {
        let now = Clock.monotonic()
        let step = store.state.withLock { state -> Step in
            switch state {
            case .open(let volume): return .has(volume)
            case .opening: return .wait
            case .failed(_, let retry) where now < retry: return .fail(Errno.ioError.asRefusal)
            case .ended: return .fail(.socketNotConnected)
            case .closed, .failed:
                state = .opening
                return .begin
            }
        }
        switch step {
        case .has(let volume): return volume
        case .fail(let error): throw error
        case .wait: break
        case .begin:
            if let thread = WorkerThread(name: "artifactfs-open", { [self] in begin(store) }) {
                thread.detach()
            } else {
                begin(store)
                if let volume = store.volume { return volume }
            }
        }
        throw caller.canWait ? Errno.answerWhenTold : .resourceTemporarilyUnavailable
    }

    /// Opens a store, and lets those go on who wait for that.
    private func begin(_ store: RootStore) {
        let connection = connection.withLock { $0 }
        defer { connection?.reconsider() }
        do {
            let volume = try opener(
                RootOpening(
                    store: path + "/" + store.real, mountPoint: mountPoint + "/" + store.shown,
                    descriptors: descriptors))
            if let connection { volume.start(connection.numbered(in: store.space)) }
            let isKept = store.state.withLock { state -> Bool in
                guard case .opening = state else { return false }
                state = .open(volume)
                return true
            }
            if isKept { store.saidProblem.withLock { $0 = nil } } else { volume.stop() }
        } catch {
            let problem = "\(error)"
            let retry = Clock.monotonic() &+ Self.patience
            store.state.withLock { if case .opening = $0 { $0 = .failed(problem: problem, retry: retry) } }
            let isNew = store.saidProblem.withLock { said -> Bool in
                defer { said = problem }
                return said != problem
            }
            guard isNew else { return }
            log.error(
                """
                the store \(path)/\(store.real) cannot be opened, so \(store.shown) cannot be read: \(problem). The other stores \
                go on; it is tried again when somebody looks into it
                """)
        }
    }

    // MARK: - Where a request goes

    /// A store's volume and what an inode is to it.
    struct Target {
        let volume: Volume
        let inode: InodeNumber
        let space: InodeSpace
    }

    /// The store that an inode is of; nil for what is above the stores.
    func store(of inode: InodeNumber) throws(Errno) -> RootStore? {
        let index = InodeSpace.index(of: inode)
        if index == 0 { return nil }
        guard let store = state.withLock({ $0.stores[index] }) else { throw Errno.staleNFSFileHandle }
        return store
    }

    /// - Throws: `EROFS` for what is above the stores.
    func target(_ inode: InodeNumber, _ caller: Caller) throws(Errno) -> Target {
        guard let store = try store(of: inode) else { throw Errno.readOnlyFileSystem.asRefusal }
        return Target(
            volume: try volume(of: store, for: caller), inode: InodeSpace.own(inode), space: store.space)
    }

    /// The volume of a store that is open; nil for what is above the stores, and where it is not.
    func openVolume(_ inode: InodeNumber) -> Volume? { (try? store(of: inode))?.flatMap { $0.volume } }

    /// The store whose directory an inode is, when nobody has gone into it.
    func unopened(_ inode: InodeNumber) throws(Errno) -> RootStore? {
        guard InodeSpace.own(inode) == .root, let store = try store(of: inode), store.volume == nil else { return nil }
        return store
    }
}
