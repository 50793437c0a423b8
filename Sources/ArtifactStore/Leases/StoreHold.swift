internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Something of a store that one has at a time, of whichever mount and host: a session, the versions, an entry of quarantine. It is held as long as
/// this lives, by a flock(2) and, in a store of several hosts, by a reserved name.
final class StoreHold: Sendable {
    let descriptor: FileDescriptor
    private let staging: Staging
    private let holder: RealFile?
    private let lingers: Bool

    /// - Parameters:
    ///   - descriptor: open on a file or directory, with its flock; closed with this object, or when it throws.
    ///   - path: what it is, from the store's directory.
    ///   - lingers: whether other hosts get it only when they have forgotten what was there before it was held: names that mean other files now.
    /// - Throws: `EWOULDBLOCK` when a mount of another host has it, or `EHOSTDOWN`.
    init(owning descriptor: FileDescriptor, as path: String, _ staging: Staging, lingers: Bool = false) throws(Errno) {
        do throws(Errno) { holder = try staging.take(path) } catch {
            SystemCall.closeLock(descriptor)
            throw error == .fileExists ? .wouldBlock : error
        }
        (self.descriptor, self.staging, self.lingers) = (descriptor, staging, lingers)
    }

    deinit {
        if let holder, lingers { staging.published(holder) } else if let holder { staging.release(holder) }
        SystemCall.closeLock(descriptor)
    }
}
