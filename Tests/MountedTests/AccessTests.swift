import Glibc
import SystemPackage
import TestSupport
import Testing

/// access(2), chdir(2) and execve(2): the kernel decides on a mount for other users, the driver on one for root alone.
extension MountedTests {
    @Suite struct AccessTests {
        private static let variants = [
            MountVariant(), MountVariant(allowOther: geteuid() == 0), MountVariant(passthrough: false),
        ]

        /// What Python prints of files and directories with many modes, in a directory.
        private static let script = """
            import os, sys
            os.chdir(sys.argv[1])
            for mode in (0, 0o111, 0o222, 0o400, 0o444, 0o600, 0o644, 0o744, 0o755):
                name = oct(mode)
                open(name, 'w').write('#!/bin/sh\\necho ran\\n')
                os.chmod(name, mode)
                os.mkdir('d' + name)
                os.chmod('d' + name, mode)
                for path in (name, 'd' + name):
                    print(path, [os.access(path, how) for how in (os.F_OK, os.R_OK, os.W_OK, os.X_OK, os.R_OK | os.X_OK)])
                for act in (lambda: os.chdir('d' + name) or os.chdir('..'), lambda: os.listdir('d' + name),
                            lambda: open(name).read(), lambda: open(name, 'a').close(),
                            lambda: os.posix_spawn('./' + name, [name], {}) and os.wait()[1]):
                    try: print(name, act())
                    except OSError as error: print(name, error.errno)
            print(os.access('nothing', os.F_OK))
            """

        @Test(arguments: variants) func scratchIsAPlainDirectory(_ variant: MountVariant) throws {
            let plain = try TemporaryDirectory()
            let mount = try Mount(variant)
            let expected = try run([testPython, "-c", Self.script, plain.path])
            let found = try run([testPython, "-c", Self.script, mount.session("scratch")])
            #expect(expected.succeeded && found.output == expected.output, "\(expected) \(found)")
        }

        /// A sealed file and the tree's directories: what may be tried is `yes`, so that the refusal comes with its reason.
        @Test(arguments: variants) func artifacts(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            try write(table, to: path)
            #expect(eventually { exists(mount.real("base_layer/analysis_sequences_chr1.tsv")) })
            #expect(access(path, F_OK) == 0 && access(path, R_OK) == 0 && access(path, W_OK) == 0)
            #expect(access(path, X_OK) != 0 && errno == EACCES)
            for directory in ["", "production", "production/base/analysis_sequences", "development/current"] {
                #expect(access(mount.path(directory), R_OK | W_OK | X_OK) == 0, "\(directory)")
            }
            #expect(access(mount.production("base/nothing"), F_OK) != 0 && errno == ENOENT)
            #expect(access(mount.path(".artifactfs/status.json"), R_OK) == 0)
            #expect(try run(["env", "--chdir=" + mount.production("base"), "ls"]).succeeded)
        }
    }
}
