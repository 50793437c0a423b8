import ArtifactWeb
import Glibc
import SystemCalls
import SystemPackage

/// Lets pages be made, each by a process of its own, so many at a time.
final class PageProcesses: Sendable {
    private let store: String
    private let turns = PosixSemaphore()

    /// So many at a time.
    private static let most = 4
    /// How long one may take, in milliseconds.
    private static let patience: Int64 = 60_000
    /// In bytes.
    private static let longest = 64 << 20

    /// - Parameter store: a mount, or a store's directory.
    init(_ store: String) {
        self.store = store
        for _ in 0..<Self.most { turns.post() }
    }

    /// The page; it is waited for by a thread of its own.
    func make(_ target: PageTarget) async -> MadePage {
        await withCheckedContinuation { continuation in
            let thread = WorkerThread(name: "page") { continuation.resume(returning: self.wait(for: target)) }
            guard let thread else {
                return continuation.resume(returning: MadePage(status: 503, text: "the system has no thread to give"))
            }
            thread.detach()
        }
    }

    private func wait(for target: PageTarget) -> MadePage {
        turns.wait()
        defer { turns.post() }
        guard let (process, output) = start(target) else {
            return MadePage(status: 503, text: "the system has no process to give")
        }
        defer { SystemCall.close(output) }
        let deadline = Patience.now() + Self.patience
        var bytes: [UInt8] = []
        var isWhole = false
        while bytes.count < Self.longest {
            guard (try? SystemCall.waitToRead(output) { deadline - Patience.now() }) == true,
                let more = try? SystemCall.bytes(output, atMost: 1 << 20)
            else { break }
            if more.isEmpty {
                isWhole = true
                break
            }
            bytes += more
        }
        if !isWhole { kill(process, SIGKILL) }
        let status = try? SystemCall.wait(for: process)
        if isWhole, status == 0, let page = PageCommand.page(bytes) { return page }
        return isWhole
            ? MadePage(
                status: 500, text: "the page could not be made: what was at fault is said where 'artifactfs serve' runs"
            )
            : MadePage(status: 504, text: "the page was not made in time")
    }

    private func start(_ target: PageTarget) -> (process: pid_t, output: FileDescriptor)? {
        guard let ends = try? SystemCall.makePipe() else { return nil }
        defer { SystemCall.close(ends.writing) }
        let words = ["artifactfs", PageCommand.name, "--store", store, "--", target.text]
        guard let process = try? SystemCall.start("/proc/self/exe", words, output: ends.writing) else {
            SystemCall.close(ends.reading)
            return nil
        }
        return (process, ends.reading)
    }
}
