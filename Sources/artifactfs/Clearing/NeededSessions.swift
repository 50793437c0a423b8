import ArtifactRecords
import ArtifactStore
import Artifacts
import Lineage
import SystemCalls
import SystemPackage

/// Which sessions production needs: those that have bytes that a sealed artifact was made from and that are nowhere else in production.
struct NeededSessions {
    /// A file of a session, and a record that names it.
    private struct Use {
        let record: RecordNumber
        let input: ArtifactRecord.Input
        let path: String
    }

    private let store: Store
    private let index: RecordIndex
    private var uses: [String: [Use]] = [:]
    /// What was sealed, by the hashes that sessions' files had.
    private var sealed: [String: [RecordNumber]] = [:]

    /// Reads the ledgers.
    init(_ store: Store) throws {
        self.store = store
        index = try store.withLedgers { try LedgerRecords($0).index }
        var wanted: Set<String> = []
        for (number, record) in index.records.enumerated() {
            // What is only possible keeps nothing.
            for input in record.inputs where input.how != .job {
                guard let path = input.path, let session = Self.session(of: path) else { continue }
                uses[session, default: []].append(Use(record: number, input: input, path: path))
                if let hash = input.sha256 { wanted.insert(hash) }
            }
        }
        guard !wanted.isEmpty else { return }
        for (number, record) in index.records.enumerated() {
            if let hash = record.sha256, wanted.contains(hash) { sealed[hash, default: []].append(number) }
        }
    }

    private static func session(of path: String) -> String? {
        let parts = path.split(separator: "/", maxSplits: 2)
        guard parts.count == 3, parts[0] == Mode.development.rawValue else { return nil }
        return SessionName(String(parts[1]))?.description
    }

    /// What needs a session; nil when nothing does.
    func need(of session: SessionName) throws(Errno) -> Retention.Hold? {
        for use in uses[session.description] ?? [] {
            // The cheapest question first: the last one may read a large file.
            if let hash = use.input.sha256, isInProduction(hash) { continue }
            guard counts(use.record) else { continue }
            let time = use.input.at.flatMap { TimeText.time($0) }
            guard try store.holds(real(use.path), sha256: use.input.sha256, at: time) else { continue }
            return .needed(by: index[use.record].path, input: use.path)
        }
        return nil
    }

    private func isInProduction(_ hash: String) -> Bool {
        (sealed[hash] ?? []).contains { number in
            let path = index[number].path
            return index.sealed(at: path).last == number && isThere(path)
        }
    }

    /// Whether a record is of production's lineage: something has its path, or something was made from it.
    private func counts(_ number: RecordNumber) -> Bool {
        let record = index[number]
        if isThere(record.path) || hasVersions(record.path) { return true }
        return index.made(from: record.path).contains { other in
            index[other].inputs.contains { $0.how != .job && $0.path == record.path && $0.sha256 == record.sha256 }
        }
    }

    /// What has left its name is there still, for tags and for whoever looks back.
    private func hasVersions(_ path: String) -> Bool {
        let real = real(path)
        guard let slash = real.lastIndex(of: "/") else { return false }
        do throws(Errno) {
            return try store.formerVersions(of: String(real[real.index(after: slash)...]), in: String(real[..<slash]))
                != nil
        } catch { return true }
    }

    /// What cannot be looked at may be there.
    private func isThere(_ path: String) -> Bool {
        do throws(Errno) { return try store.holds(real(path), sha256: nil, at: nil) } catch { return true }
    }

    /// Where a path on the mount is, from the store's directory.
    private func real(_ path: String) -> String {
        let real = "/" + store.schema.realPath(ofShown: path)
        return real.hasPrefix("/./") ? String(real.dropFirst(3)) : String(real.dropFirst())
    }
}
