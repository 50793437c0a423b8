import TestSupport
import Testing

extension MountedTests {
    /// What was refused, and why, is known after the driver was killed.
    @Suite struct DenialsAfterKillTests {
        @Test func areInTheLedger() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/store"
            try Mount.initialize(store: store)
            func lines(_ needle: String) -> [String] {
                tree(store + "/.artifactfs/ledger").flatMap {
                    ((try? contents(store + "/.artifactfs/ledger/" + $0)) ?? "").split(separator: "\n")
                }.map(String.init).filter { $0.contains("\"event\":\"denied\"") && $0.contains(needle) }
            }
            do {
                let mount = try Mount(store: store)
                let path = mount.production("base/splice_errors/chr1.tsv")
                #expect(try shell("printf 'a\\tb\\n1\\t2\\n' > \(path)").succeeded && mount.isSealed(path))
                // Nothing is closed on the mount after the refusal, and nothing published.
                #expect(try !shell("echo lost > \(path)").succeeded)
                #expect(eventually { lines("production-immutable").count == 1 }, "\(mount.log)")
                // The next one too, when nobody looks for a while.
                #expect(try !run(["ln", path, mount.production("base/splice_errors/chr2.tsv")]).succeeded)
                #expect(eventually { lines("no-links").count == 1 }, "\(mount.log)")
                mount.kill()
            }
            let mount = try Mount(store: store)
            let line = try #require(lines("production-immutable").first)
            #expect(line.contains("production/base/splice_errors/chr1.tsv") && line.contains("EEXIST"), "\(line)")
            #expect(try mount.unmount() == 0)
        }
    }
}
