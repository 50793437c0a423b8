import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs wait`
struct WaitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "wait",
        abstract: "Wait until artifacts are sealed, or known not to be.",
        discussion: """
            A file that was closed is published when those who made it have ended well. This waits for that: of the files that are \
            named, or with a mount's directory of all that was closed on it. A file that is still being written is waited for too.

            EXIT STATUS: 0 all is sealed, 1 something was kept back (each is named with its reason), 2 no such path, 8 waited in vain.

            EXAMPLE:
              make_table > mnt/production/base/analysis_sequences/chr1.tsv
              artifactfs wait mnt/production/base/analysis_sequences/chr1.tsv && echo sealed
            """)

    @Argument(
        help: "Files of a mount, or a directory on it for all; the working directory when not given.",
        completion: .file())
    var paths: [String] = ["."]
    @Option(name: .long, help: "For how many seconds at most.")
    var timeout = 3600

    func run() throws {
        var isWhole = true
        try reporting {
            let end =
                Clock.monotonic()
                &+ UInt64(clamping: max(0, timeout)).multipliedReportingOverflow(by: 1_000_000_000).partialValue
            for path in paths where try !Self.wait(for: path, until: end) { isWhole = false }
        }
        if !isWhole { throw ExitCode(Status.failed.rawValue) }
    }

    /// - Returns: whether nothing was kept back.
    private static func wait(for path: String, until end: UInt64) throws -> Bool {
        let full = try Paths.resolvedDirectory(of: path)
        guard let mount = MountEntry.holding(full), mount.isArtifacts else {
            throw Failure(
                .cannotAnswer, "\(full) is not on a mount of artifactfs; 'artifactfs status' lists the mounts")
        }
        let left = Int64(clamping: (end > Clock.monotonic() ? end - Clock.monotonic() : 0) / 1_000_000)
        // In a process of its own: a driver that is stopped does not answer.
        guard let found = Patience.find(within: left, on: mount, { Array(settled(full, on: mount).description.utf8) }),
            let answer = JSONValue(parsing: found)
        else {
            throw Failure(
                .silent, "\(full) was not settled in time; 'artifactfs status \(mount.mountPoint)' says who writes")
        }
        if let problem = answer["problem"]?.string { throw Failure(.cannotAnswer, problem) }
        guard case .array(let kept)? = answer["kept"] else { return true }
        for line in kept { Terminal.complain(line.string ?? "") }
        if answer["is_in_quarantine"] == .bool(true) {
            Terminal.complain(
                "'artifactfs recover list \(Shell.quoted(mount.mountPoint))' lists what was kept back, and how to go on"
            )
        }
        return kept.isEmpty
    }

    /// Looks until there is nothing to wait for.
    private static func settled(_ path: String, on mount: MountEntry) -> JSONValue {
        func answer(_ told: [Told]) -> JSONValue {
            let fields: JSONObject = [
                "kept": .array(told.map { .string($0.text) }),
                "is_in_quarantine": .bool(isInQuarantine(told, on: mount)),
            ]
            return .object(fields)
        }
        // A directory that is an artifact has a state of its own.
        let isDirectory =
            (try? SystemCall.attributes(atPath: path))?.isDirectory == true
            && (try? SystemCall.extendedAttribute(ArtifactAttribute.state, ofPath: path)) == nil
        let inProduction = Paths.rest(of: path, in: mount.mountPoint).hasPrefix(Mode.production.rawValue + "/")
        var wasThere = false
        var looks = 0
        while true {
            if isDirectory {
                guard let text = Paths.contents(mount.mountPoint + "/.artifactfs/status.json"),
                    let status = JSONValue(parsing: text)
                else { return .object(["problem": .string("\(mount.mountPoint) does not say how it is")]) }
                if status["read_only"] == .bool(true) { return answer([]) }
                if ["writing", "settling", "held", "publishing"].allSatisfy({ status[$0]?.integer ?? 0 == 0 }) {
                    return answer(refusals(of: nil, on: mount))
                }
            } else {
                let state = try? SystemCall.extendedAttribute(ArtifactAttribute.state, ofPath: path)
                switch state.map({ String(decoding: $0, as: UTF8.self) }) {
                case "writing", "settling", "held", "sealing": wasThere = true
                // It is back in its session, and its name here is found for a moment still.
                case "live" where inProduction && looks < 100: looks += 1
                case nil where (try? SystemCall.attributes(SystemCall.currentDirectory, path)) == nil:
                    let kept = refusals(of: Paths.rest(of: path, in: mount.mountPoint), on: mount)
                    // It is told a moment after its name is gone.
                    looks += 1
                    if kept.isEmpty, looks < 100, isPublishing(mount) { break }
                    if kept.isEmpty, !wasThere { return .object(["problem": .string("\(path) is not there")]) }
                    let rest = Paths.rest(of: path, in: mount.mountPoint)
                    return answer(kept.isEmpty ? [(rest, "\(path) was kept back or removed")] : kept)
                default: return answer([])
                }
            }
            usleep(20_000)
        }
    }

    private static func isPublishing(_ mount: MountEntry) -> Bool {
        let status = Paths.contents(mount.mountPoint + "/.artifactfs/status.json").flatMap { JSONValue(parsing: $0) }
        return (status?["publishing"]?.integer ?? 0) > 0
    }

    /// Whether bytes of what was not published are in quarantine: what was promoted may be back where it was.
    private static func isInQuarantine(_ told: [Told], on mount: MountEntry) -> Bool {
        guard !told.isEmpty else { return false }
        let names = Paths.names(mount.mountPoint + "/" + StoreLayout.quarantineDirectory)
        return told.contains { told in names.contains { QuarantineEntry.isName($0, of: told.path) } }
    }

    /// What was not published, by its path from the mount point, in words.
    private typealias Told = (path: String, text: String)

    /// What was not published, with its reasons: the last of a path, or all.
    private static func refusals(of path: String?, on mount: MountEntry) -> [Told] {
        let lines = Paths.contents(mount.mountPoint + "/.artifactfs/denials.jsonl") ?? []
        let told = lines.split(separator: UInt8(ascii: "\n")).compactMap { line -> Told? in
            guard let denial = JSONValue(parsing: line),
                denial["operation"]?.string == "publish" || denial["operation"]?.string == "close",
                let place = denial["path"]?.string
            else { return nil }
            return (place, "\(place): \(denial["detail"]?.string ?? denial["reason"]?.string ?? "it was refused")")
        }
        guard let path else { return told }
        return told.last { $0.path == path }.map { [$0] } ?? []
    }
}
