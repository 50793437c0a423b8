internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A host as a probe knows it.
struct ProbeHost: Sendable, Hashable {
    /// Of this probe alone: 16 hexadecimal digits.
    let id: String
    let host: String
    let boot: String
    /// The device number of the store's directory there.
    let device: Int64
    let process: Int64
    /// Where that number is a process's: the inode of its pid namespace; 0 when it cannot be told.
    let processes: Int64
    let user: Int64
    /// The type of the file system, as statfs(2) tells it.
    let type: Int64

    /// Whether it is the same run of a kernel, with the same mount.
    func isSameMachine(as other: ProbeHost) -> Bool {
        !boot.isEmpty && boot == other.boot && device == other.device
    }

    /// Whether it is known to be gone: a process that this one could see.
    func isGone(seenFrom own: ProbeHost) -> Bool {
        guard !boot.isEmpty, boot == own.boot, processes != 0, processes == own.processes else { return false }
        guard let number = Int32(exactly: process), number > 1 else { return true }
        return kill(number, 0) != 0 && errno == ESRCH
    }

    var json: JSONObject {
        [
            "id": .string(id), "host": .string(host), "boot": .string(boot), "device": .integer(device),
            "pid": .integer(process), "pid_namespace": .integer(processes), "uid": .integer(user),
            "type": .integer(type),
        ]
    }

    init?(_ value: JSONValue) {
        guard let id = value["id"]?.string, Self.isID(id), let host = value["host"]?.string, host.utf8.count <= 255,
            let boot = value["boot"]?.string, boot.utf8.count <= 64, let device = value["device"]?.integer,
            let process = value["pid"]?.integer, let processes = value["pid_namespace"]?.integer,
            let user = value["uid"]?.integer, let type = value["type"]?.integer
        else { return nil }
        (self.id, self.host, self.boot, self.device) = (id, host, boot, device)
        (self.process, self.processes, self.user, self.type) = (process, processes, user, type)
    }

    init(host: String, boot: String, device: Int64, type: Int64) {
        var generator = SystemRandomNumberGenerator()
        let digits = String(UInt64.random(in: .min ... .max, using: &generator), radix: 16)
        id = String(repeating: "0", count: 16 - digits.utf8.count) + digits
        (self.host, self.boot, self.device, self.type) = (host, boot, device, type)
        process = Int64(getpid())
        processes =
            (try? SystemCall.attributes(atPath: "/proc/self/ns/pid")).map { Int64(truncatingIfNeeded: $0.st_ino) } ?? 0
        user = Int64(geteuid())
    }

    static func isID(_ text: String) -> Bool {
        text.utf8.count == 16
            && text.utf8.allSatisfy { (0x30...0x39).contains($0) || (0x61...0x66).contains($0) }
    }
}

/// What a host says to another one by a file of its own, which it alone writes: its last two steps, and that it lives.
struct ProbeLetter {
    let host: ProbeHost
    /// Changes while the host lives.
    var beat: Int64 = 0
    /// With whom it works, or would.
    var partner: String?
    /// How far it is; 0 until two have met, and ``left`` at the end of who goes away in the middle.
    var step: Int64 = 0
    static let left: Int64 = -1
    /// What it says in this step.
    var now = JSONObject()
    /// What it said in the step before: the other may have to read that yet.
    var before = JSONObject()

    init(host: ProbeHost) { self.host = host }

    /// What a file of that kind may have, in bytes.
    static let longest = 64 << 10

    /// The text: the SHA-256 of a line, a blank, the line. What is read while it is written has another one.
    func text() throws(Errno) -> [UInt8] {
        var members = JSONObject()
        members["protocol"] = .integer(Self.version)
        members["from"] = .object(host.json)
        members["beat"] = .integer(beat)
        members["partner"] = partner.map { .string($0) }
        members["step"] = .integer(step)
        members["now"] = .object(now)
        members["before"] = .object(before)
        let line = Array(JSONValue.object(members).description.utf8)
        return Array(try SHA256.digest(line).utf8) + [UInt8(ascii: " ")] + line + [UInt8(ascii: "\n")]
    }

    private static let version: Int64 = 1

    /// - Returns: nil of what is not whole, or not of this protocol.
    init?(_ bytes: [UInt8]) {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")), end > 65, bytes[64] == UInt8(ascii: " ") else {
            return nil
        }
        let line = bytes[65..<end]
        guard let hash = try? SHA256.digest(line), Array(hash.utf8) == Array(bytes[..<64]),
            let value = JSONValue(parsing: line), value["protocol"]?.integer == Self.version,
            let from = value["from"], let host = ProbeHost(from), let beat = value["beat"]?.integer,
            let step = value["step"]?.integer, let now = value["now"]?.object, let before = value["before"]?.object
        else { return nil }
        self.host = host
        (self.beat, self.step, self.now, self.before) = (beat, step, now, before)
        partner = value["partner"]?.string
    }
}

/// The file by which a host speaks: `.artifactfs/probe/host-<id>`. It is written over and never replaced: its name leads to the same file
/// for a host that remembers names.
struct ProbeMailbox {
    static let prefix = "host-"

    let file: RealFile

    init(of id: String, in directory: Directory) { file = directory.file(Self.prefix + id) }

    /// Whose it is, by its name; nil of another name.
    static func id(ofName name: String) -> String? {
        guard name.hasPrefix(prefix) else { return nil }
        let id = String(name.dropFirst(prefix.count))
        return ProbeHost.isID(id) ? id : nil
    }

    /// - Parameter isNew: whether it is made, and must not be there.
    func write(_ letter: ProbeLetter, isNew: Bool = false) throws(Errno) {
        let bytes = try letter.text()
        guard bytes.count <= ProbeLetter.longest else { throw .fileTooLarge }
        let descriptor = try file.open(O_WRONLY | (isNew ? O_CREAT | O_EXCL : 0), mode: 0o644)
        defer { SystemCall.close(descriptor) }
        // The directory is closed to others: within it, hosts whose users differ read each other's.
        if isNew { try SystemCall.setMode(descriptor, 0o644) }
        try SystemCall.write(descriptor, bytes)
    }

    /// What it says now; nil when that is not whole, or nothing that is understood.
    func read() throws(Errno) -> ProbeLetter? {
        let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        return ProbeLetter(try SystemCall.bytes(descriptor, at: 0, count: ProbeLetter.longest))
    }
}
