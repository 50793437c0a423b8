internal import Artifacts
internal import ArtifactStore
internal import Glibc
internal import SystemPackage

extension ArtifactManager {
    /// Saves `metadata.json` of the session or test: the experiment's name, when it began, its configuration and its metrics.
    ///
    /// - Returns: the real path.
    /// - Throws: `ArtifactError.notInProduction`; `.notEncodable` when a value has no JSON form; `.system`.
    @discardableResult
    public func saveExperimentMetadata(
        config: some Encodable, metrics: some Encodable
    ) throws(ArtifactError) -> String {
        if scope == .production { throw .notInProduction("Experiment metadata") }
        let metadata = ExperimentMetadata(
            experimentName: experiment, createdAt: isoTime(secondsSince1970: Int64(startedAt.tv_sec)), config: config,
            metrics: metrics)
        let name = StoreLayout.metadataName
        return try saveBesideArtifacts(.bytes(try metadata.json()), named: name, in: .scope(scope))
    }

    /// Saves an image in the session's or the test's `plots`.
    ///
    /// - Parameters:
    ///   - bytes: the image, as the plotting library rendered it.
    ///   - name: the file's name without its extension.
    ///   - format: `png`, `pdf` or `svg`.
    /// - Returns: the real path.
    /// - Throws: `ArtifactError.notInProduction`; `.invalidName`; `.system`.
    @discardableResult
    public func savePlot(_ bytes: [UInt8], name: String, format: String = "png") throws(ArtifactError) -> String {
        if scope == .production { throw .notInProduction("A plot") }
        let ending = format.utf8.first == UInt8(ascii: ".") ? format : "." + format
        return try saveBesideArtifacts(.bytes(bytes), named: name + ending, in: .free(scope, .plots))
    }

    private func saveBesideArtifacts(
        _ contents: Contents, named name: String, in location: TreeLocation
    ) throws(ArtifactError) -> String {
        let relative = StoreLayout.directory(of: location)
        let path = storePath + "/" + relative + "/" + name
        guard case .artifact(let real) = OverwritePolicy.classify(name, in: location.place) else {
            throw .invalidName(
                name, type: "plots", names: "<name>(" + UntypedDirectory.plotFormats.joined(separator: "|") + ")")
        }
        if store.isReadOnly { throw .system(.readOnlyFileSystem, path: path) }
        let directory = try naming(path) { () throws(Errno) in try store.directory(relative).ensure() }
        try directory.replace(real, with: contents, path: path)
        return path
    }
}
