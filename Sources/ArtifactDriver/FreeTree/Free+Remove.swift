internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// `unlink` and `rmdir` in `logs/` and `scratch/`.
extension Volume {
    /// - Parameter flags: `AT_REMOVEDIR` for a directory.
    func removeFree(
        _ name: EntryName, in parent: FreeParent, _ flags: Int32, _ caller: Caller
    ) throws(Errno) {
        try enforceLive(name, in: parent, .unlink, caller)
        try changing(parent.artifact, caller) { () throws(Errno) in
            try parent.directory.withDescriptor { directory throws(Errno) in
                try freeTrees.changing((directory, name)) { () throws(Errno) in
                    try rights.acting(for: caller) { () throws(Errno) in
                        try SystemCall.unlink(directory, name.pointer, isDirectory: flags & AT_REMOVEDIR != 0)
                    }
                }
            }
        }
    }
}
