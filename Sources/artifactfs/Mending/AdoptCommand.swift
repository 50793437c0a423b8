import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs adopt`
struct AdoptCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "adopt",
        abstract: "Record the files of production that were there before, where they are.",
        discussion: """
            Takes real files that a type of the schema claims and no record knows: each is checked, hashed, made read-only and recorded \
            as adopted; who made it is not known, and not said. Nothing is moved. What was done is done when this is stopped: the next \
            call goes on. Files that no type claims are listed with a line for schema.yaml that would claim them; no mount shows them \
            as they are.

            The store's owner and root adopt, with or without a mount.

            EXAMPLES:
              artifactfs adopt --dry-run /data/spliceai_eval
              artifactfs adopt /data/spliceai_eval

            EXIT STATUS: 0 all is adopted, or nothing was there; 1 something was refused and is as it was; 3 not a store; 7 the schema \
            has a fault.
            """)

    @Flag(name: .long, help: "Only tell what would be done.")
    var dryRun = false
    @Argument(help: "The store's directory, or a mount of it.", completion: .directory)
    var place: String?

    func run() throws {
        try reporting {
            let place = try StorePlace.find(place)
            guard let path = place.store else {
                throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
            }
            let looked = try ShownArtifact.openStore(path)
            let files: [ExistingFile]
            do throws(Errno) { files = try looked.existing() } catch {
                throw Failure(.failed, "cannot look into \(path): \(error)")
            }
            let known = try Self.known(place, path)
            let new = files.filter { file in file.shownPath.map { !known.contains($0) } ?? false }
            if dryRun {
                for file in new {
                    Terminal.show(
                        "\(file.path): would be \(file.shownPath ?? "?") (\(ShownText.bytes(Int64(file.attributes.st_size))))"
                    )
                }
                if new.isEmpty { Terminal.show("every file that a type claims has its record") }
                return Strays(files, looked.schema).show()
            }
            let refused = new.isEmpty ? 0 : try adopt(new, path)
            Strays(files, looked.schema).show()
            if refused > 0 { throw ExitCode(Status.failed.rawValue) }
        }
    }

    /// What has a record, by its path on the mount.
    private static func known(_ place: StorePlace, _ path: String) throws -> Set<String> {
        guard
            Paths.names(path + "/" + StoreLayout.privateDirectory + "/ledger").contains(where: {
                $0.hasSuffix(".jsonl")
            })
        else { return [] }
        var known: Set<String> = []
        let sealed = Query.Value.text(ArtifactRecord.State.sealed.rawValue)
        try StorePlace(mount: nil, store: path).asking { catalog in
            try catalog.find(
                .field(Field(.state), .compare(.equal, sealed)), .artifacts, columns: [Field(.path)]
            ) { row in
                known.insert(row[0].text)
                return true
            }
        }
        return known
    }

    /// - Returns: how many were refused.
    private func adopt(_ files: [ExistingFile], _ path: String) throws -> Int {
        let store = try Store(at: path, readOnly: false, durability: .synced)
        defer { store.close() }
        let bar = ProgressBar("adopting")
        let all = files.reduce(Int64(0)) { $0 &+ Int64($1.attributes.st_size) }
        var (done, adopted, refused) = (Int64(0), 0, 0)
        for file in files {
            switch store.adopt(file, by: getuid()) {
            case .adopted: adopted += 1
            case .refused(let reason):
                refused += 1
                bar.end()
                Terminal.complain("\(file.path) is not adopted: \(reason)")
            }
            done = done &+ Int64(file.attributes.st_size)
            bar.show(done, of: all)
        }
        bar.end()
        Terminal.show(
            "adopted \(adopted == 1 ? "1 file" : "\(adopted) files")\(refused > 0 ? ", refused \(refused)" : "")")
        return refused
    }
}
