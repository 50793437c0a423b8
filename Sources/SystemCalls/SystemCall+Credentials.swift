internal import CLinux
internal import Glibc
package import SystemPackage

/// Acting for a user, in the calling thread only (credentials(7)).
extension SystemCall {
    /// Takes a user's file system ids and, unless they are nil, further groups. Without root's id the kernel takes what makes root exempt
    /// out of effect (capabilities(7)), and this takes CAP_SYS_RESOURCE: quotas hold, and root's reserve of a disk stays root's.
    ///
    /// - Throws: `EPERM` when the driver lacks the right to take them.
    package static func act(asUser user: UInt32, group: UInt32, furtherGroups groups: [UInt32]?) throws(Errno) {
        let result: Int32
        if let groups {
            result = clinux_act_as(user, group, groups, Int32(clamping: groups.count))
        } else {
            result = clinux_act_as(user, group, nil, -1)
        }
        guard result == 0 else { throw .notPermitted }
    }

    /// Root's ids again.
    ///
    /// - Parameter dropsGroups: whether further groups were taken, which go then.
    package static func actForItself(dropsGroups: Bool) { clinux_act_for_itself(dropsGroups ? 1 : 0) }

    /// Sets the process's umask (umask(2)).
    package static func setUmask(_ mask: UInt32) { _ = umask(mask) }

    /// Sets the calling thread's umask, which from the first call on is its own (unshare(2), `CLONE_FS`).
    ///
    /// - Returns: the one before.
    package static func setThreadUmask(_ mask: UInt32) -> UInt32 { clinux_set_umask(mask) }
}
