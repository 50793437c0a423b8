import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// What there is in production at the place that somebody asks about.
struct ListedPlace {
    let inventory: Inventory
    /// How much was kept back, of all that this user may see.
    let keptBack: Int
    private let asked: TreeLocation

    /// - Parameter mayCount: whether of very many artifacts with names of their own it is enough to know how many there are.
    init(_ argument: String, mayCount: Bool) throws {
        let place = try KeptPlace(argument)
        let file = place.path + "/" + StoreLayout.privateDirectory + "/schema.yaml"
        let schema =
            place.mount == nil ? try ShownArtifact.openStore(place.path).schema : try ShownArtifact.schema(file)
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
        let types = Layer.allCases.flatMap { layer in schema.types(in: layer).map { (layer, $0) } }
        let large = mayCount ? try LargeProduction(place) : nil
        var found: [Inventory.Found] = []
        var counts: [String: Int] = [:]
        for (layer, type) in types where Self.isIn(location, layer, type) || type.naming == .chromosome {
            if let large, type.naming == .free {
                counts[layer.rawValue + "/" + type.name] = large.count(of: type, in: layer)
            } else if let large {
                found += try large.find(type, layer)
            } else {
                found += try Self.find(type, layer, place)
            }
        }
        let kept = (try? place.entries()) ?? []
        keptBack = kept.count
        found += kept.flatMap { $0.artifacts.isEmpty ? [$0.path] : $0.artifacts }.compactMap { Self.kept($0, schema) }
        inventory = Inventory(
            schema, found,
            asked: { if case .typed = location { Self.isIn(location, $0, $1) } else { false } },
            counted: { counts[$0.rawValue + "/" + $1.name] ?? 0 })
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

    /// What there is of a type, by all names in its directory.
    private static func find(
        _ type: TypeDefinition, _ layer: Layer, _ place: KeptPlace
    ) throws -> [Inventory.Found] {
        guard place.mount != nil else {
            let directory = place.path + "/" + StoreLayout.directory(of: .typed(.production, layer, type))
            return entries(of: directory).compactMap { entry in
                guard let name = type.virtualName(forReal: entry.name, ofDirectory: entry.isDirectory) else {
                    return nil
                }
                return .init(type, in: layer, name: name, isDirectory: entry.isDirectory, .there)
            }
        }
        return try find(type, layer, place) { entries(of: $0) }
    }

    /// What a mount shows of a type.
    ///
    /// - Parameter entries: what is looked at in the type's directory.
    static func find(
        _ type: TypeDefinition, _ layer: Layer, _ place: KeptPlace,
        entries: (String) -> [(name: String, isDirectory: Bool)]
    ) throws -> [Inventory.Found] {
        let directory = "\(place.path)/\(Mode.production.rawValue)/\(layer.rawValue)/\(type.name)"
        // In a process of its own: a driver that is stopped does not answer.
        let answer = Patience.find(on: place.mount) {
            Array(
                entries(directory).map { entry in
                    let state = try? SystemCall.extendedAttribute(
                        ArtifactAttribute.state, ofPath: directory + "/" + entry.name)
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
            // Of what is not this user's to read the mount does not say more than that it is there.
            let state = String(parts[0].dropFirst())
            let isSealed = state.isEmpty || FileState(rawValue: state) == .sealed
            return .init(type, in: layer, name: name, isDirectory: isDirectory, isSealed ? .there : .beingWritten)
        }
    }

    /// Whether what has a real name stands for a file whose bytes are in a mirror.
    static func isEvicted(_ found: stat, _ path: String) -> Bool {
        found.isSymbolicLink && EvictionMark(atPath: path) != nil
    }

    /// The files and directories in a directory, of these names or all.
    static func entries(of directory: String, named names: [String]? = nil) -> [(name: String, isDirectory: Bool)] {
        (names ?? Paths.names(directory)).compactMap { name in
            guard let found = try? SystemCall.attributes(SystemCall.currentDirectory, directory + "/" + name),
                found.isRegular || found.isDirectory || isEvicted(found, directory + "/" + name)
            else { return nil }
            return (name, found.isDirectory)
        }
    }
}
