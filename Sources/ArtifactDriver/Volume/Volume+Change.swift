internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Changes of a real file that every kind of inode makes alike, as the caller.
extension Volume {
    /// ftruncate(2) for a caller, so that quotas hold.
    func truncate(_ descriptor: FileDescriptor, to size: Int64, _ caller: Caller) throws(Errno) {
        try rights.acting(for: caller) { () throws(Errno) in
            try SystemCall.truncate(descriptor, to: size)
        }
    }

    /// As the caller, whom the kernel asks for what a change needs: a file's owner for its mode, root for another owner.
    func apply(
        _ changes: AttributeChanges, to descriptor: FileDescriptor, for caller: Caller
    ) throws(Errno) {
        if changes.dropsSetID { try Self.dropSetID(descriptor) }
        try rights.acting(for: caller) { () throws(Errno) in try Self.apply(changes, to: descriptor) }
    }

    /// What a write or a change of owner takes away, whoever makes it, is taken by the driver itself.
    private static func dropSetID(_ descriptor: FileDescriptor) throws(Errno) {
        guard let left = SetIDBits.dropped(from: try SystemCall.attributes(descriptor).st_mode) else { return }
        try SystemCall.setMode(ofPath: descriptor, left)
    }

    /// Owner before mode: a change of owner drops the set-id bits.
    private static func apply(_ changes: AttributeChanges, to descriptor: FileDescriptor) throws(Errno) {
        if changes.user != nil || changes.group != nil {
            try SystemCall.setOwner(ofPath: descriptor, user: changes.user, group: changes.group)
        }
        if let mode = changes.mode { try SystemCall.setMode(ofPath: descriptor, mode) }
        if changes.accessed != nil || changes.modified != nil {
            try SystemCall.setTimes(
                ofPath: descriptor, access: Self.time(changes.accessed), modification: Self.time(changes.modified))
        }
    }

    private static func time(_ time: AttributeChanges.Time?) -> timespec {
        switch time {
        case nil: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 2)  // UTIME_OMIT
        case .now?: timespec(tv_sec: 0, tv_nsec: (1 << 30) - 1)  // UTIME_NOW
        case .at(let time)?: time
        }
    }
}
