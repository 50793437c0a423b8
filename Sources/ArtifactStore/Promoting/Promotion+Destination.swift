public import ArtifactFormats
public import ArtifactRecords
public import Artifacts

extension Promotion {
    /// The artifact of production that something is to become: a file, or a directory.
    public struct Destination: Sendable {
        /// Its type.
        public let type: TypeDefinition
        /// Its layer.
        public let layer: Layer
        /// Its name on the mount.
        public let name: String
        /// Its name in the real directory.
        public let realName: String
        /// Whether it is a directory.
        public let isDirectory: Bool

        /// An artifact; nil when the name is none of the type's.
        public init?(_ name: String, of type: TypeDefinition, in layer: Layer, isDirectory: Bool = false) {
            guard isDirectory ? type.kind.hasDirectories : type.kind.hasFiles,
                case .artifact(let real) = OverwritePolicy.classify(
                    name, in: .typed(type), as: isDirectory ? .directory : .file)
            else { return nil }
            self.type = type
            self.layer = layer
            self.name = name
            self.isDirectory = isDirectory
            realName = real
        }

        /// By a path on the mount; nil when it is none of an artifact of production, or was cut.
        public init?(path: String, in schema: ArtifactSchema, isDirectory: Bool) {
            let (location, rest) = schema.locate(path)
            guard case .typed(.production, let layer, let type) = location, rest.count == 1 else { return nil }
            self.init(rest[0], of: type, in: layer, isDirectory: isDirectory)
        }

        /// Its directory.
        public var location: TreeLocation { .typed(.production, layer, type) }

        /// Its path on the mount, from the mount point.
        public var path: String {
            "\(StoreLayout.shownDirectory(of: .production))/\(layer.rawValue)/\(type.name)/\(name)"
        }

        /// The check that a file must pass; nil when its type's checks are off. What is in a directory is checked file by file.
        public var check: FormatCheck? {
            isDirectory ? nil : type.format(of: name).flatMap { type.check(ofFormat: $0) }
        }

        /// What is known of it from where it is.
        public var record: ArtifactRecord {
            ArtifactRecord(name, of: type, in: layer, .production, path: path, isDirectory: isDirectory)
        }

        /// What the store is asked to make of something that is staged or was kept back.
        ///
        /// - Parameters:
        ///   - target: where it goes.
        ///   - record: what is known of it.
        ///   - origin: where it is put back when it cannot be published.
        public func request(
            _ staged: RealFile, at target: RealDirectory, _ record: ArtifactRecord, origin: RealFile? = nil
        ) -> PublishRequest {
            var request = PublishRequest(
                staged: staged, target: target, name: realName, check: check, record: record, origin: origin)
            request.notesTime = type.hasLatest
            if isDirectory { request.directoryType = type }
            return request
        }
    }
}
