internal import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// The marker of a session (DISK FORMAT, "Sessions").
public enum SessionMarker {
    /// Whether a session may go on: a mount has the lock of its marker, or it has no marker that can be read.
    ///
    /// - Parameter root: the store's directory.
    public static func mayGoOn(_ session: String, in root: FileDescriptor) -> Bool {
        guard SessionName(session) != nil,
            let marker = try? SystemCall.openFile(
                beneath: root, "\(StoreLayout.privateDirectory)/sessions/\(session)", O_RDONLY | O_NONBLOCK)
        else { return true }
        defer { SystemCall.closeLock(marker) }
        return (try? SystemCall.lock(marker, waiting: false, isShared: true)) == nil
    }

    /// Whether a mount has the lock of a session's marker. What has no marker no mount has; of one that cannot be looked at it is not known, and it
    /// counts as held.
    ///
    /// - Parameter root: the store's directory.
    public static func isHeld(_ session: String, in root: FileDescriptor) -> Bool {
        do throws(Errno) {
            let marker = try SystemCall.openFile(
                beneath: root, "\(StoreLayout.privateDirectory)/sessions/\(session)", O_RDONLY | O_NONBLOCK)
            defer { SystemCall.closeLock(marker) }
            try SystemCall.lock(marker, waiting: false, isShared: true)
            return false
        } catch { return error != .noSuchFileOrDirectory }
    }
}
