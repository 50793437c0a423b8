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

            Of very many artifacts with names of their own only the number is shown, as the catalog knows it.

            In a pipe each line is a type's directory, a chromosome or a name, and what there is, with tabs between. On a mount \
            every user sees what that user may read; in a store's directory what is being written is not seen.

            EXAMPLES:
              artifactfs ls /mnt/art
              artifactfs ls --missing /mnt/art/production/base/splice_errors
              artifactfs ls --json /data/spliceai_eval

            EXIT STATUS: 0; with --missing: 0 nothing is missing, 1 something is; 2 it cannot be looked at, 3 not a store.
            """)

    @Argument(help: "A mount, a path on it, or a store's directory.", completion: .directory)
    var place = "."
    @Flag(name: .long, help: "Print only what is missing or was kept back, by its path.")
    var missing = false
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    func run() throws {
        try reporting {
            // Programs get each by its name.
            let found = try ListedPlace(place, mayCount: missing || !json && isatty(1) != 0)
            let rows = found.inventory.rows.filter { found.asks(for: $0.layer, $0.type) }
            if missing {
                let paths = rows.flatMap(\.missing)
                if json {
                    print(JSONValue.array(paths.map { .string($0) }))
                } else {
                    for path in paths { print(Terminal.printable(path)) }
                }
                if !paths.isEmpty { throw ExitCode(Status.failed.rawValue) }
                return
            }
            if json { return print(Self.json(found.inventory, rows)) }
            let lines =
                isatty(1) != 0
                ? InventoryPage(found.inventory, rows, width: Terminal.columns).lines
                : Self.table(found.inventory, rows)
            for line in lines { print(line) }
        }
    }

    private static func json(_ inventory: Inventory, _ rows: [Inventory.OfType]) -> JSONValue {
        .object([
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
        ])
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
