import ArgumentParser
import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs session`
struct SessionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "session",
        abstract: "List, begin and end sessions of development.",
        discussion: """
            What is written below development/current is of a session. A mount begins with one, which everybody has who has begun no \
            other. A job keeps the one that it began with until it ends, whatever is begun meanwhile; so does what it starts. A \
            session is live, on the mount on which it was begun, until it is ended or the mount is.

            EXAMPLES:
              artifactfs session new              begin one; 'mkdir development/ID' does the same
              artifactfs session list             which there are, and whose
              artifactfs session end ID           freeze it
            """,
        subcommands: [SessionListCommand.self, SessionNewCommand.self, SessionEndCommand.self],
        defaultSubcommand: SessionListCommand.self)
}

/// The sessions of a mount, as it shows them.
struct MountSessions {
    /// One of them.
    struct Entry {
        let name: SessionName
        /// Who began it, or owns it; nil when it has no files and has ended.
        let user: UInt32?
        let isLive: Bool
        let isMounts: Bool
        /// Whose `current` it is, as far as who asks may know.
        let currentOf: [UInt32]
    }

    let mount: MountEntry
    private let status: MountStatus

    init(_ place: String) throws {
        let path = try Paths.resolvedDirectory(of: place)
        guard let mount = MountEntry.holding(path) ?? MountEntry.at(path), mount.isArtifacts else {
            throw Failure(
                .cannotAnswer, "\(path) is not on a mount of artifactfs; 'artifactfs status' lists the mounts")
        }
        (self.mount, status) = (mount, try MountStatus.of(mount))
    }

    /// For changes.
    init(changing place: String) throws {
        try self.init(place)
        guard !status.boolean("read_only") else {
            throw Failure(.failed, "the mount at \(mount.mountPoint) is read-only: it has no sessions of its own")
        }
    }

    func path(of name: String) -> String { mount.mountPoint + "/development/" + name }

    /// All of them, or these, the earliest first.
    func entries(_ only: Set<SessionName>? = nil) throws -> [Entry] {
        var live: [SessionName: JSONValue] = [:]
        if case .array(let values)? = status.value["sessions"] {
            for value in values {
                if let name = value["session"]?.string.flatMap(SessionName.init) { live[name] = value }
            }
        }
        let found = Patience.find(on: mount) { () -> [UInt8] in
            let lines =
                (only.map(Array.init) ?? Paths.names(mount.mountPoint + "/development").compactMap(SessionName.init))
                .map { name in
                    let owner = try? SystemCall.attributes(atPath: path(of: name.description)).st_uid
                    return "\(name) \(owner.map(String.init) ?? "")"
                }
            return Array(lines.joined(separator: "\n").utf8)
        }
        guard let found else { throw mount.silence }
        return String(decoding: found, as: UTF8.self).split(separator: "\n").compactMap { line -> Entry? in
            let words = line.split(separator: " ")
            guard let name = words.first.flatMap({ SessionName(String($0)) }) else { return nil }
            let value = live[name]
            var currentOf: [UInt32] = []
            if case .array(let users)? = value?["current_of"] {
                currentOf = users.compactMap { $0.integer.flatMap { UInt32(exactly: $0) } }
            }
            return Entry(
                name: name,
                user: value?["user"]?.integer.flatMap { UInt32(exactly: $0) }
                    ?? words.dropFirst().first.flatMap { UInt32($0) },
                isLive: value != nil, isMounts: value?["is_mounts"] == .bool(true), currentOf: currentOf)
        }.sorted { $0.name < $1.name }
    }
}

/// `artifactfs session list`
struct SessionListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List the sessions that a mount shows: whose, live or ended, and whose current.",
        discussion:
            "Whose current a session is, root and who runs the mount see of everybody, and others of themselves.")

    @Argument(help: "A mount, or a path on it.", completion: .directory)
    var place = "."
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            for entry in try MountSessions(place).entries() {
                if json {
                    print(Self.json(entry).description)
                    continue
                }
                var words = [entry.isLive ? "live" : "ended"]
                if entry.isMounts { words.append("the mount's") }
                if !entry.currentOf.isEmpty {
                    words.append("current of " + entry.currentOf.map { UserName.of($0) }.joined(separator: ", "))
                }
                Terminal.show(
                    "\(entry.name)  \(entry.user.map { UserName.of($0) } ?? "?")  \(words.joined(separator: ", "))",
                    indent: 17)
            }
        }
    }

    private static func json(_ entry: MountSessions.Entry) -> JSONValue {
        let fields: JSONObject = [
            "session": .string(entry.name.description), "uid": entry.user.map { .integer(Int64($0)) } ?? .null,
            "user": entry.user.flatMap { UserName.known($0) }.map { .string($0) } ?? .null, "live": .bool(entry.isLive),
            "is_mounts": .bool(entry.isMounts),
            "current_of": .array(entry.currentOf.map { .integer(Int64($0)) }),
        ]
        return .object(fields)
    }
}

/// `artifactfs session new`
struct SessionNewCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "new", abstract: "Begin a session.",
        discussion: """
            From now on it is development/current for the shell or the script that runs this, and for what this user starts. What \
            runs already keeps its session.
            """)

    @Argument(help: "A mount, or a path on it.", completion: .directory)
    var place = "."
    @Option(name: .long, help: "Its name, YYYYMMDD_HHMMSS; this second, in UTC, when not given.")
    var name: String?

    func run() throws {
        try reporting {
            let sessions = try MountSessions(changing: place)
            if let name {
                guard let parsed = SessionName(name) else {
                    throw Failure(.usage, "'\(name)' is not a session's name: YYYYMMDD_HHMMSS, a date and a time")
                }
                guard try Self.begin(parsed, sessions) else {
                    throw Failure(
                        .failed, "there is or was a session \(name); a name is never used again: leave --name out")
                }
                return Terminal.show(name)
            }
            var second = Int64(Clock.now().tv_sec)
            for _ in 0..<3600 {
                guard let next = SessionName(secondsSince1970: second) else { break }
                if try Self.begin(next, sessions) { return Terminal.show(next.description) }
                second += 1
            }
            throw Failure(.failed, "every name of the hour to come is taken; choose one with --name")
        }
    }

    /// - Returns: false when the name is taken.
    private static func begin(_ name: SessionName, _ sessions: MountSessions) throws -> Bool {
        guard mkdir(sessions.path(of: name.description), 0o777) != 0 else { return true }
        let error = Errno(rawValue: errno)
        if error == .fileExists { return false }
        throw Failure(.failed, "cannot begin the session \(name): \(error)")
    }
}

/// `artifactfs session end`
struct SessionEndCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "end", abstract: "End a session: its files are frozen.",
        discussion: """
            Who began it ends it, or root, or who runs the mount, when nobody has a file of it open to write. Users whose current it \
            is have the mount's own session then, which does not end before the mount. 'setfattr -n user.artifact.state -v frozen \
            development/ID' does the same.

            EXIT STATUS: 0 it has ended, now or before, 1 refused, 2 no such session, 6 somebody writes to it, or it is the mount's own.
            """)

    @Argument(help: "The session's name.")
    var name: String
    @Argument(help: "A mount, or a path on it.", completion: .directory)
    var place = "."

    func run() throws {
        try reporting {
            let sessions = try MountSessions(changing: place)
            guard let session = SessionName(name) else {
                throw Failure(.usage, "'\(name)' is not a session's name: YYYYMMDD_HHMMSS, a date and a time")
            }
            let path = sessions.path(of: session.description)
            switch Self.freeze(path) {
            case .success: break
            case .failure(.noSuchFileOrDirectory):
                throw Failure(.cannotAnswer, "there is no session \(session); 'artifactfs session list' lists them")
            case .failure(let error):
                throw Self.failure(session, error, try sessions.entries().first { $0.name == session })
            }
            Terminal.show("ended \(session)")
        }
    }

    private static func freeze(_ path: String) -> Result<Void, Errno> {
        Array(FileState.frozen.rawValue.utf8).withUnsafeBytes { bytes in
            Result<Void, Errno> { () throws(Errno) in
                try SystemCall.setExtendedAttribute(ArtifactAttribute.state, bytes, ofPath: path, flags: 0)
            }
        }
    }

    private static func failure(_ session: SessionName, _ error: Errno, _ entry: MountSessions.Entry?) -> Failure {
        let verdict = OverwritePolicy.judgeEnd(
            ofMounts: entry?.isMounts ?? false, isLive: true, isOwners: error == .resourceBusy, isInUse: true)
        // The kernel may have asked the directory's modes first.
        let known: [Errno] = [.resourceBusy, .notPermitted, .permissionDenied]
        guard let refusal = verdict.refusal, known.contains(error) else {
            return Failure(.failed, "session \(session) does not end: \(error)")
        }
        return Failure(
            error == .resourceBusy ? .busy : .failed,
            "\(refusal.reason(path: session.description)): \(refusal.wayOut)")
    }
}
