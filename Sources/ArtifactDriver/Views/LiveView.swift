internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The store as it is now.
struct LiveView: StoreView {
    func realFile(_ name: String, in directory: TreeDirectory) throws(Errno) -> RealFile? {
        guard case .artifact(let realName) = OverwritePolicy.classify(name, in: directory.place),
            let real = try directory.real.current()
        else { return nil }
        return RealFile(directory: real, name: realName)
    }

    func find(_ name: String, in directory: TreeDirectory) throws(Errno) -> FoundFile {
        guard let file = try realFile(name, in: directory) else { throw Errno.noSuchFileOrDirectory }
        let found: FoundFile
        do throws(Errno) {
            found = try file.look()
        } catch .noSuchFileOrDirectory {
            // The directory itself may have been moved, or removed and made anew: the kernel is to ask for that one.
            _ = try directory.real.verified()
            throw Errno.noSuchFileOrDirectory
        }
        guard found.isRegular else { throw Errno.noSuchFileOrDirectory }
        return found
    }

    func forEachFile(
        in directory: TreeDirectory, _ body: (_ name: String, _ number: UInt64, _ type: UInt32) throws(Errno) -> Void
    ) throws(Errno) {
        guard let real = try directory.real.current() else { return }
        try SystemCall.forEachName(in: real.descriptor) { name, number, type throws(Errno) in
            guard type == S_IFREG || type == S_IFDIR || type == 0, let real = EntryName(name).string,
                let name = type == S_IFDIR ? directory.name(ofRealDirectory: real) : directory.name(ofReal: real)
            else { return }
            try body(name, number, type)
        }
    }
}
