internal import ArtifactRecords
internal import Synchronization
internal import SystemCalls

/// Reads lines in a thread of its own, while the ones before them are written.
final class LineParser {
    /// A line, and where it is.
    typealias RawLine = (bytes: [UInt8], place: LedgerReader.LineSpan)

    private final class Exchange: Sendable {
        let given = PosixSemaphore()
        let done = PosixSemaphore()
        let raw = Lock<[RawLine]?>(nil)
        let parsed = Lock<[ParsedLine]>([])

        func run() {
            while true {
                given.wait()
                let lines = raw.withLock { raw -> [RawLine]? in
                    defer { raw = nil }
                    return raw
                }
                guard let lines else { return }
                let result = LineParser.parsed(lines)
                parsed.withLock { $0 = result }
                done.post()
            }
        }
    }

    private let exchange = Exchange()
    private let thread: WorkerThread?
    private var isBusy = false

    init() {
        let exchange = exchange
        thread = WorkerThread(name: "catalog") { exchange.run() }
    }

    private static func parsed(_ lines: [RawLine]) -> [ParsedLine] {
        lines.map { ParsedLine($0.bytes[...], at: $0.place) }
    }

    /// Gives lines to be read, and takes those that were given before; of the last ones nothing is given.
    func swap(_ lines: [RawLine]) -> [ParsedLine] {
        guard thread != nil else { return Self.parsed(lines) }
        var before: [ParsedLine] = []
        if isBusy {
            exchange.done.wait()
            before = exchange.parsed.withLock { parsed in
                defer { parsed = [] }
                return parsed
            }
        }
        isBusy = !lines.isEmpty
        if isBusy {
            exchange.raw.withLock { $0 = lines }
            exchange.given.post()
        }
        return before
    }

    deinit {
        if isBusy { exchange.done.wait() }
        exchange.given.post()
        thread?.join()
    }
}
