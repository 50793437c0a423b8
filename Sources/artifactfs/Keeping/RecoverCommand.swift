import ArgumentParser
import ArtifactStore

/// `artifactfs recover`
struct RecoverCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "recover",
        abstract: "See, publish, fetch and discard what was kept back.",
        discussion: """
            What a failed or killed program left, what failed its check, and what came second for a name is kept in quarantine. \
            Users have their own on the mount, in MOUNT/.artifactfs/quarantine, and need no root; a store's directory is its owner's. \
            An artifact that is a directory is kept, published, copied and discarded whole.

            PLACE is a mount, a path on it, or a store's directory. ID is a name in quarantine, the beginning of one, or the \
            artifact's path on the mount, which means the newest of it.

            EXAMPLE:
              artifactfs recover list /mnt/art
              artifactfs recover show /mnt/art 20260215T143022
              artifactfs recover publish /mnt/art 20260215T143022 --despite 'only its plot failed'

            EXIT STATUS: 0 success, 1 refused (it stays in quarantine), 2 no such ID or more than one, 3 not a store, 8 waited in vain.
            """,
        subcommands: [
            RecoverListCommand.self, RecoverShowCommand.self, RecoverPublishCommand.self, RecoverRestoreCommand.self,
            RecoverDiscardCommand.self,
        ])
}

/// What the subcommands that are about one entry take.
struct KeptArguments: ParsableArguments {
    @Argument(help: "A mount, a path on it, or a store's directory.", completion: .directory)
    var place: String
    @Argument(help: "A name in quarantine, its beginning, or the artifact's path. Not needed after an artifact's path.")
    var id: String?

    /// The place, and the entry that is meant.
    func find() throws -> (place: KeptPlace, entry: QuarantineEntry) {
        let place = try KeptPlace(self.place)
        return (place, try place.find(id))
    }
}
