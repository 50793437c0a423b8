import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc

/// `artifactfs stale`
struct StaleCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "stale",
        abstract: "List artifacts that were made from what was superseded or retracted.",
        discussion: """
            An artifact is stale when something that it was made from has left its name since, or was made from such, at any depth. \
            Inputs that are only possible do not count, nor does what has its name again with the same bytes. Each comes with what it \
            was made from and with the command that made it, in an order in which they can be made again.

            The ledgers are the store owner's and root's; others see what the mount shows them, which has no former versions.

            EXAMPLES:
              artifactfs stale --store /mnt/art
              artifactfs stale 'type = meta_predictions'
              artifactfs stale chr1.tsv

            EXIT STATUS: 0 nothing is stale; 1 something is; 2 it cannot be looked up; 3 not a store; 64 the query is wrong.
            """)

    @Argument(help: "Paths on a mount or in a store, or a query as of 'artifactfs find'. (default: all)")
    var words: [String] = []
    @OptionGroup var store: StoreArguments
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            let place = try ChosenArtifacts.place(of: words, store)
            guard let path = place.store else {
                throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
            }
            // Who may not read the ledgers is told so.
            _ = try ShownArtifact.openStore(path)
            let wanted = words.isEmpty ? nil : Set(try ChosenArtifacts(place, words: words).all.map(\.path))
            var found: [Catalog.StaleArtifact] = []
            try StorePlace(mount: nil, store: path).asking { found = try $0.stale() }
            let shown = found.filter { wanted?.contains($0.path) ?? true }
            for artifact in shown {
                if json { print(JSONValue.object(Self.json(artifact)).description) } else { Self.show(artifact) }
            }
            guard !shown.isEmpty else {
                if !json { Terminal.show("nothing is stale") }
                return
            }
            throw ExitCode(Status.failed.rawValue)
        }
    }

    private static func show(_ artifact: Catalog.StaleArtifact) {
        Terminal.show(artifact.path)
        for input in artifact.inputs {
            let version = input.version.map { "@\($0)" } ?? ""
            let why = input.left.map { left in
                ", \(left)\(input.time.map { " at \(StoreMoment.text($0).prefix(19))Z" } ?? "")"
            }
            Terminal.show("    was made from \(input.path)\(version)\(why ?? ", which is stale")", indent: 6)
        }
        Terminal.show("    by \(artifact.command ?? "a command that is not known")", indent: 6)
    }

    private static func json(_ artifact: Catalog.StaleArtifact) -> JSONObject {
        let inputs = artifact.inputs.map { input -> JSONValue in
            var all: JSONObject = ["path": .string(input.path)]
            all.add("version", input.version.map { .integer($0) })
            all.add("state", .string(input.left ?? "stale"))
            all.add("left", input.time.map { .string(StoreMoment.text($0)) })
            return .object(all)
        }
        var all: JSONObject = [
            "path": .string(artifact.path), "depth": .integer(Int64(artifact.depth)), "inputs": .array(inputs),
        ]
        all.add("command", artifact.command.map { .string($0) })
        return all
    }
}
