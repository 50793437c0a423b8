import ArgumentParser
import ArtifactRecords

/// `artifactfs mirror recall`
struct MirrorRecallCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recall",
        abstract: "Bring the bytes of evicted artifacts back.",
        usage: """
            artifactfs mirror recall [<path or query> ...] [--store <place>]
            """,
        discussion: """
            Each artifact's bytes come from the mirror that its name says, and are compared with their SHA-256 before it has its name; what differs is not used. Without paths and query it is all that is evicted.

            EXAMPLE:
              artifactfs mirror recall 'type = meta_checkpoints'

            EXIT STATUS: 0 all is here, 1 something is not, 2 the bucket cannot be used, or nothing is found, 3 not a store, 64 wrong usage.
            """)

    @Argument(help: "Paths on a mount or in a store, or a query as of 'artifactfs find'.")
    var words: [String] = []
    @OptionGroup var store: StoreArguments

    func run() throws {
        try reporting {
            let place = try ChosenArtifacts.place(of: words, store)
            let store = try MirrorPlace.store(of: place)
            let chosen = try ChosenArtifacts(place, words: words)
            let eviction = try MirrorEviction(store)
            defer { eviction.close() }
            let sum = try eviction.recall(chosen.all) { _, _ in }
            for problem in sum.problems { Terminal.complain("not brought back: " + problem) }
            let were = sum.wereSo == 0 ? "" : "; \(sum.wereSo) were here"
            Terminal.show(
                "brought back \(sum.count) \(sum.count == 1 ? "artifact" : "artifacts"): \(ShownText.bytes(sum.bytes))\(were)"
            )
            if !sum.problems.isEmpty { throw ExitCode(Status.failed.rawValue) }
        }
    }
}
