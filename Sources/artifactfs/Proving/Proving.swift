import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls

/// Artifacts that are proved to be what was sealed, those first that were never proved or long ago.
struct Proving {
    /// An artifact as its record has it.
    struct Sealed {
        let path: String
        let sha256: String?
        let size: Int64?
        /// When it was proved last, in nanoseconds since 1970; nil when it never was.
        var proved: Int64?
    }

    /// What came of it.
    struct Sum {
        var (whole, bytes, differing, unknown, left, seconds) = (0, Int64(0), 0, 0, 0, Int64(0))
        /// Whether it is not remembered when they were proved.
        var isForgotten = false

        var status: Int32 {
            differing > 0 ? Status.failed.rawValue : unknown > 0 ? Status.cannotAnswer.rawValue : 0
        }

        var words: String {
            var words = [
                "\(whole) \(whole == 1 ? "artifact is" : "artifacts are") what was sealed (\(ShownText.bytes(bytes)) in \(seconds) s)"
            ]
            if differing > 0 { words.append("\(differing) \(differing == 1 ? "is" : "are") not") }
            if unknown > 0 { words.append("\(unknown) could not be looked at") }
            if left > 0 { words.append("\(left) \(left == 1 ? "was" : "were") not looked at: the time was over") }
            return words.joined(separator: "; ")
                + (isForgotten ? "; when they were proved cannot be remembered here" : "")
        }
    }

    private let place: StorePlace
    private let schema: ArtifactSchema
    private let book: ProofBook?
    private var all: [Sealed] = []

    /// - Parameters:
    ///   - words: paths, or a query.
    ///   - part: only this one of so many parts.
    ///   - age: only what was not proved for so many seconds.
    init(_ place: StorePlace, words: [String], part: (number: Int64, count: Int64)?, age: Int64?) throws {
        (self.place, schema) = (place, try place.schema())
        let paths = try Self.paths(words, place, schema)
        let asked = try AskedQuery(
            paths == nil ? words.joined(separator: " ") : "", .artifacts, columns: "path,sha256,size", sort: nil)
        var found: [Sealed] = []
        try place.asking { catalog in
            found = []
            for query in paths.map({ $0.map(Self.query) }) ?? [asked.query] {
                let before = found.count
                try catalog.find(query, .artifacts, columns: asked.columns) { row in
                    let size: Int64? = if case .integer(let size) = row[2] { size } else { nil }
                    found.append(Sealed(path: row[0].text, sha256: row[1] == .unknown ? nil : row[1].text, size: size))
                    return true
                }
                if let paths, found.count == before {
                    throw Failure(
                        .cannotAnswer,
                        "\(paths[min(before, paths.count - 1)]) is not sealed, as far as the ledgers tell")
                }
            }
        }
        guard !found.isEmpty else {
            throw Failure(
                .cannotAnswer,
                words.isEmpty ? "nothing is sealed yet" : "nothing was found of \(words.joined(separator: " "))")
        }
        book = place.store.flatMap { try? ProofBook(of: $0) }
        let now = Self.now
        all = found.compactMap { one in
            if let part, Self.part(of: one.path, part.count) != part.number { return nil }
            var one = one
            one.proved = one.sha256.flatMap { book?.time(of: one.path, sha256: $0) }
            if let age, let proved = one.proved, proved > now &- age &* 1_000_000_000 { return nil }
            return one
        }
        .sorted { ($0.proved ?? .min, $0.path) < ($1.proved ?? .min, $1.path) }
    }

    static var now: Int64 {
        let clock = Clock.now()
        return Int64(clock.tv_sec) &* 1_000_000_000 &+ Int64(clock.tv_nsec)
    }

    /// The paths on the mount that words name; nil of a query.
    private static func paths(_ words: [String], _ place: StorePlace, _ schema: ArtifactSchema) throws -> [String]? {
        guard !words.isEmpty, words.allSatisfy({ $0.contains("/") && !$0.contains("=") && !$0.contains("~") }) else {
            return nil
        }
        return try words.map { word in
            if ArtifactPages.isArtifact(word, schema) { return word }
            let found = try ShownArtifact.find(word, store: place.mount == nil ? place.store : nil)
            guard found.isInProduction else {
                throw Failure(.cannotAnswer, "\(found.full) is not in production, where artifacts are sealed")
            }
            return found.path
        }
    }

    private static func query(_ path: String) -> Query {
        .and([
            .field(Field(.state), .compare(.equal, .text(ArtifactRecord.State.sealed.rawValue))),
            .field(Field(.path), .compare(.equal, .text(path))),
        ])
    }

    /// From 1; by the path's hash, so that a path is always in the same part.
    private static func part(of path: String, _ count: Int64) -> Int64 {
        Int64(UInt64(bitPattern: Catalog.stableHash(of: path)) % UInt64(count)) + 1
    }

    /// So many are noted together.
    private static let batch = 200

    /// Proves them.
    ///
    /// - Parameters:
    ///   - time: after so many seconds no further one is begun.
    ///   - told: called with each.
    func run(for time: Int64?, told: (Sealed, SealedProof, _ before: Int64?) -> Void) -> Sum {
        var sum = Sum()
        var proved: [(path: String, sha256: String)] = []
        let (begun, all) = (Patience.now(), all)
        let bytes = all.reduce(Int64(0)) { $0 &+ ($1.size ?? 0) }
        let bar = ProgressBar("proving")
        var done: Int64 = 0
        sum.isForgotten = book == nil
        func note() {
            if !proved.isEmpty, (try? book?.note(proved, at: Self.now)) == nil { sum.isForgotten = true }
            proved = []
        }
        for (place, one) in all.enumerated() {
            if let time, Patience.now() &- begun >= time &* 1000 {
                sum.left = all.count - place
                break
            }
            let (path, isReal) = location(of: one.path)
            let proof = SealedProof.of(path, sha256: one.sha256, size: one.size, isReal: isReal)
            switch proof {
            case .whole:
                (sum.whole, sum.bytes) = (sum.whole + 1, sum.bytes &+ (one.size ?? 0))
                if let sha256 = one.sha256 { proved.append((one.path, sha256)) }
            case .differs, .missing: sum.differing += 1
            case .unknown: sum.unknown += 1
            }
            if proved.count >= Self.batch { note() }
            told(one, proof, one.proved)
            done = done &+ (one.size ?? 0)
            bar.show(done, of: max(1, bytes))
        }
        note()
        bar.end()
        sum.seconds = (Patience.now() &- begun) / 1000
        return sum
    }

    /// The real file, where this user may come to it; else what the mount shows.
    private func location(of path: String) -> (path: String, isReal: Bool) {
        guard let store = place.store,
            (try? SystemCall.checkAccess(atPath: store + "/" + StoreLayout.privateDirectory, R_OK | X_OK)) != nil
        else { return (place.location(of: path, schema), false) }
        return (ShownArtifact.realPath(of: path, in: store, schema), true)
    }
}
