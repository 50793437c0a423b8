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
        /// Which version of its path it is, where it has left its name; nil of what has it.
        let version: Int64?
        /// When its bytes were removed to make room, in nanoseconds since 1970.
        var removed: Int64?
        /// When it was proved last, in nanoseconds since 1970; nil when it never was.
        var proved: Int64?

        /// For people, and for what is remembered of it.
        var title: String { version.map { "\(path)@\($0)" } ?? path }
    }

    /// What came of it.
    struct Sum {
        var (whole, bytes, differing, unknown, left, seconds) = (0, Int64(0), 0, 0, 0, Int64(0))
        /// How many were proved since, or are of another part.
        var passedOver = 0
        /// How many are there of which this user is shown no record.
        var withoutRecord = 0
        /// How many are not in this store, as it was restored from a mirror for which they were not chosen.
        var absent = 0
        /// How many are there no more, as the ledger says it.
        var removed = 0
        /// How many are in a mirror only: whether that has them 'mirror verify' says.
        var evicted = 0
        /// Whether it is not remembered when they were proved.
        var isForgotten = false

        var status: Int32 {
            differing > 0
                ? Status.failed.rawValue : unknown + withoutRecord + evicted > 0 ? Status.cannotAnswer.rawValue : 0
        }

        var words: String {
            var words = [
                "\(whole) \(whole == 1 ? "artifact is" : "artifacts are") what was sealed (\(ShownText.bytes(bytes)) in \(seconds) s)"
            ]
            if differing > 0 { words.append("\(differing) \(differing == 1 ? "is" : "are") not") }
            if unknown > 0 { words.append("\(unknown) could not be looked at") }
            if evicted > 0 {
                words.append(
                    "the bytes of \(evicted) are in a mirror and not here: 'artifactfs mirror verify' asks for them")
            }
            if withoutRecord > 0 { words.append("of \(withoutRecord) more no record is shown to you") }
            if removed > 0 {
                words.append(
                    "the bytes of \(removed) former \(removed == 1 ? "version" : "versions") were removed by gc")
            }
            if absent > 0 {
                words.append(
                    "\(absent) \(absent == 1 ? "is" : "are") not in this store: not chosen for the mirror that it was restored from"
                )
            }
            if passedOver > 0 { words.append("\(passedOver) passed over") }
            if left > 0 { words.append("\(left) \(left == 1 ? "was" : "were") not looked at: the time was over") }
            return words.joined(separator: "; ")
                + (isForgotten ? "; when they were proved cannot be remembered here" : "")
        }
    }

    private let chosen: ChosenArtifacts
    private let book: ProofBook?
    private let absent: AbsentArtifacts
    private var all: [Sealed] = []
    private let passedOver: Int
    /// Those whose bytes were removed to make room.
    let removed: [Sealed]

    /// - Parameters:
    ///   - words: paths, or a query.
    ///   - part: only this one of so many parts.
    ///   - age: only what was not proved for so many seconds.
    init(_ place: StorePlace, words: [String], part: (number: Int64, count: Int64)?, age: Int64?) throws {
        chosen = try ChosenArtifacts(place, words: words, takesVersions: true)
        let found = chosen.all.filter { $0.removed == nil }
        removed = chosen.all.filter { $0.removed != nil }
        let book = place.store.flatMap { try? ProofBook(of: $0) }
        self.book = book
        absent = AbsentArtifacts(of: place.store)
        let now = Self.now
        let (span, isTooMuch) = (age ?? 0).multipliedReportingOverflow(by: 1_000_000_000)
        let (earliest, isBefore) = now.subtractingReportingOverflow(span)
        let since = isTooMuch || isBefore ? Int64.min : earliest
        let asked = found.compactMap { one -> Sealed? in
            if let part, Self.part(of: one.title, part.count) != part.number { return nil }
            var one = one
            // What was proved in the future was proved by a clock that was wrong.
            one.proved = one.sha256.flatMap { book?.time(of: one.title, sha256: $0) }.flatMap { $0 > now ? nil : $0 }
            if age != nil, let proved = one.proved, proved > since { return nil }
            return one
        }
        all = asked.sorted { ($0.proved ?? .min, $0.path) < ($1.proved ?? .min, $1.path) }
        passedOver = found.count - asked.count
    }

    /// Of what is in a mirror only.
    static func words(ofEvictedTo mirror: String) -> String {
        "its bytes are in the mirror '\(mirror)' and not here: 'artifactfs mirror verify \(mirror)' asks for them, 'artifactfs mirror recall' brings them back"
    }

    static var now: Int64 {
        let clock = Clock.now()
        return Int64(clock.tv_sec) &* 1_000_000_000 &+ Int64(clock.tv_nsec)
    }

    /// Whether something is not there as it was not chosen for the mirror that the store was restored from.
    func isAbsent(_ one: Sealed) -> Bool { absent.has(one.title, sha256: one.sha256) }

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
    ///   - hardens: whether what is whole is made immutable.
    ///   - told: called with each.
    func run(for time: Int64?, hardens: Bool = false, told: (Sealed, SealedProof, _ before: Int64?) -> Void) -> Sum {
        var sum = Sum()
        var proved: [(path: String, sha256: String)] = []
        let (begun, all) = (Patience.now(), all)
        let bytes = all.reduce(Int64(0)) { $0 &+ ($1.size ?? 0) }
        let bar = ProgressBar("proving")
        var (done, noted) = (Int64(0), begun)
        sum.isForgotten = book == nil
        sum.removed = removed.count
        (sum.passedOver, sum.withoutRecord) = (passedOver, chosen.withoutRecord)
        func note() {
            if !proved.isEmpty, (try? book?.note(proved, at: Self.now)) == nil { sum.isForgotten = true }
            (proved, noted) = ([], Patience.now())
        }
        for (place, one) in all.enumerated() {
            if let time, Patience.now() &- begun >= time &* 1000 {
                sum.left = all.count - place
                break
            }
            let (path, isReal) = chosen.location(of: one)
            let proof = SealedProof.of(path, sha256: one.sha256, size: one.size, isReal: isReal, hardens: hardens)
            switch proof {
            case .whole:
                (sum.whole, sum.bytes) = (sum.whole + 1, sum.bytes &+ (one.size ?? 0))
                if let sha256 = one.sha256 { proved.append((one.title, sha256)) }
            case .missing where isAbsent(one): sum.absent += 1
            case .differs, .missing: sum.differing += 1
            case .unknown: sum.unknown += 1
            case .evicted: sum.evicted += 1
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
}
