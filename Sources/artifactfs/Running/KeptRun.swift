import ArtifactRecords
import ArtifactStore

/// What a run made that was all or nothing, in quarantine as one directory (SEMANTICS 2.7).
extension QuarantineEntry {
    /// Whether it is that, and no artifact.
    var isRun: Bool { isDirectory && record.run != nil && path.hasPrefix("runs/") }

    /// The artifacts in it, by the paths at which they were made; of very many the first ones.
    var artifacts: [String] {
        guard isRun, case .array(let all)? = record.unknown["artifacts"] else { return [] }
        return all.compactMap(\.string)
    }

    /// Whether it has what was made at a path. Names are bytes: two spellings that look the same are two.
    func has(_ path: String) -> Bool {
        self.path.utf8.elementsEqual(path.utf8) || artifacts.contains { $0.utf8.elementsEqual(path.utf8) }
    }
}
