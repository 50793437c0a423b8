import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import Lineage
import SystemCalls
import SystemPackage

/// A former version when room is made.
struct ClearedVersion {
    let title: String
    /// Why it stays; nil of what goes.
    let kept: VersionRetention.VersionKeepReason?
    /// In bytes.
    var bytes: Int64
    var files: Int64 = 1
    var owner: UInt32?
    /// When it left its name, in seconds since 1970.
    var left: Int64?
    /// Why it was not removed, or not all of it, when that was tried.
    var failure: String?
    var isRemoved = false
}

/// What becomes of former versions when room is made: those go that the schema lets go and that nothing needs.
struct ClearedVersions {
    private let store: Store
    /// In seconds since 1970.
    private let now: Int64
    private let tags: [(name: String, moment: Int64)]

    init(_ store: Store, now: Int64) throws(Errno) {
        (self.store, self.now) = (store, now)
        tags = try Self.tags(store)
    }

    private static func tags(_ store: Store) throws(Errno) -> [(name: String, moment: Int64)] {
        try store.tags().compactMap { tag in
            TimeText.time(tag.moment).flatMap(Clock.nanoseconds).map { (tag.name, $0) }
        }
    }

    /// So many are removed together.
    private static let batch = 256

    /// Looks at all, and removes those that are to go.
    ///
    /// - Parameter removes: whether they are removed.
    func run(removing removes: Bool) throws -> [ClearedVersion] {
        let all = try store.shelvedVersions()
        var kept = byRule(all)
        if kept.contains(where: { $0 == nil }) { try need(all, &kept) }
        var rows: [ClearedVersion] = []
        var doomed: [(row: Int, version: ShelvedVersion, reason: String)] = []
        let bar = ProgressBar(removes ? "removing versions" : "looking at versions")
        defer { bar.end() }
        for (place, shelved) in all.enumerated() {
            bar.show(Int64(place), of: Int64(all.count))
            var row = ClearedVersion(
                title: shelved.title, kept: kept[place], bytes: shelved.version.left?.size ?? 0,
                left: Self.seconds(shelved.version.time))
            if row.kept == nil {
                let survey = try shelved.survey()
                (row.files, row.bytes, row.owner) = (survey.files, survey.bytes, survey.owner)
                if let why = Self.obstacle(survey) {
                    row = ClearedVersion(title: row.title, kept: .held(.obstacle(why)), bytes: row.bytes)
                } else {
                    doomed.append((rows.count, shelved, reason(shelved)))
                }
            }
            rows.append(row)
            if removes, doomed.count >= Self.batch { try remove(&doomed, &rows) }
        }
        if removes { try remove(&doomed, &rows) }
        return rows
    }

    // MARK: - What stays

    /// What the schema, tags and signatures keep.
    private func byRule(_ all: [ShelvedVersion]) -> [VersionRetention.VersionKeepReason?] {
        var ranks: [String: Int] = [:]
        var kept: [VersionRetention.VersionKeepReason?] = []
        for shelved in all.reversed() {
            let rank = ranks[shelved.real, default: 0]
            ranks[shelved.real] = rank + 1
            let rule = retention(of: shelved)
            kept.append(
                rule.keeps(rank: rank, left: Self.seconds(shelved.version.time), at: now)
                    ?? hold(shelved).map { .held($0) })
        }
        return kept.reversed()
    }

    private func retention(of shelved: ShelvedVersion) -> VersionRetention {
        guard let path = shelved.path, case .typed(_, _, let type) = store.schema.locate(path).directory else {
            // What no type claims any more the schema says nothing of.
            return shelved.path == nil ? store.schema.keepVersions : .all
        }
        return store.schema.retention(of: type)
    }

    /// What holds it besides what was made from it.
    private func hold(_ shelved: ShelvedVersion) -> VersionRetention.VersionHold? {
        guard let left = shelved.version.left else {
            return .obstacle("nothing beside it says what it is; look at \(shelved.title) in .artifactfs/versions")
        }
        if let tag = tag(of: shelved, tags) { return .tag(tag) }
        do throws(Errno) {
            return try store.signingKeys(path: left.path, sha256: left.sha256).isEmpty ? nil : .signed
        } catch { return .obstacle("whether it is signed cannot be looked up: \(error)") }
    }

    private func tag(of shelved: ShelvedVersion, _ tags: [(name: String, moment: Int64)]) -> String? {
        let sealed = shelved.version.record?.times.sealed.flatMap(Clock.nanoseconds)
        let left = TimeText.time(shelved.version.time).flatMap(Clock.nanoseconds)
        return tags.first { VersionRetention.had($0.moment, sealed: sealed, left: left) }?.name
    }

    /// What something needs that is there, or that is kept: at any depth.
    private func need(_ all: [ShelvedVersion], _ kept: inout [VersionRetention.VersionKeepReason?]) throws {
        let makers = try store.withLedgers { reader throws -> [Int: String] in
            var records = try LedgerRecords(reader)
            let index = records.index
            var roots: Set<RecordNumber> = []
            for path in Set(index.records.map(\.path)) {
                if let last = index.sealed(at: path).last, isThere(path) { roots.insert(last) }
            }
            for (place, shelved) in all.enumerated() where kept[place] != nil {
                roots.formUnion(Self.records(of: shelved, in: index))
            }
            let needs = try LineageNeeds(of: roots, in: &records)
            var makers: [Int: String] = [:]
            for (place, shelved) in all.enumerated() where kept[place] == nil {
                let own = Self.records(of: shelved, in: index)
                if let maker = own.compactMap({ needs.makers[$0] }).first { makers[place] = index[maker].path }
            }
            return makers
        }
        for (place, maker) in makers { kept[place] = .held(.needed(by: maker)) }
    }

    /// What has the version's bytes, or its number, at its path: each may be what somebody has read.
    private static func records(of shelved: ShelvedVersion, in index: RecordIndex) -> [RecordNumber] {
        guard let left = shelved.version.left else { return [] }
        return index.sealed(at: left.path).filter {
            index[$0].sha256 == left.sha256 || index.version(of: $0) == left.version
        }
    }

    /// What cannot be looked at may be there.
    private func isThere(_ path: String) -> Bool {
        do throws(Errno) { return try store.holds(store.schema.realPath(ofShown: path), sha256: nil, at: nil) } catch {
            return true
        }
    }

    private static func obstacle(_ survey: SessionSurvey) -> String? {
        switch survey.obstacle {
        case .foreign(let path, let owner)?:
            "\(path) belongs to \(UserName.of(owner)): only root removes directories that are others'"
        case .closed(let path, let errno)?: "\(path) cannot be looked into: \(errno)"
        case .tooDeep(let path)?: "its directories lie too deep in each other: \(path)"
        case nil: nil
        }
    }

    // MARK: - What goes

    /// For the ledger.
    private func reason(_ shelved: ShelvedVersion) -> String {
        guard case .some(let last, let within) = retention(of: shelved) else { return "the schema lets it go" }
        let words = [
            last.map { $0 == 1 ? "is not the last former version" : "is none of the last \($0) former versions" },
            within.map { "left its name longer ago than \(TimeSpan.text(ofSeconds: $0))" },
        ]
        return "it " + words.compactMap { $0 }.joined(separator: ", and ") + " (keep_versions)"
    }

    private func remove(
        _ doomed: inout [(row: Int, version: ShelvedVersion, reason: String)], _ rows: inout [ClearedVersion]
    ) throws {
        guard !doomed.isEmpty else { return }
        let agent = Agent(user: geteuid(), process: getpid(), program: "artifactfs")
        // Who tags or signs has not waited for this command.
        let tags = try Self.tags(store)
        let failures: [Errno?]
        do throws(UnsealObstacle) {
            failures = try store.remove(doomed.map { ($0.version, $0.reason) }, by: agent) { shelved in
                tag(of: shelved, tags) == nil && hold(shelved) == nil
            }
        } catch {
            let why =
                if case .system(_, _, let errno) = error, errno == .resourceBusy {
                    "another process changes versions just now; try again in a moment"
                } else { "\(error)" }
            for one in doomed { rows[one.row].failure = "it cannot be removed: \(why); it is there as it was" }
            return doomed = []
        }
        for (one, failure) in zip(doomed, failures) {
            rows[one.row].isRemoved = failure == nil || !one.version.isThere
            rows[one.row].failure = failure.map { words($0, isRemoved: rows[one.row].isRemoved) }
        }
        doomed = []
    }

    private func words(_ error: Errno, isRemoved: Bool) -> String {
        if isRemoved {
            return "it is removed, but for what is left of it in .artifactfs: \(error); the next mount tries again"
        }
        switch error {
        case .resourceTemporarilyUnavailable: return "it stays: somebody has tagged or signed it meanwhile"
        case .noSuchFileOrDirectory: return "it is not what it was a moment ago, and was not touched; try again"
        case _ where DiskRoom.isForWantOfRoom(error):
            return "it cannot be removed: there is no room for the line that says so; make some first, "
                + "as with 'artifactfs gc --session NAME --delete'; it is there as it was"
        default: return "it cannot be removed: \(error); it is there as it was"
        }
    }

    private static func seconds(_ text: String) -> Int64? { TimeText.time(text).map { Int64($0.tv_sec) } }
}
