public import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Making sessions and tests for their users.
extension Store {
    /// Makes a session's or a test's own directory.
    ///
    /// - Parameter make: makes the directory of a name in an open directory, with the rights, the umask and the mode of who asks for it.
    ///   The other layers get one with the same owner and permissions, so that what is private in one layer is private in all.
    /// - Throws: `EEXIST` when a layer has it, and what `make` throws.
    public func makeScope(
        _ scope: Scope, by make: (FileDescriptor, String) throws(Errno) -> Void
    ) throws(Errno) {
        guard !isReadOnly else { throw .readOnlyFileSystem }
        guard try !hasDirectory(scope) else { throw .fileExists }
        let (own, name) = parentAndName(of: scope, in: .base)
        let parent = try makeIn(own) { parent throws(Errno) in try make(parent.descriptor, name) }
        do throws(Errno) {
            let model = try SystemCall.attributes(parent.descriptor, name)
            for layer in Layer.allCases where layer != .base {
                let (other, name) = parentAndName(of: scope, in: layer)
                _ = try makeIn(other) { parent throws(Errno) in
                    _ = try RealDirectory.make(
                        name, in: parent, mode: model.permissions, owner: (model.st_uid, model.st_gid),
                        isSynced: durability == .synced, mayExist: false)
                }
            }
            if durability == .synced { try SystemCall.sync(parent.descriptor) }
        } catch {
            try? SystemCall.unlink(parent.descriptor, name, isDirectory: true)
            throw error
        }
    }

    /// Runs with the directory of sessions or tests, which goes with the last test, perhaps just now.
    private func makeIn(
        _ parent: RealDirectory, _ make: (Directory) throws(Errno) -> Void
    ) throws(Errno) -> Directory {
        var attempts = 0
        while true {
            do throws(Errno) {
                let directory = try parent.ensure()
                try make(directory)
                return directory
            } catch .noSuchFileOrDirectory where attempts < 100 {
                attempts += 1
            }
        }
    }

    /// A scope's directories in the layers that its own attributes do not come from.
    public func otherDirectories(of scope: Scope) -> [RealDirectory] {
        Layer.allCases.filter { $0 != .base }.map { directory(StoreLayout.directory(of: scope, in: $0)) }
    }
}
