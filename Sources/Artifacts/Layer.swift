/// Which model made an artifact: the base model or the meta model on top of it.
public enum Layer: String, CaseIterable, Hashable, Sendable {
    case base
    case meta

    /// The layer's directory in a store, `base_layer` or `meta_layer`.
    public var directoryName: String {
        switch self {
        case .base: "base_layer"
        case .meta: "meta_layer"
        }
    }
}
