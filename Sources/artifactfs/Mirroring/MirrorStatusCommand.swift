import ArgumentParser
import ArtifactRecords
import Mirrors
import ObjectStorage

/// `artifactfs mirror status`
struct MirrorStatusCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "status",
        abstract: "List a store's mirrors, and what is not sent yet.",
        discussion: """
            By what this store knows; no server is asked ('artifactfs mirror verify' asks). What the bucket keeps of what is overwritten or deleted is \
            what 'artifactfs mirror add' was told.

            EXAMPLE:
              artifactfs mirror status --store /mnt/art

            EXIT STATUS: 0 all is sent, 1 something is not, 2 there is no mirror, 3 not a store.
            """)

    @Argument(help: "The mirror. (default: all of the store)")
    var name: String?
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false
    @OptionGroup var store: StoreArguments

    func run() throws {
        try reporting {
            let place = try store.place()
            let store = try MirrorPlace.store(of: place)
            let all = try name != nil ? [MirrorPlace.find(name, of: store)] : MirrorPlace.all(of: store)
            guard !all.isEmpty else {
                _ = try MirrorPlace.find(nil, of: store)
                return
            }
            let inventory = try MirrorInventory.of(place, store)
            var isBehind = false
            for mirror in all {
                let known = mirror.sentKeys()
                let left = inventory.items.filter { !known.contains($0.key) }
                let bytes = left.reduce(Int64(0)) { $0 &+ $1.size }
                let last = mirror.lastSnapshot()
                let lines = Self.lines(inventory, last)
                let isWhole = left.isEmpty && lines == 0 && last != nil && inventory.problems.isEmpty
                isBehind = isBehind || !isWhole
                if json {
                    var all: JSONObject = [
                        "name": .string(mirror.name), "url": .string(mirror.place.url),
                        "files": .integer(Int64(left.count)),
                        "bytes": .integer(bytes), "ledger_bytes": .integer(lines), "whole": .bool(isWhole),
                    ]
                    for (name, value) in mirror.settings.shown.sorted { all[name] = value }
                    all["snapshot"] = last.map { .integer($0.number) }
                    all["time"] = last.map { .string($0.time) }
                    all["absent"] = last.map { .integer(Int64($0.absent.count)) }
                    all["artifacts"] = last.map { .integer(Int64($0.artifacts)) }
                    print(JSONValue.object(all).description)
                    continue
                }
                let state =
                    last.map { "snapshot \($0.number) of \($0.shownTime) has \($0.artifacts) artifacts" }
                    ?? "no snapshot yet"
                let absent =
                    last.map { $0.absent.isEmpty ? "" : ", without \($0.absent.count) that were not chosen" } ?? ""
                let rest =
                    isWhole
                    ? "all is sent"
                    : "\(left.count) files (\(ShownText.bytes(bytes))) and \(ShownText.bytes(lines)) of ledgers are not sent"
                Terminal.show(
                    "\(mirror.name)  \(mirror.place.url): \(state)\(absent); \(rest); \(mirror.settings.words)")
            }
            for problem in inventory.problems { Terminal.complain("cannot be sent: " + problem) }
            if isBehind { throw ExitCode(Status.failed.rawValue) }
        }
    }

    /// How many bytes of ledgers a snapshot has not.
    private static func lines(_ inventory: MirrorInventory, _ last: MirrorSnapshot?) -> Int64 {
        var sent: Int64 = 0
        for entry in last?.entries ?? [] {
            if case .pieces(let pieces) = entry.content { sent = pieces.reduce(sent) { $0 &+ $1.size } }
        }
        return max(0, inventory.ledgers.reduce(0) { $0 &+ $1.size } - sent)
    }
}
