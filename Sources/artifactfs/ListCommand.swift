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
            let found = try ListedPlace(place)
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

/// What there is in production at the place that somebody asks about.
private struct ListedPlace {
    let inventory: Inventory
    private let asked: TreeLocation

    init(_ argument: String) throws {
        let place = try KeptPlace(argument)
        let file = place.path + "/" + StoreLayout.privateDirectory + "/schema.yaml"
        let schema: ArtifactSchema
        if let mount = place.mount {
            guard let text = Patience.find(on: mount, { Paths.contents(file) ?? [] }) else {
                throw MountEntry.silence(on: place.path)
            }
            guard let parsed = try? SchemaFile.parse(String(decoding: text, as: UTF8.self), file: file) else {
                throw Failure(.cannotAnswer, "\(file) cannot be read")
            }
            schema = parsed
        } else {
            schema = try ShownArtifact.openStore(place.path).schema
        }
        let (location, rest) = schema.locate(place.rest)
        guard rest.isEmpty || place.rest.isEmpty else {
            throw Failure(
                .cannotAnswer, "\(place.rest) is no directory of production; 'artifactfs show' shows one artifact")
        }
        switch location {
        case .root, .mode(.production), .scope(.production), .layer(.production, _), .typed(.production, _, _): break
        default:
            throw Failure(.cannotAnswer, "\(place.rest) is not in production; 'artifactfs session list' lists sessions")
        }
        asked = location
        var found: [Inventory.Found] = []
        for layer in Layer.allCases {
            for type in schema.types(in: layer) where Self.isIn(location, layer, type) || type.naming == .chromosome {
                found += try Self.find(type, layer, place)
            }
        }
        let kept = (try? place.entries()) ?? []
        found += kept.flatMap { $0.artifacts.isEmpty ? [$0.path] : $0.artifacts }.compactMap { Self.kept($0, schema) }
        inventory = Inventory(schema, found) { layer, type in
            if case .typed = location { Self.isIn(location, layer, type) } else { false }
        }
    }

    /// Whether a type is among what was asked for.
    func asks(for layer: Layer, _ type: TypeDefinition) -> Bool { Self.isIn(asked, layer, type) }

    private static func isIn(_ location: TreeLocation, _ layer: Layer, _ type: TypeDefinition) -> Bool {
        switch location {
        case .layer(_, let asked): asked == layer
        case .typed(_, let askedLayer, let askedType): askedLayer == layer && askedType == type
        default: true
        }
    }

    private static func kept(_ path: String, _ schema: ArtifactSchema) -> Inventory.Found? {
        guard case (.typed(.production, let layer, let type), let rest) = schema.locate(path), rest.count == 1,
            let name = rest.first
        else { return nil }
        if case .artifact = type.classify(name) { return .init(type, in: layer, name: name, .keptBack) }
        guard case .artifact = type.classify(name, ofDirectory: true) else { return nil }
        return .init(type, in: layer, name: name, isDirectory: true, .keptBack)
    }

    /// What there is of a type.
    private static func find(
        _ type: TypeDefinition, _ layer: Layer, _ place: KeptPlace
    ) throws -> [Inventory.Found] {
        guard let mount = place.mount else {
            let directory = place.path + "/" + StoreLayout.directory(of: .typed(.production, layer, type))
            return entries(of: directory).compactMap { entry in
                guard let name = type.virtualName(forReal: entry.name, ofDirectory: entry.isDirectory) else {
                    return nil
                }
                return .init(type, in: layer, name: name, isDirectory: entry.isDirectory, .there)
            }
        }
        let directory = "\(place.path)/\(Mode.production.rawValue)/\(layer.rawValue)/\(type.name)"
        // In a process of its own: a driver that is stopped does not answer.
        let answer = Patience.find(on: mount) {
            Array(
                entries(of: directory).map { entry in
                    let state = try? SystemCall.extendedAttribute(
                        "user.artifact.state", ofPath: directory + "/" + entry.name)
                    return
                        "\(entry.isDirectory ? "d" : "f")\(state.map { String(decoding: $0, as: UTF8.self) } ?? "") \(entry.name)"
                }.joined(separator: "\0").utf8)
        }
        guard let answer else { throw MountEntry.silence(on: directory) }
        return answer.split(separator: 0).compactMap { line in
            let parts = String(decoding: line, as: UTF8.self).split(separator: " ", maxSplits: 1)
            guard parts.count == 2, let name = parts.last.map(String.init) else { return nil }
            let isDirectory = parts[0].hasPrefix("d")
            guard case .artifact = type.classify(name, ofDirectory: isDirectory) else { return nil }
            let isSealed = parts[0].dropFirst() == "sealed"
            return .init(type, in: layer, name: name, isDirectory: isDirectory, isSealed ? .there : .beingWritten)
        }
    }

    private static func entries(of directory: String) -> [(name: String, isDirectory: Bool)] {
        Paths.names(directory).compactMap { name in
            guard let found = try? SystemCall.attributes(SystemCall.currentDirectory, directory + "/" + name),
                found.isRegular || found.isDirectory
            else { return nil }
            return (name, found.isDirectory)
        }
    }
}

/// Production on a terminal.
struct InventoryPage {
    let lines: [String]

    /// More chromosomes are told of by their number.
    private static let mostColumns = 100

    init(_ inventory: Inventory, _ rows: [Inventory.OfType], width: Int) {
        var lines: [String] = []
        let label = 2 + (rows.map(\.type.name.utf8.count).max() ?? 0)
        var hasGrid = false
        for layer in Layer.allCases {
            let here = rows.filter { $0.layer == layer }
            guard !here.isEmpty else { continue }
            if !lines.isEmpty { lines.append("") }
            lines.append("\(Mode.production.rawValue)/\(layer.rawValue)")
            let grid = here.filter { $0.type.naming == .chromosome && !($0.cells.isEmpty && $0.expected.isEmpty) }
            let columns = Set(grid.flatMap { Array($0.cells.keys) + $0.expected }).sorted(
                by: ChromosomeNames.areInOrder)
            let isGrid = !grid.isEmpty && columns.count <= Self.mostColumns
            if isGrid {
                hasGrid = true
                lines += Self.grid(grid, columns, label, width)
            }
            for row in here where !isGrid || !grid.contains(row) || row.whole != nil {
                let words = Self.words(row, countsChromosomes: !isGrid)
                lines.append(Self.padded("  " + row.type.name, label + 2) + words)
            }
        }
        if hasGrid { lines += ["", "+ there   - missing   w being written   k kept back"] }
        self.lines = lines
    }

    private static func words(_ row: Inventory.OfType, countsChromosomes: Bool) -> String {
        var words: [String] = []
        switch row.whole {
        case .there?: words.append("there")
        case .beingWritten?: words.append("being written")
        case .keptBack?: words.append("kept back")
        case .missing?: words.append("missing")
        case nil: break
        }
        if row.type.naming == .free || countsChromosomes {
            let all = row.cells.values
            let there = all.count { $0 == .there }
            if there > 0 { words.append(there == 1 ? "1 artifact" : "\(there) artifacts") }
            for (cell, name) in [(Inventory.Cell.beingWritten, "being written"), (.keptBack, "kept back")] {
                let count = all.count { $0 == cell }
                if count > 0 { words.append("\(count) \(name)") }
            }
            let missing = row.expected.count { row.cells[$0] == nil }
            if missing > 0 { words.append("\(missing) missing") }
        }
        return words.isEmpty ? "nothing" : words.joined(separator: ", ")
    }

    private static func grid(_ rows: [Inventory.OfType], _ columns: [String], _ label: Int, _ width: Int) -> [String] {
        let isPrefixed = columns.allSatisfy { $0.utf8.starts(with: "chr".utf8) }
        let heads = columns.map { Terminal.printable(isPrefixed ? String($0.dropFirst(3)) : $0) }
        let widest = 1 + (heads.map(\.unicodeScalars.count).max() ?? 1)
        let most = max(1, (width - label - 2) / widest)
        var lines: [String] = []
        for begin in stride(from: 0, to: columns.count, by: most) {
            let part = begin..<min(columns.count, begin + most)
            let title = isPrefixed && begin == 0 ? "  chr" : "  "
            lines.append(padded(title, label + 2) + part.map { padded(heads[$0], widest) }.joined())
            for row in rows {
                let cells = part.map { padded(sign(row.cell(of: columns[$0])), widest) }.joined()
                lines.append(padded("  " + row.type.name, label + 2) + cells)
            }
        }
        return lines.map { line in
            var line = line
            while line.last == " " { line.removeLast() }
            return line
        }
    }

    private static func sign(_ cell: Inventory.Cell?) -> String {
        switch cell {
        case .there?: "+"
        case .beingWritten?: "w"
        case .keptBack?: "k"
        case .missing?: "-"
        case nil: ""
        }
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.unicodeScalars.count))
    }
}
