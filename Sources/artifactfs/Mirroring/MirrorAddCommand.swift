import ArgumentParser
import ObjectStorage

/// `artifactfs mirror add`
struct MirrorAddCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "add",
        abstract: "Take a bucket's prefix for a store.",
        usage: """
            artifactfs mirror add <name> {s3|gs}://<bucket>/<prefix>
                          [--endpoint <url>] [--profile <profile>]
                          [--retain <days>] [--retain-mode governance|compliance]
                          [--store <place>]
            """,
        discussion: """
            Marks the prefix as this store's, and keeps the name, the URL, endpoint and profile in .artifactfs/mirrors; nothing else is \
            sent yet. A prefix that is another store's is refused. Says whether the bucket keeps versions, and for how long.

            With --retain every object is sent with a retention of that many days from then on (Object Lock, x-amz-object-lock-mode and \
            -retain-until-date): until then nobody deletes that version, but who may end it in the mode 'governance' (default), and nobody at all \
            with 'compliance'. A bucket without Object Lock is refused. It is for objects that are sent from now on: those that are there keep what \
            they have, and nothing is prolonged. Adding the mirror again sets it anew. At Google's the bucket alone has a retention.

            EXAMPLE:
              artifactfs mirror add cloud s3://lab-results/spliceai --profile lab

            EXIT STATUS: 0 done, 1 refused, 2 the bucket cannot be used, 3 not a store, 64 wrong usage.
            """)

    @Argument(help: "What the mirror is called here.")
    var name: String
    @Argument(help: "s3://BUCKET/PREFIX, or gs://BUCKET/PREFIX of Google's Cloud Storage.")
    var url: String
    @Option(name: .long, help: "Days for which the server is to keep what is sent (Object Lock).")
    var retain: Int64?
    @Option(name: .long, help: "'governance' or 'compliance'. (default: governance)")
    var retainMode: String?
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
            var mirror = MirrorPlace(store: store, name: name, place: place, profile: server.profile)
            mirror.settings.retention = try retention(place)
            if let known = try? MirrorPlace.find(name, of: store), known.place != place {
                throw Failure(
                    .failed, "'\(name)' is the mirror at \(known.place.url) already: give the other one another name")
            }
            let bucket = try mirror.bucket()
            do throws(StorageFault) { mirror.settings.protection = try bucket.protection() } catch {
                throw Failure(error)
            }
            if mirror.settings.retention != nil { try Self.check(mirror) }
            try MirrorMarker.take(bucket, for: try MirrorPlace.identity(of: store))
            try mirror.keep()
            Terminal.show(
                "\(place.url) is the mirror '\(name)' of \(store): \(mirror.settings.words); "
                    + "'artifactfs mirror push \(name)' sends what is sealed")
        }
    }

    private func retention(_ place: BucketPlace) throws -> ObjectRetention? {
        guard let retain else {
            guard retainMode == nil else { throw Failure(.usage, "--retain-mode goes with --retain DAYS") }
            return nil
        }
        guard place.keepsByRequest else {
            throw Failure(
                .usage,
                "--retain is for S3: at Google's the bucket has a retention, for all that is in it "
                    + "('gcloud storage buckets update --retention-period')")
        }
        guard
            let mode = ObjectRetention.RetentionMode(
                rawValue: retainMode ?? ObjectRetention.RetentionMode.governance.rawValue)
        else { throw Failure(.usage, "--retain-mode \(retainMode ?? ""): that is governance or compliance") }
        guard let retention = ObjectRetention(mode: mode, days: retain) else {
            throw Failure(.usage, "--retain \(retain): that is a number of days from 1 to \(ObjectRetention.longest)")
        }
        return retention
    }

    /// A bucket that keeps nothing for a time is not taken for one that does.
    private static func check(_ mirror: MirrorPlace) throws {
        switch mirror.settings.protection?.lock {
        case .enabled?: break
        case BucketProtection.ObjectLock.none?:
            throw Failure(
                .failed,
                "the bucket \(mirror.place.bucket) has no Object Lock, and would not keep what is sent: take one that was made with it, or "
                    + "leave --retain out")
        case nil:
            let why = mirror.settings.protection?.unknown.map { ": \($0)" } ?? ""
            throw Failure(
                .cannotAnswer,
                "the server does not say whether the bucket \(mirror.place.bucket) has Object Lock\(why); "
                    + "credentials that may ask (s3:GetBucketObjectLockConfiguration) are needed for --retain")
        }
    }
}
