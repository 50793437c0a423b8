internal import Artifacts

/// One artifact of a store: its type, its layer and its names on the mount and in the real directory.
struct ArtifactKey: Hashable, Sendable {
    let type: TypeDefinition
    let layer: Layer
    /// The name in the typed directory on the mount, such as `chr1.tsv`.
    let virtualName: String
    /// The name in the real directory, such as `analysis_sequences_chr1.tsv`.
    let realName: String
    /// The format's extension with its dot; empty for a directory without one.
    let format: String
    /// Whether it is a directory.
    let isDirectory: Bool

    /// Finds the artifact that a program means.
    ///
    /// - Parameters:
    ///   - chromosome: `1` or `chr1`; nil for the whole.
    ///   - name: the stem of a free name, such as `epoch_001`.
    ///   - layer: nil for the type's only layer, and `base` where it has both.
    ///   - format: `.tsv` or `tsv`; nil for the type's default, and of a directory for none.
    ///   - isDirectory: whether a directory is meant.
    init(
        type wanted: ArtifactType, chromosome: String?, name: String?, layer: Layer?, format: String?,
        isDirectory: Bool = false, schema: ArtifactSchema
    ) throws(ArtifactError) {
        guard let type = schema.type(named: wanted.name) else {
            throw .unknownType(wanted.name, known: schema.types.map(\.name))
        }
        let layer = layer ?? (type.layers.contains(.base) ? .base : type.layers.first ?? .base)
        guard type.layers.contains(layer) else {
            throw .notInLayer(type: type.name, layer: layer, has: type.layers)
        }
        let ending = try Self.ending(format, of: type, isDirectory)
        let virtual = try Self.stem(chromosome: chromosome, name: name, of: type) + ending
        guard isDirectory ? type.kind.hasDirectories : true,
            case .artifact(let real) = type.classify(virtual, ofDirectory: isDirectory)
        else {
            throw .invalidName(virtual, type: type.name, names: type.nameHint)
        }
        self.type = type
        self.layer = layer
        virtualName = virtual
        realName = real
        self.format = ending
        self.isDirectory = isDirectory
    }

    private static func ending(
        _ format: String?, of type: TypeDefinition, _ isDirectory: Bool
    ) throws(ArtifactError) -> String {
        guard let format else { return isDirectory ? "" : type.formats.first ?? "" }
        let formats = type.formats + (isDirectory ? TypeDefinition.directoryFormats : [])
        let ending = format.utf8.first == UInt8(ascii: ".") ? format : "." + format
        guard let known = formats.first(where: { $0.utf8.elementsEqual(ending.utf8) }) else {
            throw .unknownFormat(type: type.name, format: format, known: formats)
        }
        return known
    }

    private static func stem(
        chromosome: String?, name: String?, of type: TypeDefinition
    ) throws(ArtifactError) -> String {
        switch (chromosome, name) {
        case (nil, nil): type.name
        case (nil, let name?): name
        case (let chromosome?, nil):
            type.chromosomes.contains(chromosome) || chromosome.utf8.starts(with: "chr".utf8)
                ? chromosome : "chr" + chromosome
        case (.some, .some): throw .chromosomeAndName(type: type.name)
        }
    }
}
