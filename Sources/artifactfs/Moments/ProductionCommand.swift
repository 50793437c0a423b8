import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc

/// `artifactfs production`
struct ProductionCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "production",
        abstract: "List what was in production at a moment, or what changed.",
        usage: """
            artifactfs production [--at <moment>] [--diff <moment>] [--json]
                   [<place>]
            """,
        discussion: """
            Lists the artifacts that had their names then, from the ledgers. With --diff it tells what came (+), went (-) and was \
            replaced (~) from the first moment to the second.

            A moment is a tag, a date in local time ("2026-10-01", "2026-10-01 14:30", yesterday), which means when that was over, a \
            time as the ledger writes it, or HOST:NUMBER, a line of a ledger. 'artifactfs mount --as-of' shows the files as they were.

            Of what 'artifactfs gc' has removed since it says so, on standard error.

            The ledgers are the store owner's and root's.

            EXAMPLES:
              artifactfs production --at paper-v1 /mnt/art
              artifactfs production --at yesterday --diff now /mnt/art

            EXIT STATUS: 0 there is something, with --diff: nothing differs; 1 nothing is there, or something differs; 2 it cannot be \
            looked up; 3 not a store; 64 no such moment.
            """)

    @Argument(help: "A mount or a store's directory. (default: where you are)", completion: .directory)
    var place: String?
    @Option(name: .customLong("at"), help: "The moment. (default: now)")
    var moment = "now"
    @Option(name: .customLong("diff"), help: "Another moment: tell what changed until then.")
    var other: String?
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            let place = try StorePlace.find(place)
            guard let path = place.store else {
                throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
            }
            let store = try ShownArtifact.openStore(path)
            let first = try StoreMoment(moment, in: store)
            let second = try other.map { try StoreMoment($0, in: store) }
            var (count, isSame) = (0, true)
            try StorePlace(mount: nil, store: path).asking { catalog in
                for directory in try catalog.directories() {
                    let before = try catalog.production(at: first.nanoseconds, in: directory)
                    guard let second else {
                        for artifact in before { show(artifact, directory, nil) }
                        count += before.count
                        continue
                    }
                    let after = try catalog.production(at: second.nanoseconds, in: directory)
                    if differs(before, after, directory) { isSame = false }
                }
            }
            if second == nil, count == 0 { throw Failure(.failed, "nothing was in production then") }
            if !isSame { throw ExitCode(Status.failed.rawValue) }
        }
    }

    /// - Returns: whether anything changed.
    private func differs(
        _ before: [Catalog.PresentArtifact], _ after: [Catalog.PresentArtifact], _ directory: String
    ) -> Bool {
        let former = Dictionary(before.map { ($0.name, $0) }) { first, _ in first }
        let later = Dictionary(after.map { ($0.name, $0) }) { first, _ in first }
        var differs = false
        for name in Set(former.keys).union(later.keys).sorted() {
            let (old, new) = (former[name], later[name])
            if old?.sealed == new?.sealed, old?.sha256 == new?.sha256 { continue }
            differs = true
            if let shown = new ?? old { show(shown, directory, old == nil ? "+" : new == nil ? "-" : "~") }
        }
        return differs
    }

    private func show(_ artifact: Catalog.PresentArtifact, _ directory: String, _ mark: String?) {
        let path = directory + "/" + artifact.name
        guard json else {
            // In a pipe a line is an artifact.
            print((mark.map { $0 + " " } ?? "") + Terminal.printable(path))
            if let removed = artifact.removed {
                let time = StoreMoment.text(removed)
                Terminal.complain("\(path)@\(artifact.version ?? 1): \(VersionRemoval.words(time: time))")
            }
            return
        }
        var all: JSONObject = ["path": .string(path)]
        all.add("change", mark.map { .string($0 == "+" ? "came" : $0 == "-" ? "went" : "replaced") })
        all.add("version", artifact.version.map { .integer($0) })
        all.add("size", artifact.size.map { .integer($0) })
        all.add("sha256", artifact.sha256.map { .string($0) })
        all.add("sealed", .string(StoreMoment.text(artifact.sealed)))
        all.add("removed", artifact.removed.map { .string(StoreMoment.text($0)) })
        print(JSONValue.object(all).description)
    }
}
