import ArgumentParser
import ArtifactRecords
import Mirrors
import ObjectStorage

/// `artifactfs mirror restore`
struct MirrorRestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Make a store from a mirror alone.",
        usage: """
            artifactfs mirror restore <name or URL> <target> [--endpoint <url>]
                             [--profile <profile>] [--store <place>]
            """,
        discussion: """
            Brings artifacts to their real paths, former versions, records, ledgers, signatures and the schema, as the newest snapshot has them, \
            with modes and times; they belong to who restores them. Every SHA-256 is compared. The store has its name when it is whole: until then all \
            is in TARGET.restoring, and the same command goes on after it was ended. It is a store of its own: it has a mirror when one is \
            added, with a prefix of its own.

            EXAMPLE:
              artifactfs mirror restore s3://lab-results/spliceai /data/again --profile lab

            EXIT STATUS: 0 done, 1 refused, or something is not what was sent, 2 the bucket cannot be used, 6 another restore is at work, 64 wrong usage.
            """)

    @Argument(help: "s3://BUCKET/PREFIX, gs://BUCKET/PREFIX, or a mirror's name in the store of --store.")
    var source: String
    @Argument(help: "Where the store is to be.", completion: .directory)
    var target: String
    @OptionGroup var server: ServerArguments
    @OptionGroup var store: StoreArguments

    func run() throws {
        try reporting {
            let bucket: Bucket
            if source.contains("://") {
                let place: BucketPlace
                do throws(BucketPlace.URLFault) { place = try BucketPlace(source, endpoint: server.endpoint) } catch {
                    throw Failure(.usage, error.text)
                }
                bucket = try MirrorPlace(store: "", name: "", place: place, profile: server.profile).bucket()
            } else {
                let store = try MirrorPlace.store(of: try store.place())
                bucket = try MirrorPlace.find(source, of: store).bucket()
            }
            let target = try Paths.resolvedDirectory(of: target)
            let (snapshot, bytes) = try MirrorRestore(bucket, to: target).run()
            let count = snapshot.absent.count
            let absent =
                count == 0
                ? ""
                : "; \(count) \(count == 1 ? "artifact is" : "artifacts are") not there: not chosen for the mirror ('artifactfs verify' lists them)"
            Terminal.show(
                "restored \(snapshot.artifacts) artifacts to \(target) (\(ShownText.bytes(bytes)) came now), as of \(snapshot.shownTime)\(absent)"
            )
        }
    }
}
