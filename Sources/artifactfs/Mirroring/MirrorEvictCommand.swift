import ArgumentParser
import ArtifactRecords

/// `artifactfs mirror evict`
struct MirrorEvictCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "evict",
        abstract: "Remove local bytes of artifacts that a mirror is proved to have.",
        usage: """
            artifactfs mirror evict <path or query> ... [--mirror <name>] [--dry-run]
                             [--store <place>]
            """,
        discussion: """
            Of artifacts that are files, and that the mirror's last snapshot has: the server is asked for size and SHA-256, and where it tells no sum of its \
            own the object is read; the bytes here are read and compared with the record. Then they go, and a link has the name that says where they are. \
            On a mount nothing looks different: who opens such an artifact to read waits until it is back. 'artifactfs mirror recall' brings back without that.

            What is not proved stays, and is told. Directories, former versions and files of metrics stay.

            EXAMPLES:
              artifactfs mirror evict --dry-run 'type = meta_checkpoints'
              artifactfs mirror evict 'size > 1GB sealed before "last month"'
              artifactfs mirror evict production/base/splice_errors/chr1.tsv

            EXIT STATUS: 0 done, 1 something stays, 2 the bucket cannot be used, or nothing is found, 3 not a store, 6 another process is at work, 64 wrong usage.
            """)

    @Argument(help: "Paths on a mount or in a store, or a query as of 'artifactfs find'.")
    var words: [String]
    @Option(name: .long, help: "The mirror. (default: the only one)")
    var mirror: String?
    @Flag(name: .long, help: "Only tell what would go; the bytes here are not read.")
    var dryRun = false
    @OptionGroup var store: StoreArguments

    func run() throws {
        try reporting {
            let place = try ChosenArtifacts.place(of: words, store)
            let store = try MirrorPlace.store(of: place)
            let mirror = try MirrorPlace.find(mirror, of: store)
            // Before the catalog, which has threads.
            let chosen = try ChosenArtifacts(place, words: words)
            let eviction = try MirrorEviction(store)
            defer { eviction.close() }
            let sum = try mirror.alone {
                try eviction.evict(chosen.all, to: mirror, isTried: dryRun) { path, bytes in
                    if dryRun { Terminal.show("would evict \(path) (\(ShownText.bytes(bytes)))") }
                }
            }
            for problem in sum.problems { Terminal.complain("not evicted: " + problem) }
            let were = sum.wereSo == 0 ? "" : "; \(sum.wereSo) were evicted already"
            Terminal.show(
                dryRun
                    ? "would evict \(sum.count) \(sum.count == 1 ? "artifact" : "artifacts"): \(ShownText.bytes(sum.bytes))\(were)"
                    : "evicted \(sum.count) \(sum.count == 1 ? "artifact" : "artifacts"): \(ShownText.bytes(sum.bytes)) are in '\(mirror.name)' only\(were)"
            )
            if !sum.problems.isEmpty { throw ExitCode(Status.failed.rawValue) }
        }
    }
}
