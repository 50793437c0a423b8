import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import SystemCalls

/// Production with so many artifacts that its directories are not read: how many there are of a type, the catalog knows, and whether what has a
/// chromosome's name is there, is looked at one by one.
struct LargeProduction {
    private let place: KeptPlace
    private var counts: [String: Int64] = [:]
    /// The names of chromosomes that anything has.
    private var keys: Set<String> = []

    /// From so many bytes of ledgers on: some thousands of artifacts, which are read in the time that a catalog takes to be opened.
    private static let length: Int64 = 16 << 20
    private static let mostKeys = 10_000

    /// - Returns: nil where it is not as large, or this user cannot read what tells of it.
    init?(_ place: KeptPlace) throws {
        self.place = place
        guard let named = try? StorePlace.find(place.path), let store = named.store,
            (try? SystemCall.checkAccess(atPath: store + "/" + StoreLayout.privateDirectory + "/ledger", R_OK | X_OK))
                != nil,
            let opened = try? ShownArtifact.openStore(store),
            let length = try? opened.withLedgers({ try $0.length() }), length >= Self.length
        else { return nil }
        var (counts, keys): ([String: Int64], Set<String>) = ([:], [])
        try named.asking { catalog in
            (counts, keys) = ([:], [])
            for row in try catalog.inventory() { counts[row.layer + "/" + row.type] = row.artifacts }
            let types = Layer.allCases.flatMap { opened.schema.types(in: $0) }.filter { $0.naming == .chromosome }
            for type in types {
                keys.formUnion(try catalog.keys(ofType: type.name, most: Self.mostKeys))
                if case .names(let names) = type.chromosomes { keys.formUnion(names) }
            }
        }
        (self.counts, self.keys) = (counts, keys)
    }

    func count(of type: TypeDefinition, in layer: Layer) -> Int {
        Int(clamping: counts[layer.rawValue + "/" + type.name] ?? 0)
    }

    /// What there is of a type whose artifacts have chromosomes' names, or its own.
    func find(_ type: TypeDefinition, _ layer: Layer) throws -> [Inventory.Found] {
        // A whole has its type's name.
        let stems = (type.naming == .chromosome ? keys : []).union([type.name])
        let names = stems.flatMap { stem in type.formats.map { stem + $0 } + (type.kind.hasDirectories ? [stem] : []) }
        guard place.mount == nil else {
            return try ListedPlace.find(type, layer, place) { ListedPlace.entries(of: $0, named: names) }
        }
        let directory = place.path + "/" + StoreLayout.directory(of: .typed(.production, layer, type))
        return names.flatMap { name -> [Inventory.Found] in
            [false, true].compactMap { isDirectory in
                guard case .artifact(let real) = type.classify(name, ofDirectory: isDirectory),
                    let found = try? SystemCall.attributes(SystemCall.currentDirectory, directory + "/" + real),
                    isDirectory
                        ? found.isDirectory : found.isRegular || ListedPlace.isEvicted(found, directory + "/" + real)
                else { return nil }
                return .init(type, in: layer, name: name, isDirectory: isDirectory, .there)
            }
        }
    }
}
