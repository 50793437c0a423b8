import ArgumentParser
import ArtifactStore

/// `artifactfs recover discard`
struct RecoverDiscardCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "discard",
        abstract: "Remove what was kept back, for ever.",
        discussion: "A directory goes with all that is in it. The ledger keeps what it was, and who removed it.")

    @OptionGroup var which: KeptArguments

    func run() throws {
        try reporting {
            let (place, entry) = try which.find()
            try place.discard(entry)
            Terminal.show("discarded \(entry.id)")
        }
    }
}
