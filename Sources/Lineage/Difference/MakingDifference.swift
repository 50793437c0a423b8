internal import ArtifactRecords
internal import Artifacts

/// One thing that differs between how two artifacts were made; nil where it is not known of one of them.
public struct MakingDifference: Sendable, Hashable {
    /// What differs, such as `commit`.
    public let what: String
    /// Of the one.
    public let one: String?
    /// Of the other.
    public let other: String?

    /// What differs between two records, their inputs aside, in the order in which people look at it.
    ///
    /// - Returns: what differs, and the names of what is not known of either.
    static func all(_ one: ArtifactRecord, _ other: ArtifactRecord) -> (found: [MakingDifference], unknown: [String]) {
        var found: [MakingDifference] = []
        var unknown: [String] = []
        func add(_ what: String, _ one: String?, _ other: String?, isNamed: Bool = false) {
            if one == nil, other == nil, isNamed { unknown.append(what) }
            // Texts are bytes here too: another spelling is another argument.
            let isSame = one.map { $0.isExactly(other) } ?? (other == nil)
            if !isSame { found.append(MakingDifference(what: what, one: one, other: other)) }
        }
        let (first, second) = (one.writer ?? .init(), other.writer ?? .init())
        add("program", first.program, second.program)
        if let words = first.argv, let others = second.argv {
            let (left, right) = WordDifference.of(words, others)
            if !left.isEmpty || !right.isEmpty {
                let texts = [left, right].map { $0.map(ShellWord.quoted).joined(separator: " ") }
                found.append(MakingDifference(what: "arguments", one: texts[0], other: texts[1]))
            }
        } else {
            add("command", one.commandLine, other.commandLine, isNamed: true)
        }
        add("directory", first.cwd, second.cwd)
        code(one.code, other.code, add)
        add("user", user(first), user(second), isNamed: true)
        add("host", first.host, second.host)
        add("job", one.job?.kind, other.job?.kind)
        add("exit", exit(first.exit), exit(second.exit))
        add("experiment", one.run?.experiment, other.run?.experiment)
        members("environment", first.environment, second.environment, add)
        var (left, right) = (one.attributes, other.attributes)
        // What somebody remarks does not make anything.
        for name in [ArtifactAttribute.note] { (left[name], right[name]) = (nil, nil) }
        members("attribute", left, right, add)
        return (found, unknown)
    }

    private static func user(_ writer: ArtifactRecord.Writer) -> String? {
        writer.user ?? writer.uid.map { "user \($0)" }
    }

    private static func exit(_ exit: ArtifactRecord.Exit?) -> String? {
        switch exit {
        case .status(let status)?: "status \(status)"
        case .signal(let signal)?: "signal \(signal)"
        case .unknown?, nil: nil
        }
    }

    private static func code(
        _ one: [ArtifactRecord.Code], _ other: [ArtifactRecord.Code], _ add: (String, String?, String?, Bool) -> Void
    ) {
        for role in ["script", "cwd", "program"] {
            let (left, right) = (one.first { $0.role == role }, other.first { $0.role == role })
            let of = role == "script" ? "" : role == "cwd" ? " of the directory" : " of the program"
            add("script", left?.script, right?.script, false)
            if left?.script != nil, right?.script != nil { add("script's sha256", left?.sha256, right?.sha256, false) }
            add("repository" + of, left?.remote ?? left?.path, right?.remote ?? right?.path, false)
            add("commit" + of, left?.commit, right?.commit, false)
            add("branch" + of, left?.branch, right?.branch, false)
            add("changes" + of, dirty(left), dirty(right), false)
        }
        if one.isEmpty, other.isEmpty { add("code", nil, nil, true) }
    }

    private static func dirty(_ code: ArtifactRecord.Code?) -> String? {
        code?.dirty.map { $0 ? "changes that are in no commit" : "none" }
    }

    private static func members(
        _ what: String, _ one: JSONObject, _ other: JSONObject, _ add: (String, String?, String?, Bool) -> Void
    ) {
        func text(_ value: JSONValue?) -> String? { value.map { $0.string ?? $0.description } }
        let names = Set((one.sorted + other.sorted).map { ExactText($0.key) }).map(\.text).sorted()
        for name in names { add("\(what) \(name)", text(one[name]), text(other[name]), false) }
    }
}

/// Which words of two command lines differ.
enum WordDifference {
    /// Longer ones are compared from their ends only.
    private static let most = 600

    /// The words that the other has not; a value comes with the option before it.
    static func of(_ one: [String], _ other: [String]) -> (one: [String], other: [String]) {
        var (start, end) = (0, 0)
        while start < min(one.count, other.count), one[start].isExactly(other[start]) { start += 1 }
        while end < min(one.count, other.count) - start,
            one[one.count - 1 - end].isExactly(other[other.count - 1 - end])
        { end += 1 }
        let (left, right) = (one[start..<one.count - end], other[start..<other.count - end])
        guard left.count <= most, right.count <= most else { return (Array(left), Array(right)) }
        let common = self.common(Array(left), Array(right))
        return (
            rest(one, start, Set(common.map { $0.0 + start })), rest(other, start, Set(common.map { $0.1 + start }))
        )

        func rest(_ words: [String], _ start: Int, _ common: Set<Int>) -> [String] {
            var found: [String] = []
            for place in words.indices where place >= start && place < words.count - end && !common.contains(place) {
                let isBeforeCommon = place > 0 && (place - 1 < start || common.contains(place - 1))
                if isBeforeCommon, words[place - 1].hasPrefix("-"), !words[place].hasPrefix("-") {
                    found.append(words[place - 1])
                }
                found.append(words[place])
            }
            return found
        }
    }

    /// The longest common subsequence, by the places of its words.
    private static func common(_ one: [String], _ other: [String]) -> [(Int, Int)] {
        var lengths = [[Int]](repeating: [Int](repeating: 0, count: other.count + 1), count: one.count + 1)
        for left in one.indices.reversed() {
            for right in other.indices.reversed() {
                lengths[left][right] =
                    one[left].isExactly(other[right])
                    ? lengths[left + 1][right + 1] + 1 : max(lengths[left + 1][right], lengths[left][right + 1])
            }
        }
        var (left, right) = (0, 0)
        var pairs: [(Int, Int)] = []
        while left < one.count, right < other.count {
            if one[left].isExactly(other[right]) {
                pairs.append((left, right))
                (left, right) = (left + 1, right + 1)
            } else if lengths[left + 1][right] >= lengths[left][right + 1] {
                left += 1
            } else {
                right += 1
            }
        }
        return pairs
    }
}
