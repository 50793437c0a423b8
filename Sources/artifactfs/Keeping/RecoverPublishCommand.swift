import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts

/// `artifactfs recover publish`
struct RecoverPublishCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "publish",
        abstract: "Publish what was kept back, after every check.",
        usage: """
            artifactfs recover publish <place> [<id>]
                   [--as <path>] [--despite <reason>]
            """,
        discussion: """
            Nothing is replaced, and what its check refuses is never published. What a failed or killed program left may be cut \
            where no check sees it, so it needs --despite with the reason why it is whole, which the record keeps.
            """)

    @OptionGroup var which: KeptArguments
    @Option(
        name: .customLong("as"),
        help: "Publish it as this path of the mount, such as production/base/splice_errors/chr1.tsv.")
    var newPath: String?
    @Option(name: .long, help: "Why it is whole although its program failed.")
    var despite: String?

    func validate() throws {
        guard let despite else { return }
        guard KeptBytes.isReason(despite), despite.utf8.count <= KeptBytes.longestReason else {
            throw ValidationError("--despite needs a reason of at most \(KeptBytes.longestReason) bytes.")
        }
    }

    func run() throws {
        try reporting {
            let (place, entry) = try which.find()
            guard !entry.isRun else {
                throw Failure(
                    .failed,
                    "\(entry.id) is all that a run made, and no artifact: copy it out with 'artifactfs recover restore "
                        + "\(place.argument) \(place.shortName(of: entry)) DIRECTORY', and from there what is to be published "
                        + "into production")
            }
            let path = newPath.map(place.relative) ?? entry.path
            try place.publish(entry, as: path, despite: despite)
            Terminal.show("published \(path)")
        }
    }
}
