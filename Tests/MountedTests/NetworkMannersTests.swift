import Glibc
import SystemPackage
import TestSupport
import Testing

/// A directory as two hosts see it over a network, with NFS's manners (Tests/Stress/cluster/filter.c): no flags of renameat2(2), locks that stay on their
/// host, names and attributes that are remembered for a while, answers that are lost.
final class NetworkManners {
    /// One host's sight of the directory.
    final class Sight {
        let path: String
        private let control: String
        private let filter: Child

        init(_ number: Int, of directory: String, program: String, home: String, remembers seconds: Int) throws {
            path = home + "/sight\(number)"
            control = home + "/control\(number)"
            try check(mkdir(path, 0o755))
            try check(mkdir(control, 0o755))
            filter = try Child([program, directory, path, control, "\(seconds)"])
            let (filter, path) = (filter, path)
            guard eventually(within: 20, { !filter.isRunning || isOtherFileSystem(path) }), filter.isRunning else {
                throw Mount.Failure(description: "no filter: \(filter.errors)")
            }
        }

        deinit {
            // Children that are frozen would never end.
            stop("frozen")
            _ = try? run(["umount", "-l", path])
            filter.kill()
        }

        /// Turns a manner on: `frozen`, `full`, or `link` with what is lost.
        func begin(_ manner: String, _ text: String = "") throws { try write(text, to: control + "/" + manner) }

        func stop(_ manner: String) { unlink(control + "/" + manner) }
    }

    let sights: [Sight]
    /// The directory itself, that both see.
    let directory: String
    private let home: TemporaryDirectory

    init(remembers seconds: Int = 3) throws {
        home = try TemporaryDirectory()
        let home = home.path
        directory = home + "/directory"
        try check(mkdir(directory, 0o755))
        let repository = #filePath.split(separator: "/Tests/MountedTests/").first.map(String.init) ?? ""
        let built = try shell(
            """
            clang=$(command -v clang || command -v cc)
            "$clang" -O1 -Wall -Wextra -Werror -o \(home)/filter \(repository)/Tests/Stress/cluster/filter.c $(pkg-config --cflags --libs fuse3) -lpthread
            """)
        guard built.succeeded else { throw Mount.Failure(description: "\(built)") }
        let directory = directory
        sights = try [1, 2].map {
            try Sight($0, of: directory, program: home + "/filter", home: home, remembers: seconds)
        }
    }
}

private func isOtherFileSystem(_ path: String) -> Bool {
    var (here, above) = (stat(), stat())
    return stat(path, &here) == 0 && stat(path + "/..", &above) == 0 && here.st_dev != above.st_dev
}

extension MountedTests {
    /// Two hosts, each with a driver, and a file system between them that has NFS's manners.
    @Suite(.enabled(if: geteuid() == 0, "a file system for all users is root's")) struct NetworkMannersTests {
        /// Writes names by both ways, and says what it was told.
        private static let writer = """
            import errno, os, sys
            directory, mark = sys.argv[1:]
            sys.stdin.read()
            for number in range(50):
                path = f'{directory}/chr{number}.tsv'
                told = 'ok'
                try:
                    if number % 2:
                        with open(path, 'x') as file: file.write(f'a\\tb\\n{mark}\\t{number}\\n')
                    else:
                        staged = f'{directory}/.chr{number}.{mark}'
                        with open(staged, 'w') as file: file.write(f'a\\tb\\n{mark}\\t{number}\\n')
                        try: os.rename(staged, path)
                        except OSError:
                            os.unlink(staged)
                            raise
                except OSError as error: told = errno.errorcode[error.errno]
                print(told)
            """

        /// - Parameter lost: how many answers of link(2) are lost on either host, and how.
        @Test(arguments: ["", "30 EEXIST", "30 EIO"])
        func aNameHasOneWinner(_ lost: String) throws {
            let manners = try NetworkManners()
            let store = "/store"
            try Mount.initialize(store: manners.sights[0].path + store)
            let mounts = try manners.sights.map { try Mount(store: $0.path + store) }
            if !lost.isEmpty { for sight in manners.sights { try sight.begin("link", lost) } }
            let writers = try mounts.enumerated().map { index, mount in
                try Child(
                    [testPython, "-c", Self.writer, mount.production("base/analysis_sequences"), "m\(index)"], input: ""
                )
            }
            for writer in writers { #expect(writer.wait(seconds: 60) && writer.status == 0, "\(writer.errors)") }
            for sight in manners.sights { sight.stop("link") }
            #expect(mounts.allSatisfy { $0.settle() }, "\(mounts.map(\.log))")
            for mount in mounts { #expect(try mount.unmount() == 0, "\(mount.log)") }
            let told = writers.map { $0.output.split(separator: "\n").map(String.init) }
            let kept = tree(manners.directory + store + "/.artifactfs/quarantine")
            for number in 0..<50 {
                let real = manners.directory + store + "/base_layer/analysis_sequences_chr\(number).tsv"
                let winners = [0, 1].filter { told[$0].count == 50 && told[$0][number] == "ok" }
                let bytes = try? contents(real)
                #expect(winners.count <= 1, "\(number): \(told.map { $0[number] })")
                if let winner = winners.first {
                    #expect(bytes == "a\tb\nm\(winner)\t\(number)\n", "who was told so wrote \(number)")
                } else {
                    // Nobody was told that it is done, and that is so only where answers were lost.
                    #expect(!lost.isEmpty, "\(number): \(told.map { $0[number] })")
                    #expect(bytes == nil || ["m0", "m1"].contains { bytes == "a\tb\n\($0)\t\(number)\n" })
                }
            }
            #expect(kept == [], "nobody who was told that it is done has its bytes there")
            for command in ["audit", "verify"] {
                let outcome = try run([Mount.binary(), command, manners.directory + store])
                #expect(outcome.succeeded, "\(outcome)")
            }
        }

        /// A directory has no links by which it could get a name: it is published there all the same, and two hosts do not both have one name.
        @Test func aDirectoryHasOneWinner() throws {
            let manners = try NetworkManners()
            try Mount.initialize(store: manners.sights[0].path + "/store")
            let mounts = try manners.sights.map { try Mount(store: $0.path + "/store") }
            func make(_ mount: Mount, _ name: String, _ text: String) throws -> String {
                let made = mount.root + "/development/current/meta/meta_checkpoints/" + name
                try check(mkdir(made, 0o755))
                try write(text, to: made + "/config.json")
                return made
            }
            let target = mounts[0].production("meta/meta_checkpoints")
            let promoted = try run([Mount.binary(), "promote", try make(mounts[0], "checkpoint-1", "{}\n")])
            #expect(promoted.succeeded, "\(promoted)")
            let moved = try run(["mv", try make(mounts[0], "checkpoint-2", "{}\n"), target])
            #expect(moved.succeeded, "\(moved)")
            #expect(mounts[0].isSealed(target + "/checkpoint-2"), "\(mounts[0].log)")
            let names = (3..<13).map { "checkpoint-\($0)" }
            let movers = try mounts.enumerated().map { index, mount in
                for name in names { _ = try make(mount, name, "{\"host\": \(index)}\n") }
                return try Child(
                    [
                        "bash", "-c",
                        "cd $0; read; for name in \(names.joined(separator: " ")); do mv -n $name $1/; done; true",
                        mount.root + "/development/current/meta/meta_checkpoints",
                        mount.production("meta/meta_checkpoints"),
                    ], input: "\n")
            }
            for mover in movers { #expect(mover.wait(seconds: 60), "\(mover.errors)") }
            #expect(mounts.allSatisfy { $0.settle() })
            for mount in mounts { #expect(try mount.unmount() == 0, "\(mount.log)") }
            let store = manners.directory + "/store"
            for name in names {
                let bytes = try contents("\(store)/meta_layer/checkpoints/\(name)/config.json")
                let sessions = tree(store + "/meta_layer/dev").filter { $0.hasSuffix("\(name)/config.json") }
                let kept = tree(store + "/.artifactfs/quarantine").filter { $0.contains(name) }
                #expect(["{\"host\": 0}\n", "{\"host\": 1}\n"].contains(bytes))
                #expect(sessions.count == 1 || !kept.isEmpty, "nothing is lost: \(name) \(sessions) \(kept)")
            }
            for command in ["audit", "verify"] {
                let outcome = try run([Mount.binary(), command, store])
                #expect(outcome.succeeded, "\(outcome)")
            }
        }

        /// A server that has no room says so at close, and to who wrote: programs hear it for every kind of file, and nothing of it is published.
        @Test func closeTellsWhatTheServerHasNotTaken() throws {
            let manners = try NetworkManners()
            let sight = manners.sights[0]
            try Mount.initialize(store: sight.path + "/store")
            let mount = try Mount(store: sight.path + "/store")
            let files = [
                "production/base/analysis_sequences/chr1.tsv", "production/base/analysis_sequences/.chr2.tsv.tmp",
                "development/current/base/analysis_sequences/chr3.tsv", "development/current/scratch/notes",
            ]
            try sight.begin("close")
            for file in files {
                let told = try run([
                    testPython, "-c",
                    """
                    import errno, sys
                    file = open(sys.argv[1], 'w')
                    file.write('a\\tb\\n1\\t2\\n')
                    try: file.close()
                    except OSError as error: print(errno.errorcode[error.errno])
                    """, mount.root + "/" + file,
                ])
                #expect(told.output == "ENOSPC\n", "\(file): \(told)")
            }
            sight.stop("close")
            let staged = mount.root + "/" + files[1]
            let renamed = try run(["mv", staged, mount.production("base/analysis_sequences/chr2.tsv")])
            #expect(!renamed.succeeded && renamed.errors.contains("No space left"), "\(renamed)")
            #expect(mount.settle(), "\(mount.log)")
            let real = mount.realFiles().filter { $0.contains("chr1") || $0.contains("chr2") }
            #expect(real == [], "\(renamed)")
            try write("a\tb\n1\t2\n", to: mount.root + "/" + files[0])
            #expect(mount.isSealed(mount.root + "/" + files[0]))
            #expect(try mount.unmount() == 0, "\(mount.log)")
        }

        /// What another host's program may have open in a test is copied into a session too, from where it could be promoted as that session's own.
        @Test func fromATestIntoASessionIsCopied() throws {
            let manners = try NetworkManners()
            try Mount.initialize(store: manners.sights[0].path + "/store")
            let mount = try Mount(store: manners.sights[0].path + "/store")
            let name = "/base/analysis_sequences/chr1.tsv"
            let (test, session) = (mount.root + "/test/t" + name, mount.root + "/development/current" + name)
            try check(mkdir(mount.root + "/test/t", 0o755))
            try write("a\tb\n1\t2\n", to: test)
            let renamed = try run([
                testPython, "-c",
                "import errno, os, sys\ntry: os.rename(*sys.argv[1:])\nexcept OSError as e: print(errno.errorcode[e.errno])",
                test, session,
            ])
            #expect(renamed.output == "EXDEV\n", "\(renamed)")
            #expect(try contents(mount.root + "/.artifactfs/denials.jsonl").contains("crosses-trees"))
            #expect(try run(["mv", test, session]).succeeded)
            #expect(try contents(session) == "a\tb\n1\t2\n")
            #expect(try mount.unmount() == 0, "\(mount.log)")
        }

        /// A server that is away: the mount says so, also when more programs wait than it has threads; those that are killed end, as on the file system
        /// itself, and those that only hear a signal wait on. When it is back all is as before.
        @Test func aFrozenStoreIsToldOf() throws {
            let manners = try NetworkManners()
            let sight = manners.sights[0]
            let store = sight.path + "/store"
            try Mount.initialize(store: store)
            let schema = store + "/.artifactfs/schema.yaml"
            try write(try contents(schema).replacing("lease: 30", with: "lease: 3"), to: schema)
            let mount = try Mount(store: store)
            let directory = mount.production("base/analysis_sequences")
            try write("a\tb\n1\t2\n", to: directory + "/chr1.tsv")
            #expect(mount.isSealed(directory + "/chr1.tsv"))
            try sight.begin("frozen")
            // Names that nobody has asked for: the store is.
            let asking = try (2..<22).map { number in
                try Child(["stat", "\(directory)/chr\(number).tsv"], environment: ["LC_ALL": "C"])
            }
            let signalled = try Child([
                testPython, "-c",
                """
                import os, signal, sys
                signal.signal(signal.SIGUSR1, lambda *_: None)
                print('asks', flush=True)
                print(os.path.exists(sys.argv[1] + '/chrX.tsv'), os.path.getsize(sys.argv[1] + '/chr1.tsv'))
                """, directory,
            ])
            #expect(eventually(within: 60) { (asking + [signalled]).allSatisfy { isWaiting($0.process) } })
            signalled.signal(SIGUSR1)
            #expect(eventually(within: 60) { mount.log.contains("the store was not reached") }, "\(mount.log)")
            let status = try run([Mount.binary(), "status", mount.root], timeout: 60)
            #expect(status.succeeded && status.output.contains("LAPSED"), "\(status)")
            #expect(status.output.contains("the store is not reached"))
            #expect(try run(["df", mount.root], timeout: 60).succeeded)
            for (index, child) in asking.enumerated() { child.signal(index % 2 == 0 ? SIGTERM : SIGKILL) }
            for child in asking { #expect(child.wait(seconds: 60), "killed, and there still") }
            #expect(signalled.isRunning && signalled.output == "asks\n", "\(signalled.output)")
            sight.stop("frozen")
            #expect(signalled.wait(seconds: 60) && signalled.status == 0, "\(signalled.errors)")
            #expect(signalled.output == "asks\nFalse 8\n", "\(signalled.output)")
            #expect(eventually(within: 60) { mount.log.contains("the lease is held") }, "\(mount.log)")
            try write("a\tb\n1\t2\n", to: directory + "/chr2.tsv")
            #expect(mount.isSealed(directory + "/chr2.tsv"))
            #expect(try mount.unmount() == 0, "\(mount.log)")
        }

        /// Whether a process waits for a driver.
        private func isWaiting(_ process: pid_t) -> Bool {
            (try? contents("/proc/\(process)/wchan"))?.contains("request_wait_answer") == true
        }
    }
}
