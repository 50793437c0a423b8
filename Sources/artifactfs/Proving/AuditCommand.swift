import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs audit`
struct AuditCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "audit",
        abstract: "Check that no ledger was changed, and that what they say is sealed is there.",
        discussion: """
            Every line of a ledger has the hash of the line before it. Each chain is followed over all its files, and each sealed \
            artifact is looked for: whether it is there, as long as it was, and read-only. Its bytes are not read; 'artifactfs verify' \
            does that.

            A chain that was made anew from its beginning is whole too, and so is one whose last lines were removed, where the catalog \
            had not read them. Note its head elsewhere, and compare later: --head prints one for each host, --noted checks that all \
            of them are still there. The catalog is made anew for this, and is compared with nothing.

            EXAMPLES:
              artifactfs audit /data/spliceai_eval
              artifactfs audit --head > ~/heads-2026-11
              artifactfs audit --noted "$(cat ~/heads-2026-11)"

            EXIT STATUS: 0 all is as it was written, 1 something is not, 2 it cannot be looked at, 3 not a store.
            """)

    @Argument(
        help: "A mount, a path on it, or a store's directory; without it $ARTIFACTFS_STORE, else where one stands.",
        completion: .directory)
    var place: String?
    @Flag(name: .long, help: "Print only where each chain ends: HOST:NUMBER:HASH, a line each.")
    var head = false
    @Option(name: .long, help: ArgumentHelp("Heads that were printed before, with blanks between.", valueName: "heads"))
    var noted: String?
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            let place = try StorePlace.find(place)
            guard let store = place.store else {
                throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
            }
            guard !head || !json else { throw Failure(.usage, "--head and --json exclude each other") }
            var noted: [String: [LedgerReader.ChainHead]] = [:]
            for word in (self.noted ?? "").split(whereSeparator: \.isWhitespace) {
                let (host, head) = try Self.head(String(word))
                noted[host, default: []].append(head)
            }
            let isWhole: Bool
            do {
                isWhole = try ShownArtifact.openStore(store).withLedgers { try audit($0, noted) }
            } catch let error as Errno {
                if error == .permissionDenied { throw ShownArtifact.closed(store) }
                throw Failure(.cannotAnswer, "cannot read the ledger of \(store): \(error)")
            }
            if head {
                if !isWhole { throw ExitCode(Status.failed.rawValue) }
                return
            }
            let (wrong, unknown) = try artifacts(place, store)
            if !isWhole || wrong > 0 { throw ExitCode(Status.failed.rawValue) }
            if unknown > 0 { throw ExitCode(Status.cannotAnswer.rawValue) }
        }
    }

    private static func head(_ text: String) throws -> (host: String, head: LedgerReader.ChainHead) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, let seq = Int64(parts[parts.count - 2]), seq >= 0, let hash = parts.last,
            hash.utf8.count == 64, hash.allSatisfy(\.isHexDigit)
        else { throw Failure(.usage, "--noted: \(text) is no head, such as 'audit --head' prints: HOST:NUMBER:HASH") }
        return (parts.dropLast(2).joined(separator: ":"), .init(seq: seq, hash: hash.lowercased()))
    }

    private func audit(_ reader: LedgerReader, _ noted: [String: [LedgerReader.ChainHead]]) throws -> Bool {
        var isWhole = true
        let hosts = try reader.hosts()
        for host in hosts {
            let (problems, end) = try reader.verify(host, noted: noted[host] ?? [])
            if head { print("\(host):\(end.seq):\(end.hash)") }
            if !problems.isEmpty { isWhole = false }
            if json {
                print(
                    JSONValue.object([
                        "host": .string(host), "lines": .integer(end.seq), "head": .string(end.hash),
                        "problems": .array(problems.map { .string($0.description) }),
                    ]))
                continue
            }
            for problem in problems { Terminal.complain("the ledger of \(host): \(problem)") }
            if !head {
                let state = problems.isEmpty ? "is whole" : "IS NOT AS IT WAS WRITTEN"
                Terminal.show("the ledger of \(host) \(state): \(end.seq) lines, the last \(end.hash.prefix(16))")
            }
        }
        for host in noted.keys.sorted() where !hosts.contains(host) {
            isWhole = false
            let problem = "the ledger of \(host), which was noted before, is gone"
            if json {
                print(JSONValue.object(["host": .string(host), "problems": .array([.string(problem)])]))
            } else {
                Terminal.complain(problem)
            }
        }
        return isWhole
    }

    /// Whether each that is sealed is there, as long as it was, and read-only: how many are not, and of how many that is not known.
    private func artifacts(_ place: StorePlace, _ store: String) throws -> (wrong: Int, unknown: Int) {
        let schema = try place.schema()
        let asked = try AskedQuery(
            ChosenArtifacts.withVersions, .artifacts, columns: "path,size,state,version,removed,sha256", sort: nil)
        var (count, former, removed, wrong, unknown) = (0, 0, 0, 0, 0)
        let known = AbsentArtifacts(of: store)
        var absent = 0
        var evicted = 0
        // What was read before tells what was removed since; what is asked is what the ledgers say now.
        var foundOther = false
        try place.asking { foundOther = $0.foundOther }
        if foundOther {
            tell(nil, "a ledger is not the one that was read before: lines of it were removed or changed since")
        }
        try place.asking(anew: true) { catalog in
            (count, former, removed, wrong, unknown, absent) = (0, 0, 0, foundOther ? 1 : 0, 0, 0)
            evicted = 0
            try catalog.find(asked.query, .artifacts, columns: asked.columns) { row in
                let isSealed = row[2].text == ArtifactRecord.State.sealed.rawValue
                guard row[4] == .unknown else {
                    removed += 1
                    return true
                }
                if isSealed { count += 1 } else { former += 1 }
                let size: Int64? = if case .integer(let size) = row[1] { size } else { nil }
                var (title, real) = (row[0].text, schema.realPath(ofShown: row[0].text))
                if !isSealed, case .integer(let number) = row[3] {
                    (title, real) = ("\(title)@\(number)", VersionReader.path(of: real, number: number))
                }
                switch SealedProof.of(
                    store + "/" + real, sha256: row[5] == .unknown ? nil : row[5].text, size: size, readsBytes: false)
                {
                case .whole: break
                // What has its name says what the record says; of its bytes nothing was to be said here.
                case .evicted: evicted += 1
                case .differs(let why):
                    wrong += 1
                    tell(title, why)
                case .missing where known.has(title, sha256: row[5].text): absent += 1
                case .missing:
                    wrong += 1
                    tell(title, "it was sealed, and nothing is there")
                case .unknown(let why):
                    unknown += 1
                    tell(title, "it cannot be looked at: \(why)")
                }
                return true
            }
        }
        if !json {
            let bad = wrong - (foundOther ? 1 : 0)
            var words =
                bad == 0
                ? [] : ["\(bad) of them \(bad == 1 ? "is" : "are") not as \(bad == 1 ? "it was" : "they were")"]
            if unknown > 0 { words.append("\(unknown) cannot be looked at") }
            if absent > 0 { words.append("\(absent) not here (\(AbsentArtifacts.words))") }
            let all = words.isEmpty ? "all there, as long as they were, and read-only" : words.joined(separator: ", ")
            let versions = former == 0 ? "" : " and \(former) former \(former == 1 ? "version" : "versions")"
            let gone =
                removed == 0
                ? "" : "; the bytes of \(removed) former \(removed == 1 ? "version" : "versions") were removed by gc"
            let away =
                evicted == 0
                ? "" : "; the bytes of \(evicted) are in a mirror only: 'artifactfs mirror verify' asks for them"
            Terminal.show("\(count) sealed \(count == 1 ? "artifact" : "artifacts")\(versions): \(all)\(gone)\(away)")
        }
        return (wrong, unknown)
    }

    private func tell(_ path: String?, _ problem: String) {
        if json {
            print(JSONValue.object(["path": path.map { .string($0) } ?? .null, "problem": .string(problem)]))
        } else {
            Terminal.complain((path.map { $0 + ": " } ?? "") + problem)
        }
    }
}
