/// When a file that its writers closed is published.
public enum PublishingRule: String, CaseIterable, Hashable, Sendable {
    /// When its makers have ended well, or `settle_seconds` after the last close.
    case exit
    /// At the last close.
    case close
}

/// How many hosts have mounts of one store.
public enum StoreHosts: String, CaseIterable, Hashable, Sendable {
    /// What the store lies on says it.
    case auto
    /// One: what it shows is changed by this machine's kernel only.
    case one
    /// Several, or there may be.
    case several
}

/// The artifact types of a store, and the times that its rules use. The built-in value is SEMANTICS 1.1's table.
public struct ArtifactSchema: Hashable, Sendable {
    /// The types, in the order of their declaration; names are unique.
    public let types: [TypeDefinition]
    /// For how many seconds after the last close the writer may still set attributes.
    public let settlingSeconds: Int
    /// After how many seconds a transient file is left over and removed.
    public let transientSeconds: Int
    /// A file of at most so many bytes is checked whole before `close` returns; 0 leaves that to publishing.
    public let checkAtClose: Int64
    /// When a closed file is published.
    public let publishing: PublishingRule
    /// For how many seconds after the last close a file waits to hear how its writers end; with ``PublishingRule/exit``.
    public let settleSeconds: Int
    /// Exit statuses that mean no failure.
    public let benignExits: BenignExits
    /// Which names are temporary, in typed directories.
    public let transientNames: TransientNames
    /// Which names chromosomes have.
    public let chromosomes: ChromosomeNames
    /// The permissions that a sealed file has; nil for those that its writer gave it, without those to write.
    public let publishMode: UInt32?
    /// Which members of a writer's environment its record has.
    public let environment: EnvironmentNames
    /// Who may supersede and retract artifacts besides their owners.
    public let maySupersede: PrincipalNames
    /// The private key by which what is promoted is signed, a path that is absolute or from the store's directory; nil for none.
    public let signingKey: String?
    /// Which former versions are kept, where a type does not say otherwise.
    public let keepVersions: VersionRetention
    /// How many hosts have mounts of the store.
    public let hosts: StoreHosts
    /// In a shared store, for how many seconds what was seen of it may be shown while another host has changed it.
    public let cacheTime: Int
    /// In a shared store, when others take a mount for dead.
    public let lease: LeaseTimes

    /// A schema of these types.
    ///
    /// - Throws: `SchemaError` when a declaration is wrong or two types could claim one real file.
    public init(
        types: [TypeDefinition], settlingSeconds: Int = 5, transientSeconds: Int = 86_400,
        checkAtClose: Int64 = ArtifactSchema.usualCheckAtClose,
        publishing: PublishingRule = .exit, settleSeconds: Int = 2, benignExits: BenignExits = .builtIn,
        transientNames: TransientNames = .builtIn, chromosomes: ChromosomeNames = .assemblies,
        publishMode: UInt32? = nil, environment: EnvironmentNames = .builtIn, maySupersede: PrincipalNames = .none,
        signingKey: String? = nil, keepVersions: VersionRetention = .all,
        hosts: StoreHosts = .auto, cacheTime: Int = ArtifactSchema.usualCacheTime, lease: LeaseTimes = LeaseTimes()
    ) throws(SchemaError) {
        let types = types.map { $0.with(transientNames, chromosomes) }
        var names: Set<String> = []
        for type in types {
            if let problem = Self.problem(with: type) { throw SchemaError(type: type.name, problem: problem) }
            guard names.insert(type.name).inserted else {
                throw SchemaError(type: type.name, problem: "is declared twice")
            }
        }
        for (index, later) in types.enumerated() {
            for earlier in types[..<index] where Self.couldShareAFile(earlier, later) {
                throw SchemaError(
                    type: later.name,
                    problem: "could claim the same real files as '\(earlier.name)'; give it another directory or name")
            }
        }
        for type in types where type.directory != "." {
            if let other = types.first(where: { Self.claims($0, type.directory, beside: type) }) {
                throw SchemaError(
                    type: type.name,
                    problem: "has the directory '\(type.directory)', which is a file name of '\(other.name)'")
            }
        }
        guard (0...3600).contains(settlingSeconds) else {
            throw SchemaError(type: nil, problem: "settling_seconds must be 0 to 3600")
        }
        guard (0...60).contains(settleSeconds) else {
            throw SchemaError(type: nil, problem: "settle_seconds must be 0 to 60")
        }
        guard (60...Self.longestTransientSeconds).contains(transientSeconds) else {
            throw SchemaError(
                type: nil, problem: "transient_seconds must be 60 to \(Self.longestTransientSeconds) (ten years)")
        }
        guard (0...Self.mostCheckAtClose).contains(checkAtClose) else {
            throw SchemaError(type: nil, problem: "check_at_close must be 0 to 1024 GiB")
        }
        guard (publishMode ?? 0) & ~0o555 == 0 else {
            throw SchemaError(
                type: nil, problem: "publish_mode has permissions to read, such as 0444, and none to write")
        }
        guard (0...3600).contains(cacheTime) else { throw SchemaError(type: nil, problem: "cache must be 0 to 3600") }
        if let problem = Self.fault(ofSigningKey: signingKey) { throw SchemaError(type: nil, problem: problem) }
        self.types = types
        self.checkAtClose = checkAtClose
        self.settlingSeconds = settlingSeconds
        self.transientSeconds = transientSeconds
        self.publishing = publishing
        self.settleSeconds = settleSeconds
        self.benignExits = benignExits
        self.transientNames = transientNames
        self.chromosomes = chromosomes
        self.publishMode = publishMode
        self.environment = environment
        self.maySupersede = maySupersede
        self.signingKey = signingKey
        self.keepVersions = keepVersions
        self.hosts = hosts
        self.cacheTime = cacheTime
        self.lease = lease
    }

    /// What is wrong with the path of a signing key, for people; nil when nothing is.
    public static func fault(ofSigningKey key: String?) -> String? {
        guard let key, !isPath(key) else { return nil }
        return "signing_key is 'none', or the path of a file, absolute or from the store"
    }

    /// Whether a text can be a file's path that stays what it says: without a line's end or quotes, and not out of the store's directory by `..`.
    private static func isPath(_ text: String) -> Bool {
        guard !text.isEmpty, text.utf8.count <= 4096,
            !text.utf8.contains(where: { $0 < 32 || "\u{7f}\"\\".utf8.contains($0) }),
            text.utf8.last != UInt8(ascii: "/")
        else { return false }
        return !text.utf8.split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) }
    }

    /// What `checkAtClose` is when nothing is said.
    public static let usualCheckAtClose: Int64 = 256 << 20
    /// What `cacheTime` is when nothing is said.
    public static let usualCacheTime = 5
    private static let mostCheckAtClose: Int64 = 1 << 40

    /// Ten years: a bound, so that a time in nanoseconds never overflows.
    private static let longestTransientSeconds = 315_360_000

    /// The type with a name.
    public func type(named name: String) -> TypeDefinition? { types.first { NameRules.isSame($0.name, name) } }

    /// The types that a layer has, in order.
    public func types(in layer: Layer) -> [TypeDefinition] { types.filter { $0.layers.contains(layer) } }

    /// The type that claims a real file, if one does.
    ///
    /// - Parameter directory: the file's directory inside the layer, `.` or one name.
    public func claimant(ofReal name: String, in directory: String, layer: Layer) -> TypeDefinition? {
        types.first {
            $0.directory == directory && $0.layers.contains(layer) && $0.virtualName(forReal: name) != nil
        }
    }

    private static func problem(with type: TypeDefinition) -> String? {
        let name = type.name
        guard NameRules.isPlain(name[...]), !name.utf8.contains(UInt8(ascii: ".")), name.utf8.count <= 100
        else {
            return "is not a type name: letters, digits, '_' and '-', at most 100"
        }
        if type.naming == .chromosome && type.chromosomes.contains(name) {
            return "is a name that files in the tree have for other reasons; choose another"
        }
        if type.layers.isEmpty { return "has no layer (base, meta)" }
        if Set(type.layers).count != type.layers.count { return "names a layer twice" }
        if type.formats.isEmpty { return "has no format" }
        for format in type.formats {
            guard format.hasPrefix("."), format.utf8.count >= 2, format.utf8.count <= 32,
                NameRules.isPlain(format.dropFirst())
            else {
                return "has the format '\(format)', which is not an extension such as .tsv"
            }
            if type.transientNames.contains("a" + format) {
                return "has the format '\(format)', which marks temporary files"
            }
            if type.transientNames.contains(name + format) {
                return "has files '\(name + format)', a name of temporary files"
            }
        }
        if Set(type.formats).count != type.formats.count { return "names a format twice" }
        if type.kind.hasDirectories {
            if type.directory == "." && type.naming == .free {
                return "has directories of any name beside those of sessions and tests; give it a directory of its own"
            }
            if type.directory == "." && StoreLayout.reservedDirectories.contains(name) {
                return "has a directory '\(name)', which is used for sessions, tests or their files"
            }
        }
        if type.directory != "." {
            guard NameRules.isPlain(type.directory[...]), type.directory.utf8.count <= 200 else {
                return "has the directory '\(type.directory)', which is not '.' or one plain name"
            }
            if StoreLayout.reservedDirectories.contains(type.directory) {
                return "has the directory '\(type.directory)', which is used for sessions, tests or their files"
            }
        }
        if type.layers.contains(.base) {
            // The real file of a session's own metadata is in the session's part of the base layer.
            let metadata = StoreLayout.metadataName
            if type.directory == metadata || (type.directory == "." && type.virtualName(forReal: metadata) != nil) {
                return "would claim '\(metadata)', which is a session's own; give it another directory or name"
            }
        }
        return nil
    }

    /// Whether `type` has files of this name where `owner` has its directory.
    private static func claims(_ type: TypeDefinition, _ name: String, beside owner: TypeDefinition) -> Bool {
        type.directory == "." && !Set(type.layers).isDisjoint(with: owner.layers)
            && (type.virtualName(forReal: name) != nil || type.virtualName(forReal: name, ofDirectory: true) != nil)
    }

    /// Whether some real file could belong to both.
    private static func couldShareAFile(_ one: TypeDefinition, _ other: TypeDefinition) -> Bool {
        guard one.directory == other.directory, !Set(one.layers).isDisjoint(with: other.layers) else { return false }
        // With formats such as `.gz` and `.tsv.gz`, a name can end with both.
        let endingsMeet = one.formats.contains { a in
            other.formats.contains { b in NameRules.ends(a, with: b) || NameRules.ends(b, with: a) }
        }
        // Directories need no format.
        guard endingsMeet || one.kind.hasDirectories || other.kind.hasDirectories else { return false }
        if one.naming == .free || other.naming == .free { return true }
        return begins(other.name, withKeyedNameOf: one) || begins(one.name, withKeyedNameOf: other)
            || one.name == other.name
    }

    /// Whether `name` begins as files of the type do that are named for a chromosome.
    private static func begins(_ name: String, withKeyedNameOf type: TypeDefinition) -> Bool {
        let start = type.name + "_"
        guard type.naming == .chromosome, name.utf8.starts(with: start.utf8) else { return false }
        return type.chromosomes.couldBegin(with: Substring(name.utf8.dropFirst(start.utf8.count)))
    }
}

/// A schema that cannot be used.
public struct SchemaError: Error, Hashable, Sendable, CustomStringConvertible {
    /// The type at fault, or nil when the fault is not in one type.
    public let type: String?
    /// What is wrong, to be read after the type's name.
    public let problem: String

    /// Describes a fault.
    public init(type: String?, problem: String) {
        self.type = type
        self.problem = problem
    }

    /// For people.
    public var description: String { type.map { "type '\($0)' \(problem)" } ?? problem }
}

extension ArtifactSchema {
    /// The schema of a store that declares none.
    public static let builtIn: ArtifactSchema = {
        let models = [
            ".pkl", ".pt", ".ckpt", ".safetensors", ".h5", ".keras", ".npz", ".npy", ".index", ".data-00000-of-00001",
        ]
        let data = [".parquet", ".tsv", ".npz", ".npy"]
        let types: [TypeDefinition] = [
            .init(name: "analysis_sequences", layers: [.base], formats: [".tsv"], naming: .chromosome),
            .init(name: "splice_errors", layers: [.base], formats: [".tsv"], naming: .chromosome),
            .init(
                name: "nucleotide_scores", layers: [.base], formats: [".parquet", ".npz", ".npy"], naming: .chromosome),
            .init(name: "gene_manifest", layers: [.base], formats: [".tsv"]),
            .init(
                name: "meta_predictions", layers: [.meta], formats: [".tsv", ".parquet"], directory: "predictions",
                naming: .chromosome),
            .init(
                name: "meta_checkpoints", layers: [.meta], formats: models, directory: "checkpoints", naming: .free,
                kind: .either),
            .init(
                name: "meta_metrics", layers: [.meta], formats: [".json", ".jsonl"], directory: "metrics",
                naming: .free),
            .init(
                name: "training_data", layers: [.base, .meta], formats: data, naming: .chromosome, kind: .either),
            .init(
                name: "validation_data", layers: [.base, .meta], formats: data, naming: .chromosome, kind: .either),
            .init(
                name: ExperimentTypes.metadata, layers: [.meta], formats: [".json"], directory: "experiments",
                naming: .free),
            .init(
                name: ExperimentTypes.plots, layers: [.meta], formats: UntypedDirectory.plotFormats,
                directory: "figures", naming: .free),
        ]
        do { return try ArtifactSchema(types: types) } catch { return ArtifactSchema(unchecked: types) }
    }()

    /// For the built-in table, which the tests put through the checked initializer.
    private init(unchecked types: [TypeDefinition]) {
        self.types = types
        settlingSeconds = 5
        transientSeconds = 86_400
        checkAtClose = Self.usualCheckAtClose
        publishing = .exit
        settleSeconds = 2
        benignExits = .builtIn
        transientNames = .builtIn
        chromosomes = .assemblies
        publishMode = nil
        environment = .builtIn
        maySupersede = .none
        signingKey = nil
        keepVersions = .all
        hosts = .auto
        cacheTime = Self.usualCacheTime
        lease = LeaseTimes()
    }
}
