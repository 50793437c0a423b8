public import Artifacts
public import SystemPackage

/// Why an artifact could not be found, named or saved. The description is for people: what happened, which file, which rule, what to do.
public enum ArtifactError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The artifact exists and this mode does not overwrite.
    case exists(path: String, mode: Mode)
    /// There is no such artifact.
    case notFound(path: String, layer: Layer, baseModel: String)
    /// The schema has no type of this name.
    case unknownType(String, known: [String])
    /// The type is not in this layer.
    case notInLayer(type: String, layer: Layer, has: [Layer])
    /// The type does not come in this format.
    case unknownFormat(type: String, format: String, known: [String])
    /// The type has no artifact of this name; `names` says which it takes.
    case invalidName(String, type: String, names: String)
    /// A chromosome and a free name were given together.
    case chromosomeAndName(type: String)
    /// The name of a session or a test does not have the form of one.
    case invalidScope(String, mode: Mode)
    /// Metadata and plots belong to a session or a test; production has artifacts only.
    case notInProduction(String)
    /// The policy refused; `refusal` has the rule and the way out.
    case refused(Refusal, path: String)
    /// The store did not publish the artifact: the contents are not whole or not of its format, or the system failed. The reason
    /// says where the bytes are kept.
    case notPublished(path: String, reason: String)
    /// Metadata has no JSON form.
    case notEncodable(String)
    /// The directory is not a store, or its schema cannot be used.
    case unusableStore(path: String, reason: String)
    /// The system refused: no space, no permission, an I/O error.
    case system(Errno, path: String)

    /// For people.
    public var description: String {
        switch self {
        case .exists(let path, let mode):
            "Artifact exists and overwrite not allowed: \(path)\n"
                + "Mode: \(mode.rawValue) (production artifacts are immutable)"
        case .notFound(let path, let layer, let baseModel):
            "Artifact not found: \(path)\nExpected in \(layer.rawValue) layer for \(baseModel)"
        case .unknownType(let name, let known):
            "Not an artifact type: '\(name)'\nThe store's types are \(known.joined(separator: ", "))"
        case .notInLayer(let type, let layer, let has):
            "Artifact type '\(type)' is not in the \(layer.rawValue) layer\n"
                + "It is in: \(has.map(\.rawValue).joined(separator: ", "))"
        case .unknownFormat(let type, let format, let known):
            "Artifact type '\(type)' does not come as '\(format)'\nIts formats are \(known.joined(separator: ", "))"
        case .invalidName(let name, let type, let names):
            "Not a name of artifact type '\(type)': '\(name)'\nIt takes \(names)"
        case .chromosomeAndName(let type):
            "Both a chromosome and a name were given for artifact type '\(type)'\nGive one, or neither for the whole"
        case .invalidScope(let name, .development):
            "Not a session: '\(name)'\nA session is named for its start, YYYYMMDD_HHMMSS in UTC"
        case .invalidScope(let name, _):
            "Not a test name: '\(name)'\nIt takes letters, digits, '.', '_' and '-', and begins with a letter or digit"
        case .notInProduction(let what):
            "\(what) cannot be saved in production\nUse mode development or test; production has artifacts only"
        case .refused(let refusal, let path): "\(refusal.reason(path: path))\n\(refusal.wayOut)"
        case .notPublished(let path, let reason):
            "Artifact not published: \(path)\nReason: \(reason)"
        case .notEncodable(let reason): "Experiment metadata not saved: it has no JSON form\n\(reason)"
        case .unusableStore(let path, let reason): "Not a usable store: \(path)\n\(reason)"
        case .system(let errno, let path): "\(path): \(errno)"
        }
    }
}
