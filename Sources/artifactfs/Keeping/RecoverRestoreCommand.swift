import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs recover restore`
struct RecoverRestoreCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "restore",
        abstract: "Copy what was kept back to a place of your own.",
        discussion: """
            Nothing is replaced, and what was kept back stays in quarantine. A directory is copied whole, with modes and times, and links \
            in it as links; it has its name when all is there.
            """)

    @Argument(help: "A mount, a path on it, or a store's directory.", completion: .directory)
    var place: String
    @Argument(help: "A name in quarantine, its beginning, or the artifact's path.")
    var id: String
    @Argument(help: "A name that nothing has yet, or a directory to copy it into.", completion: .file())
    var to: String

    func run() throws {
        try reporting {
            let place = try KeptPlace(self.place)
            let entry = try place.find(id)
            var target = try Paths.resolvedDirectory(of: to)
            if let real = try Paths.resolved(target),
                (try? SystemCall.attributes(SystemCall.currentDirectory, real))?.isDirectory == true
            {
                target = real + "/" + (entry.path.split(separator: "/").last.map(String.init) ?? entry.id)
            }
            try checkPlace(target, place)
            if entry.isDirectory {
                try KeptCopy(target).make(of: place.open(entry))
            } else {
                try copy(place.open(entry), to: target)
            }
            Terminal.show("copied to \(target)")
        }
    }

    /// What goes to production by this way would be published as if nothing had failed.
    private func checkPlace(_ target: String, _ place: KeptPlace) throws {
        guard let mount = MountEntry.holding(target), mount.isArtifacts else { return }
        let path = Paths.rest(of: target, in: mount.mountPoint)
        guard path.hasPrefix("production/") else { return }
        throw Failure(
            .failed,
            "\(target) is a place of production; publish it there with 'artifactfs recover publish \(place.argument) \(id)'"
        )
    }

    private func copy(_ source: FileDescriptor, to target: String) throws {
        defer { SystemCall.close(source) }
        let file: FileDescriptor
        do throws(Errno) {
            file = try SystemCall.open(
                SystemCall.currentDirectory, target, O_RDWR | O_CREAT | O_EXCL | O_NOFOLLOW, 0o666)
        } catch {
            let wayOut = error == .fileExists ? "; nothing is replaced: name a file that is not there" : ""
            throw Failure(.failed, "cannot make \(target): \(error)\(wayOut)")
        }
        do throws(Errno) {
            try FileCopy.copyBytes(source, to: file)
            try SystemCall.sync(file)
            try file.closing()
        } catch {
            try? SystemCall.unlink(SystemCall.currentDirectory, target)
            throw Failure(
                .failed, "cannot copy to \(target): \(error); nothing is left there, and it stays in quarantine")
        }
    }
}

extension FileDescriptor {
    /// close(2), with what a network's file system says only then.
    fileprivate func closing() throws(Errno) {
        do { try close() } catch { throw error as? Errno ?? .ioError }
    }
}
