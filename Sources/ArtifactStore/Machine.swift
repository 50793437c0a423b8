internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The machine as it runs since it was started.
enum Machine {
    /// Names this run of the kernel (proc_sys_kernel(5), `random/boot_id`); empty when it cannot be told, which is no run's name.
    static let boot: String = {
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, "/proc/sys/kernel/random/boot_id", O_RDONLY)
        else { return "" }
        defer { SystemCall.close(file) }
        let text = String(decoding: (try? SystemCall.bytes(file, at: 0, count: 64)) ?? [], as: UTF8.self)
        let name = text.prefix { $0 != "\n" }
        return name.utf8.allSatisfy { EscapedName.isKept($0) } ? String(name) : ""
    }()
}

/// What the lock file of a staging directory says of its mount, for those who find it when the mount is dead.
struct MountDescription {
    let mount: String
    let host: String
    /// The run of the machine that the mount was of: what was written then and not brought to disk is there only in the same run.
    let boot: String
    /// Where the host's ledger stood when the mount began: nothing before that is of this mount. Nil when it does not say.
    let ledger: LedgerPlace?

    init(mount: String, host: String, ledger: LedgerPlace?) {
        self.mount = mount
        self.host = host
        self.ledger = ledger
        boot = Machine.boot
    }

    /// From the lock file; nil when it says nothing, as of older versions and on a disk that was full.
    init?(_ lock: FileDescriptor) {
        guard let bytes = try? SystemCall.bytes(lock, at: 0, count: 4096), let value = JSONValue(parsing: bytes),
            let mount = value["mount"]?.string, let host = value["host"]?.string, let boot = value["boot"]?.string
        else { return nil }
        (self.mount, self.host, self.boot) = (mount, host, boot)
        ledger = value["ledger"].flatMap { LedgerPlace($0) }
    }

    /// Whether everything that the mount's programs wrote is still there.
    var isOfThisRun: Bool { !boot.isEmpty && boot == Machine.boot }

    /// The longest text, in bytes: names of hosts and mounts are bounded.
    static let longest = 1024

    /// Writes it to the lock file, as far as there is room: over what is there, which has room already.
    func write(to lock: FileDescriptor) {
        var members: JSONObject = [
            "mount": .string(mount), "host": .string(host), "pid": .integer(Int64(getpid())), "boot": .string(boot),
        ]
        members["ledger"] = ledger.map { .object($0.json) }
        let text = Array((JSONValue.object(members).description + "\n").utf8)
        do throws(Errno) {
            try SystemCall.write(lock, text)
            try SystemCall.truncate(lock, to: Int64(text.count))
        } catch { try? SystemCall.truncate(lock, to: 0) }
    }
}
