internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What the lock file of a staging directory says of its mount, for those who find it when the mount is dead.
struct MountDescription {
    let mount: String
    let host: String
    /// The run of the machine that the mount was of: what was written then and not brought to disk is there only in the same run.
    let boot: String
    /// Where the host's ledger stood when the mount began: nothing before that is of this mount. Nil when it does not say.
    let ledger: LedgerPlace?
    /// Through whose eyes it sees the store; nil of older versions.
    let client: StoreClient?
    /// After how many seconds without a renewal it is dead to others; nil when it has no lease.
    let lease: Int?
    private let process: Int64
    /// The namespace that the process's number is of; nil of older versions.
    private let processes: String?

    init(mount: String, host: String, ledger: LedgerPlace?, client: StoreClient? = nil, lease: Int? = nil) {
        self.mount = mount
        self.host = host
        self.ledger = ledger
        self.client = client
        self.lease = lease
        boot = Machine.boot
        process = Int64(getpid())
        processes = Machine.processes
    }

    /// From the lock file; nil when it says nothing, as of older versions and on a disk that was full.
    init?(_ lock: FileDescriptor) {
        guard let bytes = try? SystemCall.bytes(lock, at: 0, count: Self.most) else { return nil }
        self.init(bytes)
    }

    /// From what a lock file has.
    init?(_ bytes: [UInt8]) {
        guard let value = JSONValue(parsing: bytes), let mount = value["mount"]?.string,
            let host = value["host"]?.string, let boot = value["boot"]?.string
        else { return nil }
        (self.mount, self.host, self.boot) = (mount, host, boot)
        ledger = value["ledger"].flatMap { LedgerPlace($0) }
        client = value["client"]?.string.map { StoreClient($0) }
        process = value["pid"]?.integer ?? 0
        processes = value["processes"]?.string
        lease = value["lease"]?.integer.map { LeaseTimes(seconds: Int(clamping: $0)).seconds }
    }

    /// Whether its process is gone, as far as it can be seen from here.
    var isKnownDead: Bool {
        guard isOfThisRun, let processes, !processes.isEmpty, processes == Machine.processes,
            let process = pid_t(exactly: process), process > 0
        else { return false }
        if kill(process, 0) != 0 { return errno == ESRCH }
        // One that nobody has waited for has nothing open any more (proc_pid_stat(5)).
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, "/proc/\(process)/stat", O_RDONLY) else {
            return false
        }
        defer { SystemCall.close(file) }
        let bytes = (try? SystemCall.bytes(file, at: 0, count: 512)) ?? []
        guard let end = bytes.lastIndex(of: UInt8(ascii: ")")), bytes.count > end + 2 else { return false }
        return bytes[end + 2] == UInt8(ascii: "Z") || bytes[end + 2] == UInt8(ascii: "X")
    }

    /// Whether everything that the mount's programs wrote is still there.
    var isOfThisRun: Bool { !boot.isEmpty && boot == Machine.boot }

    /// The longest text, in bytes: names of hosts and mounts are bounded.
    static let longest = 1024

    /// What is read of a lock file, in bytes.
    static let most = 4096

    /// Writes it to the lock file, as far as there is room: over what is there, which has room already.
    func write(to lock: FileDescriptor) {
        let text = text(renewal: 0)
        do throws(Errno) {
            try SystemCall.write(lock, text)
            try SystemCall.truncate(lock, to: Int64(text.count))
        } catch { try? SystemCall.truncate(lock, to: 0) }
    }

    /// The lock file's text, which has the same length for every number.
    ///
    /// - Parameter renewal: how often the lease was renewed.
    func text(renewal: UInt64) -> [UInt8] {
        var members: JSONObject = [
            "mount": .string(mount), "host": .string(host), "pid": .integer(process), "boot": .string(boot),
        ]
        members["ledger"] = ledger.map { .object($0.json) }
        members.add("client", client.map { .string($0.description) })
        if let lease {
            members.add("processes", processes.map { .string($0) })
            members["lease"] = .integer(Int64(lease))
            let number = String(renewal % 1_000_000_000_000)
            members["renewal"] = .string(String(repeating: "0", count: 12 - number.count) + number)
        }
        return Array((JSONValue.object(members).description + "\n").utf8)
    }
}
