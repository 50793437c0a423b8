import Foundation
import Glibc
import SystemPackage
import TestSupport
import Testing

/// Users that need no entry in any list.
extension User {
    static let alice = User(user: 61001, group: 61101)
    static let bob = User(user: 61002, group: 61102)
    /// Of the team by a further group only.
    static let carol = User(user: 61003, group: 61103, groups: [team])
    static let team: UInt32 = 61200
}

extension MountVariant {
    /// Both, for all users.
    static let bothForAll = both.map { $0.with { $0.allowOther = true } }
}

/// Asks the system as a user, and says the errno's name or `ok`.
///
/// - Parameter operation: Python, with `os` and the paths in `p`.
func answer(_ operation: String, _ paths: String..., as user: User? = nil) throws -> String {
    let script = """
        import errno, os, sys
        p = sys.argv[2:]
        try:
            exec(sys.argv[1])
            print("ok")
        except OSError as e:
            print(errno.errorcode[e.errno])
        """
    let outcome = try run(["/usr/bin/python3", "-c", script, operation] + paths, user: user)
    guard outcome.succeeded else { return "\(outcome)" }
    return String(outcome.output.dropLast())
}

/// A store that several users work in, with a mount for all of them.
final class SharedStage {
    let mount: Mount
    let directory: TemporaryDirectory

    /// - Parameters:
    ///   - mode: the mode of the layers' real directories, which decides who may make something in them.
    ///   - group: their group.
    ///   - settling: the schema's `settling_seconds`.
    init(_ variant: MountVariant, mode: mode_t = 0o777, group: gid_t = 0, settling: Int = 5) throws {
        directory = try TemporaryDirectory()
        let store = directory.path + "/model_eval"
        try Mount.initialize(store: store)
        try setSettling(settling, of: store)
        for layer in ["base_layer", "meta_layer"] {
            try check(chown(store + "/" + layer, 0, group))
            try setMode(store + "/" + layer, mode)
        }
        mount = try Mount(store: store, variant)
    }

    /// A user's small table under a name, made with a umask as a shell makes it.
    func write(_ path: String, as user: User, umask: String = "022") throws {
        let outcome = try run(
            ["bash", "-c", #"umask "$1"; printf 'a\tb\n1\t2\n' > "$0""#, path, umask], user: user)
        #expect(outcome.succeeded, "\(path): \(outcome)")
    }

    /// A published table.
    func publish(_ name: String, as user: User, umask: String = "022") throws -> String {
        let path = mount.production("base/analysis_sequences/" + name)
        try write(path, as: user, umask: umask)
        #expect(mount.isSealed(path), "\(name); log: \(mount.log)")
        return path
    }
}

/// Lets a store's schema say for how many seconds a writer may set attributes of what its last close has published.
func setSettling(_ seconds: Int, of store: String) throws {
    let schema = store + "/.artifactfs/schema.yaml"
    let text = try contents(schema).replacing("settling_seconds: 5", with: "settling_seconds: \(seconds)")
        .replacing("publish: exit", with: "publish: close")
    try write(text, to: schema)
}

/// Owner, group and permission bits, as `ls -n` tells them.
func ownership(_ path: String) throws(Errno) -> String {
    let found = try attributes(path)
    return "\(found.st_uid):\(found.st_gid) \(String(found.st_mode & 0o7777, radix: 8))"
}
