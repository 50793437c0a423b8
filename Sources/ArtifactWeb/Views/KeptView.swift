/// What was kept back, and why.
public struct KeptView: Sendable {
    /// Something that was kept back.
    public struct Entry: Sendable {
        let id, path, user, time, size, rule, reason, command: String

        /// Something that was kept back.
        ///
        /// - Parameters:
        ///   - id: its name in quarantine.
        ///   - command: what says how to go on.
        public init(
            id: String, path: String, user: String, time: String, size: String, rule: String, reason: String,
            command: String
        ) {
            (self.id, self.path, self.user, self.time) = (id, path, user, time)
            (self.size, self.rule, self.reason, self.command) = (size, rule, reason, command)
        }
    }

    private let entries: [Entry]
    private let leftOut: Int

    /// More are told of by their number.
    public static let most = 1_000

    /// What was kept back.
    ///
    /// - Parameters:
    ///   - entries: the newest first.
    ///   - leftOut: how many more there are.
    public init(_ entries: [Entry], leftOut: Int) { (self.entries, self.leftOut) = (entries, leftOut) }

    /// The page.
    public var frame: PageFrame {
        guard !entries.isEmpty else {
            return PageFrame("Kept back", in: .kept, "<p>Nothing was kept back.</p>")
        }
        let rows: [[Markup]] = entries.map { entry in
            [
                PageLinks.served.artifact(entry.path), "\(entry.time)", "\(entry.user)", "\(entry.size)",
                "<b>\(entry.rule)</b>: \(entry.reason)", "<code>\(entry.command)</code>",
            ]
        }
        let rest: Markup = leftOut > 0 ? "<p class=\"note\">and \(leftOut) more</p>" : .none
        return PageFrame(
            "Kept back", in: .kept,
            "<p>These bytes were not published, and nothing of them is lost.</p>"
                + PlainTable.markup(["path", "time", "user", "size", "why", "how to go on"], rows, named: "Kept back")
                + rest)
    }
}
