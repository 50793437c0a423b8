import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
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
              read write append overwrite truncate rename replace exchange
              remove rmdir link chmod chown setxattr create mkdir symlink mkfifo

            EXAMPLE:
              cd /mnt/art/production/base/analysis_sequences
              artifactfs explain overwrite chr1.tsv
            """)

    @Argument(
        help: "What a program would do.", completion: .list(Action.allCases.map(\.name) + ["append"]))
    var operation: String
    @Argument(help: "A path on a mount; it need not exist.", completion: .file())
    var path: String
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    func run() throws {
        var isAllowed = false
        try reporting {
            let answer = try Question(operation: operation, path: path).answer()
            isAllowed = answer["allowed"] == .bool(true)
            if json { print(answer.description) } else { Self.show(answer) }
        }
        if !isAllowed { throw ExitCode(Status.failed.rawValue) }
    }

    private static func show(_ answer: JSONValue) {
        defer { showKept(answer) }
        guard let errno = answer["errno"]?.string, let rule = answer["rule"]?.string else {
            return Terminal.show("allowed (\(answer["subject"]?.string ?? "?"))")
        }
        let number = Int32(clamping: answer["errno_number"]?.integer ?? 0)
        Terminal.show("refused: \(errno) (\(number), \(String(cString: strerror(number))))", indent: 9)
        Terminal.show("reason:  \(answer["reason"]?.string ?? "?")", indent: 9)
        Terminal.show("rule:    \(rule)", indent: 9)
        let wayOut = answer["way_out"]?.string ?? "?"
        Terminal.show("instead: \(wayOut)", indent: 9)
        guard let names = answer["names"]?.string, !wayOut.contains(names) else { return }
        Terminal.show("names:   \(names)", indent: 9)
    }
}

extension ExplainCommand {
    /// What was kept back of this name.
    private static func showKept(_ answer: JSONValue) {
        guard let kept = answer["kept_back"], let command = kept["command"]?.string else { return }
        let count = kept["count"]?.integer ?? 1
        let which = count == 1 ? "" : "\(count) times, the last "
        Terminal.show(
            "kept:    what was written here before was kept back \(which)at \(kept["time"]?.string ?? "?"): "
                + "\(kept["reason"]?.string ?? KeptPlace.unknownReason); '\(command)' says how to go on", indent: 9)
    }
}

/// An action on a path of a mount. What the rules need to know is looked up on the mount, and the rules are asked as the driver asks
/// them.
private struct Question {
    private let action: Action
    private let path: String
    private let mount: MountEntry
    private let status: MountStatus

    init(operation: String, path: String) throws {
        action = try Self.parse(operation)
        let full = try Paths.resolvedDirectory(of: path)
        guard let mount = MountEntry.holding(full), mount.isArtifacts else {
            throw Failure(
                .cannotAnswer, "\(full) is not on a mount of artifactfs; 'artifactfs status' lists the mounts")
        }
        self.path = full
        self.mount = mount
        status = try MountStatus.of(mount)
    }

    private static func parse(_ text: String) throws -> Action {
        let aliases = [
            "append": "write", "open": "read", "cat": "read", "delete": "remove", "unlink": "remove", "rm": "remove",
            "mv": "rename", "rename-from": "rename", "rename-onto": "replace", "chgrp": "chown", "utimens": "chmod",
            "touch": "chmod", "xattr": "setxattr", "ln": "link", "mknod": "mkfifo", "cp": "overwrite",
        ]
        if let action = Action(name: aliases[text] ?? text) { return action }
        let known = Action.allCases.map(\.name).joined(separator: " ")
        throw Failure(.cannotAnswer, "'\(text)' is not an operation; use one of: \(known)")
    }

    /// The members that `--json` shows.
    func answer() throws -> JSONValue {
        guard let found = Patience.find(on: mount, { Array(judged().description.utf8) }),
            let answer = JSONValue(parsing: found)
        else { throw mount.silence }
        if let problem = answer["problem"]?.string { throw Failure(.cannotAnswer, problem) }
        return answer
    }

    private func judged() -> JSONValue {
        var path = path
        if action.followsLinks,
            (try? SystemCall.attributes(SystemCall.currentDirectory, path))?.isSymbolicLink == true
        {
            guard let target = realpath(path, nil) else { return problem("\(path) is a link to nothing") }
            defer { free(target) }
            path = String(cString: target)
            guard path == mount.mountPoint || path.hasPrefix(mount.mountPoint + "/") else {
                return problem("\(self.path) is a link that leads off the mount, to \(path)")
            }
        }
        let file = mount.mountPoint + "/.artifactfs/schema.yaml"
        guard let text = Paths.contents(file),
            let schema = try? SchemaFile.parse(String(decoding: text, as: UTF8.self), file: file)
        else { return problem("\(file) cannot be read") }
        let facts = MountFacts(
            schema: schema, isReadOnly: status.boolean("read_only"), liveSessions: Set(status.liveSessions),
            isLeaseHeld: status.isLeaseHeld)
        let found = Explanation(
            Paths.rest(of: path, in: mount.mountPoint), on: facts, by: MountSight(root: mount.mountPoint))
        let verdict = found.verdict(action)
        let refusal = verdict.refusal
        var names: String?
        if case .nothing = found.subject, refusal != nil { names = found.place.names?.words }
        let fields: JSONObject = [
            "path": .string(self.path),
            "allowed": .bool(refusal == nil),
            "subject": .string(found.words),
            "errno": refusal.map { .string($0.errnoName) } ?? .null,
            "errno_number": refusal.map { .integer(Int64($0.errno.rawValue)) } ?? .null,
            "rule": refusal.map { .string($0.rule.rawValue) } ?? .null,
            "reason": refusal.map { .string($0.reason(path: self.path)) } ?? .null,
            "way_out": refusal.map { .string($0.wayOut(in: found.place, of: action)) } ?? .null,
            "names": names.map { .string($0) } ?? .null,
            "kept_back": keptBack(Paths.rest(of: path, in: mount.mountPoint)) ?? .null,
        ]
        return .object(fields)
    }

    /// What of a name lies in quarantine, as far as this user may know.
    private func keptBack(_ path: String) -> JSONValue? {
        guard path.hasPrefix("production/") else { return nil }
        let ids = Paths.names(mount.mountPoint + "/" + StoreLayout.quarantineDirectory)
            .filter { !$0.hasSuffix(StoreLayout.reasonSuffix) && QuarantineEntry.isName($0, of: path) }
        guard let newest = ids.max(), let reader = try? QuarantineReader(ofStore: mount.mountPoint),
            let entry = try? reader.entry(newest)
        else { return nil }
        let fields: JSONObject = [
            "id": .string(entry.id), "count": .integer(Int64(ids.count)),
            "time": .string(KeptPlace.time(of: entry)),
            "rule": entry.rule.map { .string($0.rawValue) } ?? .null,
            "reason": entry.reason.map { .string($0) } ?? .null,
            "command": .string("artifactfs recover show \(Shell.quoted(mount.mountPoint)) \(Shell.quoted(path))"),
        ]
        return .object(fields)
    }

    private func problem(_ text: String) -> JSONValue {
        let fields: JSONObject = ["problem": .string(text)]
        return .object(fields)
    }
}

/// Looks at a mount as any program does. Asks the driver.
private struct MountSight: TreeSight {
    let root: String

    private func full(_ path: String) -> String { path.isEmpty ? root : root + "/" + path }

    func kind(of path: String) -> SeenKind {
        do throws(Errno) {
            let found = try SystemCall.attributes(SystemCall.currentDirectory, full(path))
            return switch found.st_mode & S_IFMT {
            case S_IFREG: .plainFile
            case S_IFDIR: .directory
            case S_IFLNK: .symbolicLink
            default: .other
            }
        } catch { return error == .notDirectory ? .belowFile : .nothing }
    }

    func names(in path: String) -> [String] { Paths.names(full(path)) }

    func attribute(_ name: String, of path: String) -> String? {
        (try? SystemCall.extendedAttribute(name, ofPath: full(path))).map { String(decoding: $0, as: UTF8.self) }
    }
}
