internal import ArtifactRecords
public import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Which mounts of a store live: by their flock(2) where it is seen, and by their leases where it is not (DISK FORMAT, "Leases").
///
/// In a store of one host it is flock alone. In one of several hosts a mount renews its lease, watches the leases of others, and makes itself the
/// heir of one that is dead before it settles what that one has left: exactly one does.
public final class Leases: Sendable {
    /// What a mount has in a store of several hosts.
    struct Tenant: Sendable {
        let description: MountDescription
        /// Its staging directory.
        let staging: Directory
    }

    /// Whether the store is one of several hosts.
    public let isShared: Bool
    /// Of this mount.
    public let times: LeaseTimes
    let stagings: Directory
    let client: StoreClient?
    /// Whether the schema says that no other host uses the store: then leases are what is left of others that did.
    private let isAlone: Bool
    private let own = Lock<Tenant?>(nil)
    /// Until when this mount may publish, in nanoseconds since the machine's start; the greatest number in a store of one host.
    private let heldUntil = Atomic<UInt64>(.max)
    let held: Lock<HeldLease?> = Lock(nil)
    let renewals = Atomic<UInt64>(0)
    /// By the names of staging directories.
    let watched = Lock<[String: WatchedLease]>([:])
    /// What dead mounts of other clients left and is this mount's to settle, by the names of their staging directories.
    let inherited = Lock<Set<String>>([])
    private let renewed = Lock<(@Sendable () -> Void)?>(nil)
    private let keeper = Lock<LeaseKeeper?>(nil)

    /// For tests: which client a store is opened as.
    @TaskLocal static var assumedClient: StoreClient?

    /// - Parameters:
    ///   - stagings: `.artifactfs/staging`.
    ///   - client: nil where it cannot be told.
    private init(in stagings: Directory, client: StoreClient?, isShared: Bool, isAlone: Bool, times: LeaseTimes) {
        (self.stagings, self.client, self.isAlone, self.times) = (stagings, client, isAlone, times)
        self.isShared = isShared && client != nil
    }

    /// Those of a store, by what its schema says, what it lies on, and who else has a lease in it: here alone it is said whether several hosts use
    /// it, and what is remembered of its directories follows (``CacheBound``).
    convenience init(in stagings: Directory, root: Directory, _ schema: ArtifactSchema) {
        let client = Self.assumedClient ?? (try? StoreClient(of: root.descriptor))
        let isShared =
            switch schema.hosts {
            case .one: false
            case .several: true
            case .auto: FileSystemKind.isShared(root.descriptor) || Self.areUsed(in: stagings, besides: client)
            }
        if isShared { root.bound.share(seconds: schema.cacheTime) }
        self.init(
            in: stagings, client: client, isShared: isShared, isAlone: schema.hosts == .one, times: schema.lease)
    }

    deinit { end() }

    /// What this mount's token is to say.
    func describe(mount: String, host: String, ledger: LedgerPlace?) -> MountDescription {
        MountDescription(
            mount: mount, host: host, ledger: ledger, client: client, lease: isShared ? times.seconds : nil)
    }

    /// This mount's lease begins: its token is made and says so.
    ///
    /// - Parameter time: from before that was begun, in nanoseconds since the machine's start.
    func begin(_ own: Tenant, at time: UInt64) {
        guard isShared else { return }
        self.own.withLock { $0 = own }
        let lease = HeldLease(times: times, made: time)
        held.withLock { $0 = lease }
        heldUntil.store(lease.end, ordering: .releasing)
        keeper.withLock { $0 = LeaseKeeper(self) }
    }

    /// Its token says something else from now on.
    func describes(_ description: MountDescription) {
        own.withLock { $0 = $0.map { Tenant(description: description, staging: $0.staging) } }
    }

    /// Calls a function with each renewal.
    func whenRenewed(_ body: @escaping @Sendable () -> Void) { renewed.withLock { $0 = body } }

    /// What is to be done with each renewal.
    func keepHouse() { renewed.withLock { $0 }?() }

    /// The mount ends.
    func end() {
        keeper.withLock { keeper in
            keeper?.stop()
            keeper = nil
        }
    }

    /// Tells what changes, on the thread that renews the lease: it is not to be kept.
    public func listen(_ body: @escaping @Sendable (LeaseNews) -> Void) { keeper.withLock { $0?.listen(body) } }

    /// Whether this mount may publish, and write: its lease is held, or it needs none.
    public var areHeld: Bool {
        let end = heldUntil.load(ordering: .acquiring)
        return end == .max || Clock.sinceBoot() < end
    }

    /// What this mount's lease is; nil in a store of one host.
    public var state: HeldLease.State? { held.withLock { $0?.state(at: Clock.sinceBoot()) } }

    /// - Throws: `EHOSTDOWN` when this mount may not publish nor write, because other hosts may take it for dead.
    func check() throws(Errno) { guard areHeld else { throw .hostIsDown } }

    /// The mount of this object, when it has a lease.
    var owner: Tenant? { own.withLock { $0 } }

    /// What says of something that this mount has it; nil in a store of one host.
    var holder: (mount: String, client: StoreClient)? {
        guard let owner, let client else { return nil }
        return (owner.description.mount, client)
    }

    func note(_ lease: HeldLease, at time: UInt64) {
        heldUntil.store(lease.state(at: time) == .held ? lease.end : 0, ordering: .releasing)
    }

    // MARK: - Others

    /// Whether a mount may live though nobody's flock is seen on its token.
    ///
    /// - Parameters:
    ///   - description: what its token says; nil when it says nothing.
    ///   - isReserved: whether the token was found among the reserved names, where it may be all that is left of a mount.
    func mayLive(_ description: MountDescription?, isReserved: Bool = false) -> Bool {
        if isAlone { return false }
        guard let description, let theirs = description.client else {
            // Older versions have flock only; nonsense is watched like a lease.
            return isShared && description == nil
        }
        if isInherited(description.mount) || isReserved && hasEnded(description.mount) { return false }
        // GlusterFS lets a flock go when its host was cut off for a time, while the mount lives.
        if theirs == client { return description.lease != nil && !description.isKnownDead }
        return isShared || description.lease != nil
    }

    /// Whether nothing is left of a mount of which there is a token: it has ended, or what it left is settled.
    private func hasEnded(_ mount: String) -> Bool {
        guard isShared, !mount.isEmpty, !mount.contains("/") else { return false }
        return [mount, mount + Recovery.leftSuffix].allSatisfy { name in
            do throws(Errno) {
                _ = try SystemCall.attributes(stagings.descriptor, name)
                return false
            } catch { return error == .noSuchFileOrDirectory }
        }
    }

    /// Whether all that a mount left is this one's to settle.
    func isInherited(_ mount: String) -> Bool { inherited.withLock { $0.contains(mount) } }

    /// Whether another client's mount has a lease here: then the store is one of several hosts.
    static func areUsed(in stagings: Directory, besides client: StoreClient?) -> Bool {
        guard let entries = try? stagings.entries() else { return false }
        return entries.contains { entry in
            guard entry.isDirectory, let directory = try? stagings.directory(entry.name),
                let token = try? directory.file(Staging.lockName).open(O_RDONLY | O_NONBLOCK)
            else { return false }
            defer { SystemCall.close(token) }
            guard let description = MountDescription(token), let theirs = description.client else { return false }
            return description.lease != nil && theirs != client
        }
    }

    /// Takes the flock of a mount's token when that mount is dead.
    ///
    /// - Parameters:
    ///   - token: open; its lock is the caller's to close.
    ///   - isShared: whether others may have it too.
    ///   - isReserved: whether it was found among the reserved names.
    /// - Throws: `EWOULDBLOCK` while it lives, or may live.
    func take(_ token: FileDescriptor, isShared: Bool = false, isReserved: Bool = false) throws(Errno) {
        let description = MountDescription(token)
        do throws(Errno) { try SystemCall.lock(token, waiting: false, isShared: isShared) } catch {
            // MooseFS has the flock of a host that is cut off for as long as it is.
            guard error == .wouldBlock, let description, isInherited(description.mount) else { throw error }
        }
        // A reserved name that is no link to a token of any mount is nobody's.
        if isReserved, description == nil, (try? SystemCall.attributes(token).st_nlink) == 1 { return }
        guard mayLive(description, isReserved: isReserved) else { return }
        SystemCall.unlock(token)
        throw .wouldBlock
    }

    /// The same of a mount of which everything is to be settled: by one mount of one host only.
    ///
    /// - Parameters:
    ///   - name: its staging directory's.
    ///   - staging: that.
    func inherit(_ token: FileDescriptor, _ name: String, _ staging: Directory) throws(Errno) {
        if isInherited(name) {
            do throws(Errno) { try SystemCall.lock(token, waiting: false) } catch {
                guard error == .wouldBlock else { throw error }
            }
            return
        }
        try take(token)
        guard isShared else { return }
        do throws(Errno) {
            guard let owner, try Heirs.claim(staging, for: owner, isGone: { self.isGone($0) }) else {
                throw .wouldBlock
            }
        } catch {
            SystemCall.unlock(token)
            throw error
        }
        inherited.withLock { _ = $0.insert(name) }
    }

    /// Whether a staging directory without a token is nobody's who is about to make one.
    func mayMakeToken(in name: String) -> Bool { !isShared || isInherited(name) }

    /// Whether the mount is gone, or dead, that has made itself an heir.
    func isGone(_ heir: MountDescription) -> Bool {
        for name in [heir.mount, heir.mount + Recovery.leftSuffix] {
            if isInherited(name) { return true }
            guard let staging = try? stagings.directory(name) else { continue }
            guard let token = try? staging.file(Staging.lockName).open(O_RDONLY | O_NONBLOCK) else { return false }
            defer { SystemCall.closeLock(token) }
            return (try? take(token, isShared: true)) != nil
        }
        return true
    }
}
