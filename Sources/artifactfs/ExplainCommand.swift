import ArgumentParser
import ArtifactStore
import Artifacts
import CLinux
import Glibc
import SystemPackage

/// `artifactfs explain`
struct ExplainCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "explain",
        abstract: "Say whether an operation is allowed, by which rule, and what to do instead.",
        discussion: """
            Asks the same rules that the mount asks, and changes nothing. The kernel's permission check (modes, owners) comes \
            before these rules and is not part of the answer.

            OPERATIONS:
              read write append overwrite truncate rename replace exchange remove link chmod setxattr
              create mkdir symlink mkfifo

            EXAMPLE:
              artifactfs explain overwrite /mnt/art/production/base/analysis_sequences/chr1.tsv
            """)

    @Argument(
        help: "What a program would do.",
        completion: .list(Operation.allCases.map(\.rawValue) + Creation.allCases.map(\.rawValue) + ["append"]))
    var operation: String
    @Argument(help: "A path on a mount; it need not exist.", completion: .file())
    var path: String
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    func run() throws {
        var verdict = Verdict.allowed
        try reporting {
            let question = try Question(operation: operation, path: path)
            verdict = question.verdict
            question.show(asJSON: json)
        }
        if verdict != .allowed { throw ExitCode(Status.failed.rawValue) }
    }
}

/// An operation on a path of a mount, with what the rules need to know.
private struct Question {
    enum Asked {
        case operation(Operation)
        case creation(Creation)
    }

    let asked: Asked
    let path: String
    let subject: String
    let verdict: Verdict
    let place: Place
    let hint: String?

    init(operation: String, path: String) throws {
        asked = try Self.parse(operation)
        let full = try Paths.resolvedDirectory(of: path)
        guard let mount = MountEntry.holding(full), mount.isArtifacts else {
            throw Failure(
                .cannotAnswer, "\(full) is not on a mount of artifactfs; 'artifactfs status' lists the mounts")
        }
        self.path = full
        let root = mount.mountPoint
        let status = try MountStatus.of(mount)
        guard let schemaText = Patience.find({ Paths.contents(root + "/.artifactfs/schema.yaml") ?? [] }) else {
            throw mount.silence
        }
        let schema = try SchemaFile.parse(
            String(decoding: schemaText, as: UTF8.self), file: root + "/.artifactfs/schema.yaml")
        let relative = Self.follow(String(full.dropFirst(root.utf8.count)), status)
        let (location, rest) = schema.locate(relative)
        place = location.place
        let standing = Self.standing(of: location.scope, status)
        if status.boolean("read_only"), !Self.onlyReads(asked) {
            throw Failure(.failed, "the mount at \(root) is read-only: the kernel answers EROFS to every change")
        }
        var info = stat()
        let exists = lstat(full, &info) == 0

        switch asked {
        case .creation(let creation):
            (verdict, subject, hint) = Self.judge(
                creation, exists, info, location, rest, standing, Self.state(of: full, location, standing))
        case .operation(let operation):
            if rest.isEmpty {
                verdict =
                    operation == .openToRead
                    ? .allowed : .refused(Refusal(.notPermitted, .fixedDirectory))
                (subject, hint) = ("a directory of the tree", nil)
            } else if exists {
                let state = Self.state(of: full, location, standing)
                let isOrdinary = location.place == .ordinaryTree
                let facts = Facts(isSameUser: info.st_uid == geteuid(), isInOrdinaryTree: isOrdinary)
                verdict = OverwritePolicy.judge(operation, on: state, facts: facts)
                (subject, hint) = ("\(state.rawValue)", nil)
            } else if operation == .openTruncating || operation == .openToWrite || operation == .renameOnto {
                (verdict, subject, hint) = Self.judge(.file, false, info, location, rest, standing, .live)
            } else {
                throw Failure(.cannotAnswer, "\(full) does not exist")
            }
        }
    }

    private static func parse(_ text: String) throws -> Asked {
        let aliases = [
            "append": "write", "open": "read", "cat": "read", "delete": "remove", "unlink": "remove", "rm": "remove",
            "mv": "rename", "rename-from": "rename", "rename-onto": "replace", "chown": "chmod", "utimens": "chmod",
            "touch": "chmod", "xattr": "setxattr", "ln": "link", "mknod": "mkfifo", "cp": "overwrite",
        ]
        let name = aliases[text] ?? text
        if let operation = Operation(rawValue: name) { return .operation(operation) }
        if let creation = Creation(rawValue: name) { return .creation(creation) }
        let known = Operation.allCases.map(\.rawValue) + Creation.allCases.map(\.rawValue)
        throw Failure(.cannotAnswer, "'\(text)' is not an operation; use one of: \(known.joined(separator: " "))")
    }

    private static func onlyReads(_ asked: Asked) -> Bool {
        if case .operation(.openToRead) = asked { true } else { false }
    }

    /// `development/current` stands for the mount's session.
    private static func follow(_ relative: String, _ status: MountStatus) -> String {
        let link = "/development/current"
        guard let session = status.string("session"), relative == link || relative.hasPrefix(link + "/") else {
            return relative
        }
        return "/development/" + session + relative.dropFirst(link.utf8.count)
    }

    private static func standing(of scope: Scope?, _ status: MountStatus) -> Standing {
        switch scope {
        case .session(let name): status.string("session") == name.description ? .live : .frozen
        case .test: .live
        case .production, nil: .production
        }
    }

    /// The driver's own word for a file's state, or what its place says.
    private static func state(of path: String, _ location: TreeLocation, _ standing: Standing) -> FileState {
        var buffer = [UInt8](repeating: 0, count: 64)
        let count = clinux_getxattr(path, "user.artifact.state", &buffer, buffer.count)
        if count > 0, let state = FileState(rawValue: String(decoding: buffer[..<count], as: UTF8.self)) {
            return state
        }
        return OverwritePolicy.stateOfPublished(in: standing)
    }

    private static func judge(
        _ creation: Creation, _ exists: Bool, _ info: stat, _ location: TreeLocation, _ rest: [String],
        _ standing: Standing, _ state: FileState
    ) -> (Verdict, String, String?) {
        var hint: String?
        if let names = location.place.names { hint = names.words }
        guard let name = rest.first else {
            return (.refused(Refusal(.fileExists, .fixedDirectory)), "a directory of the tree", hint)
        }
        if exists, creation == .file {
            return (OverwritePolicy.judge(.openTruncating, on: state), state.rawValue, nil)
        }
        if location.place != .ordinaryTree, rest.count > 1 {
            return (.refused(Refusal(.invalidArgument, .unknownDirectory)), "a name below no directory", hint)
        }
        let named = OverwritePolicy.classify(name, in: location.place)
        let verdict = OverwritePolicy.judge(creation, named: named, in: location.place, standing: standing)
        switch named {
        case .artifact: return (verdict, "a new name", verdict == .allowed ? nil : hint)
        case .transient: return (verdict, "a temporary name, never published as such", nil)
        case .invalid: return (verdict, "no name of this directory", hint)
        }
    }

    func show(asJSON: Bool) {
        let refusal = verdict.refusal
        if asJSON {
            let fields: JSONObject = [
                "path": .string(path),
                "allowed": .bool(refusal == nil),
                "subject": .string(subject),
                "errno": refusal.map { .string($0.errnoName) } ?? .null,
                "rule": refusal.map { .string($0.rule.rawValue) } ?? .null,
                "reason": refusal.map { .string($0.reason(path: path)) } ?? .null,
                "way_out": refusal.map { .string($0.wayOut(in: place)) } ?? .null,
                "names": hint.map { .string($0) } ?? .null,
            ]
            print(JSONValue.object(fields).description)
            return
        }
        guard let refusal else {
            print("allowed (\(subject))")
            return
        }
        print("refused: \(refusal.errnoName) (\(refusal.errno.rawValue), \(refusal.errno))")
        print("reason:  \(Terminal.printable(refusal.reason(path: path)))")
        print("rule:    \(refusal.rule.rawValue)")
        let wayOut = refusal.wayOut(in: place)
        print("instead: \(wayOut)")
        if let hint, !wayOut.contains(hint) { print("names:   \(hint)") }
    }
}
