internal import Glibc
package import SystemPackage

/// Whose rights something is done with: a user, a group and further groups (credentials(7)).
package struct UserRights: Sendable, Hashable {
    /// The user's id.
    package let user: UInt32
    /// The group's id.
    package let group: UInt32
    /// Further groups.
    package let groups: [UInt32]

    package init(user: UInt32, group: UInt32, groups: [UInt32]) {
        self.user = user
        self.group = group
        self.groups = groups
    }

    /// Those that the process has itself.
    package static var own: UserRights { UserRights(user: geteuid(), group: getegid(), groups: []) }

    /// Runs with these rights, in the calling thread only. A process of root's takes them, and has root's again afterwards: so it is not for code
    /// that already acts for somebody. Another user's process has its own rights and no others.
    ///
    /// - Throws: `EPERM` when the process is another user's, or may not take them; then nothing has run.
    package func acting<Result>(_ body: () throws(Errno) -> Result) throws(Errno) -> Result {
        guard geteuid() == 0 else {
            guard geteuid() == user else { throw .notPermitted }
            return try body()
        }
        if user == 0, group == 0 { return try body() }
        try SystemCall.act(asUser: user, group: group, furtherGroups: groups)
        defer { SystemCall.actForItself(dropsGroups: true) }
        return try body()
    }
}
