internal import Glibc
internal import Synchronization
public import SystemPackage

/// How a store is mounted for a test.
public struct MountVariant: Sendable, Hashable, CustomStringConvertible {
    public enum Durability: String, Sendable { case relaxed, synced }

    /// Reads and writes go through the kernel's passthrough where there is one.
    public var passthrough: Bool
    public var readOnly: Bool
    /// The session to resume.
    public var session: String?
    public var durability: Durability
    public var allowOther: Bool
    /// The user that the driver runs as.
    public var user: User?
    /// How many descriptors the driver may have open (RLIMIT_NOFILE).
    public var descriptors: Int?
    /// What `-o` gets.
    public var options: String?
    /// Whether the last close publishes (`publish: close` in the schema), in a store that the mount makes.
    public var publishesAtClose = false
    /// What the driver's environment has beside the test's own.
    public var environment: [String: String] = [:]

    public init(
        passthrough: Bool = true, readOnly: Bool = false, session: String? = nil, durability: Durability = .relaxed,
        allowOther: Bool = false, user: User? = nil, descriptors: Int? = nil,
        options: String? = nil
    ) {
        self.passthrough = passthrough
        self.readOnly = readOnly
        self.session = session
        self.durability = durability
        self.allowOther = allowOther
        self.user = user
        self.descriptors = descriptors
        self.options = options
    }

    /// With passthrough and without: every test of the mount runs in both.
    public static let both = [MountVariant(passthrough: true), MountVariant(passthrough: false)]

    /// The same with something changed.
    public func with(_ change: (inout MountVariant) -> Void) -> MountVariant {
        var copy = self
        change(&copy)
        return copy
    }

    public var description: String {
        var words = [passthrough ? "passthrough" : "no passthrough"]
        if readOnly { words.append("read-only") }
        if let session { words.append("session \(session)") }
        if durability != .relaxed { words.append(durability.rawValue) }
        if allowOther { words.append("allow_other") }
        if let user { words.append("user \(user.user)") }
        if let descriptors { words.append("\(descriptors) descriptors") }
        if let options { words.append(options) }
        return words.joined(separator: ", ")
    }
}

/// A store that the real binary has mounted. Whatever happens to the test, the mount and the driver are gone when the
/// last reference goes.
public final class Mount: Sendable {
    /// Why a mount did not come to be.
    public struct Failure: Error, CustomStringConvertible {
        public var description: String

        public init(description: String) { self.description = description }
    }

    /// The mount point.
    public let root: String
    /// The real directory.
    public let store: String
    public let variant: MountVariant
    public let driver: Child
    private let directory: TemporaryDirectory
    /// Holds the store's directory when this mount made it.
    private let storeDirectory: TemporaryDirectory?

    /// Mounts a store and waits until it answers.
    ///
    /// - Parameters:
    ///   - store: an existing store; a new one in a temporary directory, removed with the mount, when not given.
    ///   - variant: how it is mounted.
    /// - Throws: ``Failure`` with the driver's own words when it does not come up within 20 seconds.
    public init(store: String? = nil, _ variant: MountVariant = MountVariant()) throws {
        let directory = try TemporaryDirectory()
        let root = directory.path + "/mount"
        guard mkdir(root, 0o755) == 0 else { throw Errno(rawValue: errno) }
        if let user = variant.user { chown(root, user.user, user.group) }
        let storeDirectory: TemporaryDirectory?
        let path: String
        if let store {
            storeDirectory = nil
            path = store
        } else {
            let made = try TemporaryDirectory()
            storeDirectory = made
            if let user = variant.user { chown(made.path, user.user, user.group) }
            path = made.path + "/model_eval"
            try Mount.initialize(store: path, user: variant.user)
            if variant.publishesAtClose {
                let schema = path + "/.artifactfs/schema.yaml"
                try write(try contents(schema).replacing("publish: exit", with: "publish: close"), to: schema)
            }
        }
        let driver = try Child(
            (variant.descriptors.map { ["prlimit", "--nofile=\($0):\($0)"] } ?? []) + [try Mount.binary()]
                + Mount.arguments(store: path, root: root, variant), environment: variant.environment,
            user: variant.user)
        self.directory = directory
        self.storeDirectory = storeDirectory
        self.driver = driver
        self.root = root
        self.store = path
        self.variant = variant
        let answers = eventually(within: 20) {
            !driver.isRunning || (isMounted && (try? contents(root + "/.artifactfs/status.json")) != nil)
        }
        guard answers, driver.isRunning else {
            throw Failure(
                description: "the driver did not mount \(path): status \(driver.status ?? -1): \(driver.errors)")
        }
    }

    deinit {
        if isMounted { detach() }
        driver.kill()
        // What the driver left when it was killed while the first one went.
        if isMounted { detach() }
    }

    // MARK: - The command line

    /// The one place that knows how the binary is called.
    private static func arguments(store: String, root: String, _ variant: MountVariant) -> [String] {
        var arguments = ["mount", store, root, "--foreground", "--durability", variant.durability.rawValue]
        if variant.readOnly { arguments.append("--read-only") }
        if !variant.passthrough { arguments.append("--no-passthrough") }
        if variant.allowOther { arguments.append("--allow-other") }
        if let session = variant.session { arguments += ["--session", session] }
        if let options = variant.options { arguments += ["-o", options] }
        return arguments
    }

    /// Makes a new store.
    ///
    /// - Throws: ``Failure`` with the binary's words when it ends with a failure.
    public static func initialize(store: String, user: User? = nil) throws {
        let outcome = try run([try binary(), "init", store], user: user)
        guard outcome.succeeded else { throw Failure(description: "artifactfs init \(store): \(outcome)") }
    }

    /// The binary under test: `$ARTIFACTFS_BINARY`, else the one that was built beside the tests.
    public static func binary() throws -> String {
        if let given = environmentValue("ARTIFACTFS_BINARY") { return given }
        var buffer = [CChar](repeating: 0, count: 4096)
        let length = readlink("/proc/self/exe", &buffer, buffer.count)
        guard length > 0 else { throw Errno(rawValue: errno) }
        let arguments = CommandLine.arguments.filter { $0.contains(".xctest") }
        let executable = String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        for start in [executable] + arguments {
            var path = start
            while let slash = path.lastIndex(of: "/"), slash != path.startIndex {
                path = String(path[..<slash])
                if isExecutableFile(path + "/artifactfs") { return path + "/artifactfs" }
            }
        }
        throw Failure(
            description: "no artifactfs beside \(executable): build it, or name it in ARTIFACTFS_BINARY")
    }

    private static func isExecutableFile(_ path: String) -> Bool {
        var found = stat()
        return stat(path, &found) == 0 && found.st_mode & S_IFMT == S_IFREG && access(path, X_OK) == 0
    }

    // MARK: - Paths

    /// A path on the mount.
    public func path(_ rest: String) -> String { root + "/" + rest }

    /// A path below `production` on the mount.
    public func production(_ rest: String) -> String { path("production/" + rest) }

    /// A path below this mount's session on the mount.
    public func session(_ rest: String) -> String { path("development/\(sessionName)/\(rest)") }

    /// A path below `test` on the mount.
    public func test(_ rest: String) -> String { path("test/" + rest) }

    /// A path in the real directory.
    public func real(_ rest: String) -> String { store + "/" + rest }

    /// What `development/current` names.
    public var sessionName: String {
        var buffer = [CChar](repeating: 0, count: 256)
        let length = readlink(path("development/current"), &buffer, buffer.count)
        return length <= 0 ? "" : String(decoding: buffer[..<length].map { UInt8(bitPattern: $0) }, as: UTF8.self)
    }

    /// For a shell in a mount namespace of its own: leaves the mounts of artifactfs that were copied into it, but for `$KEEP`. Their drivers would
    /// go on as long as the namespace does, and tests beside this one wait for them.
    public static let leavesOtherMounts = """
        cat /proc/self/mounts | while read -r _ place kind _; do
            case $kind in fuse.artifactfs | fuse.artifactfs-root) [ "$place" = "$KEEP" ] || umount -l "$place" ;; esac
        done

        """

    // MARK: - What it says

    /// What the driver wrote on its standard error.
    public var log: String { driver.errors }

    /// `.artifactfs/status.json`.
    ///
    /// - Throws: the error of reading it.
    public func status() throws(Errno) -> String { try contents(path(".artifactfs/status.json")) }

    /// A number of `status.json`, such as `publishing`; nothing when there is none of that name.
    public func count(_ field: String) -> Int? { counts(field)?.first }

    /// Several such numbers of one moment.
    public func counts(_ fields: String...) -> [Int]? {
        guard let text = try? status() else { return nil }
        let counts = fields.compactMap { field -> Int? in
            let parts = text.split(separator: "\"\(field)\":", maxSplits: 1)
            guard parts.count == 2 else { return nil }
            return Int(parts[1].drop { $0 == " " }.prefix { $0.isNumber })
        }
        return counts.count == fields.count ? counts : nil
    }

    /// The lines of `denials.jsonl`.
    public func denials() -> [String] {
        ((try? contents(path(".artifactfs/denials.jsonl"))) ?? "").split(separator: "\n").map(String.init)
    }

    /// Whether the kernel has the mount, alive or dead.
    public var isMounted: Bool {
        guard let mounts = try? contents("/proc/self/mountinfo") else { return false }
        return mounts.split(separator: "\n").contains { line in
            line.split(separator: " ").dropFirst(4).first.map { $0 == root } ?? false
        }
    }

    // MARK: - Its end

    /// Unmounts and waits until the driver has ended, which it does when everything is published.
    ///
    /// - Returns: the driver's status.
    /// - Throws: ``Failure`` when the mount is busy or the driver does not end within 60 seconds.
    @discardableResult
    public func unmount() throws -> Int32 {
        // A program that a test has just ended may hold the mount for a moment more.
        var last: Outcome?
        let unmounted = try eventually(within: 10) {
            let outcome =
                variant.user == nil
                ? try run(["umount", root]) : try run(["fusermount3", "-u", root], user: variant.user)
            last = outcome
            return outcome.succeeded || !isMounted
        }
        guard unmounted else {
            throw Failure(description: "umount \(root): \(last.map { "\($0)" } ?? ""); log: \(log)")
        }
        guard driver.wait(seconds: 60) else {
            throw Failure(description: "the driver of \(root) goes on after the unmount; log: \(log)")
        }
        return driver.status ?? -1
    }

    /// Kills the driver as `kill -9` does and takes the dead mount away.
    public func kill() {
        driver.kill()
        if isMounted { detach() }
    }

    private func detach() {
        if umount2(root, Int32(MNT_DETACH)) != 0 { _ = try? run(["fusermount3", "-uz", root]) }
    }
}
