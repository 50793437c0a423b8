internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
public import SystemPackage

/// Where a mount's files are until they are published: `.artifactfs/staging/<mount id>/`. Its `.lock` is flock'ed while
/// the mount lives, so that the recovery of another mount leaves it alone; the lock goes with the process, however it
/// ends.
///
/// A staged file's name says how it is to be understood when nobody is left who knows: `a-` an artifact, kept whatever
/// happens, or `t-` a temporary file, then a number, then the path on the mount with `%XX` for what cannot stand in a
/// name.
public final class Staging: Sendable {
    /// How a staged file is to be understood.
    public enum Kind: String, Sendable {
        /// It has a valid name: its bytes are never lost.
        case artifact = "a"
        /// It has a temporary name: it is removed when it is old.
        case transient = "t"
        /// An artifact whose writers are known to be done with it: what the driver had no time for, recovery does.
        case finished = "f"
        /// A directory of quarantine that was discarded: it is removed, and what was left of it when that was ended.
        case discarded = "d"

        /// By the first byte of a staged file's name.
        init?(firstByte: UInt8) {
            switch firstByte {
            case UInt8(ascii: "a"): self = .artifact
            case UInt8(ascii: "t"): self = .transient
            case UInt8(ascii: "f"): self = .finished
            case UInt8(ascii: "d"): self = .discarded
            default: return nil
            }
        }
    }

    /// A real file of production that a staged file is to become.
    public struct Target: Sendable {
        /// Where it will be.
        public let directory: RealDirectory
        /// Its name there.
        public let name: String

        /// A target.
        public init(directory: RealDirectory, name: String) {
            self.directory = directory
            self.name = name
        }

        var path: String { directory.path + "/" + name }
    }

    /// The name of a staging directory's lock file.
    static let lockName = ".lock"

    /// Whether a file of a staging directory is one of its locks: ``lockName``, what ``Reservations`` adds, or what recoveries note
    /// (``Recovery/MountHistory``).
    static func isLock(_ name: String) -> Bool { name.hasPrefix(lockName) }

    /// The open directory.
    public let directory: Directory
    /// The mount's name in staging and in the ledger.
    public let mountID: String

    private let schema: ArtifactSchema
    let lock: FileDescriptor
    private let reservations: Reservations
    private let leases: Leases
    private let user = geteuid()
    private let group = getegid()
    /// Bits that the process's umask takes from modes, as it was when the store was opened.
    private let umaskBits: UInt32
    private let count = Atomic<UInt64>(0)
    private let isKept = Atomic<Bool>(false)

    /// Makes the directory. The caller holds the store's lock, so that no recovery sees it before it is locked.
    init(
        in parent: Directory, mountID: String, host: String, schema: ArtifactSchema,
        reserved: Directory?, spare: Spare?, leases: Leases
    ) throws(Errno) {
        self.leases = leases
        do throws(Errno) { directory = try parent.directory(mountID, orMakeWith: 0o700) } catch {
            guard let spare, DiskRoom.isForWantOfRoom(error) else { throw error }
            try spare.takeStaging(as: mountID, in: parent)
            directory = try parent.directory(mountID)
        }
        lock = try SystemCall.open(directory.descriptor, Self.lockName, O_RDWR | O_CREAT | O_NOFOLLOW, 0o600)
        do throws(Errno) {
            try SystemCall.lock(lock, waiting: false)
            let began = Clock.sinceBoot()
            let description = leases.describe(mount: mountID, host: host, ledger: nil)
            description.write(to: lock)
            if leases.isShared {
                try SystemCall.sync(lock)
                try Heirs.prepare(description, in: directory)
            }
            reservations = try Reservations(in: reserved, staging: directory, lock: lock, leases: leases)
            leases.begin(Leases.Tenant(description: description, staging: directory), at: began)
            leases.whenRenewed { [weak reservations] in reservations?.removeLingering() }
        } catch {
            SystemCall.closeLock(lock)
            throw error
        }
        self.mountID = mountID
        self.schema = schema
        umaskBits = Self.currentUmask()
    }

    deinit { SystemCall.closeLock(lock) }

    /// Makes a file that no other has, and that nobody but the driver can reach.
    ///
    /// - Parameters:
    ///   - hint: the path on the mount, for a readable name and for recovery.
    ///   - kind: how to understand the file; nil decides by the schema and the hint.
    ///   - mode: its permission bits; the process's umask is not applied.
    ///   - owner: nil for the thread's own.
    ///   - target: what it is to become: no other file, of any mount, is made to become the same.
    /// - Returns: the file, and a descriptor open for reading and writing, which the caller closes.
    /// - Throws: `EEXIST` when the target is there, or taken by another.
    public func create(
        hint: String, kind: Kind? = nil, mode: UInt32, owner: (uid: UInt32, gid: UInt32)? = nil, target: Target? = nil
    ) throws(Errno) -> (file: RealFile, descriptor: FileDescriptor) {
        try leases.check()
        let file = unusedName(hint: hint, kind: kind)
        if let target { try reserve(target, for: file) }
        let descriptor: FileDescriptor
        do throws(Errno) { descriptor = try file.open(O_RDWR | O_CREAT | O_EXCL, mode: mode & 0o7777) } catch {
            release(file)
            throw error
        }
        do throws(Errno) {
            if let owner, (owner.uid, owner.gid) != (user, group) {
                try SystemCall.setOwner(descriptor, user: owner.uid, group: owner.gid)
            }
            if mode & (umaskBits | 0o6000) != 0 {
                try SystemCall.setMode(descriptor, mode)
            }
        } catch {
            SystemCall.close(descriptor)
            try? remove(file)
            throw error
        }
        return (file, descriptor)
    }

    /// Makes a directory that is to become an artifact, in which its owner then works through the mount.
    ///
    /// - Parameters: as of ``create(hint:kind:mode:owner:target:)``.
    /// - Returns: the directory.
    /// - Throws: `EEXIST` when the target is there, or taken by another.
    public func makeDirectory(
        hint: String, kind: Kind, mode: UInt32, owner: (uid: UInt32, gid: UInt32)?, target: Target?
    ) throws(Errno) -> RealFile {
        try leases.check()
        let file = unusedName(hint: hint, kind: kind)
        if let target { try reserve(target, for: file) }
        do throws(Errno) {
            try SystemCall.makeDirectory(directory.descriptor, file.name, 0o700)
            let made = try directory.directory(file.name)
            if let owner, (owner.uid, owner.gid) != (user, group) {
                try SystemCall.setOwner(made.descriptor, user: owner.uid, group: owner.gid)
            }
            try SystemCall.setMode(made.descriptor, mode)
        } catch {
            try? removeDirectory(file)
            release(file)
            throw error
        }
        return file
    }

    /// Removes a staged directory, which is empty, and gives back what it has taken.
    ///
    /// - Throws: `ENOTEMPTY`.
    public func removeDirectory(_ file: RealFile) throws(Errno) {
        try SystemCall.unlink(directory.descriptor, file.name, isDirectory: true)
        release(file)
    }

    /// Takes a target's name for a staged file, in all mounts of the store, until the file leaves staging or is released.
    ///
    /// - Parameter former: another staged file of this mount, which the new one replaces: what it has taken passes over.
    /// - Throws: `EEXIST` when the target is there, or taken by another.
    public func reserve(_ target: Target, for file: RealFile, replacing former: RealFile? = nil) throws(Errno) {
        try leases.check()
        try reservations.reserve(
            target.path, for: Self.number(of: file.name), replacing: former.map { Self.number(of: $0.name) })
        do throws(Errno) {
            // Whoever published it had taken the name before, and gave it back after.
            if let there = try target.directory.current(), there.file(target.name).exists { throw .fileExists }
        } catch {
            release(file, to: former)
            throw error
        }
    }

    /// Says in the mount's token where its host's ledger stands.
    func note(_ ledger: LedgerPlace?, of host: String) {
        let description = leases.describe(mount: mountID, host: host, ledger: ledger)
        guard (try? lock.seek(offset: 0, from: .start)) != nil else { return }
        description.write(to: lock)
        leases.describes(description)
    }

    /// Takes something of the store that one mount has at a time, of whichever host: under a path that no artifact has.
    ///
    /// - Returns: what `release` gives it back for; nil in a store of one host, where locks tell.
    /// - Throws: `EEXIST` when another has it.
    func take(_ path: String) throws(Errno) -> RealFile? {
        guard leases.isShared else { return nil }
        try leases.check()
        let holder = unusedName(hint: path, kind: .transient)
        try reservations.reserve(path, for: Self.number(of: holder.name))
        return holder
    }

    /// Gives back what a staged file has taken, when it is not to be published. A file that is elsewhere has taken nothing, whatever its name.
    public func release(_ file: RealFile) {
        guard file.directory === directory else { return }
        reservations.release(Self.number(of: file.name))
    }

    /// Gives back what a staged file has taken that is published. In a store of several hosts others may still remember for a time that there was no
    /// such file: as long as that a reserved name tells them.
    func published(_ file: RealFile) {
        guard file.directory === directory else { return }
        reservations.release(Self.number(of: file.name), after: UInt64(lingeringSeconds) &* 1_000_000_000)
    }

    /// For how long other hosts may remember what a name was, in seconds, with one more; 0 in a store of one host.
    var lingeringSeconds: Int { leases.isShared ? schema.cacheTime + 1 : 0 }

    /// Gives back what a staged file has taken to the one that it took it from.
    ///
    /// - Parameter former: nil when it took it from none.
    func release(_ file: RealFile, to former: RealFile?) {
        guard let former else { return release(file) }
        reservations.pass(Self.number(of: file.name), to: Self.number(of: former.name))
    }

    /// Notes that the writers of an artifact are done with it, and ended well: should the driver be killed, it is published all the same.
    ///
    /// - Parameter process: who wrote it, for its record.
    /// - Returns: the file under its new name; nil when that could not be noted.
    public func finish(_ file: RealFile, process: Int32) -> RealFile? {
        guard let name = StagedName(file.name), name.kind == .artifact else { return nil }
        let finished = directory.file(name.text(as: .finished, process: process))
        do throws(Errno) { try move(file, to: finished) } catch { return nil }
        return finished
    }

    /// Takes back `finish`: somebody writes to it again.
    ///
    /// - Returns: the file under its new name; the same when that could not be noted.
    public func resume(_ file: RealFile) -> RealFile {
        guard let name = StagedName(file.name), name.kind == .finished else { return file }
        let resumed = directory.file(name.text(as: .artifact))
        do throws(Errno) { try move(file, to: resumed) } catch { return file }
        return resumed
    }

    /// Moves a file to a name in staging that nobody else makes: when something has it after an error, the call was done and its reply was
    /// lost.
    func move(_ file: RealFile, to staged: RealFile) throws(Errno) {
        do throws(Errno) { try file.rename(to: staged) } catch {
            guard (try? staged.attributes()) != nil else { throw error }
        }
    }

    /// Removes a staged file, and gives back what it has taken.
    public func remove(_ file: RealFile) throws(Errno) {
        try file.unlink()
        release(file)
    }

    /// A name that no staged file has or will have, to rename a file to.
    public func unusedName(hint: String, kind: Kind? = nil) -> RealFile {
        let number = count.wrappingAdd(1, ordering: .relaxed).newValue
        let kind = kind ?? Self.kind(of: hint, schema)
        return directory.file(StagedName.text(kind, String(number), EscapedName.encode(hint, limit: 200)))
    }

    /// What a staged name says, or nil when it is not one. The process is 0 when it does not say.
    static func understand(_ name: String) -> (kind: Kind, process: Int32, path: String)? {
        StagedName(name).map { ($0.kind, $0.process, EscapedName.decode($0.path)) }
    }

    /// The number in a staged file's name, by which it is known to what it has taken.
    private static func number(of name: String) -> UInt64 { StagedName(name)?.number ?? 0 }

    private static func kind(of path: String, _ schema: ArtifactSchema) -> Kind {
        let (location, rest) = schema.locate(path)
        guard rest.count == 1, let name = rest.first, case .typed(_, _, let type) = location else { return .artifact }
        return type.classify(name) == .transient ? .transient : .artifact
    }

    /// The ledger lacks a line that recovery can add: the directory stays, so that recovery looks.
    func keepForRecovery() { isKept.store(true, ordering: .relaxed) }

    /// Removes what the mount leaves that is nothing: empty files, and the directory when it is empty.
    func clean(in parent: Directory) {
        guard let entries = try? directory.entries() else { return }
        var left: Set<UInt64> = []
        for entry in entries where !Self.isLock(entry.name) {
            let file = directory.file(entry.name)
            if let found = try? file.attributes(), found.isRegular, found.st_size == 0, !Self.hasWriter(file) {
                try? file.unlink()
            }
            if file.exists { left.insert(Self.number(of: file.name)) }
        }
        // What stays may yet be published by recovery, so it keeps its name; nobody's lock guards it then.
        reservations.removeLingering(all: true)
        reservations.release { left.contains($0) }
        if !isKept.load(ordering: .relaxed) { Self.removeIfEmpty(directory, named: mountID, in: parent) }
    }

    /// Whether somebody has a file open for writing, as far as the system says: a program's descriptor outlives the driver where the kernel
    /// moves the bytes.
    package static func hasWriter(_ file: RealFile) -> Bool {
        guard let descriptor = try? file.open(O_RDONLY | O_NONBLOCK) else { return false }
        defer { SystemCall.close(descriptor) }
        return SystemCall.hasNoWriters(descriptor) == false
    }

    /// Removes a staging directory in which nothing but its lock is.
    static func removeIfEmpty(_ directory: Directory, named name: String, in parent: Directory) {
        guard let entries = try? directory.entries(), entries.allSatisfy({ isLock($0.name) }) else { return }
        for entry in entries { try? SystemCall.unlink(directory.descriptor, entry.name) }
        try? SystemCall.unlink(parent.descriptor, name, isDirectory: true)
    }

    /// umask(2) cannot be read without changing it for every thread; proc_pid_status(5) can.
    private static func currentUmask() -> UInt32 {
        guard let status = try? FileDescriptor.open("/proc/self/status", .readOnly) else { return 0o777 }
        defer { SystemCall.close(status) }
        guard let bytes = try? SystemCall.bytes(status, at: 0, count: 8192) else { return 0o777 }
        let text = String(decoding: bytes, as: UTF8.self)
        for line in text.split(separator: "\n") where line.hasPrefix("Umask:") {
            return UInt32(line.dropFirst(6).drop { $0 == "\t" || $0 == " " }, radix: 8) ?? 0o777
        }
        return 0o777
    }
}
