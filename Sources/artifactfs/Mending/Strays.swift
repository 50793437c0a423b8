import ArtifactStore
import Artifacts
import SystemCalls

/// Files of production that no type claims.
struct Strays {
    private let files: [ExistingFile]
    private let schema: ArtifactSchema

    /// So many are named.
    private static let most = 20

    init(_ files: [ExistingFile], _ schema: ArtifactSchema) {
        self.files = files.filter { if case .stray = $0.meaning { true } else { false } }
        self.schema = schema
    }

    var count: Int { files.count }

    /// Lists them, with types that would claim them.
    func show() {
        guard !files.isEmpty else { return }
        Terminal.show(
            files.count == 1
                ? "1 file has a name that no type of the schema claims, and is not shown on any mount:"
                : "\(files.count) files have names that no type of the schema claims, and are not shown on any mount:")
        for file in files.prefix(Self.most) { Terminal.show("  " + file.path) }
        if files.count > Self.most { Terminal.show("  and \(files.count - Self.most) more") }
        let lines = suggestions
        guard !lines.isEmpty else { return }
        Terminal.show("these lines below 'types:' in .artifactfs/schema.yaml would claim them:")
        for line in lines { print("  " + Terminal.printable(line)) }
    }

    /// Lines for `schema.yaml` that would claim them.
    var suggestions: [String] {
        Layer.allCases.flatMap { layer in
            let here = files.filter { $0.layer == layer && $0.attributes.isRegular }.map { file in
                let directory =
                    file.directory == layer.directoryName
                    ? "." : String(file.directory.dropFirst(layer.directoryName.count + 1))
                return (directory: directory, name: file.name)
            }
            return TypeSuggestion.all(for: here, in: layer, schema.chromosomes) { name in
                schema.types.contains { $0.name == name }
            }
            .map(\.line)
        }
    }
}
