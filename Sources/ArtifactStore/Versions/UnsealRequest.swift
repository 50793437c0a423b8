public import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Sealed artifacts that are to leave their names, together or not at all.
public struct UnsealRequest: Sendable {
    /// Their paths on the mount, from its root.
    public var paths: [String]
    /// How they leave.
    public var unsealing: Unsealing
    /// Why, for who comes later.
    public var reason: String
    /// Who asks.
    public var agent: Agent
    /// The groups that who asks is in.
    public var groups: [UInt32]

    /// A request.
    public init(paths: [String], unsealing: Unsealing, reason: String, agent: Agent, groups: [UInt32]) {
        (self.paths, self.unsealing, self.reason) = (paths, unsealing, reason)
        (self.agent, self.groups) = (agent, groups)
    }
}

/// Why artifacts keep their names. Whatever it is, nothing has changed.
public enum UnsealObstacle: Error, Sendable {
    /// The policy refuses. The detail says more than the refusal's rule.
    case refused(path: String, Refusal, detail: String?)
    /// The system refuses; `doing` completes "could not be".
    case system(path: String, doing: String, Errno)
    /// What was to take the name cannot; why, in words, and the rule.
    case successor(reason: String, Rule)
    /// A test stopped here.
    case stopped
}

/// The steps of superseding and retracting, in their order; a crash can come after each.
///
/// | step | what is on disk then | what recovery makes of it |
/// | --- | --- | --- |
/// | `described` | the artifacts, and descriptions of versions that are not there yet | nothing |
/// | `intentLogged` | and an `unseal-intent` line of each, after the `seal-intent` of a successor | it is done |
/// | `lifted` | the same, and what was immutable is not (of several the first one) | it is done |
/// | `exchanged` | with a successor only: that has the name, and the artifact the successor's in staging | it is done |
/// | `moved` | the artifacts where versions are, which are not immutable yet | that, and the lines are added |
/// | `hardened` | the same, and what was immutable is it again, and so is the successor | the lines are added |
/// | `directorySynced` | the same, also after a power loss | the lines are added |
/// | `logged` | everything | nothing |
enum UnsealStep: String, CaseIterable, Sendable {
    case described
    case intentLogged
    case lifted
    case exchanged
    case moved
    case hardened
    case directorySynced
    case logged
}

extension PrincipalNames {
    /// Whether they are of a user, by the system's users and groups. A name that is none of the system's names nobody.
    func holds(_ user: UInt32, in groups: [UInt32]) -> Bool {
        users.contains { UInt32($0) == user || SystemCall.user(named: $0) == user }
            || self.groups.contains { name in
                UInt32(name).map(groups.contains) ?? SystemCall.group(named: name).map(groups.contains) ?? false
            }
    }
}
