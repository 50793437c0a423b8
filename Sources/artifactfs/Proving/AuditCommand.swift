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

            A chain that was made anew from its beginning is whole too. Note its head elsewhere, and compare later: --head prints one \
            for each host, --noted checks that it is still there.

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
            var noted: [String: LedgerReader.ChainHead] = [:]
            for word in (self.noted ?? "").split(whereSeparator: \.isWhitespace) {
                let (host, head) = try Self.head(String(word))
                noted[host] = head
            }
            let isWhole: Bool
            do {
                isWhole = try ShownArtifact.openStore(store).withLedgers { try audit($0, noted) }
            } catch let error as Errno {
                if error == .permissionDenied { throw ShownArtifact.closed(store) }
                throw Failure(.cannotAnswer, "cannot read the ledger of \(store): \(error)")
            }
            let areThere = head ? true : try artifacts(place, store)
            if !isWhole || !areThere { throw ExitCode(Status.failed.rawValue) }
        }
    }

    private static func head(_ text: String) throws -> (host: String, head: LedgerReader.ChainHead) {
        let parts = text.split(separator: ":", omittingEmptySubsequences: false).map(String.init)
        guard parts.count >= 3, let seq = Int64(parts[parts.count - 2]), seq >= 0, let hash = parts.last,
            hash.utf8.count == 64, hash.allSatisfy(\.isHexDigit)
        else { throw Failure(.usage, "--noted: \(text) is no head, such as 'audit --head' prints: HOST:NUMBER:HASH") }
        return (parts.dropLast(2).joined(separator: ":"), .init(seq: seq, hash: hash.lowercased()))
    }

    private func audit(_ reader: LedgerReader, _ noted: [String: LedgerReader.ChainHead]) throws -> Bool {
        var isWhole = true
        let hosts = try reader.hosts()
        for host in hosts {
            let (problems, end) = try reader.verify(host, noted: noted[host])
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
            Terminal.complain("the ledger of \(host), which was noted before, is gone")
        }
        return isWhole
    }

    /// Whether each that is sealed is there, as long as it was, and read-only.
    private func artifacts(_ place: StorePlace, _ store: String) throws -> Bool {
        let schema = try place.schema()
        let asked = try AskedQuery("", .artifacts, columns: "path,size", sort: nil)
        var (count, wrong) = (0, 0)
        try place.asking { catalog in
            (count, wrong) = (0, 0)
            try catalog.find(asked.query, .artifacts, columns: asked.columns) { row in
                count += 1
                let size: Int64? = if case .integer(let size) = row[1] { size } else { nil }
                let real = ShownArtifact.realPath(of: row[0].text, in: store, schema)
                let problem: String
                switch SealedProof.of(real, sha256: nil, size: size, readsBytes: false) {
                case .whole: return true
                case .differs(let why): problem = why
                case .missing: problem = "it was sealed, and nothing is there"
                case .unknown(let why): problem = "it cannot be looked at: \(why)"
                }
                wrong += 1
                if json {
                    print(JSONValue.object(["path": row[0].json ?? .null, "problem": .string(problem)]))
                } else {
                    Terminal.complain("\(row[0].text): \(problem)")
                }
                return true
            }
        }
        if !json {
            let words =
                wrong == 0 ? "all there, as long as they were, and read-only" : "\(wrong) of them are not as they were"
            Terminal.show("\(count) sealed \(count == 1 ? "artifact" : "artifacts"): \(words)")
        }
        return wrong == 0
    }
}
