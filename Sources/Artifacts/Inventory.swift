/// What there is in production: a row a type, a column a chromosome.
public struct Inventory: Hashable, Sendable {
    /// What there is under one name.
    public enum Cell: String, CaseIterable, Hashable, Sendable {
        /// An artifact that is sealed.
        case there
        /// Somebody writes it, or it is being published.
        case beingWritten = "writing"
        /// It was written and kept back, and the name is free.
        case keptBack = "kept"
        /// Nothing, where there is something of another type, or where the schema lists the chromosomes.
        case missing

        /// Of two files of one chromosome (`chr1.tsv`, `chr1.tsv.gz`) the better one counts.
        fileprivate func better(of other: Cell) -> Cell {
            Self.allCases.first { $0 == self || $0 == other } ?? self
        }
    }

    /// What was found of a type under one of its names.
    public struct Found: Hashable, Sendable {
        /// The layer that it is in.
        public let layer: Layer
        /// Its name in the type's directory on the mount.
        public let name: String
        /// What there is.
        public let cell: Cell
        /// Whether it is a directory that is an artifact.
        public let isDirectory: Bool
        /// Its type.
        public let type: TypeDefinition

        /// What was found of a type under one of its names.
        public init(_ type: TypeDefinition, in layer: Layer, name: String, isDirectory: Bool = false, _ cell: Cell) {
            (self.type, self.layer, self.name, self.isDirectory, self.cell) = (type, layer, name, isDirectory, cell)
        }
    }

    /// A type in a layer.
    public struct OfType: Hashable, Sendable {
        /// The layer.
        public let layer: Layer
        /// The type.
        public let type: TypeDefinition
        /// What there is of each chromosome, or under each plain name; of a chromosome that is not here there is nothing.
        public fileprivate(set) var cells: [String: Cell] = [:]
        /// What there is under the type's own name; nil when nothing is and nothing is missed.
        public fileprivate(set) var whole: Cell?
        /// The chromosomes that are expected of it.
        public fileprivate(set) var expected: [String] = []
        /// How many more artifacts there are that were counted only.
        public fileprivate(set) var counted = 0

        /// Its directory, from the mount point.
        public var path: String { "\(Mode.production.rawValue)/\(layer.rawValue)/\(type.name)" }
        /// Whether nothing is there, nor on its way.
        public var isEmpty: Bool { counted == 0 && (whole == nil || whole == .missing) ? cells.isEmpty : false }

        /// What there is of a chromosome.
        public func cell(of chromosome: String) -> Cell? {
            cells[chromosome] ?? (expected.contains(chromosome) ? .missing : nil)
        }

        /// What there is, in words.
        ///
        /// - Parameter countsChromosomes: whether chromosomes are counted, which else have a table.
        public func words(countsChromosomes: Bool) -> String {
            var words: [String] = []
            switch whole {
            case .there?: words.append("there")
            case .beingWritten?: words.append("being written")
            case .keptBack?: words.append("kept back")
            case .missing?: words.append("missing")
            case nil: break
            }
            if type.naming == .free || countsChromosomes {
                let there = counted + cells.values.count { $0 == .there }
                if there > 0 { words.append(there == 1 ? "1 artifact" : "\(there) artifacts") }
                for (cell, name) in [(Cell.beingWritten, "being written"), (.keptBack, "kept back")] {
                    let count = cells.values.count { $0 == cell }
                    if count > 0 { words.append("\(count) \(name)") }
                }
                let missing = expected.count { cells[$0] == nil }
                if missing > 0 { words.append("\(missing) missing") }
            }
            return words.isEmpty ? "nothing" : words.joined(separator: ", ")
        }

        /// What is missing or was kept back, by its paths from the mount point.
        public var missing: [String] {
            let format = type.kind.hasFiles ? type.formats.first ?? "" : ""
            let parts = expected.filter { cells[$0] == nil || cells[$0] == .keptBack }.map { "\(path)/\($0)\(format)" }
            return whole == .missing || whole == .keptBack && parts.isEmpty && expected.isEmpty
                ? ["\(path)/\(type.name)\(format)"] + parts : parts
        }
    }

    /// The chromosomes, in their order: those that the schema lists, and those of which there is anything.
    public let chromosomes: [String]
    /// The types in the order of layers and of the schema.
    public let rows: [OfType]

    /// What there is, of what was found.
    ///
    /// - Parameters:
    ///   - asked: the types that somebody asked for by name: of these all chromosomes are expected, of others only when there is anything.
    ///   - counted: how many there are of a type besides what was found.
    public init(
        _ schema: ArtifactSchema, _ found: [Found], in layers: [Layer] = Layer.allCases,
        asked: (Layer, TypeDefinition) -> Bool = { _, _ in false },
        counted: (Layer, TypeDefinition) -> Int = { _, _ in 0 }
    ) {
        var rows: [OfType] = []
        var places: [String: Int] = [:]
        var all: Set<String> = []
        for layer in layers {
            for type in schema.types(in: layer) {
                var row = OfType(layer: layer, type: type)
                row.counted = counted(layer, type)
                places[row.path] = rows.count
                rows.append(row)
                if type.naming == .chromosome, case .names(let names) = type.chromosomes { all.formUnion(names) }
            }
        }
        for one in found {
            guard let place = places[OfType(layer: one.layer, type: one.type).path] else { continue }
            guard let key = one.isDirectory ? one.type.key(ofDirectory: one.name) : one.type.key(of: one.name) else {
                rows[place].whole = rows[place].whole?.better(of: one.cell) ?? one.cell
                continue
            }
            rows[place].cells[key] = rows[place].cells[key]?.better(of: one.cell) ?? one.cell
            if one.type.naming == .chromosome { all.insert(key) }
        }
        chromosomes = all.sorted(by: ChromosomeNames.areInOrder)
        for place in rows.indices {
            let row = rows[place]
            let isAsked = asked(row.layer, row.type)
            switch row.type.naming {
            case .chromosome:
                // What holds all of them in one file lacks none.
                if !row.cells.isEmpty || isAsked && row.whole == nil { rows[place].expected = chromosomes }
            case .whole: if row.whole == nil, isAsked { rows[place].whole = .missing }
            case .free: break
            }
        }
        self.rows = rows
    }
}

extension ChromosomeNames {
    /// The order in which people list chromosomes: by their numbers, then X, Y and the like, the mitochondrion's, and what has no place in the genome.
    public static func areInOrder(_ one: String, _ other: String) -> Bool { order(one) < order(other) }

    private static func order(_ name: String) -> (Int, Int, String) {
        let bare = name.utf8.starts(with: "chr".utf8) ? name.dropFirst(3) : Substring(name)
        let digits = bare.utf8.prefix { $0 &- UInt8(ascii: "0") < 10 }
        if !digits.isEmpty, digits.count == bare.utf8.count { return (0, Int(String(bare)) ?? .max, name) }
        if let place = ["X", "Y", "Z", "W"].firstIndex(of: String(bare)) { return (2, place, name) }
        if ["M", "MT"].contains(String(bare)) { return (3, 0, name) }
        // `2L` stands where `2` would.
        if !digits.isEmpty, bare.utf8.count <= digits.count + 1 {
            return (0, Int(String(Substring(digits))) ?? .max, name)
        }
        return (bare.utf8.count <= 5 && !bare.utf8.contains(UInt8(ascii: "_")) ? 1 : 4, 0, name)
    }
}
