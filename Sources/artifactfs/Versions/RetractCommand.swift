import ArgumentParser
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls

/// `artifactfs retract`
struct RetractCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "retract",
        abstract: "Take artifacts out of production that should not be there.",
        usage: """
            artifactfs retract <path> ... --reason <text> [--store <dir>]
            artifactfs retract --run <id> --reason <text> [--dry-run]
                   [<mount or store>]
            """,
        discussion: """
            The undo for a wrong run that was published: names become free, and what had them stays whole and readable as \
            versions ('artifactfs versions PATH'). All leave together, or none does. Nothing is removed. Who, why and when stands \
            in the ledger.

            The artifacts' owner may do it, root, and whom the schema's may_supersede names. It works on a mount, and on the \
            store itself for its owner.

            EXAMPLES:
              artifactfs retract --reason "wrong input" chr1.tsv chr2.tsv
              artifactfs retract --run 20260215_143022-base-1 \\
                  --reason "trained on the test set" /mnt/art

            EXIT STATUS: 0 done; 1 refused, and nothing has changed; 2 no such path or run; 3 not a store; 8 waited in vain, or the driver ended: whether it was done is not known.
            """)

    @Argument(help: "Paths on a mount, or real paths of artifacts; with --run a mount or a store.", completion: .file())
    var paths: [String] = []
    @OptionGroup var why: ReasonArguments
    @Option(
        name: .customLong("run"),
        help: "All that a run published and that is there still; 'artifactfs runs' lists them.")
    var runID: String?
    @Flag(name: .long, help: "With --run: only tell what would be retracted.")
    var dryRun = false
    @Option(name: .long, help: "The store's directory, where it is not mounted.", completion: .directory)
    var store: String?

    func validate() throws {
        if runID == nil {
            guard !paths.isEmpty else { throw ValidationError("Name an artifact, or a run with --run.") }
            guard !dryRun else { throw ValidationError("--dry-run is for --run.") }
        } else {
            guard runID?.isEmpty == false else { throw ValidationError("--run needs the id of a run.") }
            guard paths.count <= 1 else { throw ValidationError("With --run there is one mount or store.") }
        }
    }

    func run() throws {
        try reporting {
            if let runID { return try retract(runID) }
            let artifacts = try ShownArtifact.find(paths, store: store)
            let place = try UnsealingPlace(of: artifacts)
            try place.unseal(.retracted, artifacts.map(\.path), reason: why.reason)
            for artifact in artifacts { Terminal.show("retracted \(artifact.path)") }
            Terminal.show(
                "what was there is kept: 'artifactfs versions \(Shell.quoted(artifacts.first?.full ?? ""))' says where")
        }
    }

    private func retract(_ run: String) throws {
        let found = try StorePlace.find(paths.first ?? store)
        let place = UnsealingPlace(found)
        // Who may not read the ledgers is told by the driver.
        let all = found.store.flatMap { store in
            (try? ShownArtifact.openStore(store)).flatMap { try? $0.artifacts(ofRun: run) }
        }
        if let all, all.isEmpty {
            throw Failure(
                .cannotAnswer,
                "run \(run) has published nothing that is there still; 'artifactfs runs \(place.argument)' lists the runs"
            )
        }
        if dryRun {
            guard let all else {
                throw Failure(
                    .cannotAnswer,
                    "what run \(run) has published stands in the ledgers, which are their owner's to read")
            }
            for path in all { Terminal.show("would retract \(path)") }
            return
        }
        try place.unseal(.retracted, nil, ofRun: run, reason: why.reason)
        guard let all else { return Terminal.show("retracted what run \(run) had published") }
        for path in all { Terminal.show("retracted \(path)") }
    }
}
