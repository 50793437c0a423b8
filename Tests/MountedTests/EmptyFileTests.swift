import TestSupport
import Testing

extension MountedTests {
    /// An empty file is no result, and whoever made it is told.
    @Suite struct EmptyFileTests {
        private func ledger(_ store: String, _ event: String = "removed-empty") -> [String] {
            tree(store + "/.artifactfs/ledger").flatMap {
                ((try? contents(store + "/.artifactfs/ledger/" + $0)) ?? "").split(separator: "\n")
            }.map(String.init).filter { $0.contains("\"event\":\"\(event)\"") }
        }

        /// What a program leaves that had nothing to say and ended well: kept for a script that goes on, told at the end of the mount.
        @Test(arguments: MountVariant.both) func whatEndsWellIsToldAtTheEnd(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/store"
            try Mount.initialize(store: store)
            let mount = try Mount(store: store, variant)
            let place = mount.production("base/splice_errors/")
            let outcome = try shell(
                """
                printf 'a\\tb\\n1\\t2\\n' > '\(directory.path)/table'
                awk 'NR > 5' '\(directory.path)/table' > '\(place)chr1.tsv'
                grep nothing '\(directory.path)/table' > '\(place)chr2.tsv'
                : > '\(place)chr5.tsv'
                touch '\(place)chr3.tsv' '\(place)chr4.tsv' '\(place)tmp5'
                cat '\(directory.path)/table' > '\(place)chr3.tsv'
                : > '\(place)chr4.tsv'; awk 1 '\(directory.path)/table' >> '\(place)chr4.tsv'
                """)
            #expect(outcome.succeeded, "\(outcome)")
            for name in ["chr3.tsv", "chr4.tsv"] {
                #expect(mount.isSealed(place + name) && (try? contents(place + name)) == table, "\(name): \(mount.log)")
            }
            #expect(mount.count("empty") == 3 && mount.state(of: place + "chr1.tsv") == "empty")
            #expect(!mount.denials().contains { $0.contains("\"empty\"") }, "a script may still write them")
            let unmounted = try run([Mount.binary(), "unmount", mount.root], timeout: 30)
            #expect(
                unmounted.succeeded && unmounted.output.contains("not published: 3")
                    && unmounted.output.contains("splice_errors/chr1.tsv")
                    && unmounted.output.contains("splice_errors/chr2.tsv"), "\(unmounted)")
            #expect(mount.driver.wait(seconds: 20))
            #expect(ledger(store).count == 3)
            #expect(ledger(store, "denied").filter { $0.contains("\"empty\"") }.count == 3)
            #expect(tree(store + "/.artifactfs/staging").isEmpty && tree(store + "/.artifactfs/reserved").isEmpty)
            let next = try Mount(store: store)
            try write(table, to: next.production("base/splice_errors/chr1.tsv"))
            #expect(next.isSealed(next.production("base/splice_errors/chr1.tsv")), "its name is free")
        }

        /// A writer that fails without a byte frees the name at once, and says so.
        @Test(arguments: MountVariant.both) func whatFailsIsToldAtOnce(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            for (number, command) in ["\(testPython) -c 'import x.y.z'", "awk '{'", "sh -c 'kill -9 $$'"].enumerated() {
                let path = mount.production("base/splice_errors/chr\(number).tsv")
                let outcome = try shell("\(command) > \(path)")
                #expect(!outcome.succeeded)
                #expect(eventually { mount.count("empty_since_mount") == number + 1 && !exists(path) }, "\(mount.log)")
                let line = mount.denials().last ?? ""
                #expect(
                    line.contains("\"rule\":\"empty\"") && line.contains("chr\(number).tsv")
                        && line.contains("the writer") && line.contains("name is free"), "\(line)")
                #expect(eventually { ledger(mount.store).count == number + 1 })
                try write(table, to: path)
                #expect(mount.isSealed(path), "its name is free")
            }
            let unmounted = try run([Mount.binary(), "unmount", mount.root], timeout: 30)
            let output = unmounted.output
            #expect(output.contains("not published: 3") && output.contains("(awk)"), "\(unmounted)")
        }

        /// The driver is killed: the next mount tells.
        @Test func afterAKill() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/store"
            try Mount.initialize(store: store)
            do {
                let mount = try Mount(store: store)
                #expect(try shell(": > \(mount.production("base/splice_errors/chr1.tsv"))").succeeded)
                mount.kill()
            }
            let mount = try Mount(store: store)
            #expect(eventually { ledger(store).contains { $0.contains("splice_errors/chr1.tsv") } }, "\(mount.log)")
        }
    }
}
