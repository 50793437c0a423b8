internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Why there are no credentials, for people. It has no secret.
public struct CredentialFault: Error, Sendable, Hashable {
    /// A sentence without its end.
    public let text: String
}

/// Where credentials and the region come from, as AWS's own programs have it: environment, files of profiles, a program, the machine.
public struct CredentialChain: Sendable {
    private let environment: [String: String]
    private let named: String?
    private let secrets, config: ProfileFile
    /// Where they were looked for, for people.
    private let places: String

    /// How long a program may take, in milliseconds.
    private let patience: UInt64
    private let machine: MachineCredentials

    /// - Parameters:
    ///   - environment: of this process.
    ///   - home: the user's directory.
    ///   - profile: that somebody has named; it comes before the environment's keys.
    ///   - patience: how long a program may take that tells them, in milliseconds.
    ///   - read: reads a small file; nil of one that cannot be read.
    public init(
        environment: [String: String], home: String?, profile: String?, patience: UInt64 = 60_000,
        read: @escaping @Sendable (String) -> String?
    ) {
        self.environment = environment
        machine = MachineCredentials(environment: environment, read: read)
        self.patience = patience
        named = profile ?? environment["AWS_PROFILE"].flatMap { $0.isEmpty ? nil : $0 }
        func file(_ variable: String, _ name: String) -> String? {
            environment[variable].flatMap { $0.isEmpty ? nil : $0 } ?? home.map { $0 + "/.aws/" + name }
        }
        let paths = [file("AWS_SHARED_CREDENTIALS_FILE", "credentials"), file("AWS_CONFIG_FILE", "config")]
        let files = paths.map { path in path.flatMap(read).map { ProfileFile($0) } ?? ProfileFile() }
        (secrets, config) = (files[0], files[1])
        places = paths.compactMap { $0 }.joined(separator: " and ")
        isNamed = profile != nil
    }

    /// Whether the profile was named for this use.
    private let isNamed: Bool
    private var profile: String { named ?? "default" }

    /// The region that is meant.
    public var region: String {
        let set = [
            environment["AWS_REGION"], environment["AWS_DEFAULT_REGION"], config[profile]?["region"],
            secrets[profile]?["region"],
        ]
        return set.compactMap { $0 }.first { !$0.isEmpty } ?? "us-east-1"
    }

    /// The credentials.
    public func credentials() throws(CredentialFault) -> Credentials { try credentials(for: .s3) }

    /// The credentials for servers of a kind. Google's has keys of its own (HMAC keys), as its own programs call them in the environment; they
    /// may have AWS's names as well, which other programs want for them. The machine's are AWS's.
    func credentials(for dialect: ServerDialect) throws(CredentialFault) -> Credentials {
        if dialect == .gcs, !isNamed, let found = try keys(of: environment, "gs", "the environment", isUpper: true) {
            return found
        }
        if !isNamed, let found = try keys(of: environment, "aws", "the environment", isUpper: true) {
            return found
        }
        if named != nil, secrets[profile] == nil, config[profile] == nil {
            throw CredentialFault(text: "there is no profile '\(profile)' in \(places)")
        }
        for (file, name) in [(secrets, "credentials"), (config, "config")] {
            guard let section = file[profile] else { continue }
            if let found = try keys(of: section, "aws", "profile '\(profile)' of \(name)") {
                return found
            }
        }
        for file in [secrets, config] {
            if let command = file[profile]?["credential_process"], !command.isEmpty { return try run(command) }
        }
        // Who has named a profile means that one.
        if named == nil, dialect == .s3, let found = try machine.credentials() { return found }
        let names =
            switch dialect {
            case .s3: "neither AWS_ACCESS_KEY_ID with AWS_SECRET_ACCESS_KEY"
            case .gcs:
                "neither GS_ACCESS_KEY_ID with GS_SECRET_ACCESS_KEY (a key for HMAC of Google's Cloud Storage), nor the same named AWS_,"
            }
        let rest = dialect == .s3 ? ", and this machine has none for a container or an instance" : ""
        throw CredentialFault(
            text: "there are no credentials: \(names) in the environment, nor profile "
                + "'\(profile)' with keys or credential_process in \(places.isEmpty ? "a home directory" : places)\(rest)"
        )
    }

    private func keys(
        of members: [String: String], _ family: String, _ place: String, isUpper: Bool = false
    ) throws(CredentialFault) -> Credentials? {
        func value(_ name: String) -> String? {
            members[isUpper ? name.uppercased() : name].flatMap { $0.isEmpty ? nil : $0 }
        }
        let (access, secret) = (value(family + "_access_key_id"), value(family + "_secret_access_key"))
        if access == nil, secret == nil { return nil }
        guard let access, let secret else {
            throw CredentialFault(
                text:
                    "\(place) has one half of the keys: \(family)_access_key_id and \(family)_secret_access_key go together"
            )
        }
        return Credentials(
            accessKey: access, secret: secret, sessionToken: family == "aws" ? value("aws_session_token") : nil)
    }

    /// Runs a program that tells them.
    private func run(_ command: String) throws(CredentialFault) -> Credentials {
        let output: [UInt8]
        do throws(Errno) { output = try self.output(of: command) } catch {
            throw CredentialFault(text: "credential_process of profile '\(profile)' cannot be run: \(error)")
        }
        guard let told = JSONValue(parsing: output), told["Version"]?.integer == 1,
            let access = told["AccessKeyId"]?.string,
            let secret = told["SecretAccessKey"]?.string
        else {
            throw CredentialFault(
                text:
                    "credential_process of profile '\(profile)' does not tell credentials: it should print JSON with Version 1, AccessKeyId "
                    + "and SecretAccessKey")
        }
        return Credentials(accessKey: access, secret: secret, sessionToken: told["SessionToken"]?.string)
    }

    /// What a command prints. One that takes too long is ended.
    private func output(of command: String) throws(Errno) -> [UInt8] {
        let pipe = try SystemCall.makePipe()
        defer { SystemCall.close(pipe.reading) }
        let child: pid_t
        do throws(Errno) {
            child = try SystemCall.start("/bin/sh", ["sh", "-c", command], output: pipe.writing)
        } catch {
            SystemCall.close(pipe.writing)
            throw error
        }
        SystemCall.close(pipe.writing)
        var bytes: [UInt8] = []
        let end = Clock.monotonic() &+ patience &* 1_000_000
        var isWhole = false
        func isReady(_ file: FileDescriptor) throws(Errno) -> Bool {
            try SystemCall.waitToRead(file) {
                let now = Clock.monotonic()
                return now < end ? Int64(clamping: (end - now) / 1_000_000) : 0
            }
        }
        while bytes.count < 1 << 20 {
            guard try isReady(pipe.reading) else { break }
            let more = try SystemCall.bytes(pipe.reading, atMost: 65_536)
            if more.isEmpty {
                isWhole = true
                break
            }
            bytes += more
        }
        // It may close its output and run on.
        if isWhole, let process = try? SystemCall.openProcess(child) {
            defer { SystemCall.close(process) }
            isWhole = (try? isReady(process)) ?? false
        }
        if !isWhole { kill(child, SIGKILL) }
        let status = try SystemCall.wait(for: child)
        guard isWhole else { throw Errno(rawValue: ETIMEDOUT) }
        guard status == 0 else { throw .ioError }
        return bytes
    }
}
