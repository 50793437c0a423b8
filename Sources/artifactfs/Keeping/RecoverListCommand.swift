import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts

/// `artifactfs recover list`
struct RecoverListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "list", abstract: "List what was kept back: whose, what, when and why.")

    @Argument(help: "A mount, a path on it, or a store's directory.", completion: .directory)
    var place = "."
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            let place = try KeptPlace(self.place)
            let entries = try place.entries().filter { place.rest.isEmpty || place.holds($0) }
            if json {
                for entry in entries { print(place.json(entry).description) }
                return
            }
            guard !entries.isEmpty else { return Terminal.show("nothing was kept back") }
            let names = KeptPlace.shortNames(of: entries.map(\.id))
            for (entry, name) in zip(entries, names) {
                Terminal.show("\(name)  \(place.size(of: entry))  \(UserName.of(entry.owner))")
                Terminal.show("    \(entry.path)", indent: 4)
                Terminal.show(
                    "    \(entry.rule?.rawValue ?? "unknown"): \(entry.reason ?? KeptPlace.unknownReason)", indent: 6)
            }
            Terminal.show(
                "\(entries.count) kept back; 'artifactfs recover show \(place.argument) ID' says more, and how to go on",
                indent: 4)
        }
    }
}
