import Foundation
import Glibc
import TestSupport
import Testing

/// `mount-scripts/install.sh`, into a directory.
extension MountedTests {
    @Suite struct InstallTests {
        private let directory: TemporaryDirectory
        private let environment: [String: String]

        /// With copies that every user may read.
        init() throws {
            directory = try TemporaryDirectory()
            let repository = #filePath.components(separatedBy: "Tests/MountedTests/").first ?? ""
            for path in [repository + "mount-scripts", try Mount.binary()] {
                let copied = try run(["cp", "-r", path, directory.path])
                #expect(copied.succeeded, "\(copied)")
            }
            #expect(try run(["chmod", "-R", "a+rX", directory.path]).succeeded)
            environment = [
                "ARTIFACTFS_BINARY": directory.path + "/artifactfs", "PREFIX": directory.path + "/home/.local",
                "SBINDIR": directory.path + "/sbin", "UPDATEDB_CONF": directory.path + "/updatedb.conf",
                "HOME": directory.path + "/home",
                "DESTDIR": "",
            ]
        }

        private func install(_ arguments: String..., user: User? = nil, environment more: [String: String] = [:]) throws
            -> Outcome
        {
            try run(
                ["bash", directory.path + "/mount-scripts/install.sh"] + arguments,
                environment: environment.merging(more) { $1 }, user: user)
        }

        private func files() throws -> [String] {
            let found = try run(["find", directory.path + "/home", "-type", "f", "-printf", "%P\\n"])
            return found.output.split(separator: "\n").map { $0.split(separator: "/").last.map(String.init) ?? "" }
                .sorted()
        }

        @Test(.enabled(if: geteuid() == 0, "it becomes an ordinary user"))
        func anOrdinaryUserGetsWhatNeedsNoRoot() throws {
            #expect(mkdir(directory.path + "/home", 0o755) == 0 && chown(directory.path + "/home", 65534, 65534) == 0)
            let installed = try install(user: .nobody)
            #expect(installed.succeeded && installed.output.contains("left out, for root only"), "\(installed)")
            #expect(try files() == ["_artifactfs", "artifactfs", "artifactfs", "artifactfs.1", "artifactfs.fish"])
            #expect(!exists(directory.path + "/sbin"))
            let program = directory.path + "/home/.local/bin/artifactfs"
            #expect(try run([program, "--version"], user: .nobody).succeeded)
            let removed = try install("--uninstall", user: .nobody)
            #expect(try removed.succeeded && files().isEmpty, "\(removed)")

            let refused = try install(user: .nobody, environment: ["PREFIX": "/usr/local"])
            #expect(
                refused.status == 1 && refused.errors.contains("PREFIX=\(directory.path)/home/.local"), "\(refused)")
            #expect(refused.output.isEmpty, "nothing was begun")
        }

        /// updatedb(8) would list every artifact twice.
        @Test(.enabled(if: geteuid() == 0, "it installs for the system")) func updatedbLeavesStoresOut() throws {
            let list = directory.path + "/updatedb.conf"
            let before = "PRUNE_BIND_MOUNTS=\"yes\"\n# PRUNEFS=\"none\"\nPRUNEFS=\"NFS fuse.sshfs\"\n"
            try write(before, to: list)
            for _ in 1...2 {
                let installed = try install()
                #expect(installed.succeeded, "\(installed)")
                #expect(
                    try contents(list)
                        == before.replacing(
                            "fuse.sshfs\"", with: "fuse.sshfs fuse.artifactfs fuse.artifactfs-root\""))
            }
            #expect(exists(directory.path + "/sbin/mount.artifactfs"))
            #expect(try install("--uninstall").succeeded)
            #expect(try contents(list) == before)
        }
    }
}
