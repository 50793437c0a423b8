import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// The process in which a mount's driver checks what could trap.
    @Suite struct CheckProcessTests {
        private static let pickle = "N."

        /// The driver's children.
        private func checks(of driver: Int32) throws -> [Int32] {
            try names(in: "/proc").compactMap { Int32($0) }.filter { process in
                guard let line = try? contents("/proc/\(process)/stat"), let end = line.lastIndex(of: ")") else {
                    return false
                }
                let fields = line[end...].split(separator: " ")
                return fields.count > 2 && fields[1] != "Z" && fields[2] == "\(driver)"
            }
        }

        @Test func isKeptAndStartedAnew() throws {
            let mount = try Mount()
            let directory = mount.production("meta/meta_checkpoints/")
            try write("a\tb\n", to: mount.production("base/gene_manifest/gene_manifest.tsv"))
            #expect(mount.isSealed(mount.production("base/gene_manifest/gene_manifest.tsv")))
            #expect(try checks(of: mount.driver.process) == [], "a table needs none")

            try write(Self.pickle, to: directory + "a.pkl")
            #expect(mount.isSealed(directory + "a.pkl"))
            let first = try checks(of: mount.driver.process)
            try #require(first.count == 1)
            // It has the socket, and nothing of the mount or of the store.
            #expect(try names(in: "/proc/\(first[0])/fd") == ["0", "1", "2"])
            let status = try contents("/proc/\(first[0])/status")
            #expect(status.contains("NoNewPrivs:\t1"))
            if geteuid() == 0 {
                #expect(
                    status.contains("Uid:\t65534\t65534\t65534\t65534") && status.contains("CapEff:\t0000000000000000"))
            }

            try write(Self.pickle, to: directory + "b.pkl")
            #expect(mount.isSealed(directory + "b.pkl"))
            #expect(try checks(of: mount.driver.process) == first, "the same for the next")

            // A service manager asks every process of a service to end; what is still to be published needs this one.
            kill(first[0], SIGTERM)
            try write(Self.pickle, to: directory + "c.pkl")
            #expect(mount.isSealed(directory + "c.pkl"))
            #expect(try checks(of: mount.driver.process) == first)

            kill(first[0], SIGKILL)
            try write(Self.pickle, to: directory + "d.pkl")
            #expect(mount.isSealed(directory + "d.pkl"), "ended from outside: another one checks")
            let second = try checks(of: mount.driver.process)
            #expect(second.count == 1 && second != first)
        }

        @Test func endsWithTheDriver() throws {
            let mount = try Mount()
            try write(Self.pickle, to: mount.production("meta/meta_checkpoints/a.pkl"))
            #expect(mount.isSealed(mount.production("meta/meta_checkpoints/a.pkl")))
            let check = try #require(try checks(of: mount.driver.process).first)
            kill(mount.driver.process, SIGKILL)
            #expect(eventually { !exists("/proc/\(check)") })
        }
    }
}
