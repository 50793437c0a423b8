import Glibc
import SystemPackage
import TestSupport
import Testing

/// Bytes that somebody can still change, or that somebody meant to go on with, are not sealed, whoever closes last.
extension MountedTests {
    @Suite struct UnfinishedTests {
        private let prelude = """
            import array, mmap, os, signal, socket, sys, time
            path = sys.argv[1]; rows = b'a\\tb\\n' + b'1\\t2\\n' * 1000
            def kill(): os.kill(os.getpid(), 9)
            signal.pthread_sigmask(signal.SIG_BLOCK, [signal.SIGUSR1])
            """

        private func expectKept(
            _ mount: Mount, _ name: String, _ script: String, because words: String
        ) throws {
            let path = mount.production("base/splice_errors/" + name)
            _ = try run([testPython, "-c", prelude + "\n" + script, path], timeout: 60)
            #expect(eventually { mount.quarantined().contains { $0.contains(name) } }, "\(name): \(mount.log)")
            #expect(!exists(mount.real("base_layer/splice_errors_" + name)), "\(name)")
            #expect(
                eventually { mount.denials().contains { $0.contains(name) && $0.contains(words) } },
                "\(mount.denials())")
        }

        /// The writer is killed, and another process that has the handle closes it well afterwards.
        @Test(arguments: MountVariant.both) func aBadEndingSticks(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expectKept(
                mount, "chr912.tsv",
                """
                f = os.open(path, os.O_CREAT | os.O_WRONLY); os.write(f, rows); r, w = os.pipe()
                if os.fork() == 0:
                    os.close(w); os.read(r, 1); os.close(f); os._exit(0)
                kill()
                """, because: "killed by signal 9")
            try expectKept(
                mount, "chr913.tsv",
                """
                a, b = socket.socketpair()
                if os.fork() == 0:
                    b.close(); _, fds, _, _ = socket.recv_fds(a, 1, 1)
                    a.recv(1); os.close(fds[0]); os._exit(0)
                a.close(); f = os.open(path, os.O_CREAT | os.O_WRONLY); os.write(f, rows)
                socket.send_fds(b, [b'x'], [f]); kill()
                """, because: "killed by signal 9")
            try expectKept(
                mount, "chr914.tsv",
                """
                child = os.fork()
                if child == 0:
                    f = os.open(path, os.O_CREAT | os.O_WRONLY); os.write(f, rows); kill()
                while not os.path.exists(path): time.sleep(0.001)
                g = os.open(path, os.O_WRONLY | os.O_APPEND); os.waitpid(child, 0); os.close(g)
                """, because: "killed by signal 9")
            try expectKept(
                mount, "chr915.tsv",
                """
                f = os.open(path, os.O_CREAT | os.O_WRONLY)
                child = os.fork()
                if child == 0:
                    os.write(f, rows); kill()
                os.waitpid(child, 0); os.close(f)
                """, because: "killed by signal 9")
        }

        /// Workers that got a copy of the handle and wrote nothing to it may be ended as they are.
        @Test(arguments: MountVariant.both) func workersThatOnlyInheritedIt(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/splice_errors/chr1.tsv")
            let outcome = try run(
                [
                    testPython, "-c",
                    """
                    import multiprocessing, sys
                    multiprocessing.set_start_method('fork')
                    with open(sys.argv[1], 'w') as f:
                        with multiprocessing.Pool(2) as pool:
                            f.write('a\\tb\\n')
                            for n in pool.imap(abs, range(1000)): f.write('%d\\t2\\n' % n)
                    """, path,
                ], timeout: 60)
            #expect(outcome.succeeded && mount.isSealed(path), "\(outcome) \(mount.log) \(mount.denials())")
        }

        /// A mapping that can be written outlives the close: nothing is sealed before it is gone, and then with what was written last.
        @Test(arguments: MountVariant.both) func aMappingOutlivesTheClose(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/splice_errors/chr1.tsv")
            let writer = try Child([
                testPython, "-c",
                prelude + """

                    f = os.open(path, os.O_CREAT | os.O_RDWR); os.write(f, rows)
                    m = mmap.mmap(f, len(rows)); os.close(f); print('closed', flush=True)
                    signal.sigwait([signal.SIGUSR1]); m[4:7] = b'9\\t9'; m.flush(); print('written', flush=True)
                    signal.sigwait([signal.SIGUSR1])
                    """, path,
            ])
            #expect(eventually { writer.output.contains("closed") }, "\(writer.errors)")
            let real = mount.real("base_layer/splice_errors_chr1.tsv")
            writer.signal(SIGUSR1)
            #expect(eventually { writer.output.contains("written") }, "\(writer.errors)")
            #expect(!exists(real), "\(mount.log)")
            writer.signal(SIGUSR1)
            #expect(writer.wait(seconds: 20))
            #expect(eventually(within: 20) { exists(real) }, "\(mount.log) \(mount.denials())")
            #expect(try contents(real).hasPrefix("a\tb\n9\t9\n"))
        }

        /// A session's file that is open to write is promoted, and its writer is killed: nobody tells of that handle's end.
        @Test(arguments: MountVariant.both) func promotedWhileItIsWritten(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            for (name, ending, isSealed) in [
                ("chr1.tsv", "kill()", false), ("chr2.tsv", "os._exit(0)", true), ("chr3.tsv", "os._exit(3)", false),
                ("chr4.tsv", "os.close(f); signal.sigwait([signal.SIGUSR1])", true),
            ] {
                let (from, to) = (
                    mount.session("base/splice_errors/" + name), mount.production("base/splice_errors/" + name)
                )
                let writer = try Child([
                    testPython, "-c",
                    prelude + """

                        f = os.open(path, os.O_CREAT | os.O_WRONLY); os.write(f, rows); print('open', flush=True)
                        signal.sigwait([signal.SIGUSR1]); os.write(f, b'1\\t2\\n'); \(ending)
                        """, from,
                ])
                #expect(eventually { writer.output.contains("open") }, "\(writer.errors)")
                try move(from, to)
                writer.signal(SIGUSR1)
                if isSealed {
                    #expect(mount.isSealed(to), "\(name): \(mount.log) \(mount.denials())")
                } else {
                    #expect(eventually { mount.quarantined().contains { $0.contains(name) } }, "\(name): \(mount.log)")
                    #expect(!exists(mount.real("base_layer/splice_errors_" + name)))
                }
                writer.kill()
            }
        }

        /// On a full disk a program hears it at close, and nothing half is sealed.
        @Test(.enabled(if: geteuid() == 0, "needs to mount a file system"), arguments: MountVariant.both)
        func aFullDisk(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            try check(mkdir(directory.path + "/disk", 0o755))
            #expect(try run(["mount", "-t", "tmpfs", "-o", "size=4m", "tmpfs", directory.path + "/disk"]).succeeded)
            defer { _ = try? run(["umount", "-l", directory.path + "/disk"]) }
            let store = directory.path + "/disk/store"
            try Mount.initialize(store: store)
            let mount = try Mount(store: store, variant)
            let path = mount.production("base/splice_errors/chr1.tsv")
            let outcome = try run(
                [
                    testPython, "-c",
                    """
                    import errno, os, sys
                    f = os.open(sys.argv[1], os.O_CREAT | os.O_WRONLY); os.write(f, b'a\\tb\\n')
                    try:
                        while True: os.write(f, b'1\\t2\\n' * 10000)
                    except OSError as e: print(errno.errorcode[e.errno])
                    try: os.close(f)
                    except OSError as e: print(errno.errorcode[e.errno])
                    """, path,
                ], timeout: 60)
            #expect(outcome.output.hasPrefix("ENOSPC\n"), "\(outcome)")
            #expect(eventually { !exists(path) && mount.count("publishing") == 0 }, "\(mount.log)")
            #expect(!exists(mount.real("base_layer/splice_errors_chr1.tsv")))
            #expect(mount.quarantined().contains { $0.contains("chr1.tsv") }, "\(mount.denials())")
            #expect(mount.denials().contains { $0.contains("\"rule\":\"no-room\"") }, "\(mount.denials())")
            #expect(mount.count("waiting_for_room") == 0, "it is not whole")
        }
    }
}
