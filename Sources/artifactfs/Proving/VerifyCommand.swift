import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs verify`
struct VerifyCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "verify",
        abstract: "Prove that sealed artifacts are what was sealed: read them, and compare their hashes.",
        usage: """
            artifactfs verify [PATH... | QUERY...] [--store PLACE] [--slice K/N]
                              [--older-than SPAN] [--max-duration SPAN] [--harden]
                              [--json]
            """,
        discussion: """
            Reads each artifact once and compares its SHA-256 and its size with what its record says; nobody may have the right to write \
            to it. Those that were never \
            proved come first, then those that were proved longest ago: what is stopped goes on the next time, with --older-than. \
            A path may be a directory. Without paths and query it is all of production. When each was last proved is remembered beside the catalog.

            With --harden what is proved is made immutable (chattr +i), for everybody and root too, as what a mount with --harden seals: \
            what was sealed before, or without it, and what has lost the flag. That takes root's rights. What has lost it differs without.

            Prints what is not as it was sealed, and a line on all; of former versions that 'artifactfs gc' has removed that they were. What is evicted is in a mirror only: that is not known here, and 'artifactfs mirror verify' asks for it. With --json there is a line for each artifact, with when it was \
            proved before.

            SPANS: 90s, 10m, 2h, 30d, 1w.

            EXAMPLES:
              artifactfs verify                                     all of it
              artifactfs verify --slice 3/30                        the third of 30 parts: one a night
              artifactfs verify --older-than 30d --max-duration 2h
              artifactfs verify 'type = meta_models'
              artifactfs verify production/base/splice_errors/chr1.tsv

            EXIT STATUS: 0 all that was looked at is what was sealed, 1 something differs or is gone, 2 something could not be looked \
            at (and nothing differs), 3 not a store, 6 busy, 64 the query is wrong.
            """)

    @Argument(help: "Paths on a mount or in a store, or a query as of 'artifactfs find'.")
    var words: [String] = []
    @OptionGroup var store: StoreArguments
    @Option(name: .long, help: ArgumentHelp("Only the K-th of N parts, always the same ones.", valueName: "k/n"))
    var slice: String?
    @Option(name: .long, help: ArgumentHelp("Only what was not proved for so long, or never.", valueName: "span"))
    var olderThan: String?
    @Option(name: .long, help: ArgumentHelp("Begin with no further artifact after so long.", valueName: "span"))
    var maxDuration: String?
    @Flag(name: .long, help: "Make what is proved immutable for everybody, root too.")
    var harden = false
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            let part = try slice.map(Self.part)
            let age = try olderThan.map { try Self.span($0, "--older-than") }
            let time = try maxDuration.map { try Self.span($0, "--max-duration") }
            let proving = try Proving(try ChosenArtifacts.place(of: words, store), words: words, part: part, age: age)
            let sum = proving.run(for: time, hardens: harden) { one, proof, before in
                let isAbsent = proof == .missing && proving.isAbsent(one)
                if json { return print(JSONValue.object(Self.json(one, proof, before, isAbsent: isAbsent))) }
                if isAbsent { return Terminal.show("\(one.title): is not here: \(AbsentArtifacts.words)") }
                if proof != .whole { Terminal.show("\(one.title): \(Self.words(proof))") }
            }
            for one in proving.removed { tell(removed: one, areNamed: !words.isEmpty) }
            if !json {
                Terminal.show(sum.words)
            } else if sum.left + sum.withoutRecord > 0 || sum.isForgotten {
                Terminal.complain(sum.words)
            }
            if sum.status != 0 { throw ExitCode(sum.status) }
        }
    }

    /// Of what was named it is said of each.
    private func tell(removed one: Proving.Sealed, areNamed: Bool) {
        let time = one.removed.map { StoreMoment.text($0) } ?? ""
        if json {
            var object: JSONObject = ["path": .string(one.path), "state": .string("removed"), "removed": .string(time)]
            object.add("version", one.version.map { .integer($0) })
            object["sha256"] = one.sha256.map { .string($0) }
            print(JSONValue.object(object))
        } else if areNamed {
            Terminal.show("\(one.title): \(VersionRemoval.words(time: time))")
        }
    }

    private static func part(_ text: String) throws -> (number: Int64, count: Int64) {
        let parts = text.split(separator: "/", omittingEmptySubsequences: false).map { Int64($0) }
        guard parts.count == 2, let number = parts[0], let count = parts[1], count > 0, (1...count).contains(number)
        else {
            throw Failure(.usage, "--slice \(text): that is no part, such as 3/30")
        }
        return (number, count)
    }

    private static func span(_ text: String, _ option: String) throws -> Int64 {
        guard let seconds = TimeSpan.seconds(text) else {
            throw Failure(.usage, "\(option) \(text): that is no span of time, such as 30d, 2h or 10m")
        }
        return seconds
    }

    private static func words(_ proof: SealedProof) -> String {
        switch proof {
        case .whole: "is what was sealed"
        case .differs(let why): "DIFFERS: \(why)"
        case .missing: "IS GONE: it was sealed, and nothing is there"
        case .unknown(let why): "could not be looked at: \(why)"
        case .evicted(let mirror): "is evicted: \(Proving.words(ofEvictedTo: mirror))"
        }
    }

    private static func json(
        _ one: Proving.Sealed, _ proof: SealedProof, _ before: Int64?, isAbsent: Bool
    ) -> JSONObject {
        var object: JSONObject = ["path": .string(one.path)]
        object.add("version", one.version.map { .integer($0) })
        switch proof {
        case .whole: object["state"] = .string("whole")
        case .differs(let why): (object["state"], object["why"]) = (.string("differs"), .string(why))
        case .missing: object["state"] = .string(isAbsent ? "absent" : "missing")
        case .unknown(let why): (object["state"], object["why"]) = (.string("unknown"), .string(why))
        case .evicted(let mirror): (object["state"], object["mirror"]) = (.string("evicted"), .string(mirror))
        }
        object["sha256"] = one.sha256.map { .string($0) }
        object["proved_before"] = before.flatMap { CatalogValue.time($0).json }
        return object
    }
}
