import Glibc
import SystemCalls
import SystemPackage

/// How far something long has come, on a terminal; nothing is shown anywhere else, and of what takes less than a moment.
final class ProgressBar {
    private let title: String
    private let begin = Clock.monotonic()
    private var last: UInt64 = 0
    private let isShown = isatty(2) != 0

    /// In nanoseconds.
    private static let (patience, step): (UInt64, UInt64) = (500_000_000, 100_000_000)
    private static let width = 30

    init(_ title: String) { self.title = title }

    func show(_ done: Int64, of all: Int64) {
        let now = Clock.monotonic()
        guard isShown, all > 0, now &- begin > Self.patience, now &- last > Self.step else { return }
        last = now
        let share = min(1, Double(done) / Double(all))
        let full = Int(share * Double(Self.width))
        let bar = String(repeating: "#", count: full) + String(repeating: ".", count: Self.width - full)
        write("\r\(title) [\(bar)] \(Int(share * 100)) %")
    }

    /// Takes it away.
    func end() { if last != 0 { write("\r\u{1B}[K") } }

    private func write(_ text: String) { try? SystemCall.write(FileDescriptor(rawValue: 2), Array(text.utf8)) }
}
