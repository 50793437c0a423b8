/// A type that would claim files which no type of a schema claims, as a line of `schema.yaml`.
public struct TypeSuggestion: Hashable, Sendable {
    /// The type's name.
    public let name: String
    public let layer: Layer
    /// The directory in the layer; `.` for the layer's own.
    public let directory: String
    /// With their dots, in their order.
    public let formats: [String]
    public let naming: TypeDefinition.Naming

    /// As it stands below `types:`.
    public var line: String {
        let list = formats.map { "\"\($0)\"" }.joined(separator: ", ")
        return
            "\(name): {layers: [\(layer.rawValue)], formats: [\(list)], directory: \"\(directory)\", names: \(naming.rawValue)}"
    }

    /// Types for files, of which each is claimed by one; what no type could claim is left out.
    ///
    /// - Parameters:
    ///   - files: each with its directory in the layer, `.` for the layer's own.
    ///   - isTaken: whether a type of the schema has a name.
    public static func all(
        for files: [(directory: String, name: String)], in layer: Layer, _ chromosomes: ChromosomeNames,
        isTaken: (String) -> Bool
    ) -> [TypeSuggestion] {
        struct Group: Hashable { let (name, directory, naming): (String, String, TypeDefinition.Naming) }
        var formats: [Group: Set<String>] = [:]
        for file in files {
            guard let (stem, format) = parts(of: file.name) else { continue }
            let group: Group
            if file.directory != "." {
                group = Group(name: file.directory, directory: file.directory, naming: .free)
            } else if let name = beforeChromosome(stem, chromosomes) {
                group = Group(name: name, directory: ".", naming: .chromosome)
            } else {
                group = Group(name: stem, directory: ".", naming: .whole)
            }
            guard NameRules.isPlain(group.name[...]), !group.name.utf8.contains(UInt8(ascii: ".")),
                group.name.utf8.count <= 100
            else { continue }
            formats[group, default: []].insert(format)
        }
        return formats.map { group, formats in
            // Of one name there is one type.
            let name = isTaken(group.name) ? group.name + "_files" : group.name
            return TypeSuggestion(
                name: name, layer: layer, directory: group.directory, formats: formats.sorted(), naming: group.naming)
        }
        .sorted { ($0.directory, $0.name) < ($1.directory, $1.name) }
    }

    private static func parts(of name: String) -> (stem: String, format: String)? {
        for ending in [".tsv.gz", ".tsv.bgz"]
        where NameRules.ends(name, with: ending) && name.utf8.count > ending.utf8.count {
            return (String(name.dropLast(ending.count)), ending)
        }
        guard let dot = name.lastIndex(of: "."), dot != name.startIndex, name.index(after: dot) != name.endIndex else {
            return nil
        }
        return (String(name[..<dot]), String(name[dot...]))
    }

    /// What stands before `_chr1`.
    private static func beforeChromosome(_ stem: String, _ chromosomes: ChromosomeNames) -> String? {
        // A chromosome's name may have `_` too.
        for mark in stem.indices where stem[mark] == "_" && mark != stem.startIndex {
            if chromosomes.contains(stem[stem.index(after: mark)...]) { return String(stem[..<mark]) }
        }
        return nil
    }
}
