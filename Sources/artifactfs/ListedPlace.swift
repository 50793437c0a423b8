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

    init(_ argument: String) throws {
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
        var found: [Inventory.Found] = []
        for layer in Layer.allCases {
            for type in schema.types(in: layer) where Self.isIn(location, layer, type) || type.naming == .chromosome {
                found += try Self.find(type, layer, place)
            }
        }
        let kept = (try? place.entries()) ?? []
        keptBack = kept.count
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
            let isSealed = FileState(rawValue: String(parts[0].dropFirst())) == .sealed
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
