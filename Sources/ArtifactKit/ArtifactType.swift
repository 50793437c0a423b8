internal import Artifacts

/// The name of a type of artifacts.
///
/// The built-in schema's types are members, which the compiler completes and checks; a type of a store's own schema is a string:
///
/// ```swift
/// try manager.save(bytes, as: .analysisSequences, chromosome: "chr1")
/// try manager.save(bytes, as: "my_type")
/// ```
///
/// Which types a store has its schema says: a name that it does not know throws ``ArtifactError/unknownType(_:known:)`` with those that it
/// knows. A program that has types of its own gives them members the same way.
public struct ArtifactType: Hashable, Sendable, ExpressibleByStringLiteral, CustomStringConvertible {
    /// The name, as in `schema.yaml` and as the directory on the mount.
    public let name: String

    /// A type by its name.
    public init(_ name: String) { self.name = name }

    /// A type by its name.
    public init(stringLiteral name: String) { self.name = name }

    /// The name.
    public var description: String { name }
}

extension ArtifactType {
    /// Sequences around the sites that are analysed, by chromosome (base layer).
    public static let analysisSequences: ArtifactType = "analysis_sequences"
    /// The base model's wrong calls, by chromosome (base layer).
    public static let spliceErrors: ArtifactType = "splice_errors"
    /// A score for each nucleotide, by chromosome (base layer).
    public static let nucleotideScores: ArtifactType = "nucleotide_scores"
    /// The genes that were evaluated (base layer).
    public static let geneManifest: ArtifactType = "gene_manifest"
    /// The meta model's predictions, by chromosome (meta layer).
    public static let metaPredictions: ArtifactType = "meta_predictions"
    /// The meta model's checkpoints, by name (meta layer).
    public static let metaCheckpoints: ArtifactType = "meta_checkpoints"
    /// The meta model's metrics, by name (meta layer).
    public static let metaMetrics: ArtifactType = "meta_metrics"
    /// What is trained on, by chromosome (both layers).
    public static let trainingData: ArtifactType = "training_data"
    /// What is validated with, by chromosome (both layers).
    public static let validationData: ArtifactType = "validation_data"
    /// What sessions say of themselves, promoted with their artifacts (meta layer).
    public static let experimentMetadata: ArtifactType = "experiment_metadata"
    /// Their plots (meta layer).
    public static let experimentPlots: ArtifactType = "experiment_plots"

    /// The members above: the types of the built-in schema, in its order.
    public static let builtIn: [ArtifactType] = [
        .analysisSequences, .spliceErrors, .nucleotideScores, .geneManifest, .metaPredictions, .metaCheckpoints,
        .metaMetrics, .trainingData, .validationData, .experimentMetadata, .experimentPlots,
    ]
}
