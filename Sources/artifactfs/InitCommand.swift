import ArgumentParser
import ArtifactStore

/// `artifactfs init`
struct InitCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "init",
        abstract: "Make a store.",
        discussion: """
            Makes the directory with base_layer, meta_layer and .artifactfs, in which schema.yaml declares the artifact types. A \
            directory that has a base_layer or meta_layer already becomes a store as it is: no file is touched.

            EXAMPLE:
              artifactfs init data/ensembl/GRCh38/spliceai_eval
            """)

    @Argument(help: "The store's directory.", completion: .directory)
    var store: String

    func run() throws {
        try reporting {
            let path = try Paths.absolute(store)
            let creation = try Store.create(at: path)
            switch creation {
            case .made: Terminal.show("made the store \(path)")
            case .completed: Terminal.show("\(path) is a store now; nothing that was in it changed")
            case .unchanged: Terminal.show("\(path) is a store already; nothing changed")
            }
            Terminal.show("mount it with: artifactfs mount \(path) MOUNTPOINT")
        }
    }
}
