import Glibc
import SystemPackage
import TestSupport
import Testing

/// A place where an ordinary user mounts: this one, or `nobody` when the tests run as root.
///
/// On some machines `/dev/fuse` is root's alone, and what is below `/root` cannot be entered. Root's tests therefore give
/// `nobody` a mount namespace of their own, with a `/dev/fuse` for everybody, the binary and Swift's libraries: nothing on the
/// machine is changed, and it all goes with the last process in it.
final class OrdinaryUser {
    /// A directory of the user's own.
    let home: String
    let user: User
    private let directory: TemporaryDirectory
    /// Holds the namespace.
    private let holder: Child?

    init() throws {
        directory = try TemporaryDirectory()
        home = directory.path + "/home"
        try check(mkdir(home, 0o755))
        guard geteuid() == 0 else {
            user = User(user: geteuid(), group: getegid())
            holder = nil
            return
        }
        user = .nobody
        try check(chown(home, user.user, user.group))
        let room = directory.path + "/room"
        try check(mkdir(room, 0o755))
        let script =
            Mount.leavesOtherMounts + """
                set -e
                mount -t tmpfs -o mode=755 room "$0"; mkdir "$0/lib"; cp "$1" "$0/artifactfs"
                mknod -m 666 "$0/fuse" c 10 229; mount --bind "$0/fuse" /dev/fuse
                [ -z "$2" ] || mount --bind "$2" "$0/lib"
                echo ready; exec sleep infinity
                """
        let holder = try Child(
            ["unshare", "--mount", "--", "bash", "-c", script, room, try Mount.binary(), Self.libraries()])
        self.holder = holder
        guard eventually(within: 30, { holder.output == "ready\n" || !holder.isRunning }), holder.isRunning else {
            throw Mount.Failure(description: "no namespace for an ordinary user: \(holder.errors)")
        }
    }

    deinit {
        // What a failed test left mounted would keep its driver, and that the namespace.
        _ = try? shell("for m in *; do fusermount3 -uz \"$m\" 2> /dev/null; done")
    }

    /// Where Swift's libraries are; empty when the tests have them inside.
    private static func libraries() -> String {
        let maps = (try? contents("/proc/self/maps")) ?? ""
        let line = maps.split(separator: "\n").first { $0.hasSuffix("/libswiftCore.so") }
        return line?.firstIndex(of: "/").map { String(line?[$0...].dropLast("/libswiftCore.so".count) ?? "") } ?? ""
    }

    private func inside(_ command: [String]) -> [String] {
        guard let holder else { return command }
        let room = directory.path + "/room"
        return [
            "nsenter", "--mount=/proc/\(holder.process)/ns/mnt", "--", "setpriv", "--reuid=\(user.user)",
            "--regid=\(user.group)", "--clear-groups", "--", "env", "HOME=\(home)", "PATH=\(room):/usr/bin:/bin",
            "LD_LIBRARY_PATH=\(room)/lib",
        ] + command
    }

    private func artifactfs() throws -> String { holder == nil ? try Mount.binary() : "artifactfs" }

    /// Runs a program as the user.
    func run(_ command: [String], timeout: Double = 60) throws -> Outcome {
        try TestSupport.run(inside(command), timeout: timeout)
    }

    /// Runs a script of bash as the user, in the home directory.
    func shell(_ script: String) throws -> Outcome {
        try run(["bash", "-c", "cd \"$0\" || exit 1\n" + script, home])
    }

    /// Runs the binary as the user.
    func artifactfs(_ arguments: String...) throws -> Outcome {
        try run([try artifactfs()] + arguments)
    }

    /// Starts the binary as the user.
    func startArtifactfs(_ arguments: String...) throws -> Child {
        try Child(inside([try artifactfs()] + arguments))
    }

    /// What the system answers the user: the errno's name, or `ok`.
    func answer(_ operation: String, _ path: String) throws -> String {
        let script = """
            import errno, os, sys
            p = sys.argv[2]
            try: exec(sys.argv[1]); print("ok")
            except OSError as e: print(errno.errorcode[e.errno])
            """
        let outcome = try run(["/usr/bin/python3", "-c", script, operation, path])
        return outcome.succeeded ? String(outcome.output.dropLast()) : "\(outcome)"
    }
}
