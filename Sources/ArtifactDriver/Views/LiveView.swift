internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The store as it is now.
struct LiveView: StoreView {
    let store: Store

    func realFile(_ name: String, in directory: TreeDirectory) throws(Errno) -> RealFile? {
        guard case .artifact(let realName) = OverwritePolicy.classify(name, in: directory.place),
            let real = try directory.real.current()
        else { return nil }
        return RealFile(directory: real, name: realName)
    }

    func look(at file: RealFile, in directory: TreeDirectory) throws(Errno) -> FoundFile {
        do throws(Errno) {
            return shown(try file.lookToShow(), at: file, in: directory, store)
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
            var (number, type) = (number, type)
            let shown: String? =
                switch type {
                case S_IFREG, 0: directory.name(ofReal: text)
                case S_IFDIR: directory.name(ofRealDirectory: text)
                case S_IFLNK where directory.location.hasRecords: nameOfEvicted(text, real, directory, &number, &type)
                case S_IFLNK: directory.name(ofRealLink: text, in: real)
                default: nil
                }
            guard let shown
            else { return }
            try body(shown, number, type)
        }
    }

    /// The name on the mount of what is evicted, with the number and kind of what it stands for; nil of any other link.
    private func nameOfEvicted(
        _ real: String, _ open: Directory, _ directory: TreeDirectory, _ number: inout UInt64, _ type: inout UInt32
    ) -> String? {
        guard let evicted = try? store.evicted(open.file(real), in: directory.real.path) else { return nil }
        (number, type) = (UInt64(evicted.found.attributes.st_ino), S_IFREG)
        return directory.name(ofReal: real)
    }
}
