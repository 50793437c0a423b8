public import Artifacts
internal import ArtifactStore
internal import SystemCalls
internal import SystemPackage

extension ArtifactManager {
    /// Promotes an artifact of the manager's session or test to production, under the same name: it is checked, sealed and moved, not copied,
    /// and its record says where it comes from.
    ///
    /// - Parameter type: a type of the store's schema; the other parameters are those of ``path(of:chromosome:name:layer:format:)``.
    /// - Returns: the real path in production.
    /// - Throws: `ArtifactError.notFound` when the session or test does not have it; `.exists` when production has it, or another writer has
    ///   begun it; `.notPublished` when it is not whole, or when somebody has it open to write or mapped; `.refused` when the policy does not
    ///   let it go, such as a file that has other names; `.system` when the system refuses. Whatever is thrown, the file is where it was; only
    ///   when somebody has made another one there meanwhile it is where the reason says.
    ///
    /// A file on another file system than the store's own directory is copied: it goes when the copy is sealed.
    @discardableResult
    public func promote(
        _ type: ArtifactType, chromosome: String? = nil, name: String? = nil, layer: Layer? = nil, format: String? = nil
    ) throws(ArtifactError) -> String {
        try promote(try key(type, chromosome, name, layer, format))
    }

    func promote(_ key: ArtifactKey) throws(ArtifactError) -> String {
        let path = path(of: key)
        if store.isReadOnly { throw .system(.readOnlyFileSystem, path: path) }
        guard let file = try existingFile(key) else {
            throw .notFound(path: path, layer: key.layer, baseModel: baseModel)
        }
        let destination = try destination(of: key)
        let found = try naming(path) { () throws(Errno) in try file.look() }
        let promotion = Promotion(
            of: file, seen: found.identity, from: shownPath(of: key), to: destination, in: store)
        let target = storePath + "/" + StoreLayout.directory(of: destination.location) + "/" + destination.realName
        let outcome: PublishOutcome
        do throws(PromotionObstacle) {
            outcome = try promotion.publish(OverwritePolicy.stateOfPublished(in: standing), by: Self.writer())
        } catch {
            if key.isDirectory, case .system(.improperLink) = error {
                throw .notPublished(path: target, reason: Self.otherFileSystem)
            }
            throw Self.error(error, source: path, target: target)
        }
        try Self.check(outcome, path: target, in: .production)
        return target
    }

    private static let otherFileSystem =
        "its layer is on another file system than the store's .artifactfs, from where a directory cannot be moved to its place whole; keep both "
        + "on one file system"

    /// What a key names in production.
    func destination(of key: ArtifactKey) throws(ArtifactError) -> Promotion.Destination {
        guard
            let destination = Promotion.Destination(
                key.virtualName, of: key.type, in: key.layer, isDirectory: key.isDirectory)
        else { throw .invalidName(key.virtualName, type: key.type.name, names: key.type.nameHint) }
        return destination
    }

    private static func error(_ obstacle: PromotionObstacle, source: String, target: String) -> ArtifactError {
        switch obstacle {
        case .refused(let refused, let detail):
            let (refusal, path) = (refused.refusal, refused.question == .source ? source : target)
            if refusal.rule == .failedCheck {
                return .notPublished(path: target, reason: detail ?? refusal.reason(path: path))
            }
            return refusal.errno == .fileExists
                ? .exists(path: target, mode: .production) : .refused(refusal, path: path)
        case .stillOpen: return .notPublished(path: target, reason: stillOpen)
        case .system(.fileExists): return .exists(path: target, mode: .production)
        case .system(let errno): return .system(errno, path: source)
        }
    }
}
