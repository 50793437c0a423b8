import ArtifactRecords
import Glibc
import Provenance
import SystemCalls
import SystemPackage
import TestSupport
import Testing

/// A directory in which the real git makes repositories, and is asked what it says of them.
final class Repository: Sendable {
    /// Where everything is; scripts run here.
    let path: String
    private let directory: TemporaryDirectory

    /// What makes git independent of the machine's configuration, and its commits the same every time.
    static let environment = [
        "GIT_CONFIG_NOSYSTEM": "1", "GIT_CONFIG_GLOBAL": "/dev/null", "GIT_CEILING_DIRECTORIES": "/tmp:/dev/shm",
        "GIT_AUTHOR_NAME": "a", "GIT_AUTHOR_EMAIL": "a@example.org", "GIT_COMMITTER_NAME": "c",
        "GIT_COMMITTER_EMAIL": "c@example.org", "GIT_AUTHOR_DATE": "2026-01-01T00:00:00Z",
        "GIT_COMMITTER_DATE": "2026-01-01T00:00:00Z", "GIT_OPTIONAL_LOCKS": "0", "LC_ALL": "C",
        "GIT_CONFIG_COUNT": "3", "GIT_CONFIG_KEY_0": "init.defaultBranch", "GIT_CONFIG_VALUE_0": "main",
        "GIT_CONFIG_KEY_1": "protocol.file.allow", "GIT_CONFIG_VALUE_1": "always",
        "GIT_CONFIG_KEY_2": "advice.detachedHead", "GIT_CONFIG_VALUE_2": "false",
    ]

    /// What many tests begin with, made once; removed when the process ends, as nothing lets go of it before.
    private static let templates: [(script: String, made: Repository, goesOn: String)] = {
        atexit { Repository.removeTemplates() }
        return [(IdentityTests.plain, ""), (ChangeTests.base, "cd r\n")].compactMap { script, goesOn in
            (try? Repository(withoutTemplate: script)).map { (script, $0, goesOn) }
        }
    }()

    private static func removeTemplates() {
        _ = try? TestSupport.run(["rm", "-rf", "--"] + templates.map(\.made.path))
    }

    /// - Parameter script: makes it all, with bash, in an empty directory.
    convenience init(_ script: String = "") throws {
        var script = script
        if let template = Self.templates.first(where: { script.hasPrefix($0.script) }) {
            // git looks at the copies, so it is as if it had made them.
            script =
                "cp -r '\(template.made.path)/r' .; git -C r update-index -q --refresh\n" + template.goesOn
                + script.dropFirst(template.script.count)
        }
        try self.init(withoutTemplate: script)
    }

    private init(withoutTemplate script: String) throws {
        directory = try TemporaryDirectory()
        path = directory.path
        try run(script)
    }

    /// Runs a script here; it must succeed.
    func run(_ script: String, sourceLocation: SourceLocation = #_sourceLocation) throws {
        let outcome = try shell("set -e\n" + script, in: path, environment: Self.environment)
        try #require(outcome.succeeded, "\(outcome)", sourceLocation: sourceLocation)
    }

    /// What git says, without the line's end; nil when it fails.
    func git(_ arguments: String..., in place: String) throws -> String? {
        let outcome = try TestSupport.run(
            ["git"] + arguments, environment: Self.environment, directory: path + "/" + place)
        return outcome.succeeded ? outcome.output.split(separator: "\n").joined(separator: "\n") : nil
    }

    /// What git says of a directory.
    func told(of place: String) throws -> ArtifactRecord.Code {
        var code = ArtifactRecord.Code()
        // In a repository itself there is no working tree.
        code.path =
            try git("rev-parse", "--show-toplevel", in: place) ?? git("rev-parse", "--absolute-git-dir", in: place)
        code.commit = try git("rev-parse", "--verify", "-q", "HEAD", in: place)
        let branch = try git("branch", "--show-current", in: place)
        code.branch = branch == "" ? nil : branch
        code.role = "cwd"
        return code
    }

    /// What is read of it.
    func read(
        _ place: String = "", by repositories: GitRepositories = GitRepositories(), as rights: UserRights = .own,
        changes: LookForChanges = .no
    ) -> ArtifactRecord.Code? {
        repositories.code(forDirectory: FilePath(path + "/" + place), role: .cwd, for: rights, changes: changes)
    }

    /// Whether tracked files differ, as git says.
    func isChanged(_ place: String) throws -> Bool {
        let status = try TestSupport.run(
            ["git", "status", "--porcelain", "--untracked-files=no"], environment: Self.environment,
            directory: path + "/" + place)
        try #require(status.succeeded, "\(place): \(status)")
        return !status.output.isEmpty
    }

    /// Whether tracked files differ, as it is read.
    func readChanged(_ place: String, by repositories: GitRepositories = GitRepositories()) -> Bool? {
        read(place, by: repositories, changes: .yes(home: FilePath(path)))?.dirty
    }
}
