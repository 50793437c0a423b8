import Glibc
import SystemPackage
import TestSupport
import Testing

/// Two mounts of one store.
extension MountedTests {
    @Suite struct TwoMountsTests {
        /// Creates names, and says which of them it got.
        private static let writer = """
            import errno, os, sys
            directory, mark, way = sys.argv[1:]
            sys.stdin.read()
            for number in range(100):
                path = f'{directory}/chr{number}.tsv'
                try:
                    if way == 'open':
                        with open(path, 'x') as file: file.write(f'a\\tb\\n{mark}\\t{number}\\n')
                    else:
                        staged = f'{directory}/.chr{number}.{mark}'
                        with open(staged, 'w') as file: file.write(f'a\\tb\\n{mark}\\t{number}\\n')
                        os.rename(staged, path)
                    print(number)
                except OSError as error:
                    if error.errno != errno.EEXIST: print(f'# {number}: {error}')
            """

        @Test(arguments: MountVariant.both, ["open", "rename"])
        func aNameIsOneWritersFromTheBeginning(_ variant: MountVariant, _ way: String) throws {
            let mount = try Mount(variant)
            let other = try Mount(store: mount.store, variant)
            let writers = try [mount, other].enumerated().map { index, mount in
                try Child(
                    [testPython, "-c", Self.writer, mount.production("base/analysis_sequences"), "m\(index)", way],
                    input: "")
            }
            for writer in writers { #expect(writer.wait(seconds: 60) && writer.status == 0, "\(writer.errors)") }
            #expect(mount.settle() && other.settle())
            let got = writers.map { $0.output.split(separator: "\n").map(String.init) }
            #expect(got.joined().allSatisfy { !$0.hasPrefix("#") }, "\(got)")
            #expect((got[0] + got[1]).sorted() == (0..<100).map(String.init).sorted(), "each is given once")
            for (index, numbers) in got.enumerated() {
                for number in numbers {
                    let bytes = try contents(mount.real("base_layer/analysis_sequences_chr\(number).tsv"))
                    #expect(bytes == "a\tb\nm\(index)\t\(number)\n", "who was told so wrote it")
                }
            }
            #expect(mount.quarantined() == [])
        }

        /// The directory that holds the tests goes with the last one: who makes the next hears nothing of it, on whichever mount.
        @Test func testsComeAndGo() throws {
            let mount = try Mount()
            let other = try Mount(store: mount.store)
            let script = """
                set -e
                cd "$1/test"
                for _ in 1 2 3; do
                    mkdir t; rmdir t; mkdir "$1/test/t"; rmdir "$2/test/t"; mkdir t
                    echo a > t/scratch/x; rm -r "$2/test/t"
                    mkdir "$2/test/t"; echo a > "$1/test/t/scratch/y"; rm -r t
                done
                """
            let outcome = try run(["bash", "-c", script, "bash", mount.root, other.root])
            #expect(outcome.succeeded && outcome.errors.isEmpty, "\(outcome)")
        }

        @Test func theOtherMountSaysWhy() throws {
            let mount = try Mount()
            let other = try Mount(store: mount.store)
            let name = "base/analysis_sequences/chr1.tsv"
            let handle = try openFile(mount.production(name), O_WRONLY | O_CREAT | O_EXCL)
            #expect(
                answer { () throws(Errno) in
                    try openAndClose(other.production(name), O_WRONLY | O_CREAT | O_TRUNC)
                } == .fileExists)
            #expect(other.denials().last?.contains("\"rule\":\"another-writer\"") == true)
            try writeAll(handle, table)
            try closeFile(handle)
            #expect(mount.isSealed(mount.production(name)))
        }

        /// What the store says of a file on the file is not listed: a copy would be called what it is not.
        @Test func theSealIsNotCopied() throws {
            let mount = try Mount()
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            try write(table, to: path)
            #expect(mount.isSealed(path))
            let list = try python(
                "import os, sys; print(*[sorted(os.listxattr(path)) for path in sys.argv[1:]])",
                [path, mount.real("base_layer/analysis_sequences_chr1.tsv")])
            #expect(list.output == "[] ['user.artifact.ledger', 'user.artifact.seal']\n", "\(list)")
        }

        /// A refusal outlives its mount, in the store's ledger.
        @Test func denialsOutliveTheMount() throws {
            let mount = try Mount()
            let path = mount.production("base/analysis_sequences/nothing")
            #expect(answer { () throws(Errno) in try openAndClose(path, O_WRONLY | O_CREAT) } == .invalidArgument)
            let store = mount.store
            try mount.unmount()
            let ledger = try names(in: store + "/.artifactfs/ledger")
                .map { try contents(store + "/.artifactfs/ledger/" + $0) }.joined()
            let line = ledger.split(separator: "\n").first { $0.contains("\"event\":\"denied\"") }
            #expect(line?.contains("\"rule\":\"invalid-name\"") == true && line?.contains("nothing") == true)
        }
    }
}
