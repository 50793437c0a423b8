internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemPackage

/// A file, directory or anything else in `logs/` or `scratch/`.
///
/// It keeps an `O_PATH` descriptor, so that it is found whatever its names are by now, hard links and unlinked open files included.
final class FreeNode: Sendable {
    let id: InodeNumber
    let fileID: Namespace.FileID
    /// The session or test it is in; files do not move between scopes.
    let scope: Scope
    /// `O_PATH`, closed with the node.
    let descriptor: FileDescriptor
    /// The kind, `S_IFMT` bits.
    let kind: UInt32
    /// Guards the open handles; before `Namespace`'s lock in the order.
    let open = Mutex(OpenFile())

    init(id: InodeNumber, fileID: Namespace.FileID, scope: Scope, descriptor: FileDescriptor, kind: UInt32) {
        self.id = id
        self.fileID = fileID
        self.scope = scope
        self.descriptor = descriptor
        self.kind = kind
    }

    deinit { try? descriptor.close() }
}
