import TestSupport
import Testing

/// Ways in which programs write, and what workflow programs do with what comes of it.
extension MountedTests {
    @Suite struct WritingWaysTests {
        /// One whole result comes of each way, and of four ranks that open one path without `O_EXCL`.
        @Test(arguments: MountVariant.both) func eachWay(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let script = #"""
                import errno, mmap, os, subprocess, sys, time
                os.chdir(sys.argv[1])
                rows = b"a\tb\n" + b"1\t2\n" * 100000
                def check(path, want=rows):
                    for _ in range(200):
                        try:
                            if os.getxattr(path, "user.artifact.state") == b"sealed": break
                        except OSError as e: return "gone " + errno.errorcode[e.errno]
                        time.sleep(0.05)
                    return "whole" if open(path, "rb").read() == want else "cut"
                def job(body):
                    pid = os.fork()
                    if pid == 0:
                        try: body(); os._exit(0)
                        except OSError as e: print(errno.errorcode[e.errno], flush=True); os._exit(0)
                    os.waitpid(pid, 0)
                p = "production/base/splice_errors/"
                def mapped():
                    fd = os.open(p + "chr1.tsv", os.O_RDWR | os.O_CREAT, 0o644); os.ftruncate(fd, len(rows))
                    m = mmap.mmap(fd, len(rows)); m[:] = rows; m.flush(); os.close(fd)
                def direct():
                    fd = os.open(p + "chr2.tsv", os.O_RDWR | os.O_CREAT | os.O_DIRECT, 0o644)
                    size = (len(rows) + 4095) // 4096 * 4096; m = mmap.mmap(-1, size); m[:len(rows)] = rows
                    os.write(fd, m); os.ftruncate(fd, len(rows)); os.close(fd)
                def allocated():
                    fd = os.open(p + "chr3.tsv", os.O_WRONLY | os.O_CREAT, 0o644); os.posix_fallocate(fd, 0, len(rows)); os.write(fd, rows); os.close(fd)
                def ranged():
                    src = os.open("development/current/scratch/rows", os.O_RDONLY); fd = os.open(p + "chr4.tsv", os.O_WRONLY | os.O_CREAT, 0o644)
                    while os.copy_file_range(src, fd, 1 << 20): pass
                    os.close(fd)
                def small():
                    with open(p + "chr5.tsv", "wb", buffering=0) as f:
                        f.write(b"a\tb\n")
                        for _ in range(100000): f.write(b"1\t2\n")
                def sparse():
                    with open("development/current/scratch/holes", "wb") as f: f.write(b"\x93NUMPY"); f.seek(64 << 20); f.write(b"end")
                def holes():
                    subprocess.run(["cp", "--sparse=always", "development/current/scratch/holes", "development/current/scratch/copy"], check=True)
                open("development/current/scratch/rows", "wb").write(rows)
                for name, body, n in (("mmap", mapped, 1), ("O_DIRECT", direct, 2), ("fallocate", allocated, 3), ("copy_file_range", ranged, 4), ("100,000 writes", small, 5)):
                    t = time.time(); job(body); print(name, check(p + f"chr{n}.tsv")); pass
                job(sparse); job(holes); print("sparse", os.stat("development/current/scratch/copy").st_size, os.stat("development/current/scratch/copy").st_blocks < 1000)
                # four ranks
                r, w = os.pipe()
                ranks = []
                for rank in range(4):
                    pid = os.fork()
                    if pid == 0:
                        os.close(w); os.read(r, 1)
                        try:
                            with open(p + "chr6.tsv", "w") as f:
                                f.write("a\tb\n")
                                for _ in range(1000): f.write(f"{rank}\t1\n")
                            os._exit(0)
                        except FileExistsError: os._exit(17)
                        except OSError as e: os._exit(e.errno)
                    ranks.append(pid)
                os.close(r); os.close(w)
                ends = sorted(os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]) for pid in ranks)
                check(p + "chr6.tsv")
                text = open(p + "chr6.tsv").read() if os.path.exists(p + "chr6.tsv") else ""
                print("ranks", ends, text.count("\n"), len(set(text.split("\n")[1:-1])))
                """#
            let ran = try run([testPython, "-c", script, mount.root], timeout: 60)
            #expect(
                ran.output == """
                    mmap whole
                    O_DIRECT whole
                    fallocate whole
                    copy_file_range whole
                    100,000 writes whole
                    sparse 67108867 True
                    ranks [0, 17, 17, 17] 1001 1

                    """, "\(ran)")
        }

        /// make(1) with `.DELETE_ON_ERROR`: a second run has nothing to do, and what a recipe leaves that fails is not there.
        @Test(arguments: MountVariant.both) func make(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let directory = try TemporaryDirectory()
            let rules = """
                P = \(mount.production("base/splice_errors"))
                .DELETE_ON_ERROR:
                all: $(P)/chr1.tsv $(P)/chr2.tsv
                $(P)/chr1.tsv:
                \tprintf 'a\\tb\\n1\\t2\\n' > $@
                $(P)/chr2.tsv: $(P)/chr1.tsv
                \tawk 1 $< > $@
                $(P)/chr3.tsv: $(P)/chr1.tsv
                \tprintf 'a\\tb\\n' > $@; false

                """
            try write(rules, to: directory.path + "/Makefile")
            let first = try shell("make -s -j2 all", in: directory.path)
            #expect(first.succeeded, "\(first)")
            for name in ["chr1.tsv", "chr2.tsv"] {
                #expect(mount.isSealed(mount.production("base/splice_errors/" + name)))
            }
            let second = try shell(
                "make -q all; echo $?; touch $P/chr2.tsv; make -q all; echo $?", in: directory.path,
                environment: ["P": mount.production("base/splice_errors")])
            #expect(second.output == "0\n0\n", "\(second)")
            let bad = try shell("make -s \(mount.production("base/splice_errors/chr3.tsv"))", in: directory.path)
            #expect(bad.status == 2, "\(bad)")
            #expect(eventually(within: 30) { !exists(mount.production("base/splice_errors/chr3.tsv")) })
        }
    }
}
