import ArgumentParser
import ArtifactWeb
import Glibc
import Synchronization
import SystemCalls
import SystemPackage

/// `artifactfs serve`
struct ServeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "serve",
        abstract: "Show a store in a browser: what is there, runs, comparisons, lineages, what was kept back.",
        discussion: """
            Prints a URL with a token, and serves pages until it is ended (Ctrl-C). The pages are for this user on this machine: \
            they are served on the loopback address only, nothing is shown without the token, and nothing can be changed by them. \
            They need no network. From another machine: 'ssh -L PORT:127.0.0.1:PORT HOST', then the same URL.

            Queries on the pages are those of 'artifactfs find' and 'artifactfs runs'. 'artifactfs report' writes a page into a file.

            EXAMPLES:
              artifactfs serve /mnt/art
              artifactfs serve --port 8080

            EXIT STATUS: 1 the port cannot be had, 2 the store cannot be looked at, 3 not a store, 8 its driver does not \
            answer.
            """)

    @Argument(
        help: "A mount, a path on it, or a store's directory; without it $ARTIFACTFS_STORE, else where one stands.",
        completion: .directory)
    var store: String?
    @Option(name: .long, help: "The port on 127.0.0.1. Without it one that is free.")
    var port: UInt16 = 0

    func run() throws {
        try reporting {
            let place = try StorePlace.find(store)
            // Whether it can be looked at at all.
            _ = try place.schema()
            let token = RequestCheck.makeToken()
            let pages = PageProcesses(place.path)
            let server = PageServer(port: port, token: token) { await pages.make($0) }
            let failure = Self.wait {
                try await server.run { port in
                    print("http://127.0.0.1:\(port)/?token=\(token)")
                    try? SystemCall.flushOutput()
                }
            }
            throw Failure(.failed, "cannot serve on 127.0.0.1\(port == 0 ? "" : ":\(port)"): \(failure)")
        }
    }

    /// Waits for the end of something that does not end by itself; what ended it, in words.
    private static func wait(_ body: @escaping @Sendable () async throws -> Void) -> String {
        final class Ending: Sendable {
            let end = PosixSemaphore()
            let words = Lock("it was ended")
        }
        let ending = Ending()
        Task {
            do { try await body() } catch { ending.words.withLock { $0 = PageServer.words(for: error) } }
            ending.end.post()
        }
        ending.end.wait()
        return ending.words.withLock { $0 }
    }
}
