import ArtifactDriver
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Logging
import Queries
import SystemCalls
import SystemPackage

/// A moment of a store, as people name it.
struct StoreMoment: Sendable {
    /// In nanoseconds since 1970.
    let nanoseconds: Int64
    /// For people.
    let words: String

    /// The names that moments have, for errors.
    static let forms =
        "a tag ('artifactfs tag --list'), a date such as 2026-10-01, \"2026-10-01 14:30\" or yesterday, which is when that was over, or the number of "
        + "a line of a ledger as HOST:NUMBER"

    /// What a text means: a tag, a time as the ledger writes it, a date in local time, or a line of a ledger.
    init(_ text: String, in store: Store) throws {
        if let name = TagName(text),
            let tag = try Self.asking(store, { () throws(Errno) in try store.tag(named: name) })
        {
            guard let moment = TimeText.time(tag.moment).flatMap(Clock.nanoseconds) else {
                throw Failure(.cannotAnswer, "the tag \(text) of \(store.path) has no moment that can be read")
            }
            (nanoseconds, words) = (moment, "\(text) (\(tag.moment))")
            return
        }
        if let exact = TimeText.time(text).flatMap(Clock.nanoseconds) {
            (nanoseconds, words) = (exact, text)
            return
        }
        if let mark = text.lastIndex(of: ":"), let number = Int64(text[text.index(after: mark)...]), number > 0,
            let time = try Self.time(ofLine: number, of: String(text[..<mark]), in: store)
        {
            (nanoseconds, words) = (time, "\(text) (\(Self.text(time)))")
            return
        }
        guard let moment = MomentText.moment(text, .local()) else {
            throw Failure(.usage, "'\(text)' is no moment of \(store.path): name \(Self.forms)")
        }
        (nanoseconds, words) = (moment, Self.text(moment))
    }

    /// Whether a text is no date.
    static func isNoDate(_ text: String) -> Bool { MomentText.moment(text, .local()) == nil }

    /// As the ledger writes times.
    static func text(_ nanoseconds: Int64) -> String { TimeText.rfc3339(time(nanoseconds)) }

    static func time(_ nanoseconds: Int64) -> timespec {
        let (seconds, rest) = nanoseconds.quotientAndRemainder(dividingBy: 1_000_000_000)
        return timespec(tv_sec: Int(seconds), tv_nsec: Int(max(0, rest)))
    }

    private static func time(ofLine number: Int64, of host: String, in store: Store) throws -> Int64? {
        var found: String?
        do {
            try store.withLedgers { reader in
                guard try reader.hosts().contains(host) else { return }
                let needle = Array("\"seq\":\(number),".utf8)
                try reader.forEachLine(of: host) { bytes in
                    guard found == nil, LedgerReader.contains(bytes.prefix(64), needle),
                        let line = LedgerLine(parsing: bytes), line.seq == number
                    else { return }
                    found = line.time
                }
            }
        } catch let error as Errno {
            throw Failure(.cannotAnswer, "cannot read the ledgers of \(store.path): \(error)")
        }
        return found.flatMap(TimeText.time).flatMap(Clock.nanoseconds)
    }

    static func asking<Value>(_ store: Store, _ body: () throws(Errno) -> Value) throws -> Value {
        do throws(Errno) { return try body() } catch {
            if error == .permissionDenied { throw ShownArtifact.closed(store.path) }
            throw Failure(.failed, "cannot look into \(store.path): \(error)")
        }
    }
}

/// What was in production at a moment, by the catalog, for the driver.
struct MomentCatalog: PastSource {
    let store: String
    let moment: StoreMoment

    var words: String { moment.words }

    func names(in directory: String) throws(Errno) -> [String: Int64] {
        var names: [String: Int64] = [:]
        do {
            try StorePlace(mount: nil, store: store).asking { catalog in
                // What was removed to make room nobody can show.
                for artifact in try catalog.production(at: moment.nanoseconds, in: directory)
                where artifact.removed == nil {
                    names[artifact.name] = artifact.version ?? 0
                }
            }
        } catch {
            let problem = (error as? Failure)?.text ?? "\(error)"
            Logger(label: "artifactfs").error(
                "cannot tell what was in a directory", metadata: ["path": "\(directory)", "problem": "\(problem)"])
            throw .ioError
        }
        return names
    }
}
