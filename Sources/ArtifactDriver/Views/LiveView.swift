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

    func look(at file: RealFile, in directory: TreeDirectory) throws(Errno) -> FoundFile {
        do throws(Errno) {
            return try file.lookToShow()
        } catch .noSuchFileOrDirectory {
            // The directory itself may have been moved, or removed and made anew: the kernel is to ask for that one.
            _ = try directory.real.verified()
            throw Errno.noSuchFileOrDirectory
        }
    }

    func forEachFile(
        in directory: TreeDirectory, _ body: (_ name: String, _ number: UInt64, _ type: UInt32) throws(Errno) -> Void
    ) throws(Errno) {
        guard let real = try directory.real.current() else { return }
        real.refresh(always: false)
        try SystemCall.forEachName(in: real.descriptor) { name, number, type throws(Errno) in
            guard let text = EntryName(name).string else { return }
            let shown: String? =
                switch type {
                case S_IFREG, 0: directory.name(ofReal: text)
                case S_IFDIR: directory.name(ofRealDirectory: text)
                case S_IFLNK: directory.name(ofRealLink: text, in: real)
                default: nil
                }
            guard let shown
            else { return }
            try body(shown, number, type)
        }
    }
}
