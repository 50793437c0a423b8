import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs promote`
struct PromoteCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "promote",
        abstract: "Publish what is good of a session, all of it or nothing.",
        usage: """
            artifactfs promote <session, run or path> ... [--dry-run]
                   [--check <command>] [--keep] [--store <dir>]
            """,
        discussion: """
            Files and directories become artifacts of production under the same names: every name must be free, every file \
            must pass its type's check, and nobody may have one open to write; then all are published together, or none is. Within a \
            file system no bytes are copied. A session is named by its name or as 'current', a run by its id: all artifacts of its \
            session are meant then, and its metadata and plots go with them, as SESSION.json and SESSION_PLOT.png. Sessions that have ended \
            are promoted from as well, and tests (test/NAME).

            --check runs a command of yours on the artifacts, whose paths follow as arguments, before anything moves; when it fails \
            nothing is promoted.

            When the store's schema names a signing_key, what was published is signed with it then, as by 'artifactfs attest'. What \
            cannot be signed is published all the same: that is said, with exit status 9, and 'artifactfs attest' signs it later.

            EXAMPLES:
              artifactfs promote current --dry-run
              artifactfs promote 20260215_143022 --check 'python check.py'
              artifactfs promote --keep development/current/meta/meta_metrics/*.json

            EXIT STATUS: 0 all are published; 1 refused, and nothing has changed; 2 no such session, run or path; 3 not a \
            store; 8 waited in vain, or the driver ended: whether it was done is not known; 9 published, and not all is signed; 64 wrong usage.
            """)

    @Argument(help: "Sessions, runs, tests, or files of these.", completion: .file())
    var names: [String]
    @Flag(name: .long, help: "Only tell what would be promoted, and what refuses it.")
    var dryRun = false
    @Option(
        name: .long,
        help: "Run by 'sh -c', with the files' paths as arguments; it must end with status 0. The record keeps it.")
    var check: String?
    @Flag(name: .long, help: "Leave the session's files: copies are promoted, which share blocks where they can.")
    var keep = false
    @Option(
        name: .long, help: "The store's directory, or a mount, where one does not stand in it.", completion: .directory)
    var store: String?

    func validate() throws {
        guard !names.isEmpty else { throw ValidationError("Name a session, a run or a file.") }
        if let check, check.isEmpty || check.utf8.count > 4096 {
            throw ValidationError("--check needs a command of at most 4096 bytes.")
        }
    }

    func run() throws {
        try reporting {
            let named = try PromotionNames(names, store: store)
            var plan = named.plan
            plan.keeps = keep
            let place = named.place
            if dryRun {
                let (lines, _) = try place.promote(plan, isTrial: true)
                show(lines)
                try refuse(lines, saying: false)
                return
            }
            if let check {
                let (lines, files) = try place.promote(plan, isTrial: true)
                try refuse(lines, saying: true)
                let paths = try lines.filter { $0.state == "promotable" }.map { try place.location(of: $0.from) }
                try Self.check(check, paths)
                (plan.check, plan.files) = (check, files)
            }
            let (lines, _) = try place.promote(plan, isTrial: false)
            for line in lines where line.state == "promoted" {
                Terminal.show("promoted \(line.from) to \(line.to ?? "?")")
            }
            for line in lines where line.state == "left-out" {
                Terminal.complain("left out: \(line.from): \(line.reason ?? "")")
            }
            try refuse(lines, saying: true)
            try PromotedSignatures(place).sign(lines.filter { $0.state == "promoted" }.compactMap(\.to))
        }
    }

    /// Ends it when something was, or would be, refused.
    ///
    /// - Parameter saying: whether each reason is told.
    private func refuse(_ lines: [PromotionLine], saying: Bool) throws {
        let refused = lines.filter { $0.state == "refused" }
        let some = lines.filter { $0.state != "left-out" }
        guard !some.isEmpty else {
            throw Failure(
                .cannotAnswer, "there is nothing to promote: \(names.joined(separator: ", ")) has no artifacts")
        }
        guard !refused.isEmpty else { return }
        if saying {
            for line in refused { Terminal.complain("\(line.from): \(line.reason ?? "refused")") }
            let published = lines.contains { $0.state == "promoted" }
            Terminal.complain(
                published
                    ? "some names could not be taken back: these are published, nothing else is"
                    : "nothing was promoted: \(refused.count) of \(some.count) were refused")
        }
        throw ExitCode(refused.contains { $0.isMissing } ? Status.cannotAnswer.rawValue : Status.failed.rawValue)
    }

    private func show(_ lines: [PromotionLine]) {
        guard lines.contains(where: { $0.state != "left-out" }) else { return }
        let rows = lines.map { line in
            [line.from, line.to ?? "", line.state == "left-out" ? "" : ShownText.bytes(line.size), line.state].map {
                Terminal.printable($0)
            }
        }
        let table = TextTable(heads: ["FROM", "TO", "SIZE", "STATE"], areNumbers: [false, false, true, false])
        for row in table.lines(rows, keepsEnds: [true, true, false, false], width: Terminal.columns) { print(row) }
        for line in lines { if let reason = line.reason { Terminal.show("\(line.from): \(reason)") } }
    }

    /// Runs the user's own check.
    private static func check(_ command: String, _ paths: [String]) throws {
        let words = ["sh", "-c", command + " \"$@\"", "sh"] + paths
        let outcome = RunningCommand.run(words, environment: [:], patience: 0, started: {})
        guard outcome.status == 0 else {
            throw Failure(
                .failed, "nothing was promoted: the check, \(command), ended with status \(outcome.status)")
        }
    }
}
