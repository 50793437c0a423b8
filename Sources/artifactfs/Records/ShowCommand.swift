import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import SystemCalls
import SystemPackage

/// Which artifact a command is about.
struct ArtifactArguments: ParsableArguments {
    @Argument(
        help: "A path on a mount, or the real path of an artifact. With --store also a path as the mount shows it.",
        completion: .file())
    var path: String
    @Option(name: .long, help: "The store's directory, where it is not mounted.", completion: .directory)
    var store: String?

    func find() throws -> ShownArtifact { try ShownArtifact.find(path, store: store) }
}

/// `artifactfs show`
struct ShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show who made an artifact, when, with which code and from what.",
        discussion: """
            Prints the artifact's record: what the store knows of it. What is not known is said to be so. Inputs come with how \
            they are known; those that are only possible are listed with --possible. Of a name whose bytes were kept back it \
            shows what was kept.

            EXAMPLE:
              cd /mnt/art/production/base/analysis_sequences
              artifactfs show chr1.tsv
              artifactfs show --json chr1.tsv | jq .inputs

            EXIT STATUS: 0 there is a record, 1 nothing is known of it, 2 no such path, or it cannot be looked up, 3 not a store, \
            8 waited in vain.
            """)

    @OptionGroup var artifact: ArtifactArguments
    @Flag(name: .long, help: "Print the record, one JSON object.")
    var json = false
    @Flag(name: .long, help: "List inputs too that are only possible.")
    var possible = false

    func run() throws {
        try reporting {
            let artifact = try artifact.find()
            guard artifact.isInProduction else { throw try Self.withoutRecord(artifact) }
            let (record, state) = try Self.find(artifact)
            if json {
                print(JSONValue.object(record.json))
            } else {
                let page = RecordPage(
                    record, state: state, showsPossible: possible, proved: Self.proved(record, artifact.store),
                    keys: Self.keys(record, artifact.store), mirrored: Self.mirrored(record, artifact.store))
                print(page.text, terminator: "")
            }
        }
    }

    /// When it was proved last that the bytes of a record are there.
    static func proved(_ record: ArtifactRecord, _ store: String?) -> Int64? {
        guard let store, let path = record.artifact.path, let sha256 = record.artifact.sha256 else { return nil }
        return ProofBook.time(of: path, sha256: sha256, in: store)
    }

    /// The names of the keys that have signed what a record is of, where this user may know.
    private static func keys(_ record: ArtifactRecord, _ store: String?) -> [String] {
        guard let store, AttestedRecords.canRead(store), let path = record.artifact.path,
            let sha256 = record.artifact.sha256, let opened = try? ShownArtifact.openStore(store)
        else { return [] }
        return (try? opened.signingKeys(path: path, sha256: sha256)) ?? []
    }

    /// Where mirrors have what a record is of, each as it was noted last, in a store that has mirrors and where this user may know.
    private static func mirrored(_ record: ArtifactRecord, _ store: String?) -> [String] {
        guard let store, AttestedRecords.canRead(store), let path = record.artifact.path,
            let sha256 = record.artifact.sha256,
            !Paths.names("\(store)/\(StoreLayout.privateDirectory)/mirrors").isEmpty,
            let opened = try? ShownArtifact.openStore(store),
            let all = try? opened.withLedgers({ try $0.mirrored(path) })
        else { return [] }
        var last: [String: (time: String, words: String)] = [:]
        for (line, mirrored) in all {
            // What the key has is the artifact's own: of one that is a directory, each file has another.
            let objects = mirrored.objects(of: path).filter { $0.key.split(separator: "/").contains { $0 == sha256 } }
            if objects.isEmpty || line.time < last[mirrored.url]?.time ?? "" { continue }
            last[mirrored.url] = (line.time, HistoryCommand.words(for: objects, of: mirrored))
        }
        return last.values.sorted { $0.time < $1.time }.map { "\($0.words), at \($0.time.prefix(19))Z" }
    }

    /// What is to be shown, and its state in words.
    static func find(_ artifact: ShownArtifact) throws -> (ArtifactRecord, state: String) {
        let (found, state) = (try artifact.found(), try artifact.state())
        if found != nil, let state, state != "sealed" { throw unpublished(artifact, state) }
        if found != nil, let record = try artifact.shownRecord() {
            return (record, try artifact.evictedTo().map(Self.evicted) ?? "sealed")
        }
        if found == nil, let kept = try artifact.keptBack() {
            guard kept.isRun else { return (kept.record, Self.keptBack(kept.reason, artifact)) }
            // It is there with others, and nothing more is known of it.
            var record = ArtifactRecord(path: artifact.path)
            record.run = kept.record.run
            return (record, Self.keptBack(kept.reason, artifact, as: String(kept.id.prefix { $0 != "-" })))
        }
        let history = try artifact.history()
        if let kept = history.kept, found == nil { return (kept.record, Self.keptBack(kept.reason, artifact)) }
        guard let record = history.sealed else { throw nothing(of: artifact, isThere: found != nil) }
        guard let found else { return (record, Self.gone(history, artifact)) }
        if ListedPlace.isEvicted(found, artifact.full), let mark = EvictionMark(atPath: artifact.full) {
            return (record, Self.evicted(mark.mirror))
        }
        // A directory's own size says nothing of what is in it.
        if !found.isDirectory, let size = record.artifact.size, size != Int64(found.st_size) {
            return (record, "not what was sealed: what is there now has \(found.st_size) bytes")
        }
        return (record, "sealed")
    }

    private static func evicted(_ mirror: String) -> String {
        "sealed; its bytes are in the mirror '\(mirror)' and not here: who opens it on a mount brings them back"
    }

    /// What became of what was sealed.
    private static func gone(_ history: PathHistory, _ artifact: ShownArtifact) -> String {
        guard let (left, time) = history.unsealed else { return "it was sealed, and is not there any more" }
        let who =
            left.uid == Int64(UInt32(clamping: left.uid)) ? UserName.of(UInt32(clamping: left.uid)) : "\(left.uid)"
        if let removed = history.removed[left.version] {
            return """
                \(left.unsealing.rawValue) at \(time.prefix(19))Z by \(who), as version \(left.version): \(left.reason); \
                \(VersionRemoval.words(time: removed.time)): \(removed.reason)
                """
        }
        return """
            \(left.unsealing.rawValue) at \(time.prefix(19))Z by \(who), as version \(left.version): \(left.reason); \
            'artifactfs versions \(Shell.quoted(artifact.full))' says where it is
            """
    }

    private static func keptBack(_ reason: String?, _ artifact: ShownArtifact, as id: String? = nil) -> String {
        let place = artifact.mount?.mountPoint ?? artifact.store ?? ""
        let command = "artifactfs recover show \(Shell.quoted(place)) \(Shell.quoted(id ?? artifact.path))"
        return "kept back: \(reason ?? KeptPlace.unknownReason); '\(command)' says how to go on"
    }

    private static func unpublished(_ artifact: ShownArtifact, _ state: String) -> Failure {
        let wait = "'artifactfs wait \(Shell.quoted(artifact.full))' waits for that"
        return Failure(
            .failed,
            "\(artifact.full) has no record yet: it is \(state == "empty" ? "empty, and" : "\(state);") "
                + "it gets one when it is sealed; \(wait)")
    }

    private static func nothing(of artifact: ShownArtifact, isThere: Bool) -> Failure {
        isThere
            ? Failure(
                .failed,
                "nothing is known of \(artifact.full): it is there, and no ledger of the store tells of it; "
                    + "it came to its real path without the driver")
            : Failure(.cannotAnswer, "\(artifact.full) is not there, and no ledger of the store tells of it")
    }

    /// What can be said of a file that is not in production.
    private static func withoutRecord(_ artifact: ShownArtifact) throws -> Failure {
        guard let found = try artifact.found() else {
            return Failure(.cannotAnswer, "\(artifact.full) is not there")
        }
        let size = found.isDirectory ? "a directory" : "a file of \(ShownText.bytes(Int64(found.st_size)))"
        let what = "\(size) of \(UserName.of(found.st_uid)), changed last at \(RecordPage.time(found.st_mtim))"
        guard case .typed = artifact.location else {
            return Failure(
                .failed, "\(artifact.full) has no record: it is \(what). Records are of the artifacts in production")
        }
        return Failure(
            .failed,
            "\(artifact.full) has no record: it is \(what). What may still change has none; "
                + "'mv' it into production, where it is sealed and gets one")
    }
}
