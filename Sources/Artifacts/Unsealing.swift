public import SystemPackage

/// The two ways by which what is sealed leaves its name (SEMANTICS 2.8). It stays whole and readable, as a version. The raw value is what the
/// ledger calls it.
public enum Unsealing: String, CaseIterable, Hashable, Sendable {
    /// Something else takes the name, now or later.
    case superseded
    /// It should never have been there.
    case retracted

    /// The command that does it.
    public var command: String {
        switch self {
        case .superseded: "supersede"
        case .retracted: "retract"
        }
    }

    /// The longest reason, in bytes.
    public static let longestReason = 1024
}

/// Users and groups that a schema names.
public struct PrincipalNames: Hashable, Sendable {
    /// Names, or numbers.
    public let users: [String]
    /// The same of groups.
    public let groups: [String]

    /// Those of these names.
    ///
    /// - Parameter names: a user's name or number, or a group's after `@`.
    /// - Returns: nil where one is empty, or has something that no name has.
    public init?(_ names: [String]) {
        var (users, groups): ([String], [String]) = ([], [])
        for name in names {
            let isGroup = name.utf8.first == UInt8(ascii: "@")
            let rest = isGroup ? String(name.utf8.dropFirst()) ?? "" : name
            let isNumber = rest.utf8.allSatisfy { $0 >= UInt8(ascii: "0") && $0 <= UInt8(ascii: "9") }
            guard !rest.isEmpty, rest.utf8.first != UInt8(ascii: "-"), !isNumber || UInt32(rest) != nil,
                rest.utf8.allSatisfy({ $0 > 32 && $0 != 127 && $0 != UInt8(ascii: ":") })
            else {
                return nil
            }
            if isGroup { groups.append(rest) } else { users.append(rest) }
        }
        (self.users, self.groups) = (users, groups)
    }

    /// Nobody.
    public static let none = PrincipalNames()

    private init() { (users, groups) = ([], []) }

    /// As the schema has them.
    public var names: [String] { users + groups.map { "@" + $0 } }
}

/// What is under a name that somebody wants taken from it.
public enum UnsealingSubject: Hashable, Sendable {
    /// Nothing.
    case nothing
    /// What was never sealed, or is in a session or a test.
    case unsealed
    /// A sealed artifact, and whose it is.
    case sealed(owner: UInt32)
}

extension Refusal {
    /// What the system refuses an artifact.
    public static func ofSystem(_ error: Errno) -> Refusal { Refusal(error, .ofFailure(error)) }

    /// That an artifact keeps its name because something could not be done.
    public static func ofUnsealing(_ error: Errno) -> Refusal { Refusal(error, .notSuperseded) }
}

extension OverwritePolicy {
    /// Judges taking the name from an artifact.
    ///
    /// - Parameters:
    ///   - subject: what has the name.
    ///   - reason: why, as who asks says it.
    ///   - user: who asks.
    ///   - isNamed: whether the schema's `may_supersede` names who asks.
    public static func judgeUnsealing(
        _ subject: UnsealingSubject, reason: String, user: UInt32, isNamed: Bool
    ) -> Verdict {
        let owner: UInt32
        switch subject {
        case .nothing: return .refused(Refusal(.noSuchFileOrDirectory, .notSealed))
        case .unsealed: return .refused(Refusal(.notPermitted, .notSealed))
        case .sealed(let whose): owner = whose
        }
        guard user == 0 || user == owner || isNamed else { return .refused(Refusal(.notPermitted, .notYours)) }
        guard KeptBytes.isReason(reason), reason.utf8.count <= Unsealing.longestReason else {
            return .refused(Refusal(.invalidArgument, .reasonMissing))
        }
        return .allowed
    }

    /// Judges an action on a former version: it is read, and never changes. With it go the records beside it.
    public static func judgeVersion(_ action: Action, isDirectory: Bool) -> Verdict {
        let verdict = judgeInKept(action, isDirectory: isDirectory)
        return verdict.refusal?.rule == .keptBack ? .refused(Refusal(.notPermitted, .productionImmutable)) : verdict
    }
}
