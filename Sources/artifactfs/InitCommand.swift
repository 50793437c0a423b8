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
            try checkPlace(path)
            let creation = try Store.create(at: path)
            switch creation {
            case .made: Terminal.show("made the store \(path)")
            case .completed: Terminal.show("\(path) is a store now; nothing that was in it changed")
            case .unchanged: Terminal.show("\(path) is a store already; nothing changed")
            }
            if let store = try? Store(at: path, readOnly: true, durability: .synced), let files = try? store.existing()
            {
                let claimed = files.count { $0.shownPath != nil }
                let strays = Strays(files, store.schema).count
                // Of a store that had files before, in a line.
                if creation != .unchanged, claimed + strays > 0 {
                    Terminal.show(
                        """
                        \(claimed + strays) files were there: \(claimed) have names that the schema claims and no records yet, \
                        \(strays) are claimed by no type and not shown; 'artifactfs adopt --dry-run \(path)' lists both
                        """)
                }
            }
            Terminal.show("mount it with: artifactfs mount \(path) MOUNTPOINT")
        }
    }

    /// A store is made of real directories: on a mount of a store it could not be mounted. Nor is anything waited for that hangs.
    private func checkPlace(_ path: String) throws {
        var path = path
        while try Paths.resolved(path) == nil, let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")),
            slash != path.utf8.startIndex
        {
            path = String(path[..<slash])
        }
        guard let there = try Paths.resolved(path), let mount = MountEntry.holding(there), mount.isArtifacts else {
            return
        }
        throw Failure(
            .cannotAnswer,
            "\(there) lies on the mount of a store (\(mount.source) at \(mount.mountPoint)); "
                + "make the store somewhere else")
    }
}
