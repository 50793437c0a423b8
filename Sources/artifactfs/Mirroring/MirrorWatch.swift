import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// Waits until a store's ledgers have more lines.
struct MirrorWatch {
    private let store: String

    /// How often the ledgers are looked at, in seconds: on a store of several hosts nothing tells of what another one writes.
    private static let step: UInt32 = 2
    /// What is waited at most after the first failure, and after any, in seconds.
    private static let (firstWait, longestWait): (UInt32, UInt32) = (4, 300)

    init(_ store: String) { self.store = store }

    /// From now on SIGINT, SIGTERM and SIGHUP end the process well, whatever it does: a push may be ended anywhere, and the next one goes on.
    static func endAtSignals() {
        var set = sigset_t()
        var before = sigset_t()
        sigemptyset(&set)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, &before)
        let waited = set
        let thread = WorkerThread(name: "artifactfs-sig") {
            var (set, signal) = (waited, Int32(0))
            while sigwait(&set, &signal) != 0 {}
            _exit(0)
        }
        // Without a thread to be had they end it as ever.
        if let thread { thread.detach() } else { pthread_sigmask(SIG_SETMASK, &before, nil) }
    }

    /// How long every ledger's file is.
    func lengths() -> [String: Int64] {
        let directory = "\(store)/\(StoreLayout.privateDirectory)/ledger"
        var all: [String: Int64] = [:]
        for name in Paths.names(directory) where LedgerFiles.understand(name) != nil {
            let found = try? SystemCall.attributes(SystemCall.currentDirectory, directory + "/" + name)
            all[name] = found.map { Int64($0.st_size) } ?? -1
        }
        return all
    }

    /// Waits for a change.
    func wait(after known: [String: Int64]) {
        repeat { sleep(Self.step) } while lengths() == known
    }

    /// Waits after failures, longer after each one, and of a random length, so that many hosts do not come back together.
    func rest(after failures: Int) {
        let longest = min(Self.longestWait, Self.firstWait << UInt32(min(max(failures, 1) - 1, 8)))
        sleep(UInt32.random(in: longest / 2...longest))
    }
}
