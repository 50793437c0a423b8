import ArgumentParser
import Catalog
import Queries

/// `artifactfs reindex`
struct ReindexCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "reindex",
        abstract: "Make the catalog anew, by which artifacts and runs are found.",
        discussion: """
            The catalog is an index over the store's ledgers and sessions. It is brought up to date whenever it is asked, and made anew \
            by itself when it is damaged or from another version; this makes it anew now. It is never the truth, and nothing is \
            lost with it. It lies in the store's own directory, or in ~/.cache/artifactfs where this user cannot write there or the \
            store lies on a network file system.

            EXIT STATUS: 0 it is made, 2 it cannot be looked up, 3 not a store, 6 busy.
            """)

    @OptionGroup var store: StoreArguments

    func run() throws {
        try reporting {
            try store.place().asking(anew: true) { catalog in
                let count = try catalog.count(.all, .artifacts)
                let runs = try catalog.count(.all, .runs)
                let place = catalog.path.map { " in \($0)" } ?? ", in memory only"
                Terminal.show("\(count) artifacts and \(runs) runs\(place)")
            }
        }
    }
}
