import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts

/// `artifactfs recover publish`
struct RecoverPublishCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Publish what was kept back, after every check.",
        usage: """
            artifactfs recover publish <place> [<id> ...] [--run <id>]
                   [--as <path>] [--despite <reason>]
            """,
        discussion: """
            Nothing is replaced, and what its check refuses is never published. What a failed or killed program left may be cut \
            where no check sees it, so it needs --despite with the reason why it is whole, which the record keeps.

            Several are published together, all of them or none, and so is what a run has left that was all or nothing: every \
            name must be free and every check passed. What refuses one is told of each.
            """)

    @Argument(help: "A mount, a path on it, or a store's directory.", completion: .directory)
    var place: String
    @Argument(
        help: "Names in quarantine, their beginnings, or artifacts' paths. Not needed after an artifact's path.")
    var ids: [String] = []
    @Option(name: .customLong("run"), help: "All that was kept back of this run, together.")
    var ofRun: String?
    @Option(
        name: .customLong("as"),
        help: "Publish it as this path of the mount, such as production/base/splice_errors/chr1.tsv.")
    var newPath: String?
    @Option(name: .long, help: "Why it is whole although its program failed.")
    var despite: String?

    func validate() throws {
        guard ofRun == nil || ids.isEmpty else { throw ValidationError("Name entries, or a run with --run.") }
        guard newPath == nil || ids.count < 2 && ofRun == nil else {
            throw ValidationError("--as is for one artifact.")
        }
        guard let despite else { return }
        guard KeptBytes.isReason(despite), despite.utf8.count <= KeptBytes.longestReason else {
            throw ValidationError("--despite needs a reason of at most \(KeptBytes.longestReason) bytes.")
        }
    }

    func run() throws {
        try reporting {
            let place = try KeptPlace(self.place)
            let entries = try entries(place)
            guard let entry = entries.first, entries.count == 1, !entry.isRun, ofRun == nil else {
                guard newPath == nil else {
                    throw Failure(
                        .cannotAnswer, "\(ids.first ?? "that") is all that a run made; --as is for one artifact")
                }
                return try publishTogether(entries, place)
            }
            let path = newPath.map(place.relative) ?? entry.path
            try place.publish(entry, as: path, despite: despite)
            Terminal.show("published \(path)")
        }
    }

    private func entries(_ place: KeptPlace) throws -> [QuarantineEntry] {
        if let run = ofRun {
            let found = try place.entries().filter { $0.record.run?.id == run }
            guard !found.isEmpty else {
                throw Failure(
                    .cannotAnswer,
                    "nothing was kept back of run \(run); 'artifactfs recover list \(place.argument)' lists what there is"
                )
            }
            return found
        }
        guard !ids.isEmpty else { return [try place.find(nil)] }
        var entries: [QuarantineEntry] = []
        for id in ids {
            let entry = try place.find(id)
            if !entries.contains(where: { $0.id == entry.id }) { entries.append(entry) }
        }
        return entries
    }

    private func publishTogether(_ entries: [QuarantineEntry], _ place: KeptPlace) throws {
        var plan = PromotionPlan()
        (plan.kept, plan.despite) = (entries, despite)
        let (lines, _) = try PromotingPlace(mount: place.mount, store: place.mount == nil ? place.path : nil)
            .promote(plan, isTrial: false)
        for line in lines where line.state == "promoted" { Terminal.show("published \(line.to ?? line.from)") }
        let refused = lines.filter { $0.state == "refused" }
        guard !refused.isEmpty || lines.isEmpty else { return }
        for line in refused { Terminal.complain("\(line.from): \(line.reason ?? "refused")") }
        let some = lines.filter { $0.state == "promoted" }.count
        Terminal.complain(
            some > 0
                ? "some names could not be taken back: these are published, nothing else is"
                : "nothing was published: \(refused.count) of \(lines.count) were refused; it stays in quarantine")
        throw ExitCode(
            refused.contains { $0.isMissing } || lines.isEmpty ? Status.cannotAnswer.rawValue : Status.failed.rawValue)
    }
}
