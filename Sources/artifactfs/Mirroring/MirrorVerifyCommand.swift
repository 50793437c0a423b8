import ArgumentParser
import ArtifactRecords
import Mirrors
import ObjectStorage

/// `artifactfs mirror verify`
struct MirrorVerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "See that a mirror has all that its newest snapshot needs.",
        discussion: """
            Asks the server for every object's size and SHA-256; --read reads all bytes, and trusts nothing that the server says. Where something \
            is missing, the next push sends it again. Where the bucket keeps versions, the one that was sent counts, and one that somebody put \
            over it, or over which it was deleted, is told.

            EXAMPLE:
              artifactfs mirror verify cloud --read

            EXIT STATUS: 0 all is there, 1 something is not, 2 the bucket cannot be used, 3 not a store.
            """)

    @Argument(help: "The mirror. (default: the only one)")
    var name: String?
    @Flag(name: .long, help: "Read all bytes.")
    var read = false
    @OptionGroup var store: StoreArguments

    func run() throws {
        try reporting {
            let store = try MirrorPlace.store(of: try store.place())
            let mirror = try MirrorPlace.find(name, of: store)
            let identity = try MirrorPlace.identity(of: store)
            let (snapshot, sum) = try MirrorCheck(bucket: try mirror.bucket()).run(of: identity, reads: read)
            for problem in sum.problems + sum.notes { Terminal.complain(problem) }
            for loss in try MirrorLosses(of: mirror, snapshot, sum.keys).words { Terminal.complain(loss) }
            if !sum.problems.isEmpty { try mirror.alone { mirror.forget() } }
            let differing = sum.problems.isEmpty ? "" : "; \(sum.problems.count) are not"
            Terminal.show(
                "\(sum.whole) objects of snapshot \(snapshot.number) are what was sent (\(ShownText.bytes(sum.bytes)))\(differing)"
            )
            if !sum.problems.isEmpty { throw ExitCode(Status.failed.rawValue) }
        }
    }
}
