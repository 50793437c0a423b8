import Glibc
import SystemPackage
import TestSupport
import Testing

/// A mount knows more files than its driver may have open: nobody notices.
extension MountedTests {
    @Suite struct DescriptorTests {
        private static let few = [
            MountVariant(passthrough: true, descriptors: 128), MountVariant(passthrough: false, descriptors: 128),
        ]

        /// Files in `scratch/`, in directories of their own, and everything that programs do with them.
        @Test(arguments: few) func ordinaryFiles(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let top = mount.session("scratch")
            let count = 400
            func file(_ number: Int, _ parent: String = "part") -> String {
                "\(top)/\(parent)\(number % 40)/deep/\(number).txt"
            }
            for number in 0..<40 {
                try check(mkdir("\(top)/part\(number)", 0o755))
                try check(mkdir("\(top)/part\(number)/deep", 0o755))
            }
            for number in 0..<count { try write("bytes of \(number)", to: file(number)) }
            // Kept open while its descriptor is wanted for others, removed, and used on.
            let open = try openFile(file(7), O_RDWR)
            try remove(file(7))
            for number in 0..<count where number != 7 { #expect(try contents(file(number)) == "bytes of \(number)") }
            var found = stat()
            #expect(fstat(open, &found) == 0 && found.st_nlink == 0)
            try writeAll(open, "still there", at: 0)
            try check(fchmod(open, 0o600))
            try closeFile(open)

            // Another name for a file whose first name goes, and directories that get other names.
            try hardLink(file(8), "\(top)/other")
            try remove(file(8))
            for number in 0..<40 { try move("\(top)/part\(number)", "\(top)/moved\(number)") }
            for number in 0..<count where number != 7 && number != 8 {
                let path = file(number, "moved")
                try setMode(path, 0o640)
                try check(truncate(path, 5))
                try move(path, path + ".renamed")
                #expect(try attributes(path + ".renamed").st_size == 5)
            }
            #expect(try contents("\(top)/other") == "bytes of 8")
            let listed = try run(["find", top, "-type", "f", "-size", "-6c"]).output.split(separator: "\n").count
            #expect(listed == count - 2)
            let removed = try run(["rm", "-r", top])
            #expect(tree(mount.real("base_layer/dev/\(mount.sessionName)/scratch")).isEmpty, "\(removed)")
            #expect(mount.driver.isRunning)
        }

        /// Every session's directories are known to the kernel after one `find`; production is there as before.
        @Test(arguments: few) func directoriesOfManySessions(_ variant: MountVariant) throws {
            let store = try TemporaryDirectory()
            let path = store.path + "/model_eval"
            try Mount.initialize(store: path)
            for second in 10..<60 {
                for name in ["predictions", "metrics", "plots"] {
                    let directory = "\(path)/base_layer/dev/20260215_1430\(second)/\(name)"
                    _ = try run(["mkdir", "-p", directory])
                    try write("{}\n", to: directory + "/figure.png")
                }
            }
            try write(table, to: path + "/base_layer/analysis_sequences_chr1.tsv")
            let mount = try Mount(store: path, variant)
            let found = try run(["find", mount.path("development"), "-name", "figure.png"])
            #expect(found.succeeded, "\(found)")
            #expect(found.output.split(separator: "\n").count == 50)
            #expect(try contents(mount.production("base/analysis_sequences/chr1.tsv")) == table)
            try write(table, to: mount.production("base/analysis_sequences/chr2.tsv"))
            #expect(eventually { exists(mount.real("base_layer/analysis_sequences_chr2.tsv")) })
        }

        /// When there is no descriptor left for an open file, that is said; nothing looks as if it were not there.
        @Test(arguments: few) func openFilesBeyondTheLimit(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let top = mount.session("scratch")
            for number in 0..<200 { try write("\(number)", to: "\(top)/\(number)") }
            try write(table, to: mount.production("base/analysis_sequences/chr1.tsv"))
            #expect(eventually { exists(mount.real("base_layer/analysis_sequences_chr1.tsv")) })
            var open: [Int32] = []
            var answers: Set<Errno> = []
            for number in 0..<200 {
                do throws(Errno) { open.append(try openFile("\(top)/\(number)", O_RDONLY)) } catch {
                    answers.insert(error)
                }
            }
            #expect(answers == [.tooManyOpenFiles])
            #expect(open.count > 20)
            for name in ["chr1.tsv", "chr2.tsv"] {
                let answer = answer { () throws(Errno) in
                    _ = try contents(mount.production("base/analysis_sequences/" + name))
                }
                #expect(
                    answer == nil || answer == .tooManyOpenFiles
                        || (name == "chr2.tsv" && answer == .noSuchFileOrDirectory))
            }
            for descriptor in open { try closeFile(descriptor) }
            #expect(eventually { (try? contents(mount.production("base/analysis_sequences/chr1.tsv"))) == table })
            #expect(try contents("\(top)/199") == "199")
        }

        /// Who has most is refused, and nobody else: neither another user nor the driver.
        @Test(
            .enabled(if: geteuid() == 0, "only root acts as several users"),
            arguments: few.map { $0.with { ($0.allowOther, $0.descriptors) = (true, 200) } })
        func oneUserDoesNotTakeThemAll(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            #expect(try shell("umask 0; mkdir \(mount.test("t"))", user: .alice).succeeded)
            let top = mount.test("t/scratch")
            let hog = try Child(
                [
                    "/usr/bin/python3", "-c",
                    """
                    import os, sys, time
                    kept, answers = [], set()
                    for number in range(300):
                        try: kept.append(open('%s/%d' % (sys.argv[1], number), 'w'))
                        except OSError as e: answers.add(e.errno)
                    print(len(kept), sorted(answers), flush=True)
                    time.sleep(600)
                    """, top,
                ], user: .alice)
            #expect(eventually(within: 30) { hog.output.hasSuffix("\n") || !hog.isRunning })
            #expect(hog.output.hasSuffix(" [24]\n"), "EMFILE only: \(hog.output) \(hog.errors)")
            let count = Int(hog.output.prefix { $0.isNumber }) ?? 0
            #expect(count > 40, "\(count)")
            for _ in 0..<3 {
                for number in 1...3 {
                    let path = mount.production("base/splice_errors/chr\(number).tsv")
                    if !exists(path) { try stage.write(path, as: .bob) }
                    #expect(try run(["cat", path], user: .bob).output == table)
                }
            }
            for number in 1...3 { #expect(mount.isSealed(mount.production("base/splice_errors/chr\(number).tsv"))) }
            hog.kill()
            #expect(
                try eventually { try answer("open(p[0], 'w').close()", top + "/again", as: .alice) == "ok" })
        }

        /// Each session that was begun took a descriptor for ever.
        @Test(arguments: few) func moreSessionsThanDescriptors(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let made = try shell(
                #"for d in $(seq 10 19) ; do for s in $(seq 10 39); do mkdir development/202001${d}_0000$s || exit 1; done; done"#,
                in: mount.root)
            #expect(made.succeeded, "\(made)")
            #expect(mount.sessionName == "20200119_000039")
            try write("x", to: mount.session("scratch/file"))
            #expect(try contents(mount.session("scratch/file")) == "x")
            try write(table, to: mount.production("base/analysis_sequences/chr1.tsv"))
            #expect(eventually { exists(mount.real("base_layer/analysis_sequences_chr1.tsv")) })
        }
    }
}
