/// A directory of the virtual tree that the schema or the modes make, or one under a session's or test's root.
public enum TreeLocation: Hashable, Sendable {
    /// The mount point.
    case root
    /// `production/`, `development/`, `test/`.
    case mode(Mode)
    /// `development/<session>/`, `test/<test>/`. Production's is `.mode(.production)`.
    case scope(Scope)
    /// `<scope>/base/`, `<scope>/meta/`.
    case layer(Scope, Layer)
    /// `<scope>/<layer>/<type>/`.
    case typed(Scope, Layer, TypeDefinition)
    /// `<session or test>/plots/`, `logs/`, `scratch/`.
    case free(Scope, UntypedDirectory)

    /// The scope that the location is in, if it is in one.
    public var scope: Scope? {
        switch self {
        case .root, .mode(.development), .mode(.test): nil
        case .mode(.production): .production
        case .scope(let scope), .layer(let scope, _), .typed(let scope, _, _), .free(let scope, _): scope
        }
    }
}

/// A directory of a session's or a test's own.
public enum UntypedDirectory: String, CaseIterable, Hashable, Sendable {
    /// Images: `.png`, `.pdf`, `.svg`, and transient names.
    case plots
    /// An ordinary tree.
    case logs
    /// An ordinary tree.
    case scratch

    /// Whether any name and any kind of file may be in it.
    public var isOrdinaryTree: Bool { self != .plots }

    /// The extensions that `plots` takes.
    public static let plotFormats = [".png", ".pdf", ".svg"]

    /// What a name means in `plots`.
    public static func classifyPlot(_ name: String) -> NameClass {
        if name.utf8.count > NameRules.longestName { return .invalid(.tooLong) }
        func isPlot(_ name: Substring) -> Bool {
            plotFormats.contains { NameRules.ends(name, with: $0) && name.utf8.count > $0.utf8.count }
        }
        guard NameRules.isEntry(name) else { return .invalid(.notAPlot) }
        if TransientNames.builtIn.contains(name) { return .transient }
        if isPlot(name[...]) { return .artifact(realName: name) }
        if let original = NameRules.withoutRandomSuffix(name), isPlot(original) { return .transient }
        return .invalid(.notAPlot)
    }
}

extension TreeLocation {
    /// Whether what is in it has records: artifacts of production.
    public var hasRecords: Bool { if case .typed(.production, _, _) = self { true } else { false } }
}

extension ArtifactSchema {
    /// Whether a path on the mount is one that an artifact of production has, a file's or a directory's.
    public func isArtifact(_ path: String) -> Bool {
        let (location, rest) = locate(path)
        guard case .typed(.production, _, let type) = location, rest.count == 1, let name = rest.first else {
            return false
        }
        return Creation.allCases.contains { creation in
            guard [.file, .directory].contains(creation),
                case .artifact = OverwritePolicy.classify(name, in: .typed(type), as: creation)
            else { return false }
            return true
        }
    }

    /// The directories that are always in a location, in order. Sessions and tests come from the store.
    public func fixedChildren(of location: TreeLocation) -> [(name: String, location: TreeLocation)] {
        switch location {
        case .root: Mode.allCases.map { ($0.rawValue, .mode($0)) }
        case .mode(.production), .scope(.production): Layer.allCases.map { ($0.rawValue, .layer(.production, $0)) }
        case .mode: []
        case .scope(let scope):
            Layer.allCases.map { ($0.rawValue, .layer(scope, $0)) }
                + UntypedDirectory.allCases.map { ($0.rawValue, .free(scope, $0)) }
        case .layer(let scope, let layer): types(in: layer).map { ($0.name, .typed(scope, layer, $0)) }
        case .typed, .free: []
        }
    }

    /// One of `fixedChildren(of:)` by name.
    public func fixedChild(_ name: String, of location: TreeLocation) -> TreeLocation? {
        switch location {
        case .root: return Mode(rawValue: name).map { .mode($0) }
        case .mode(.production), .scope(.production): return Layer(rawValue: name).map { .layer(.production, $0) }
        case .scope(let scope):
            if let layer = Layer(rawValue: name) { return .layer(scope, layer) }
            return UntypedDirectory(rawValue: name).map { .free(scope, $0) }
        case .layer(let scope, let layer):
            guard let type = type(named: name), type.layers.contains(layer) else { return nil }
            return .typed(scope, layer, type)
        case .mode, .typed, .free: return nil
        }
    }

    /// Where a path of the mount leads by its names alone: a directory of the tree, and the names below it.
    ///
    /// - Parameter path: relative to the mount point, or absolute from it.
    /// - Returns: the deepest directory of the tree, and the components after it.
    public func locate(_ path: String) -> (directory: TreeLocation, rest: [String]) {
        var location = TreeLocation.root
        var components = path.utf8.split(separator: UInt8(ascii: "/")).compactMap { String($0) }.filter { $0 != "." }[
            ...]
        while let name = components.first {
            var next = fixedChild(name, of: location)
            if next == nil {
                switch location {
                case .mode(.development): next = SessionName(name).map { .scope(.session($0)) }
                case .mode(.test): next = TestName(name).map { .scope(.test($0)) }
                default: break
                }
            }
            guard let found = next else { break }
            location = found
            components = components.dropFirst()
        }
        return (location, Array(components))
    }
}
