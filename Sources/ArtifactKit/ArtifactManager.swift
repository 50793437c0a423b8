public import Artifacts
internal import ArtifactStore
internal import Glibc
internal import SystemCalls

/// Finds, saves and loads the artifacts of a store, without a mount and with the same policy.
///
/// ```swift
/// let manager = try ArtifactManager(store: "data/ensembl/GRCh38/spliceai_eval", mode: .production)
/// let path = try manager.save(bytes, as: .analysisSequences, chromosome: "chr1")
/// let again = try manager.load(.analysisSequences, chromosome: "chr1")
/// ```
///
/// In production an artifact is saved once: it is checked, sealed and published, and a second save throws
/// ``ArtifactError/exists(path:mode:)``. In a session or a test a save replaces what was there, whole, and
/// ``promote(_:chromosome:name:layer:format:)`` moves it to production. A manager holds its session for as long as it lives. The store's own directory belongs to its owner: saving needs the owner's rights, or root's.
public final class ArtifactManager: Sendable {
    /// Which artifacts a manager works on, and whether it overwrites them.
    public enum SaveMode: Hashable, Sendable {
        /// Write-once.
        case production
        /// A new session, named for its start.
        case development
        /// A session by name, `YYYYMMDD_HHMMSS`, to go on with it.
        case session(String)
        /// A test by name.
        case test(String)
    }

    let store: Store
    let scope: Scope
    /// When this manager was made.
    let startedAt: timespec
    /// The store's directory, as it was given, without a `/` at its end.
    public let storePath: String
    /// The model that the store evaluates: its directory's name without `_eval`.
    public let baseModel: String
    /// The experiment that metadata is saved for.
    public let experiment: String

    /// Opens a store.
    ///
    /// - Parameters:
    ///   - path: the evaluation directory, such as `data/ensembl/GRCh38/spliceai_eval`.
    ///   - mode: where to save; `development` begins a session, whose directory is made by the first save.
    ///   - experiment: the name for metadata; nil takes the session's or the test's.
    ///   - readOnly: whether to open the store for loading only. A new session cannot begin then.
    /// - Throws: `ArtifactError.unusableStore` when there is no store, its schema has a fault or the session is in use;
    ///   `.invalidScope` for a name that is not a session's or a test's.
    public init(
        store path: String, mode: SaveMode = .production, experiment: String? = nil, readOnly: Bool = false
    ) throws(ArtifactError) {
        storePath = path.utf8.last == UInt8(ascii: "/") && path.utf8.count > 1 ? String(path.dropLast()) : path
        baseModel = Self.baseModel(ofStore: storePath)
        startedAt = Clock.now()
        do throws(StoreError) {
            store = try Store(at: storePath, readOnly: readOnly, durability: .synced)
        } catch { throw .unusableStore(path: storePath, reason: error.description) }
        scope = try Self.scope(of: mode, in: store, path: storePath)
        self.experiment = experiment ?? Self.name(of: scope) ?? baseModel
    }

    deinit { store.close() }

    /// Makes a store: its layers, and the driver's own directory with the built-in schema. What is there already stays.
    ///
    /// - Throws: `ArtifactError.unusableStore` for a directory that has other things in it.
    public static func makeStore(at path: String) throws(ArtifactError) {
        do throws(StoreError) { try Store.create(at: path) } catch {
            throw .unusableStore(path: path, reason: error.description)
        }
    }

    private static func scope(of mode: SaveMode, in store: Store, path: String) throws(ArtifactError) -> Scope {
        do throws(StoreError) {
            switch mode {
            case .production: return .production
            case .development: return .session(try store.beginSession())
            case .session(let text):
                if let name = SessionName(text) {
                    try store.resumeSession(name)
                    return .session(name)
                }
            case .test(let text): if let name = TestName(text) { return .test(name) }
            }
        } catch { throw .unusableStore(path: path, reason: error.description) }
        throw Self.invalid(mode)
    }

    private static func invalid(_ mode: SaveMode) -> ArtifactError {
        switch mode {
        case .session(let text): .invalidScope(text, mode: .development)
        case .test(let text): .invalidScope(text, mode: .test)
        case .production, .development: .invalidScope("", mode: .development)
        }
    }

    private static func baseModel(ofStore path: String) -> String {
        let name = path.split(separator: "/").last.map(String.init) ?? path
        return name.hasSuffix("_eval") && name != "_eval" ? String(name.dropLast(5)) : name
    }

    private static func name(of scope: Scope) -> String? {
        switch scope {
        case .production: nil
        case .session(let name): name.description
        case .test(let name): name.description
        }
    }

    /// The store's artifact types.
    public var schema: ArtifactSchema { store.schema }

    /// The name of the session or test; nil in production.
    public var scopeName: String? { Self.name(of: scope) }

    /// Whether a save may replace an artifact that exists. The overwrite policy answers.
    public var shouldOverwrite: Bool { refusalToOverwrite == nil }

    var refusalToOverwrite: Refusal? {
        OverwritePolicy.judge(.renameOnto, on: OverwritePolicy.stateOfPublished(in: standing)).refusal
    }

    var standing: Standing { scope == .production ? .production : .live }

    /// Where an artifact is or would be, whether it exists or not. Of one that is a directory ``directoryPath(of:chromosome:name:layer:format:)`` tells.
    ///
    /// - Parameters:
    ///   - type: a type of the store's schema, such as `.analysisSequences`.
    ///   - chromosome: `1` or `chr1`; nil for the whole.
    ///   - name: the stem of a free name, such as `epoch_001`, for types that have them.
    ///   - layer: nil for the type's only layer, and `base` where it has both.
    ///   - format: `.tsv` or `tsv`; nil for the type's default.
    /// - Throws: `ArtifactError` when the schema has no such artifact.
    public func path(
        of type: ArtifactType, chromosome: String? = nil, name: String? = nil, layer: Layer? = nil,
        format: String? = nil
    ) throws(ArtifactError) -> String {
        path(of: try key(type, chromosome, name, layer, format))
    }

    func key(
        _ type: ArtifactType, _ chromosome: String?, _ name: String?, _ layer: Layer?, _ format: String?,
        isDirectory: Bool = false
    ) throws(ArtifactError) -> ArtifactKey {
        try ArtifactKey(
            type: type, chromosome: chromosome, name: name, layer: layer, format: format, isDirectory: isDirectory,
            schema: schema)
    }

    /// The directory of an artifact, relative to the store.
    func directory(of key: ArtifactKey) -> String {
        StoreLayout.directory(of: .typed(scope, key.layer, key.type))
    }

    /// The path of an artifact on the mount, from the mount point.
    func shownPath(of key: ArtifactKey) -> String {
        "\(StoreLayout.shownDirectory(of: scope))/\(key.layer.rawValue)/\(key.type.name)/\(key.virtualName)"
    }

    func path(of key: ArtifactKey) -> String { storePath + "/" + directory(of: key) + "/" + key.realName }
}
