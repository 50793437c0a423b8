import ArtifactStore
import Glibc
import SystemCalls
import SystemPackage

/// A copy of a directory that was kept back. It is made under a hidden name beside its own, and has that when all of it is there.
struct KeptCopy {
    private let target: String
    private let parent: String
    private let name: String
    private let hidden: String

    init(_ target: String) {
        self.target = target
        let parts = target.split(separator: "/", omittingEmptySubsequences: false)
        parent = parts.dropLast().joined(separator: "/") + "/"
        name = parts.last.map(String.init) ?? ""
        hidden = ".artifactfs-copy-\(UInt64.random(in: 0...UInt64.max)).tmp"
    }

    /// - Parameter source: the directory; closed.
    func make(of source: FileDescriptor) throws {
        defer { SystemCall.close(source) }
        let directory: Directory
        do throws(Errno) {
            directory = Directory(
                owning: try SystemCall.open(SystemCall.currentDirectory, parent, O_RDONLY | O_DIRECTORY))
        } catch { throw Failure(.failed, "cannot make \(target): \(error)") }
        guard !directory.file(name).exists else { throw isTaken }
        let leftOut: [String]
        do throws(DirectoryTree.TreeFault) {
            leftOut = try DirectoryTree.copy(source, to: hidden, in: directory.descriptor)
        } catch {
            remove(from: directory)
            let what = error.path.isEmpty ? target : "'\(error.path)' in it"
            let wayOut = error.errno == .fileNameTooLong ? " (its directories are too deep; copy it with 'cp -a')" : ""
            throw Failure(
                .failed,
                "cannot copy \(what): \(error.errno)\(wayOut); nothing is left there, and it stays in quarantine")
        }
        do throws(Errno) {
            try directory.file(hidden).rename(to: directory.file(name), flags: SystemCall.noReplace)
            try SystemCall.sync(directory.descriptor)
        } catch {
            remove(from: directory)
            if error == .fileExists { throw isTaken }
            throw Failure(
                .failed, "cannot make \(target): \(error); nothing is left there, and it stays in quarantine")
        }
        for path in leftOut { Terminal.complain("'\(path)' in it is a socket or a device, and was not copied") }
    }

    private var isTaken: Failure {
        Failure(
            .failed, "cannot make \(target): \(Errno.fileExists); nothing is replaced: give a name that nothing has")
    }

    private func remove(from directory: Directory) {
        try? DirectoryTree.remove(directory.file(hidden))
    }
}
