import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// A session when room is made.
struct ClearedSession {
    let name: SessionName
    let decision: Retention.Retained
    /// What is in it; nil where that was not looked at.
    var survey: SessionSurvey?
    /// Why it was not removed, or not all of it, when that was tried.
    var failure: String?
    var isRemoved = false
}

/// What becomes of sessions when room is made.
struct SessionClearing {
    private let store: Store
    private let rules: Retention
    /// In seconds since 1970.
    private let now: Int64
    /// Why sessions go, for the ledger.
    private let reason: String
    private var mountPoints: [String]
    private let needed: NeededSessions?
    private let names: [SessionName]
    private let kept: [SessionName: Retention.KeepReason]

    /// - Parameter span: as it was given with `--keep-within`.
    init(_ store: Store, _ rules: Retention, span: String?, now: Int64) throws {
        (self.store, self.rules, self.now) = (store, rules, now)
        names = try store.sessions()
        kept = rules.keptByName(names, at: now)
        for name in (rules.named ?? []).sorted() where !names.contains(name) {
            throw Failure(.cannotAnswer, "there is no session \(name); 'artifactfs sessions' lists them")
        }
        let words = [
            rules.last.map { "is none of the last \($0)" }, span.map { "was not changed within \($0)" },
        ].compactMap { $0 }
        reason = rules.named != nil ? "it was named" : "it " + words.joined(separator: ", and ")
        mountPoints = MountEntry.all().map(\.mountPoint)
        needed = kept.count < names.count ? try NeededSessions(store) : nil
    }

    /// So many are removed together.
    private static let batch = 256

    /// Looks at all, and removes those that are to go.
    ///
    /// - Parameter removes: whether they are removed.
    mutating func run(removing removes: Bool) -> [ClearedSession] {
        let bar = ProgressBar(removes ? "removing sessions" : "looking at sessions")
        defer { bar.end() }
        var rows: [ClearedSession] = []
        var guarded: [(row: Int, held: SessionGuard, survey: SessionSurvey)] = []
        for (number, name) in names.enumerated() {
            bar.show(Int64(number), of: Int64(names.count))
            if let reason = kept[name] {
                rows.append(ClearedSession(name: name, decision: .keep(reason)))
            } else if removes {
                let (row, held) = guarding(name)
                if let held, let survey = row.survey { guarded.append((rows.count, held, survey)) }
                rows.append(row)
                if guarded.count >= Self.batch { remove(&guarded, &rows) }
            } else {
                rows.append(judge(name, isLive: store.isLive(name)))
            }
        }
        remove(&guarded, &rows)
        return rows
    }

    private func judge(_ name: SessionName, isLive: Bool) -> ClearedSession {
        guard !isLive else {
            return ClearedSession(name: name, decision: rules.judge(name, changed: now, hold: .live, at: now))
        }
        do throws(Errno) {
            let survey = try store.survey(name)
            var decision = rules.judge(name, changed: survey.changed, hold: nil, at: now)
            if decision == .remove, let hold = try hold(of: name, survey) {
                decision = rules.judge(name, changed: survey.changed, hold: hold, at: now)
            }
            return ClearedSession(name: name, decision: decision, survey: survey)
        } catch {
            return ClearedSession(name: name, decision: .keep(.held(.obstacle("it cannot be looked at: \(error)"))))
        }
    }

    /// Nobody takes it up while it is looked at and removed.
    ///
    /// - Returns: the guard of one that is to go.
    private func guarding(_ name: SessionName) -> (ClearedSession, SessionGuard?) {
        do throws(Errno) {
            let held = try store.guardSession(name)
            let row = judge(name, isLive: false)
            return (row, row.decision == .remove ? held : nil)
        } catch {
            guard error != .resourceBusy else { return (judge(name, isLive: true), nil) }
            return (ClearedSession(name: name, decision: .remove, failure: "it cannot be removed: \(error)"), nil)
        }
    }

    private mutating func remove(
        _ guarded: inout [(row: Int, held: SessionGuard, survey: SessionSurvey)], _ rows: inout [ClearedSession]
    ) {
        let agent = Agent(user: geteuid(), process: getpid(), program: "artifactfs")
        let outcomes = store.remove(guarded.map { ($0.held, $0.survey) }, reason: reason, by: agent)
        for (session, outcome) in zip(guarded, outcomes) {
            switch outcome {
            case .removed: rows[session.row].isRemoved = true
            case .left(let error):
                rows[session.row].isRemoved = true
                rows[session.row].failure =
                    "it is removed, but for what is left of it in .artifactfs/staging: \(error); the next mount tries "
                    + "again"
            case .kept(let error):
                rows[session.row].failure = "it cannot be removed: \(error); it is there as it was"
            }
        }
        guarded = []
        mountPoints = MountEntry.all().map(\.mountPoint)
    }

    private func hold(of name: SessionName, _ survey: SessionSurvey) throws(Errno) -> Retention.Hold? {
        if let needed = try needed?.need(of: name) { return needed }
        return obstacle(to: name, survey)
    }

    private func obstacle(to name: SessionName, _ survey: SessionSurvey) -> Retention.Hold? {
        for layer in Layer.allCases {
            let own = store.path + "/" + StoreLayout.directory(of: .session(name), in: layer)
            if let point = mountPoints.first(where: { $0 == own || $0.hasPrefix(own + "/") }) {
                return .obstacle("something is mounted in it, at \(point); unmount that first")
            }
        }
        switch survey.obstacle {
        case .foreign(let path, let owner)?:
            let user = UserName.of(owner)
            return .obstacle(
                "\(path) belongs to \(user): only root removes what is others'; or \(user) removes that ('rm -r') first"
            )
        case .closed(let path, let errno)?: return .obstacle("\(path) cannot be looked into: \(errno)")
        case .tooDeep(let path)?:
            return .obstacle("its directories lie too deep in each other: remove \(path) with 'rm -r' first")
        case nil: return nil
        }
    }
}
