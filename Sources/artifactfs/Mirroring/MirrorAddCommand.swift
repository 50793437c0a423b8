import ArgumentParser
import ObjectStorage

/// `artifactfs mirror add`
struct MirrorAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Take a bucket's prefix for a store.",
        usage: """
            artifactfs mirror add <name> {s3|gs}://<bucket>/<prefix>
                          [--endpoint <url>] [--profile <profile>] [--store <place>]
            """,
        discussion: """
            Marks the prefix as this store's, and keeps the name, the URL, endpoint and profile in .artifactfs/mirrors; nothing else is \
            sent yet. A prefix that is another store's is refused.

            EXAMPLE:
              artifactfs mirror add cloud s3://lab-results/spliceai --profile lab

            EXIT STATUS: 0 done, 1 refused, 2 the bucket cannot be used, 3 not a store, 64 wrong usage.
            """)

    @Argument(help: "What the mirror is called here.")
    var name: String
    @Argument(help: "s3://BUCKET/PREFIX, or gs://BUCKET/PREFIX of Google's Cloud Storage.")
    var url: String
    @OptionGroup var server: ServerArguments
    @OptionGroup var store: StoreArguments

    func run() throws {
        try reporting {
            guard MirrorPlace.isName(name) else {
                throw Failure(.usage, "'\(name)' is no name of a mirror: that has letters, digits, '.', '_' and '-'")
            }
            let store = try MirrorPlace.store(of: try store.place())
            let place: BucketPlace
            do throws(BucketPlace.URLFault) { place = try BucketPlace(url, endpoint: server.endpoint) } catch {
                throw Failure(.usage, error.text)
            }
            let mirror = MirrorPlace(store: store, name: name, place: place, profile: server.profile)
            if let known = try? MirrorPlace.find(name, of: store), known.place != place {
                throw Failure(
                    .failed, "'\(name)' is the mirror at \(known.place.url) already: give the other one another name")
            }
            try MirrorMarker.take(try mirror.bucket(), for: try MirrorPlace.identity(of: store))
            try mirror.keep()
            Terminal.show(
                "\(place.url) is the mirror '\(name)' of \(store); 'artifactfs mirror push \(name)' sends what is sealed"
            )
        }
    }
}
