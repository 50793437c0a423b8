public import ArtifactRecords
public import Artifacts
internal import SystemCalls

/// What two hosts have found of a store's file system: `.artifactfs/shared.json`.
public struct SharedReport: Sendable, Hashable {
    /// One of the two.
    public struct Host: Sendable, Hashable {
        public let name: String
        /// The run of its kernel.
        public let boot: String
        /// The type of the file system as it sees it (statfs(2)).
        public let type: Int64
        /// As which user it asked.
        public let user: Int64

        /// What people call the file system.
        public var fileSystem: String { FileSystemKind.name(ofNumber: Int(clamping: type)) }
    }

    /// When, as text.
    public let time: String
    /// Both, the first one first.
    public let hosts: [Host]
    public let facts: SharedFacts

    init(time: String, hosts: [Host], facts: SharedFacts) {
        (self.time, self.hosts, self.facts) = (time, hosts, facts)
    }

    private static let format: Int64 = 1
    /// A longer text is no answer, in bytes.
    private static let longestText = 300
    /// A file that is longer is no report, in bytes.
    static let longest = 64 << 10

    /// What the file says; of the verdict only for people and programs: it follows from the facts.
    public var json: JSONObject {
        let hosts = hosts.map { host -> JSONValue in
            let fields: JSONObject = [
                "host": .string(host.name), "boot": .string(host.boot), "file_system": .string(host.fileSystem),
                "type": .integer(host.type), "uid": .integer(host.user),
            ]
            return .object(fields)
        }
        let verdict = facts.verdict
        return [
            "format": .integer(Self.format), "time": .string(time), "hosts": .array(hosts),
            "one_machine": .bool(facts.isOneMachine), "verdict": .string(verdict.name),
            "words": .string(verdict.words), "reasons": .array(verdict.reasons.map { .string($0) }),
            "facts": .object(
                Self.json(of: Dictionary(uniqueKeysWithValues: SharedQuestion.allCases.map { ($0, facts[$0]) }))),
        ]
    }

    /// - Returns: nil of what is none, or of a format that this version does not know.
    init?(_ value: JSONValue) {
        guard value["format"]?.integer == Self.format, let time = value["time"]?.string, TimeText.time(time) != nil,
            case .array(let hosts)? = value["hosts"], hosts.count == 2, case .bool(let isOne)? = value["one_machine"],
            let facts = value["facts"]?.object
        else { return nil }
        var found: [Host] = []
        for host in hosts {
            guard let name = host["host"]?.string, name.utf8.count <= Self.longestText,
                let boot = host["boot"]?.string, boot.utf8.count <= Self.longestText,
                let type = host["type"]?.integer, let user = host["uid"]?.integer
            else { return nil }
            found.append(Host(name: name, boot: boot, type: type, user: user))
        }
        self.init(time: time, hosts: found, facts: SharedFacts(Self.facts(in: facts), isOneMachine: isOne))
    }

    // MARK: - Facts

    static func json(of facts: [SharedQuestion: SharedFact]) -> JSONObject {
        var all = JSONObject()
        for question in SharedQuestion.allCases {
            guard let fact = facts[question] else { continue }
            var members: JSONObject = ["answer": .string(fact.answer.rawValue)]
            if !fact.detail.isEmpty { members["detail"] = .string(fact.detail) }
            members["milliseconds"] = fact.milliseconds.map { .integer($0) }
            all[question.rawValue] = .object(members)
        }
        return all
    }

    /// What is not understood was not asked.
    static func facts(in object: JSONObject) -> [SharedQuestion: SharedFact] {
        var all: [SharedQuestion: SharedFact] = [:]
        for question in SharedQuestion.allCases {
            guard let fact = object[question.rawValue],
                let answer = fact["answer"]?.string.flatMap({ SharedAnswer(rawValue: $0) })
            else { continue }
            let detail = fact["detail"]?.string ?? ""
            all[question] = SharedFact(
                answer, detail.utf8.count <= longestText ? detail : "",
                milliseconds: fact["milliseconds"]?.integer.flatMap { $0 >= 0 ? $0 : nil })
        }
        return all
    }
}
