internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// `rename` in `logs/` and `scratch/`: the real one, within one session or test.
extension Volume {
    func renameFree(
        _ name: EntryName, in source: FreeParent, to newName: EntryName, in target: FreeParent, _ flags: RenameFlags,
        _ caller: Caller
    ) throws(Errno) {
        // A file that moved to another scope or artifact would take its rules along: a copy does not.
        guard source.scope == target.scope, source.artifact === target.artifact else { throw Errno.improperLink }
        try enforceLive(name, in: source, .renameFrom, caller)
        try changing(source.artifact, caller) { () throws(Errno) in
            try source.directory.withDescriptor { from throws(Errno) in
                try target.directory.making { to throws(Errno) in
                    try freeTrees.changing((from, name), (to, newName)) { () throws(Errno) in
                        try rights.acting(for: caller) { () throws(Errno) in
                            try SystemCall.rename(from, name.pointer, to, newName.pointer, flags.rawValue)
                        }
                    }
                    freeTrees.moved(to: newName, in: target.directory, to)
                    if flags.contains(.exchange) { freeTrees.moved(to: name, in: source.directory, from) }
                }
            }
        }
    }
}
