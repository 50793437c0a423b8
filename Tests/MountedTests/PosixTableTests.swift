import Foundation
import Glibc
import TestSupport
import Testing

/// One table of POSIX checks (Posix/*.py), on a plain directory of the store's file system and in a free directory of the mount: any difference
/// is a failure.
extension MountedTests {
    @Suite struct PosixTableTests {
        /// Runs the table in a new directory.
        private func results(below directory: String) throws -> [String: String] {
            let base = directory + "/posix"
            try #require(mkdir(base, 0o755) == 0, "mkdir \(base): errno \(errno)")
            let main = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Posix/main.py"
            let outcome = try run(
                [testPython, main, base], environment: ["PYTHONDONTWRITEBYTECODE": "1"], timeout: 240)
            try #require(outcome.succeeded, "\(outcome)")
            let parsed = try JSONSerialization.jsonObject(with: Data(outcome.output.utf8)) as? [String: String]
            return try #require(parsed)
        }

        @Test(arguments: MountVariant.both + [MountVariant(descriptors: 1200)]) func scratchIsAPlainDirectory(
            _ variant: MountVariant
        ) throws {
            let plain = try TemporaryDirectory()
            let mount = try Mount(variant.with { $0.allowOther = geteuid() == 0 })
            try #require(mkdir(mount.test("posix"), 0o755) == 0)
            let expected = try results(below: plain.path)
            let found = try results(below: mount.test("posix/scratch"))
            #expect(expected.count >= 120 && Set(expected.keys) == Set(found.keys))
            for (name, result) in expected.sorted(by: { $0.key < $1.key }) {
                #expect(!result.hasPrefix("raised"), "\(name) is no check: \(result)")
                let other = found[name] ?? "nothing"
                #expect(other == result, "\(name)\n  plain directory: \(result)\n  mount: \(other)")
            }
            #expect(mount.driver.isRunning)
        }

        /// What the checks leave behind goes with the test.
        @Test(arguments: MountVariant.both) func whatIsLeftCanBeRemoved(_ variant: MountVariant) throws {
            let mount = try Mount(variant.with { $0.allowOther = geteuid() == 0 })
            try #require(mkdir(mount.test("posix"), 0o755) == 0)
            _ = try results(below: mount.test("posix/scratch"))
            let removed = try run(["rm", "-r", mount.test("posix")])
            #expect(removed.succeeded, "\(removed)")
            #expect(!exists(mount.real("base_layer/tests/posix")) && !exists(mount.real("meta_layer/tests/posix")))
        }
    }
}
