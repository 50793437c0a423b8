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
        return (try? isHeld(marker, root)) ?? true
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
            return try isHeld(marker, root)
        } catch { return error != .noSuchFileOrDirectory }
    }

    /// What a marker says of who has the session, in a store of several hosts.
    ///
    /// - Parameter isAlwaysOurs: whether no other client has had it.
    package static func text(of mount: String, _ client: StoreClient, isAlwaysOurs: Bool) -> [UInt8] {
        var members: JSONObject = ["mount": .string(mount), "client": .string(client.description)]
        if !isAlwaysOurs { members["others"] = .bool(true) }
        return Array((JSONValue.object(members).description + "\n").utf8)
    }

    /// Whether only mounts of one client have had a session, by its marker. False where that is not known.
    package static func isAlwaysOurs(_ marker: FileDescriptor, _ client: StoreClient) -> Bool {
        guard let bytes = try? SystemCall.bytes(marker, at: 0, count: 1024), let value = JSONValue(parsing: bytes)
        else {
            return false
        }
        return value["client"]?.string == client.description && value["others"] == nil
    }

    private static func isHeld(_ marker: FileDescriptor, _ root: FileDescriptor) throws(Errno) -> Bool {
        if let isElsewhere = try isHeldElsewhere(marker, root) { return isElsewhere }
        do throws(Errno) { try SystemCall.lock(marker, waiting: false, isShared: true) } catch {
            guard error == .wouldBlock else { throw error }
            return true
        }
        return false
    }

    /// Whether the mount of another client that a marker names may have the session still: it has not ended, and nobody has settled what it left.
    /// Nil when the marker names none: then its flock tells.
    package static func isHeldElsewhere(_ marker: FileDescriptor, _ root: FileDescriptor) throws(Errno) -> Bool? {
        let bytes = try SystemCall.bytes(marker, at: 0, count: 1024)
        guard !bytes.isEmpty, let value = JSONValue(parsing: bytes), let mount = value["mount"]?.string,
            let client = value["client"]?.string, !mount.isEmpty, !mount.contains("/"),
            client != (try? StoreClient(of: root))?.description
        else { return nil }
        do throws(Errno) {
            let staging = try SystemCall.openFile(
                beneath: root, "\(StoreLayout.privateDirectory)/staging/\(mount)", O_RDONLY | O_DIRECTORY)
            SystemCall.close(staging)
            return true
        } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            return false
        }
    }
}
