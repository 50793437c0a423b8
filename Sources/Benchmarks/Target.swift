import Glibc

/// One of the places that are compared: the native directory, a mount of ours, or a peer's mount of the native one.
struct Target: Sendable {
    /// How the same artifacts are named.
    enum Layout: String, Sendable {
        /// The real directories: `base_layer/analysis_sequences_chr1.tsv`.
        case store
        /// The mount's tree: `production/base/analysis_sequences/chr1.tsv`.
        case tree
    }

    let name: String
    let directory: String
    /// The real store under a mount of ours: says when an artifact is published.
    let store: String?
    /// The process that serves it, for its memory.
    let process: Int32?
    let layout: Layout
    let isReadOnly: Bool

    /// Looks at a directory: which layout it has, and whether it can be written.
    init(name: String, directory: String, store: String? = nil, process: Int32? = nil) throws(BenchFailure) {
        self.name = name
        self.directory = directory
        self.store = store
        self.process = process
        var facts = stat()
        if stat(directory + "/production/base/analysis_sequences", &facts) == 0 {
            layout = .tree
        } else if stat(directory + "/base_layer", &facts) == 0 {
            layout = .store
        } else {
            throw BenchFailure(
                "\(name): \(directory) has neither production/base/analysis_sequences (a mount) nor base_layer (a store); "
                    + "make one with 'artifactfs-bench prepare DIR'")
        }
        var system = statvfs()
        guard statvfs(directory, &system) == 0 else { throw BenchFailure.call("look at", directory) }
        isReadOnly = system.f_flag & UInt(ST_RDONLY) != 0
    }

    /// A production artifact of one block.
    func artifact(_ index: Int) -> String {
        switch layout {
        case .store: artifactDirectory + "/analysis_sequences_" + Self.name(index)
        case .tree: artifactDirectory + "/" + Self.name(index)
        }
    }

    static func name(_ index: Int) -> String { "chrUn_\(1 + index % 24)_\(index).tsv" }

    /// The directory that holds the production artifacts of one block, and what their names begin with there.
    var artifactDirectory: String {
        switch layout {
        case .store: directory + "/base_layer"
        case .tree: directory + "/production/base/analysis_sequences"
        }
    }

    var artifactPrefix: String { layout == .store ? "analysis_sequences_chr" : "chr" }

    /// The large production artifact. It lies in another directory, so that listings have only the small ones.
    var bigArtifact: String { published("chrUn_Big1.tsv") }

    /// The directory with the Parquet artifacts, and what their names begin with there.
    var parquetDirectory: String {
        switch layout {
        case .store: directory + "/base_layer"
        case .tree: directory + "/production/base/nucleotide_scores"
        }
    }

    var parquetPrefix: String { layout == .store ? "nucleotide_scores_chr" : "chr" }

    /// A production artifact of the type that the publishing workloads write.
    func published(_ name: String) -> String {
        switch layout {
        case .store: directory + "/meta_layer/predictions/meta_predictions_" + name
        case .tree: directory + "/production/meta/meta_predictions/" + name
        }
    }

    /// A file of this target's session.
    func session(_ name: String) -> String {
        switch layout {
        case .store: sessionDirectory + "/analysis_sequences_" + name
        case .tree: sessionDirectory + "/" + name
        }
    }

    var sessionDirectory: String {
        switch layout {
        case .store: directory + "/base_layer/dev/bench_" + self.name
        case .tree: directory + "/development/current/base/analysis_sequences"
        }
    }

    /// A directory of its session where anything may be written.
    func free(_ name: String) -> String {
        switch layout {
        case .store: sessionDirectory + "-free-" + name
        case .tree: directory + "/development/current/scratch/" + name
        }
    }

    /// The real path of a published artifact, where one can see that it is published; nil when nobody said.
    func real(published name: String) -> String? {
        store.map { $0 + "/meta_layer/predictions/meta_predictions_" + name }
    }
}
