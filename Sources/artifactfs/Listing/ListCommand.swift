import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs ls`
struct ListCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "ls",
        abstract: "Show what there is in production: a row a type, a column a chromosome.",
        discussion: """
            Shows which artifacts are there (+), being written (w), were kept back (k) or are missing (-). Missing is what there is \
            of another type, or what the schema lists as a chromosome. Types of which there is nothing are missing only when they are \
            asked for by their path.

            On a mount of several stores, above them, and with --root it shows each store, and --missing what is missing of any; paths begin with the \
            store's. A store that nobody has gone into is looked at in its directory, so that none is opened for it.

            Of very many artifacts with names of their own only the number is shown, as the catalog knows it.

            In a pipe each line is a type's directory, a chromosome or a name, and what there is, with tabs between. On a mount \
            every user sees what that user may read; in a store's directory what is being written is not seen.

            EXAMPLES:
              artifactfs ls /mnt/art
              artifactfs ls --missing /mnt/art/production/base/splice_errors
              artifactfs ls --json /data/spliceai_eval
              artifactfs ls --missing --root /data

            EXIT STATUS: 0; with --missing: 0 nothing is missing, 1 something is; 2 it cannot be looked at, or not all of it, 3 not a store.
            """)

    @Argument(help: "A mount, a path on it, or a store's directory. (default: .)", completion: .directory)
    var place: String?
    @Option(name: .long, help: "All stores below a directory, as 'mount --root' shows them.", completion: .directory)
    var root: String?
    @Flag(name: .long, help: "Print only what is missing or was kept back, by its path.")
    var missing = false
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    func run() throws {
        try reporting {
            guard place == nil || root == nil else {
                throw Failure(.usage, "--root lists all stores below a directory: name it, or a place, and not both")
            }
            let stores = try ListedStores(place ?? ".", root: root)
            var (lost, unanswered) = (Sum(), stores.problems)
            for (shown, argument) in stores.places {
                do { try list(argument, shown, &lost) } catch let error where shown != nil {
                    let failure = (error as? Failure) ?? (error as? StoreError).map { Failure($0) }
                    guard let failure else { throw error }
                    Terminal.complain("\(shown ?? ""): not listed: \(failure.text)")
                    unanswered += 1
                }
            }
            if missing, json { print(JSONValue.array(lost.paths.map { .string($0) })) }
            if !lost.paths.isEmpty { throw ExitCode(Status.failed.rawValue) }
            if unanswered > 0 { throw ExitCode(Status.cannotAnswer.rawValue) }
        }
    }

    private struct Sum {
        /// What is missing.
        var paths: [String] = []
        var stores = 0
    }

    /// Lists one.
    ///
    /// - Parameter shown: what it is called among several.
    private func list(_ argument: String, _ shown: String?, _ sum: inout Sum) throws {
        // Programs get each by its name.
        let found = try ListedPlace(argument, mayCount: missing || !json && isatty(1) != 0)
        let rows = found.inventory.rows.filter { found.asks(for: $0.layer, $0.type) }
        let above = shown.map { $0 + "/" } ?? ""
        if missing {
            let paths = rows.flatMap(\.missing).map { above + $0 }
            sum.paths += paths
            if !json { for path in paths { print(Terminal.printable(path)) } }
            return
        }
        if json {
            var all = Self.json(found.inventory, rows)
            all["store"] = shown.map { .string($0) }
            return print(JSONValue.object(all))
        }
        guard isatty(1) != 0 else {
            for line in Self.table(found.inventory, rows) { print(above + line) }
            return
        }
        if let shown { print((sum.stores > 0 ? "\n" : "") + Terminal.printable(shown)) }
        sum.stores += 1
        for line in InventoryPage(found.inventory, rows, width: Terminal.columns).lines { print(line) }
    }

    private static func json(_ inventory: Inventory, _ rows: [Inventory.OfType]) -> JSONObject {
        [
            "chromosomes": .array(inventory.chromosomes.map { .string($0) }),
            "types": .array(
                rows.map { row in
                    var all: JSONObject = [
                        "path": .string(row.path), "layer": .string(row.layer.rawValue), "type": .string(row.type.name),
                    ]
                    all["whole"] = row.whole.map { .string($0.rawValue) }
                    for cell in Inventory.Cell.allCases {
                        let names = names(of: row).filter { row.cell(of: $0) == cell }
                        all[cell.rawValue] = .array(names.map { .string($0) })
                    }
                    return .object(all)
                }),
        ]
    }

    private static func table(_ inventory: Inventory, _ rows: [Inventory.OfType]) -> [String] {
        rows.flatMap { row in
            let whole = row.whole.map { ["\(row.path)\t\(row.type.name)\t\($0.rawValue)"] } ?? []
            return whole
                + names(of: row).compactMap { name in
                    row.cell(of: name).map { "\(row.path)\t\(Terminal.printable(name))\t\($0.rawValue)" }
                }
        }
    }

    /// The names of a row, in their order.
    private static func names(of row: Inventory.OfType) -> [String] {
        Set(row.cells.keys).union(row.expected).sorted(by: ChromosomeNames.areInOrder)
    }
}
