import Glibc
import SystemPackage
import TestSupport
import Testing

/// Every store below a directory on one mount (`mount --root`), by real tools.
extension MountedTests {
    @Suite struct RootTests {
        /// A directory with two stores and a broken one, and a place to mount it.
        final class Place: Sendable {
            let directory: TemporaryDirectory
            var data: String { directory.path + "/data" }
            var mount: String { directory.path + "/m" }

            init() throws {
                directory = try TemporaryDirectory()
                try check(mkdir(directory.path + "/m", 0o755))
                let made = try shell(
                    """
                    set -e; mkdir -p data/ens/g38 data/ens/g37 data/raw; echo x > data/raw/genome; ln -s / data/link
                    for s in ens/g38/spl_eval ens/g37/spl_eval ens/g38/bad_eval; do artifactfs init data/$s; done
                    echo 'version: {' > data/ens/g38/bad_eval/.artifactfs/schema.yaml
                    """)
                #expect(made.succeeded, "\(made)")
            }

            deinit { if isMounted { umount2(mount, Int32(MNT_DETACH)) } }

            var isMounted: Bool {
                ((try? contents("/proc/self/mountinfo")) ?? "").contains(" \(mount) ")
            }

            func shell(_ script: String, user: User? = nil) throws -> Outcome {
                let binary = try Mount.binary()
                let directory = String(binary[..<(binary.lastIndex(of: "/") ?? binary.startIndex)])
                return try run(
                    ["bash", "-c", "PATH=\(directory):$PATH; cd \"$0\" || exit 1\n" + script, self.directory.path],
                    user: user, timeout: 120)
            }

            func driver(_ options: String...) throws -> Child {
                let driver = try Child(
                    [try Mount.binary(), "mount", "--root", data, mount, "--foreground"] + options)
                #expect(eventually(within: 20) { driver.output.hasPrefix("mounted ") }, "\(driver.errors)")
                return driver
            }
        }

        private static let types = "production/base/analysis_sequences"

        /// What three stores do each by itself: names, publishing, refusals, explanations, sessions.
        @Test func everyStoreIsItself() throws {
            let place = try Place()
            let driver = try place.driver()
            let names = try place.shell(
                "ls m m/ens m/ens/g38 m/ens/g37; cat m/ens/g38/.artifactfs 2>&1; ls -A m/raw; ls m/link")
            #expect(
                names.output == """
                    m:
                    ens
                    raw

                    m/ens:
                    g37
                    g38

                    m/ens/g37:
                    spl

                    m/ens/g38:
                    bad
                    spl
                    cat: m/ens/g38/.artifactfs: No such file or directory

                    """, "\(names)")
            #expect(try place.shell("artifactfs status m").output.contains("0 in use"), "looking opens nothing")

            let work = try place.shell(
                #"""
                for g in g37 g38; do
                    cd m/ens/$g/spl; printf 'a\tb\n%s\t2\n' $g > \#(Self.types)/chr1.tsv
                    artifactfs wait \#(Self.types)/chr1.tsv && cat \#(Self.types)/chr1.tsv
                    (echo x > \#(Self.types)/chr1.tsv) 2>&1 | grep -o 'File exists'
                    artifactfs explain overwrite \#(Self.types)/chr1.tsv | grep ^rule
                    artifactfs show \#(Self.types)/chr1.tsv | grep ^state
                    artifactfs find 'type = analysis_sequences' | cut -f 1
                    artifactfs run --experiment e -- sh -c 'readlink development/current > development/current/scratch/s' && artifactfs runs | grep -c ' e$'
                    cd ../../../..
                done 2> errors
                stat -c %i m/ens/g3?/spl/\#(Self.types)/chr1.tsv | sort -u | wc -l
                grep -l x data/ens/g3?/spl_eval/base_layer/*.tsv | wc -l
                """#)
            let each = "File exists\nrule:    production-immutable\nstate       sealed\n\(Self.types)/chr1.tsv\n1\n"
            #expect(work.output == "a\tb\ng37\t2\n" + each + "a\tb\ng38\t2\n" + each + "2\n0\n", "\(work)")

            // The broken one is alone, and its reason is told.
            let broken = try place.shell(
                "ls m/ens/g38/bad; artifactfs status m/ens/g38/bad; artifactfs status m | grep bad; artifactfs status | grep \"$PWD/m\""
            )
            #expect(broken.errors.contains("Input/output error"), "\(broken)")
            #expect(broken.errors.contains("bad_eval/.artifactfs/schema.yaml:2"), "\(broken)")
            #expect(broken.output.contains("ens/g38/bad: cannot be opened: the schema has a fault"), "\(broken)")
            #expect(broken.output.contains("stores: 2 in use, 1 cannot be opened"), "\(broken)")
            #expect(
                eventually {
                    driver.errors.contains(
                        "the store \(place.data)/ens/g38/bad_eval cannot be opened, so ens/g38/bad cannot be read")
                }, "\(driver.errors)")
            let above = try place.shell(
                "artifactfs session list m/ens; echo $?; artifactfs unmount m/ens/g37/spl; echo $?")
            #expect(above.output == "2\n2\n" && above.errors.contains("name one of them"), "\(above)")
            #expect(above.errors.contains("artifactfs unmount \(place.mount)'"), "\(above)")

            #expect(try place.shell("artifactfs unmount m").succeeded)
            #expect(driver.wait(seconds: 60) && driver.status == 0, "\(driver.errors)")
            #expect(!place.isMounted)
            let left = try place.shell("find data -path '*/.artifactfs/staging/*' -o -path '*/.artifactfs/reserved/*'")
            #expect(left.output == "", "\(left)")
        }

        /// cp and mv between stores copy; above them nothing is made; a new store is there at once.
        @Test func betweenStoresAndAboveThem() throws {
            let place = try Place()
            // A mount of a store is no store.
            let other = try place.shell(
                "mkdir data/new; mkdir data/new/mount; artifactfs mount data/ens/g37/spl_eval data/new/mount")
            #expect(other.succeeded, "\(other)")
            defer { _ = try? place.shell("artifactfs unmount data/new/mount") }
            let driver = try place.driver()
            let moved = try place.shell(
                #"""
                one=m/ens/g38/spl two=m/ens/g37/spl
                printf 'a\tb\n1\t2\n' > $one/development/current/base/splice_errors/chr1.tsv
                mv $one/development/current/base/splice_errors/chr1.tsv $two/development/current/base/splice_errors/ && ls $one/development/current/base/splice_errors | wc -l
                cp $two/development/current/base/splice_errors/chr1.tsv $one/production/base/splice_errors/ && artifactfs wait $one/production/base/splice_errors/chr1.tsv && cat $one/production/base/splice_errors/chr1.tsv
                cp -r $two/development/current/. /dev/shm/$$ 2>&1; rm -r /dev/shm/$$
                mkdir $one/test/t && head -c 300000 /dev/zero > $one/test/t/scratch/z && cp $one/test/t/scratch/z $two/development/current/scratch/ && cmp $one/test/t/scratch/z $two/development/current/scratch/z && echo same
                ln $one/test/t/scratch/z $two/development/current/scratch/l 2>&1 | grep -o 'Invalid cross-device link'
                mv $one/test/t/scratch $two/development/current/scratch/all 2> /dev/null; ls $two/development/current/scratch/all
                for c in 'mkdir m/x' 'touch m/ens/x' 'rmdir m/raw' 'mv m/ens m/x' "mv $one m/ens/x" "ln $two/development/current/scratch/z m/z" 'rm m/.artifactfs/status.json'; do
                    $c 2>&1 | grep -o 'Read-only file system'
                done
                artifactfs init data/new/model_eval > /dev/null; ls m/new m/new/model
                """#)
            #expect(
                moved.output == "0\n\(table)same\nInvalid cross-device link\nz\n"
                    + String(repeating: "Read-only file system\n", count: 7)
                    + "m/new:\nmodel\n\nm/new/model:\ndevelopment\nproduction\ntest\n", "\(moved)")
            #expect(!driver.errors.contains("a request failed"), "what is refused is no failure: \(driver.errors)")
            #expect(try place.shell("umount m").succeeded)
            #expect(driver.wait(seconds: 60) && driver.status == 0, "\(driver.errors)")
        }

        /// A driver that was killed is followed by another at the same place, and nothing that was closed is lost.
        @Test func afterAKillItGoesOn() throws {
            let place = try Place()
            let driver = try place.driver()
            let written = try place.shell(
                #"""
                for g in g37 g38; do
                    printf 'a\tb\n1\t2\n' > m/ens/$g/spl/\#(Self.types)/chr1.tsv
                    artifactfs wait m/ens/$g/spl/\#(Self.types)/chr1.tsv
                    sh -c "sleep 600 < /dev/null > m/ens/$g/spl/\#(Self.types)/chr2.tsv & printf 'a\tb\n' > m/ens/$g/spl/\#(Self.types)/chr3.tsv; echo \$!" >> pids
                done 2>&1
                """#)
            #expect(written.succeeded, "\(written)")
            driver.signal(SIGKILL)
            #expect(driver.wait(seconds: 30))
            #expect(try place.shell("kill $(cat pids); artifactfs status m").status == 4)
            let again = try place.shell("artifactfs mount --root data m 2>&1")
            #expect(
                again.output
                    == "mounted the stores below \(place.data) at \(place.mount): each gets a session of its own when it is used\n",
                "\(again)")
            let found = try place.shell("cat m/ens/g3?/spl/\(Self.types)/chr1.tsv; artifactfs unmount m >&2")
            #expect(found.succeeded && found.output == table + table, "\(found)")
            #expect(!place.isMounted)
        }

        /// Read-only, by the form of mount(8) and fstab, for every user.
        @Test(.enabled(if: geteuid() == 0)) func readOnlyForAll() throws {
            let place = try Place()
            #expect(chmod(place.directory.path, 0o755) == 0)
            let filled = try place.shell(
                "artifactfs mount --root data m > /dev/null && printf 'a\\tb\\n1\\t2\\n' > m/ens/g38/spl/\(Self.types)/chr1.tsv && artifactfs unmount m"
            )
            #expect(filled.succeeded, "\(filled)")
            let mounted = try place.shell("artifactfs $PWD/data $PWD/m -o ro,allow_other,root,nofail,x-a=b 2>&1")
            #expect(mounted.output.hasSuffix("/m: read-only\n"), "\(mounted)")
            let reading = try place.shell(
                """
                cat m/ens/g38/spl/\(Self.types)/chr1.tsv; ls m/ens/g37/spl; touch m/ens/g38/spl/production/x 2>&1 | grep -o 'Read-only.*'
                cat m/.artifactfs/status.json | grep -o '"open":[0-9]*'; grep -o '"stores":..' m/.artifactfs/status.json
                grep -c ' fuse.artifactfs-root .*data ' /proc/self/mountinfo
                """, user: .bob)
            #expect(
                reading.output
                    == table + "development\nproduction\ntest\nRead-only file system\n\"open\":2\n\"stores\":[]\n1\n",
                "\(reading)")
            #expect(
                try place.shell("artifactfs status m | grep -c 'read-only'; artifactfs unmount m").output.hasPrefix(
                    "3\n"))
        }

        /// Makes artifacts of several sizes in two stores, and one store that nobody uses.
        private static let filling = #"""
            set -e; artifactfs init data/raw/unused_eval > /dev/null
            row() { printf 'a\tb\n'; yes "$(printf '1\t2')" | head -n $3; }
            for w in "g38 chr1 5" "g37 chr1 40" "g38 chr2 30" "g37 chr2 2" "g38 chr3 1"; do
                set -- $w; row $w > m/ens/$1/spl/\#(types)/$2.tsv; artifactfs wait m/ens/$1/spl/\#(types)/$2.tsv
            done
            """#

        /// `find` over all stores: one list in one order, with what cannot be asked told.
        @Test func findOverAll() throws {
            let place = try Place()
            let driver = try place.driver()
            let filled = try place.shell(
                #"""
                \#(Self.filling)
                """#)
            #expect(filled.succeeded, "\(filled)")
            let (old, new) = ("ens/g37/spl/\(Self.types)/", "ens/g38/spl/\(Self.types)/")
            func find(_ words: String) throws -> (status: Int32?, lines: [String], errors: String) {
                let outcome = try place.shell("artifactfs find \(words)")
                return (outcome.status, outcome.output.split(separator: "\n").map(String.init), outcome.errors)
            }
            for stores in ["--store m", "--root data"] {
                let newest = try find("\(stores) --columns path")
                #expect(
                    newest.lines == [
                        new + "chr3.tsv", old + "chr2.tsv", new + "chr2.tsv", old + "chr1.tsv", new + "chr1.tsv",
                    ],
                    "\(newest)")
                #expect(newest.status == 0 && newest.errors.contains("ens/g38/bad: not asked: "), "\(newest)")
                #expect(newest.errors.contains("bad_eval/.artifactfs/schema.yaml:2"), "\(newest)")
                #expect(!newest.errors.contains("unused"), "\(newest)")
                let sorted = try find("\(stores) --columns rows,path --sort=-rows -n 3 --csv")
                #expect(
                    sorted.lines.map { $0.filter { $0 != "\r" } } == [
                        "rows,path", "40,\(old)chr1.tsv", "30,\(new)chr2.tsv", "5,\(new)chr1.tsv",
                    ], "\(sorted)")
                let paths = try find("\(stores) --columns path --sort path --json 'rows < 6'")
                #expect(
                    paths.lines
                        == [old + "chr2.tsv", new + "chr1.tsv", new + "chr3.tsv"].map { "{\"path\":\"\($0)\"}" },
                    "\(paths)")
                // Nothing was found, and one store is not known.
                let none = try find("\(stores) 'rows > 1000'")
                #expect(none.status == 2 && none.lines.isEmpty, "\(none)")
                let wrong = try find("\(stores) \"path ~ '('\"")
                #expect(wrong.status == 64 && !wrong.errors.contains("not asked"), "\(wrong)")
                let files = try place.shell(
                    "artifactfs find \(stores) --paths0 2> /dev/null | xargs -0 cat | grep -c '^1'")
                #expect(files.output == "78\n", "\(files)")
            }
            // Paths are those of the mount wherever one stands on it; a store alone has its own.
            let below = try place.shell(
                "cd m/ens/g37 && artifactfs find --columns path; artifactfs find 'rows > 1000'; echo $?; cd spl && artifactfs find --columns path -n 1"
            )
            #expect(
                below.output == "\(old)chr2.tsv\n\(old)chr1.tsv\n1\n\(Self.types)/chr2.tsv\n" && below.errors == "",
                "\(below)")
            for (words, status, told) in [
                ("--store m/raw/none", 2, "none cannot be looked through"),
                ("--root data/ens/g38/spl_eval", 3, "is a store itself"),
                ("--root m", 64, "use --store m"), ("--root data --store m", 64, "leave one of the two out"),
                ("--root m/../data/raw/genome", 3, "cannot be looked through"),
            ] {
                let outcome = try find(words)
                #expect(outcome.status == Int32(status) && outcome.errors.contains(told), "\(words): \(outcome)")
            }
            let opened = try place.shell("artifactfs status m")
            #expect(opened.output.contains("2 in use"), "what is asked is not opened: \(opened)")
            #expect(try place.shell("artifactfs unmount m").succeeded)
            #expect(driver.wait(seconds: 60) && driver.status == 0, "\(driver.errors)")
        }

        /// `du` and `ls` over all stores: one sum, and what is missing of each; what cannot be asked is told, and is no sum.
        @Test func usageAndListOverAll() throws {
            let place = try Place()
            let driver = try place.driver()
            let filled = try place.shell(
                #"""
                \#(Self.filling)
                row g37 chr1 1 > m/ens/g37/spl/production/base/splice_errors/chr1.tsv
                artifactfs wait m/ens/g37/spl/production/base/splice_errors/chr1.tsv
                """#)
            #expect(filled.succeeded, "\(filled)")
            for stores in ["--store m", "--root data"] {
                let sum = try place.shell("artifactfs du \(stores) --by key")
                #expect(sum.output == "chr1\t3\t196\nchr2\t2\t136\nchr3\t1\t8\n", "\(sum)")
                #expect(sum.status == 2 && sum.errors.contains("ens/g38/bad: not asked: "), "\(sum)")
                let sessions = try place.shell("artifactfs du \(stores) --by session --json")
                #expect(!sessions.errors.contains("unused"), "\(sessions)")
                let wrong = try place.shell("artifactfs du \(stores) 'key ~ ('")
                #expect(wrong.status == 64 && !wrong.errors.contains("not asked"), "\(wrong)")
            }
            for stores in ["m", "--root data"] {
                let missing = try place.shell("artifactfs ls --missing \(stores)")
                #expect(missing.output == "ens/g37/spl/production/base/splice_errors/chr2.tsv\n", "\(missing)")
                #expect(missing.status == 1 && missing.errors.contains("ens/g38/bad: not listed: "), "\(missing)")
                let all = try place.shell("artifactfs ls \(stores)")
                #expect(all.status == 2 && all.output.contains("ens/g38/spl/\(Self.types)\tchr3\t"), "\(all)")
                let json = try place.shell("artifactfs ls --json \(stores)")
                #expect(json.output.contains("\"store\":\"ens/g37/spl\""), "\(json)")
            }
            let below = try place.shell("cd m/ens/g37 && artifactfs ls --missing; artifactfs du --by key; echo $?")
            #expect(
                below.output == "ens/g37/spl/production/base/splice_errors/chr2.tsv\nchr1\t2\t172\nchr2\t1\t12\n0\n",
                "\(below)")
            let both = try place.shell("artifactfs ls --root data m")
            #expect(both.status == 64, "\(both)")
            let opened = try place.shell("artifactfs status m")
            #expect(opened.output.contains("2 in use"), "what is asked is not opened: \(opened)")
            #expect(try place.shell("artifactfs unmount m").succeeded)
            #expect(driver.wait(seconds: 60) && driver.status == 0, "\(driver.errors)")
        }

        /// Another user finds what that user may read, and hears of what cannot be looked into.
        @Test(.enabled(if: geteuid() == 0)) func findByAnotherUser() throws {
            let place = try Place()
            #expect(chmod(place.directory.path, 0o755) == 0)
            let filled = try place.shell(
                #"""
                set -e; artifactfs mount --root data m --allow-other > /dev/null
                for g in g37 g38; do
                    printf 'a\tb\n1\t2\n' > m/ens/$g/spl/\#(Self.types)/chr1.tsv; artifactfs wait m/ens/$g/spl/\#(Self.types)/chr1.tsv
                done
                mkdir -m 700 data/closed; chmod 700 data/ens/g37/spl_eval/.artifactfs/ledger
                """#)
            #expect(filled.succeeded, "\(filled)")
            defer { _ = try? place.shell("artifactfs unmount m") }
            let found = try place.shell("artifactfs find --store m --columns path --sort path", user: .bob)
            #expect(
                found.output == "ens/g37/spl/\(Self.types)/chr1.tsv\nens/g38/spl/\(Self.types)/chr1.tsv\n"
                    && found.status == 0,
                "\(found)")
            #expect(
                found.errors.contains("m/closed cannot be looked through for stores: Permission denied"), "\(found)")
            #expect(found.errors.contains("ens/g38/bad: not asked: "), "\(found)")
        }

        /// What is of one store, and what is none, is refused with the way out.
        @Test func whatCannotBeMountedSo() throws {
            let place = try Place()
            for (options, status, words) in [
                ("--session 20260215_143022", 2, "--session goes on with a session of one store"),
                ("--as-of paper-v1", 2, "--as-of shows a moment of one store"),
                ("-o as_of=paper-v1", 2, "--as-of shows a moment of one store"),
                ("-o observe", 2, "-o observe looks at the inputs of one store"),
            ] {
                let outcome = try place.shell("artifactfs mount --root data m \(options)")
                #expect(outcome.status == Int32(status) && outcome.errors.contains(words), "\(outcome)")
                #expect(outcome.errors.contains("leave one of the two out"), "\(outcome)")
            }
            for (what, words) in [
                ("data/ens/g38/spl_eval", "is a store itself"), ("data/none", "there is no directory"),
                ("data/raw/genome", "cannot be looked through for stores"),
            ] {
                let outcome = try place.shell("artifactfs mount --root \(what) m")
                #expect(outcome.status == 3 && outcome.errors.contains(words), "\(outcome)")
            }
            let inside = try place.shell("mkdir data/raw/m; artifactfs mount --root data data/raw/m")
            #expect(inside.status == 4, "\(inside)")
            #expect(!place.isMounted)
        }

        /// A user without root mounts the stores of their own.
        @Test func byAnOrdinaryUser() throws {
            let person = try OrdinaryUser()
            let outcome = try person.shell(
                #"""
                mkdir -p m data/ens; artifactfs init data/ens/one_eval > /dev/null; artifactfs init data/ens/two_eval > /dev/null
                artifactfs mount --root data m
                for s in one two; do printf 'a\tb\n1\t2\n' > m/ens/$s/\#(Self.types)/chr1.tsv; artifactfs wait m/ens/$s/\#(Self.types)/chr1.tsv; done
                artifactfs init data/three_eval > /dev/null; ls m m/three
                mkdir m/x 2>&1 | grep -o 'Permission denied\|Read-only file system'
                mv m/ens/one/\#(Self.types)/chr1.tsv m/ens/two/\#(Self.types)/chr2.tsv 2>&1 | grep -o 'Operation not permitted'
                artifactfs status m | grep -c 'session 20'; artifactfs unmount m; grep -c "$PWD/m" /proc/self/mountinfo; ls m
                cat data/ens/*_eval/base_layer/*chr1.tsv
                """#)
            #expect(
                outcome.output.hasPrefix("mounted the stores below \(person.home)/data at \(person.home)/m: "),
                "\(outcome)")
            let rest = outcome.output.split(separator: "\n", maxSplits: 1).last ?? ""
            #expect(
                rest.hasPrefix(
                    "m:\nens\nthree\n\nm/three:\ndevelopment\nproduction\ntest\nPermission denied\nOperation not permitted\n3\n"
                ),
                "\(outcome)")
            #expect(rest.hasSuffix("0\n" + table + table), "\(outcome)")
        }
    }
}
