import ArgumentParser
import ArtifactRecords
import Glibc
import Mirrors
import ObjectStorage

/// `artifactfs mirror push`
struct MirrorPushCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "push",
        abstract: "Send what is sealed and not in a mirror yet.",
        usage: """
            artifactfs mirror push [<name>] [<query> ...] [--watch]
                             [--limit-rate <rate>] [--store <place>]
            """,
        discussion: """
            Sends to the mirror, or to all of the store, and ends with a snapshot that names all that a restore needs. What is there is not \
            sent again; what was ended is run again. A file whose bytes are not what was sealed is not sent, and told.

            With a query (the grammar of 'artifactfs find') only what it finds is sent, beside what is there already; records and ledgers go \
            whole. How many artifacts were not chosen is told, the snapshot says which, and so does a store that is restored from it. The next push \
            without a query sends them.

            With --watch it goes on until SIGINT, SIGTERM or SIGHUP, and sends what is sealed soon after it is. A bucket that cannot be used is tried \
            again, after times that grow to five minutes.

            EXAMPLE:
              artifactfs mirror push cloud --limit-rate 20M
              artifactfs mirror push cloud 'type = meta_models'

            EXIT STATUS: 0 all is there; 1 something was not sent; 2 the bucket cannot be used; 3 not a store; 6 another push is at work; 64 wrong \
            usage.
            """)

    @Argument(help: "The mirror (default: all of the store), and a query.")
    var words: [String] = []
    @Option(name: .long, help: "The most that is sent in a second, such as 500kB or 10MiB.")
    var limitRate: String?
    @Flag(name: .long, help: "Go on, and send what is sealed later.")
    var watch = false
    @OptionGroup var store: StoreArguments

    func run() throws {
        try reporting {
            let limit = try limitRate.map { try SizeArgument.bytes($0, of: "--limit-rate") }
            let place = try store.place()
            let store = try MirrorPlace.store(of: place)
            let (all, query) = try asked(store)
            guard !all.isEmpty else { throw try failure(of: store) }
            guard watch else {
                if let query, try MirrorInventory.titles(of: query, place).isEmpty {
                    throw Failure(.failed, "nothing was found of \(query); nothing was sent")
                }
                var (hasProblems, hasNoted) = (false, false)
                for mirror in all {
                    let sum = try push(mirror, place, query, limit, isQuiet: false)
                    (hasProblems, hasNoted) = (hasProblems || !sum.problems.isEmpty, hasNoted || sum.hasNoted)
                }
                // What the ledger says of the others is sent as well.
                if all.count > 1, hasNoted {
                    for mirror in all { _ = try push(mirror, place, query, limit, isQuiet: true) }
                }
                if hasProblems { throw ExitCode(Status.failed.rawValue) }
                return
            }
            try follow(all, place, store, query, limit)
        }
    }

    /// The first word is a mirror's name if there is one of that name, or if it can be nothing else; the rest is a query.
    private func asked(_ store: String) throws -> (mirrors: [MirrorPlace], query: String?) {
        let all = try MirrorPlace.all(of: store)
        guard let first = words.first else { return (all, nil) }
        let named = all.filter { $0.name == first }
        if named.isEmpty, words.count == 1, MirrorPlace.isName(first) {
            return ([try MirrorPlace.find(first, of: store)], nil)
        }
        let query = words.dropFirst(named.isEmpty ? 0 : 1).joined(separator: " ")
        return (named.isEmpty ? all : named, query.isEmpty ? nil : query)
    }

    /// Sends to one.
    private func push(
        _ mirror: MirrorPlace, _ place: StorePlace, _ query: String?, _ limit: Int64?, isQuiet: Bool
    ) throws -> MirrorPush.PushedSum {
        let sum = try mirror.alone { try MirrorPush(mirror, place, query: query, limit: limit).run() }
        for problem in sum.problems { Terminal.complain("not sent: " + problem) }
        if let fault = sum.fault { throw fault }
        if isQuiet, !sum.isNew { return sum }
        let snapshot = sum.snapshot.map { "snapshot \($0.number) has \($0.artifacts) artifacts" } ?? "no snapshot"
        let sent = sum.sent == 0 ? "nothing new" : "sent \(sum.sent) objects (\(ShownText.bytes(sum.bytes)))"
        let absent =
            sum.absent == 0
            ? "" : "; \(sum.absent) \(sum.absent == 1 ? "artifact is" : "artifacts are") not in it: not chosen"
        Terminal.show("\(mirror.name): \(sent) to \(mirror.place.url); \(snapshot)\(absent)")
        // Who watches it through a pipe or a file hears of it now.
        fflush(nil)
        return sum
    }

    /// Sends, and again whenever the ledgers have more, until a signal comes.
    private func follow(
        _ all: [MirrorPlace], _ place: StorePlace, _ store: String, _ query: String?, _ limit: Int64?
    ) throws {
        MirrorWatch.endAtSignals()
        let watching = MirrorWatch(store)
        var (failures, isFirst) = (0, true)
        // What was told is not told again while it stays.
        var told: String?
        while true {
            let lengths = watching.lengths()
            var trouble: Failure?
            for mirror in all {
                do {
                    if try !push(mirror, place, query, limit, isQuiet: !isFirst).problems.isEmpty {
                        trouble = trouble ?? Failure(.failed, "something was not sent; it is tried again")
                    }
                } catch let failure as Failure where failure.status == .cannotAnswer || failure.status == .busy {
                    trouble = failure
                }
            }
            isFirst = false
            guard let trouble else {
                (failures, told) = (0, nil)
                watching.wait(after: lengths)
                continue
            }
            if told != trouble.text { Terminal.complain(trouble.text) }
            (failures, told) = (failures + 1, trouble.text)
            watching.rest(after: failures)
        }
    }

    private func failure(of store: String) throws -> Failure {
        _ = try MirrorPlace.find(nil, of: store)
        return Failure(.cannotAnswer, "\(store) has no mirror")
    }
}
