import Foundation
import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.2 on the real mount: what the writer of an artifact may still do after its last close, for how long, and that
/// nobody else may.
extension MountedTests {
    @Suite struct SettlingTests {
        /// Writes, closes, and tries its attributes, once (`once`) or until it is refused (`until`); another process of the same user tries
        /// as well. Prints one JSON object.
        private static let writer = """
            import errno, json, os, subprocess, sys, threading, time
            path = sys.argv[1]
            def said(body):
                try: body(); return "ok"
                except OSError as e: return errno.errorcode[e.errno]
            def changes():
                return {
                    "chmod": said(lambda: os.chmod(path, 0o666)), "utimens": said(lambda: os.utime(path, (7, 7))),
                    "setxattr": said(lambda: os.setxattr(path, "user.artifact.note", b"n")),
                    "removexattr": said(lambda: os.removexattr(path, "user.artifact.note")),
                    "chown": said(lambda: os.chown(path, os.getuid(), os.getgid())),
                    "append": said(lambda: open(path, "a")), "truncate": said(lambda: os.truncate(path, 0)),
                    "unlink": said(lambda: os.unlink(path)), "rename": said(lambda: os.rename(path, path + ".tmp")),
                }
            if sys.argv[2] == "another":
                print(json.dumps(changes())); sys.exit()
            another = lambda: json.loads(subprocess.run([sys.executable, __file__, path, "another"], stdout=subprocess.PIPE).stdout)
            file = open(path, "w"); file.write("a\\tb\\n1\\t2\\n"); file.flush()
            began = time.monotonic()
            file.close()
            if sys.argv[2] == "once":
                result = {"writer": changes(), "another": another()}
                thread = threading.Thread(target=lambda: result.update({"another thread": changes()})); thread.start(); thread.join()
            else:
                while said(lambda: os.setxattr(path, "user.artifact.note", b"n")) == "ok" and time.monotonic() - began < 100: time.sleep(0.02)
                result = {"seconds": time.monotonic() - began, "writer": changes(), "another": another()}
            print(json.dumps(result))
            """

        /// A store whose schema says how long the window is.
        private func mount(_ variant: MountVariant, settling seconds: Int, in directory: TemporaryDirectory) throws
            -> Mount
        {
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            try setSettling(seconds, of: store)
            return try Mount(store: store, variant)
        }

        /// What the writer and others may do.
        private func outcome(_ how: String, on mount: Mount, mayChange: Set<String>) throws -> [String: Any] {
            let directory = try TemporaryDirectory()
            try write(Self.writer, to: directory.path + "/writer.py")
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            let ended = try run([testPython, directory.path + "/writer.py", path, how])
            #expect(ended.succeeded, "\(ended)")
            let parsed = try JSONSerialization.jsonObject(with: Data(ended.output.utf8)) as? [String: Any]
            let result = try #require(parsed)
            // These are the owner's at any time; `chown` asks for what is so.
            let owners = ["chmod", "utimens", "chown"]
            let attributes = ["setxattr", "removexattr"]
            for (who, answers) in result {
                for (operation, answer) in (answers as? [String: String] ?? [:]).sorted(by: { $0.key < $1.key }) {
                    let isAllowed =
                        owners.contains(operation) || attributes.contains(operation) && mayChange.contains(who)
                    let expected = isAllowed ? "ok" : "EPERM"
                    #expect(answer == expected, "\(who), \(operation)")
                }
            }
            #expect(mount.isSealed(path))
            let real = mount.real("base_layer/analysis_sequences_chr1.tsv")
            #expect(try contents(real) == table)
            // 0666 was asked for: write bits never reach the real file.
            let found = try ModeAndTime(real)
            #expect(found.mode == 0o444, "\(String(found.mode, radix: 8))")
            #expect(mount.denials().contains { $0.contains("sealed-attributes") })
            return result
        }

        /// The longest window there is, so that no machine is too slow for it.
        @Test(arguments: MountVariant.both) func theWriterMayAndNobodyElse(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let mount = try mount(variant, settling: 3600, in: directory)
            let result = try outcome("once", on: mount, mayChange: ["writer", "another thread"])
            #expect(result.count == 3)
            #expect(try ModeAndTime(mount.real("base_layer/analysis_sequences_chr1.tsv")).modified == 7)
        }

        /// `settling_seconds` of the store's schema; 5 when it says nothing else. It may take longer on a busy machine, never shorter.
        @Test(arguments: MountVariant.both, [0, 1, 5]) func theWindowEnds(_ variant: MountVariant, seconds: Int) throws
        {
            let directory = try TemporaryDirectory()
            let mount =
                try seconds == 5
                ? Mount(variant.with { $0.publishesAtClose = true }) : mount(variant, settling: seconds, in: directory)
            let result = try outcome("until", on: mount, mayChange: [])
            let took = try #require(result["seconds"] as? Double)
            #expect(took >= Double(seconds) && took < 100, "the window of \(seconds) s ended after \(took) s")
            // Where the machine was so busy that the window was over before the first try, there is nothing to see.
            let modified = try ModeAndTime(mount.real("base_layer/analysis_sequences_chr1.tsv")).modified
            #expect(seconds == 0 ? modified != 8 : true)
        }

        /// Programs that copy a file with its attributes keep them, whenever they set them; as root with its owner too.
        @Test(.enabled(if: geteuid() == 0, "it gives files to another user"), arguments: MountVariant.bothForAll)
        func copiesKeepTheirAttributes(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant, settling: 3600)
            let mount = stage.mount
            let directory = try TemporaryDirectory()
            let outcome = try shell(
                #"""
                set -e; cd "$SOURCE"
                for i in 1 2 3 4 5 6 7 8; do
                    printf 'a\tb\n1\t2\n' > chr$i.tsv; setfattr -n user.note -v kept chr$i.tsv
                    chown 61001:61101 chr$i.tsv; chmod 640 chr$i.tsv; touch -d @1000000000 chr$i.tsv
                done
                cp -p chr1.tsv "$T/"
                cp -a chr2.tsv "$T/"
                rsync -aX chr3.tsv "$T/"
                rsync -aX --inplace chr4.tsv "$T/"
                tar --xattrs -cf all.tar chr5.tsv; tar --xattrs --xattrs-include='*' -xpf all.tar -C "$T"
                tar -cf all.tar chr6.tsv
                /usr/bin/python3 -c 'import sys, tarfile; tarfile.open("all.tar").extractall(sys.argv[1])' "$T"
                /usr/bin/python3 -c 'import sys, shutil; shutil.copy2("chr7.tsv", sys.argv[1])' "$T"
                cp chr8.tsv "$T/"
                """#, environment: ["SOURCE": directory.path, "T": mount.production("base/analysis_sequences")])
            #expect(outcome.succeeded, "\(outcome)")
            #expect(mount.settle())
            for (number, how, owner, note) in [
                (1, "cp -p", true, "none"), (2, "cp -a", true, "kept"), (3, "rsync -a", true, "kept"),
                (4, "rsync --inplace", true, "kept"), (5, "tar", true, "kept"), (6, "tarfile", true, "none"),
                (7, "copy2", false, "kept"),
            ] {
                let real = mount.real("base_layer/analysis_sequences_chr\(number).tsv")
                let shown = mount.production("base/analysis_sequences/chr\(number).tsv")
                let whose = owner ? "61001:61101 " : "0:0 "
                #expect(try ownership(real) == whose + "440", "\(how)")
                #expect(try ownership(shown) == whose + "640", "\(how)")
                for path in [real, shown] {
                    #expect(try ModeAndTime(path).modified == 1_000_000_000, "\(how)")
                    #expect(((try? extendedAttribute("user.note", of: path)) ?? "none") == note, "\(how)")
                }
                #expect(try contents(real) == table)
            }
            #expect(try ownership(mount.real("base_layer/analysis_sequences_chr8.tsv")) == "0:0 440", "cp without -p")

            // A user's own copy, and that a user cannot give it away.
            let own = try shell(
                #"""
                set -e; umask 022; cp -p "$SOURCE/chr1.tsv" "$T/chr11.tsv"
                rsync -a "$SOURCE/chr1.tsv" "$T/chr12.tsv"; chown 0 "$T/chr12.tsv"
                """#, environment: ["SOURCE": directory.path, "T": mount.production("base/analysis_sequences")],
                user: .alice)
            #expect(own.errors.contains("Operation not permitted"), "\(own)")
            for number in [11, 12] {
                let real = mount.real("base_layer/analysis_sequences_chr\(number).tsv")
                #expect(eventually { (try? ownership(real)) == "61001:61101 440" }, "chr\(number)")
                #expect(try ModeAndTime(real).modified == 1_000_000_000)
            }
        }
    }
}

/// Permission bits and modification time.
struct ModeAndTime {
    let mode: UInt32
    let modified: Int

    init(_ path: String) throws(Errno) {
        let found = try attributes(path)
        mode = found.st_mode & 0o7777
        modified = found.st_mtim.tv_sec
    }
}
