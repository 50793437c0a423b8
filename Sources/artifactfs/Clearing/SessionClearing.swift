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
    private let mountPoints: [String]
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

    /// Looks at all, and removes those that are to go.
    ///
    /// - Parameter removes: whether they are removed.
    func run(removing removes: Bool) -> [ClearedSession] {
        let bar = ProgressBar(removes ? "removing sessions" : "looking at sessions")
        defer { bar.end() }
        let agent = Agent(user: geteuid(), process: getpid(), program: "artifactfs")
        var rows: [ClearedSession] = []
        for (number, name) in names.enumerated() {
            bar.show(Int64(number), of: Int64(names.count))
            if let reason = kept[name] {
                rows.append(ClearedSession(name: name, decision: .keep(reason)))
            } else if removes {
                rows.append(remove(name, agent))
            } else {
                rows.append(judge(name, isLive: store.isLive(name)))
            }
        }
        return rows
    }

    private func judge(_ name: SessionName, isLive: Bool) -> ClearedSession {
        guard !isLive else {
            return ClearedSession(name: name, decision: rules.judge(changed: now, hold: .live, at: now))
        }
        do throws(Errno) {
            let survey = try store.survey(name)
            var decision = rules.judge(changed: survey.changed, hold: nil, at: now)
            if decision == .remove, let hold = try hold(of: name, survey) {
                decision = rules.judge(changed: survey.changed, hold: hold, at: now)
            }
            return ClearedSession(name: name, decision: decision, survey: survey)
        } catch {
            return ClearedSession(name: name, decision: .keep(.held(.obstacle("it cannot be looked at: \(error)"))))
        }
    }

    /// Nobody takes it up while it is looked at and removed.
    private func remove(_ name: SessionName, _ agent: Agent) -> ClearedSession {
        let held: SessionGuard
        do throws(Errno) { held = try store.guardSession(name) } catch {
            guard error != .resourceBusy else { return judge(name, isLive: true) }
            return ClearedSession(name: name, decision: .remove, failure: "it cannot be removed: \(error)")
        }
        var row = judge(name, isLive: false)
        guard row.decision == .remove, let survey = row.survey else { return row }
        do throws(Errno) {
            let left = try store.remove(held, survey, reason: reason, by: agent)
            row.isRemoved = true
            row.failure = left.map {
                "it is removed, but for what is left of it in .artifactfs/staging: \($0); the next mount tries again"
            }
        } catch {
            row.failure = "it cannot be removed: \(error); it is there as it was"
        }
        return row
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
