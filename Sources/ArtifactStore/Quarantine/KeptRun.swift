internal import ArtifactRecords

/// What a run made that was all or nothing, in quarantine as one directory (SEMANTICS 2.7).
extension QuarantineEntry {
    /// Whether it is that, and no artifact.
    public var isRun: Bool { isDirectory && record.run != nil && path.hasPrefix("runs/") }

    /// The artifacts in it, by the paths at which they were made; of very many the first ones.
    public var artifacts: [String] {
        guard isRun, case .array(let all)? = record.unknown[Self.artifactsMember] else { return [] }
        return all.compactMap(\.string)
    }

    /// Whether it has what was made at a path. Names are bytes: two spellings that look the same are two.
    public func has(_ path: String) -> Bool {
        self.path.utf8.elementsEqual(path.utf8) || artifacts.contains { $0.utf8.elementsEqual(path.utf8) }
    }

    /// What is known of one of them; nil where nothing is but what is known of the run.
    func record(ofArtifact path: String) -> ArtifactRecord? {
        guard isRun, case .array(let all)? = record.unknown[Self.recordsMember] else { return nil }
        return all.lazy.compactMap(\.object).map { ArtifactRecord($0) }.first {
            $0.artifact.path?.utf8.elementsEqual(path.utf8) == true
        }
    }

    /// Members of such an entry's record.
    static let artifactsMember = "artifacts"
    static let recordsMember = "records"
}
