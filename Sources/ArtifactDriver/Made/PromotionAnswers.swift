internal import ArtifactRecords
internal import ArtifactStore
internal import Artifacts
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What became of the files that users wanted promoted together through this mount, for `promotions.jsonl`.
final class PromotionAnswers: Sendable {
    /// What one asked for, and what was said.
    private struct Answer: Sendable {
        let user: UInt32
        let lines: [String]
    }

    /// So many lines are kept of all together, and of the last one all.
    private static let most = 10_000
    private let answers = Lock<[Answer]>([])

    /// - Parameters:
    ///   - ticket: by which who asked knows the answer.
    ///   - state: which files they were, as who asked may say again.
    ///   - isTrial: whether nothing was to be changed.
    func add(
        _ set: PromotionSet, ticket: String, state: String, isTrial: Bool, user: UInt32
    ) {
        let time = JSONValue.string(TimeText.rfc3339(Clock.now()))
        var lines = set.members.map { member -> String in
            var fields: JSONObject = ["time": time, "ticket": .string(ticket), "path": .string(member.from)]
            fields.add("to", member.to.map { .string($0) })
            fields.add("size", .integer(member.size))
            fields.add("state", .string(Self.state(of: member, isTrial: isTrial)))
            if let fault = member.fault {
                fields.add("errno", .integer(Int64(fault.refusal.errno.rawValue)))
                fields.add("rule", .string(fault.refusal.rule.rawValue))
                fields.add("reason", .string(PromotionSet.words(of: member).joined(separator: "; ")))
            }
            return JSONValue.object(fields).description + "\n"
        }
        lines += set.leftOut.map { path, reason in
            let fields: JSONObject = [
                "time": time, "ticket": .string(ticket), "path": .string(path), "state": .string("left-out"),
                "reason": .string(reason),
            ]
            return JSONValue.object(fields).description + "\n"
        }
        let last: JSONObject = [
            "time": time, "ticket": .string(ticket), "state": .string("answered"), "files": .string(state),
        ]
        lines.append(JSONValue.object(last).description + "\n")
        answers.withLock { answers in
            answers.append(Answer(user: user, lines: lines))
            var count = answers.reduce(0) { $0 + $1.lines.count }
            while count > Self.most, answers.count > 1 { count -= answers.removeFirst().lines.count }
        }
    }

    private static func state(of member: PromotionSet.Promotee, isTrial: Bool) -> String {
        if member.isPromoted { return "promoted" }
        if member.fault != nil { return "refused" }
        return isTrial ? "promotable" : "as-it-was"
    }

    func text(for viewer: Viewer) -> String {
        answers.withLock { $0 }.filter { viewer.user == nil || $0.user == viewer.user }.map { $0.lines.joined() }
            .joined()
    }
}
