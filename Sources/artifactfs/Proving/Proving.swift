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
        /// How many were proved since, or are of another part.
        var passedOver = 0
        /// How many are there of which this user is shown no record.
        var withoutRecord = 0
        /// Whether it is not remembered when they were proved.
        var isForgotten = false

        var status: Int32 {
            differing > 0 ? Status.failed.rawValue : unknown + withoutRecord > 0 ? Status.cannotAnswer.rawValue : 0
        }

        var words: String {
            var words = [
                "\(whole) \(whole == 1 ? "artifact is" : "artifacts are") what was sealed (\(ShownText.bytes(bytes)) in \(seconds) s)"
            ]
            if differing > 0 { words.append("\(differing) \(differing == 1 ? "is" : "are") not") }
            if unknown > 0 { words.append("\(unknown) could not be looked at") }
            if withoutRecord > 0 { words.append("of \(withoutRecord) more no record is shown to you") }
            if passedOver > 0 { words.append("\(passedOver) passed over") }
            if left > 0 { words.append("\(left) \(left == 1 ? "was" : "were") not looked at: the time was over") }
            return words.joined(separator: "; ")
                + (isForgotten ? "; when they were proved cannot be remembered here" : "")
        }
    }

    private let place: StorePlace
    private let schema: ArtifactSchema
    private let book: ProofBook?
    private var all: [Sealed] = []
    private let passedOver: Int
    private let withoutRecord: Int

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
        var isOfLedgers = true
        // What asks a mount comes before the catalog, which has threads.
        let shown = paths == nil && words.isEmpty ? try Self.shown(place) : []
        try place.asking { catalog in
            found = []
            isOfLedgers = catalog.path != nil
            var seen: Set<String> = []
            for path in paths ?? [""] {
                let before = found.count
                try catalog.find(paths == nil ? asked.query : Self.query(path), .artifacts, columns: asked.columns) {
                    row in
                    guard seen.insert(row[0].text).inserted else { return true }
                    let size: Int64? = if case .integer(let size) = row[2] { size } else { nil }
                    found.append(Sealed(path: row[0].text, sha256: row[1] == .unknown ? nil : row[1].text, size: size))
                    return true
                }
                if paths != nil, found.count == before, !seen.contains(path) {
                    throw Failure(
                        .cannotAnswer,
                        isOfLedgers
                            ? "\(path.isEmpty ? place.path : path) is not sealed, as far as the ledgers tell"
                            : "of \(path.isEmpty ? place.path : path) no record is shown to you")
                }
            }
        }
        guard !found.isEmpty else {
            throw Failure(
                .cannotAnswer,
                words.isEmpty ? "nothing is sealed yet" : "nothing was found of \(words.joined(separator: " "))")
        }
        withoutRecord = isOfLedgers ? 0 : Set(shown).subtracting(found.map(\.path)).count
        let book = place.store.flatMap { try? ProofBook(of: $0) }
        self.book = book
        let now = Self.now
        let (span, isTooMuch) = (age ?? 0).multipliedReportingOverflow(by: 1_000_000_000)
        let (earliest, isBefore) = now.subtractingReportingOverflow(span)
        let since = isTooMuch || isBefore ? Int64.min : earliest
        let chosen = found.compactMap { one -> Sealed? in
            if let part, Self.part(of: one.path, part.count) != part.number { return nil }
            var one = one
            // What was proved in the future was proved by a clock that was wrong.
            one.proved = one.sha256.flatMap { book?.time(of: one.path, sha256: $0) }.flatMap { $0 > now ? nil : $0 }
            if age != nil, let proved = one.proved, proved > since { return nil }
            return one
        }
        all = chosen.sorted { ($0.proved ?? .min, $0.path) < ($1.proved ?? .min, $1.path) }
        passedOver = found.count - chosen.count
    }

    static var now: Int64 {
        let clock = Clock.now()
        return Int64(clock.tv_sec) &* 1_000_000_000 &+ Int64(clock.tv_nsec)
    }

    /// The paths on the mount that words name, of artifacts and directories; nil of a query.
    private static func paths(_ words: [String], _ place: StorePlace, _ schema: ArtifactSchema) throws -> [String]? {
        let areThere = words.map { schema.isArtifact($0) || isThere($0) || looksLikePath($0) }
        guard !words.isEmpty, areThere.contains(true) else { return nil }
        guard !areThere.contains(false) else {
            throw Failure(.usage, "paths and a query do not go together: ask for one of them")
        }
        return try words.map { word in
            if schema.isArtifact(word) { return word }
            // The top of a mount or a store is all of it.
            if let found = try? StorePlace.find(word), let full = try Paths.resolved(Paths.absolute(word)),
                full == found.mount?.mountPoint ?? found.store
            {
                return Mode.production.rawValue
            }
            let found = try ShownArtifact.find(word, store: isThere(word) || place.mount != nil ? nil : place.store)
            let (location, rest) = schema.locate(found.path)
            switch location {
            case .root where rest.isEmpty, .mode(.production), .scope(.production), .layer(.production, _),
                .typed(.production, _, _):
                return found.path.isEmpty ? Mode.production.rawValue : found.path
            default:
                throw Failure(.cannotAnswer, "\(found.full) is not in production, where artifacts are sealed")
            }
        }
    }

    static func isThere(_ word: String) -> Bool {
        (try? SystemCall.attributes(SystemCall.currentDirectory, word)) != nil
    }

    private static func looksLikePath(_ word: String) -> Bool {
        word.contains("/") && !word.contains { "=~<> ()".contains($0) }
    }

    /// An artifact, or all in a directory.
    private static func query(_ path: String) -> Query {
        let isSealed = Query.field(Field(.state), .compare(.equal, .text(ArtifactRecord.State.sealed.rawValue)))
        let isIt = Query.field(Field(.path), .compare(.equal, .text(path)))
        // Production, a layer, or a type: in their names nothing stands for anything else.
        guard path.split(separator: "/").count < 4 else { return .and([isSealed, isIt]) }
        return .and([isSealed, .or([isIt, .field(Field(.path), .like(path + "/*"))])])
    }

    /// The paths of what a mount shows in production, where this user reads no ledger.
    private static func shown(_ place: StorePlace) throws -> [String] {
        guard let mount = place.mount, let store = place.store,
            (try? SystemCall.checkAccess(atPath: store + "/" + StoreLayout.privateDirectory, R_OK | X_OK)) == nil
        else { return [] }
        let schema = try place.schema()
        var all: [String] = []
        for layer in Layer.allCases {
            for type in schema.types(in: layer) {
                let directory = "\(Mode.production.rawValue)/\(layer.rawValue)/\(type.name)"
                let answer = Patience.find(within: 60_000, on: mount) {
                    let names = Paths.names(mount.mountPoint + "/" + directory).filter { name in
                        // What is written just now has no record yet.
                        let state = try? SystemCall.extendedAttribute(
                            ArtifactAttribute.state, ofPath: "\(mount.mountPoint)/\(directory)/\(name)")
                        return schema.isArtifact(directory + "/" + name)
                            && state.map { $0.elementsEqual(FileState.sealed.rawValue.utf8) } != false
                    }
                    return Array(names.joined(separator: "\0").utf8)
                }
                guard let answer else { throw mount.silence }
                all += answer.split(separator: 0).map { directory + "/" + String(decoding: $0, as: UTF8.self) }
            }
        }
        return all
    }

    /// From 1; by the path's hash, so that a path is always in the same part.
    private static func part(of path: String, _ count: Int64) -> Int64 {
        Int64(UInt64(bitPattern: Catalog.stableHash(of: path)) % UInt64(count)) + 1
    }

    /// How long what was proved may wait to be noted, in milliseconds: who is stopped loses no more.
    private static let patience: Int64 = 1_000

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
        var (done, noted) = (Int64(0), begun)
        sum.isForgotten = book == nil
        (sum.passedOver, sum.withoutRecord) = (passedOver, withoutRecord)
        func note() {
            if !proved.isEmpty, (try? book?.note(proved, at: Self.now)) == nil { sum.isForgotten = true }
            (proved, noted) = ([], Patience.now())
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
            if Patience.now() &- noted >= Self.patience { note() }
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
        return (store + "/" + schema.realPath(ofShown: path), true)
    }
}
