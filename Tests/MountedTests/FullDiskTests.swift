import Glibc
import SystemPackage
import TestSupport
import Testing

/// A store whose disk is full keeps what is whole, and publishes it when there is room.
extension MountedTests {
    @Suite(.enabled(if: geteuid() == 0, "needs to mount a file system")) struct FullDiskTests {
        /// A store whose base layer is a small disk of its own: what fits in staging need not fit there.
        private final class SmallLayer {
            let directory: TemporaryDirectory
            let store: String
            private var layer: String { store + "/base_layer" }
            private var filler: String { layer + "/filler" }

            init() throws {
                directory = try TemporaryDirectory()
                store = directory.path + "/store"
                try Mount.initialize(store: store)
                #expect(try run(["mount", "-t", "tmpfs", "-o", "size=256k", "room", layer]).succeeded)
            }

            deinit { _ = try? run(["umount", "-l", layer]) }

            func fill() throws {
                #expect(try shell("head -c 1M /dev/zero > \(filler) 2> /dev/null; test -s \(filler)").succeeded)
            }

            func makeRoom() throws { try remove(filler) }

            func staged() -> [String] { tree(store + "/.artifactfs/staging").filter { $0.contains("-production") } }
            func ledger(_ event: String) -> [String] {
                tree(store + "/.artifactfs/ledger").flatMap {
                    ((try? contents(store + "/.artifactfs/ledger/" + $0)) ?? "").split(separator: "\n")
                }.map(String.init).filter { $0.contains("\"event\":\"\(event)\"") }
            }
        }

        private let chromosomes = ["chr1.tsv", "chr2.tsv", "chr3.tsv"]
        private func real(_ place: SmallLayer, _ name: String) -> String {
            place.store + "/base_layer/splice_errors_" + name
        }

        /// Writes artifacts that wait then.
        private func writeInVain(_ place: SmallLayer, _ mount: Mount) throws {
            try place.fill()
            for name in chromosomes {
                let outcome = try shell("printf 'a\\tb\\n1\\t2\\n' > \(mount.production("base/splice_errors/" + name))")
                #expect(outcome.succeeded, "it fits in staging: \(outcome)")
            }
            #expect(eventually { mount.count("waiting_for_room") == chromosomes.count }, "\(mount.log)")
        }

        private func expectPublished(_ place: SmallLayer, _ log: String) {
            for name in chromosomes {
                #expect(eventually(within: 30) { exists(real(place, name)) }, "\(name): \(log)")
                #expect((try? contents(real(place, name))) == table)
            }
            #expect(eventually { place.ledger("sealed").count == chromosomes.count })
            #expect(place.ledger("quarantined").isEmpty && place.staged().isEmpty, "\(place.staged())")
        }

        @Test(arguments: MountVariant.both) func whatWaitsIsPublishedWhenThereIsRoom(_ variant: MountVariant) throws {
            let place = try SmallLayer()
            let mount = try Mount(store: place.store, variant)
            try writeInVain(place, mount)
            let path = mount.production("base/splice_errors/chr1.tsv")
            #expect(try contents(path) == table, "it can be read")
            #expect(answer { () throws(Errno) in try openAndClose(path, O_WRONLY | O_CREAT | O_TRUNC) } == .fileExists)
            #expect(answer { () throws(Errno) in try remove(path) } == .notPermitted)
            #expect(try names(in: mount.production("base/splice_errors")) == chromosomes)
            let denials = mount.denials().filter { $0.contains("\"no-room\"") }
            #expect(denials.count == chromosomes.count && denials.allSatisfy { $0.contains("make room") }, "told once")
            let status = try run([Mount.binary(), "status", mount.root])
            #expect(status.output.contains("3 more wait for room"), "\(status)")
            #expect(mount.count("publishing") == 0 && mount.count("quarantined_since_mount") == 0)
            try place.makeRoom()
            expectPublished(place, mount.log)
            #expect(mount.count("waiting_for_room") == 0 && mount.count("sealed_since_mount") == chromosomes.count)
            #expect(mount.denials().filter { $0.contains("\"no-room\"") }.count == chromosomes.count)
            #expect(try mount.unmount() == 0)
        }

        /// What waits takes no descriptors, which others need, and all of it is published.
        @Test func manyFilesThatWait() throws {
            let place = try SmallLayer()
            let mount = try Mount(store: place.store, MountVariant(descriptors: 160))
            try place.fill()
            let script = """
                import sys
                for number in range(300):
                    with open(f'{sys.argv[1]}/chr{number}.tsv', 'w') as file: file.write('a\\tb\\n')
                """
            let outcome = try run([testPython, "-c", script, mount.production("base/splice_errors")], timeout: 60)
            #expect(outcome.succeeded, "\(outcome)")
            #expect(eventually(within: 30) { mount.count("waiting_for_room") == 300 }, "\(mount.log)")
            #expect(tree("/proc/\(mount.count("pid") ?? 0)/fd").count < 60)
            #expect(try contents(mount.production("base/splice_errors/chr299.tsv")) == "a\tb\n")
            // The small disk has no room for so many pages.
            #expect(try run(["mount", "-o", "remount,size=8m", place.store + "/base_layer"]).succeeded)
            #expect(eventually(within: 60) { mount.count("sealed_since_mount") == 300 }, "\(mount.log)")
            #expect(mount.quarantined().isEmpty && mount.count("waiting_for_room") == 0)
            #expect(try mount.unmount() == 0)
        }

        /// The mount ends, and the next one begins, while the disk is full: neither waits for room, and the next one publishes when there is.
        @Test(arguments: [false, true]) func acrossMounts(isKilled: Bool) throws {
            let place = try SmallLayer()
            do {
                let mount = try Mount(store: place.store)
                try writeInVain(place, mount)
                if isKilled {
                    mount.kill()
                } else {
                    let outcome = try run([Mount.binary(), "unmount", mount.root], timeout: 20)
                    #expect(
                        outcome.succeeded && outcome.output.contains("not published yet: 3")
                            && outcome.output.contains("when there is room"), "\(outcome)")
                }
            }
            #expect(place.staged().count == chromosomes.count && place.staged().allSatisfy { $0.contains("/f-") })
            let mount = try Mount(store: place.store)
            #expect(place.staged().count == chromosomes.count, "it is mounted all the same: \(mount.log)")
            try place.makeRoom()
            expectPublished(place, mount.log)
            #expect(try contents(mount.production("base/splice_errors/chr2.tsv")) == table)
        }

        /// With room before the next mount, that one publishes at once.
        @Test func roomBetweenMounts() throws {
            let place = try SmallLayer()
            do {
                let mount = try Mount(store: place.store)
                try writeInVain(place, mount)
                #expect(try mount.unmount() == 0)
            }
            try place.makeRoom()
            let mount = try Mount(store: place.store)
            for name in chromosomes { #expect(exists(real(place, name)), "\(mount.log)") }
            expectPublished(place, mount.log)
        }

        /// The whole store is on the full disk: the ledger has no room. What was promoted waits too.
        @Test func theLedgerHasNoRoom() throws {
            let directory = try TemporaryDirectory()
            let disk = directory.path + "/disk"
            try check(mkdir(disk, 0o755))
            #expect(try run(["mount", "-t", "tmpfs", "-o", "size=2m", "room", disk]).succeeded)
            defer { _ = try? run(["umount", "-l", disk]) }
            try Mount.initialize(store: disk + "/store")
            let mount = try Mount(store: disk + "/store")
            let count = 12
            try write("x", to: mount.session("scratch/x"))
            for number in 1...count { try write(table, to: mount.session("base/splice_errors/chr\(number).tsv")) }
            #expect(try shell("head -c 4M /dev/zero > \(disk)/filler 2> /dev/null; test -s \(disk)/filler").succeeded)
            for number in 1...count {
                try move(
                    mount.session("base/splice_errors/chr\(number).tsv"),
                    mount.production("base/splice_errors/chr\(number).tsv"))
            }
            // The ledger's last page had room for a few.
            #expect(eventually { mount.counts("settling", "publishing") == [0, 0] })
            let waiting = mount.count("waiting_for_room") ?? 0
            #expect(waiting > 0 && waiting <= count, "\(mount.log)")
            #expect(mount.quarantined().isEmpty, "\(mount.quarantined())")
            // A removal through the mount is noticed.
            try remove(disk + "/filler")
            try remove(mount.session("scratch/x"))
            for number in 1...count {
                #expect(mount.isSealed(mount.production("base/splice_errors/chr\(number).tsv")), "\(mount.log)")
            }
            #expect(mount.count("waiting_for_room") == 0)
            #expect(try mount.unmount() == 0)
        }
    }
}
