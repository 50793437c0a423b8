import Glibc
import TestSupport
import Testing

/// `explain` says what the mount does: both are asked of every operation in every kind of place.
extension MountedTests {
    @Suite struct ExplainTests {
        /// Makes a subject of each kind for each operation, asks `explain`, does it, and prints where the two differ.
        private static let script = """
            import ctypes, errno, json, os, subprocess, sys
            from concurrent.futures import ThreadPoolExecutor
            binary, root, frozen = sys.argv[1:]
            os.chdir(root)
            session = os.readlink("development/current")
            live, old, typed = f"development/{session}", f"development/{frozen}", "base/analysis_sequences"
            production, count = "production/" + typed, 0
            table = "a\\tb\\n1\\t2\\n"
            def put(path, text=table):
                with open(path, "w") as file: file.write(text)
                return path
            def fresh(prefix="chr", ending=".tsv"):
                global count
                count += 1
                return f"{prefix}{count}{ending}"
            def sealed(path=None, writes='printf %s "$0" > "$1"'):
                path = path or f"{production}/{fresh()}"
                # By another process: this one would be in its settling window.
                subprocess.run(["sh", "-c", writes, table, path], check=True)
                while os.getxattr(path, "user.artifact.state") != b"sealed": pass
                return path
            held = []
            def writing():
                path = f"{production}/{fresh()}"
                held.append(open(path, "w")); held[-1].write(table); held[-1].flush()
                return path
            def empty():
                path = put(f"{production}/{fresh()}", "")
                while os.getxattr(path, "user.artifact.state") != b"empty": pass
                return path
            def made(path): os.makedirs(path, exist_ok=True); return path
            def kept():
                path = f"{production}/{fresh()}"
                subprocess.run(["bash", "-c", 'exec 3> "$1"; printf %s "$0" >&3; kill -9 $$', table, path])
                while os.path.exists(path): pass
                known = [name for name in os.listdir(".artifactfs/quarantine") if name.endswith(path.rsplit("/", 1)[1])]
                return ".artifactfs/quarantine/" + known[0]
            def test(file=None):
                name = made(f"test/{fresh('t', '')}")
                if file: put(f"{name}/{file}")
                return name
            def linked(path): os.symlink("f", path); return path
            fixed = lambda path: lambda: path
            os.makedirs(f"{live}/scratch/d"); put(f"{live}/scratch/f"); put(f"{live}/{typed}/chr1.tsv"); os.mkdir("test/other")
            subjects = {
                "root": fixed("."), "a mode": fixed("production"), "a layer": fixed("production/base"),
                "a type": fixed(production), "development": fixed("development"), "test": fixed("test"),
                "current": fixed("development/current"), "session": fixed(live), "its layer": fixed(live + "/base"),
                "its type": fixed(f"{live}/{typed}"), "its empty type": fixed(live + "/base/splice_errors"),
                "plots": fixed(live + "/plots"), "logs": fixed(live + "/logs"), "scratch": fixed(live + "/scratch"),
                "frozen session": fixed(old), "its frozen layer": fixed(old + "/base"),
                "its frozen type": fixed(f"{old}/{typed}"), "its frozen scratch": fixed(old + "/scratch"),
                "an empty test": test, "a test with a file": lambda: test(typed + "/chr1.tsv"),
                "the layer of a test": lambda: test() + "/base", "the layer with a file": lambda: test(typed + "/chr1.tsv") + "/base",
                "no test": lambda: f"test/{fresh('n', '')}", "in no test": fixed("test/none/base"), "below no test": fixed("test/none/scratch/x"),
                "no name of a test": fixed("test/-x"), "no name of a session": fixed("development/yesterday"),
                "in no session": fixed("development/20210101_000000/base"),
                "below no session": fixed("development/20210101_000000/scratch/x"),
                "hidden": fixed(".artifactfs"), "a hidden file": fixed(".artifactfs/status.json"),
                "quarantine": fixed(".artifactfs/quarantine"), "nothing kept back": fixed(".artifactfs/quarantine/new"),
                "kept back": kept, "why it was kept back": lambda: kept() + ".reason.json",
                "nothing hidden": fixed(".artifactfs/new"), "nothing in the root": fixed("new"),
                "nothing in production": fixed("production/new"), "nothing in a layer": fixed("production/base/new"),
                "a new name": lambda: f"{production}/{fresh()}", "no name": fixed(production + "/x.csv"),
                "a temporary name": lambda: f"{production}/{fresh('tmp')}", "a long name": fixed(f"{production}/chr{'1' * 249}.tsv"),
                "the driver's name": fixed(production + "/.artifactfs"), "its other name": fixed(production + "/.meta"),
                "the driver's name in a session": fixed(live + "/.artifactfs"),
                "sealed": sealed, "writing": writing, "empty": empty, "below a file": lambda: sealed() + "/x",
                "transient": lambda: put(f"{production}/{fresh('tmp')}"), "live": lambda: put(f"{live}/{typed}/{fresh()}"),
                "a file of a test": lambda: test(typed + "/chr1.tsv") + f"/{typed}/chr1.tsv",
                "frozen": fixed(f"{old}/{typed}/chr1.tsv"), "nothing frozen": fixed(f"{old}/{typed}/chr2.tsv"),
                "latest": fixed("production/meta/meta_checkpoints/latest"),
                "a new plot": lambda: f"{live}/plots/{fresh('p', '.png')}", "no plot": fixed(live + "/plots/x.txt"),
                "no metadata": fixed(live + "/notes"), "metadata of a test": lambda: test() + "/metadata.json",
                "nothing in scratch": lambda: f"{live}/scratch/{fresh()}", "a scratch file": lambda: put(f"{live}/scratch/{fresh()}"),
                "a scratch directory": lambda: made(f"{live}/scratch/{fresh()}"),
                "a full scratch directory": lambda: os.path.dirname(put(made(f"{live}/scratch/{fresh()}") + "/x")),
                "nothing in no directory": fixed(live + "/scratch/none/x"), "below a scratch file": fixed(live + "/scratch/f/x"),
                "a link": lambda: linked(f"{live}/scratch/{fresh()}"), "a frozen scratch file": fixed(old + "/scratch/f"),
                "a frozen scratch directory": fixed(old + "/scratch/d"), "nothing in frozen scratch": fixed(old + "/scratch/new"),
                "no session": lambda: f"development/20210101_{count // 3600:02}{count // 60 % 60:02}{count % 60:02}" if fresh() else "",
            }
            def opened(flags): return lambda path: os.close(os.open(path, flags, 0o644))
            def beside(path): return os.path.join(os.path.dirname(path), fresh())
            def other(path):
                if path == "test": return put(f"{live}/{typed}/{fresh()}")
                return put(f"{live}/scratch/{fresh()}" if "/scratch/" in path else f"test/other/{typed}/{fresh()}")
            def exchange(path):
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.renameat2(-100, path.encode(), -100, other(path).encode(), 2): raise OSError(ctypes.get_errno(), "")
            operations = {
                "read": opened(os.O_RDONLY), "overwrite": opened(os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                "write": opened(os.O_WRONLY | os.O_CREAT | os.O_APPEND), "truncate": lambda path: os.truncate(path, 0),
                "rename": lambda path: os.rename(path, beside(path)), "replace": lambda path: os.rename(other(path), path),
                "exchange": exchange, "remove": os.unlink, "rmdir": os.rmdir,
                "link": lambda path: os.link(path, beside(path), follow_symlinks=False),
                "chmod": lambda path: os.chmod(path, 0o755 if os.path.isdir(path) else 0o644),
                "chown": lambda path: os.chown(path, 61001, 61101),
                "setxattr": lambda path: os.setxattr(path, "user.note", b"n"),
                "create": opened(os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "mkdir": os.mkdir,
                "symlink": lambda path: os.symlink("x", path), "mkfifo": os.mkfifo,
            }
            sealed("production/meta/meta_checkpoints/epoch_1.pkl", 'printf "\\\\200\\\\004K\\\\001." > "$1"')
            def ask(case):
                name, path = case
                said = subprocess.run([binary, "explain", "--json", name, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                try:
                    answer = json.loads(said.stdout)
                    status = 0 if answer["allowed"] else 1
                    return (answer["errno"] or "ok") + ("" if said.returncode == status else f" with status {said.returncode}")
                except ValueError: return said.stdout.decode()
            asked, pool = 0, ThreadPoolExecutor(4)
            for kind, make in subjects.items():
                names = list(operations)
                # In the directory that the mount point is in, another file system answers.
                if kind == "root": names = ["read", "chmod", "setxattr"]
                # It goes away by a rename, and not by one to a name beside it.
                if kind == "kept back": names = [name for name in names if name not in ("rename", "exchange")]
                # What moves there comes from another session and is copied: EXDEV, whatever is there.
                if "frozen scratch" in kind: names = [name for name in names if name not in ("replace", "exchange")]
                cases = [(name, make()) for name in names]
                for (name, path), explained in zip(cases, pool.map(ask, cases)):
                    try: operations[name](path); did = "ok"
                    except OSError as e: did = errno.errorcode[e.errno].replace("ENOTSUP", "EOPNOTSUPP")
                    asked += 1
                    if did != explained: print(f"{name} of {kind} ({path}): the mount says {did}, explain says {explained}")
            print(asked, "asked")
            """

        @Test(.enabled(if: geteuid() == 0, "modes are not part of the answer")) func explainSaysWhatTheMountDoes()
            throws
        {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            let frozen = "20200101_000000"
            try Mount.initialize(store: store)
            let old = store + "/base_layer/dev/" + frozen
            #expect(try run(["mkdir", "-p", old + "/scratch/d"]).succeeded)
            try write(table, to: old + "/scratch/f")
            try write(table, to: old + "/analysis_sequences_chr1.tsv")
            let mount = try Mount(store: store, MountVariant())
            let outcome = try python(Self.script, [try Mount.binary(), mount.root, frozen], timeout: 500)
            #expect(outcome.succeeded && outcome.output.hasSuffix(" asked\n"), "\(outcome)")
            let lines = outcome.output.split(separator: "\n").dropLast()
            #expect(lines.isEmpty, "\(outcome.output)\(outcome.errors)")
        }

        /// What a read-only mount refuses its kernel refuses, which looks first whether there is what would change.
        private static let readOnlyScript = """
            import ctypes, errno, json, os, subprocess, sys
            from concurrent.futures import ThreadPoolExecutor
            binary, root, frozen = sys.argv[1:]
            os.chdir(root)
            kept = os.listdir(".artifactfs/quarantine")[0].removesuffix(".reason.json")
            old, typed = f"development/{frozen}", "base/analysis_sequences"
            paths = [
                "production", "production/base", "production/" + typed, f"production/{typed}/chr1.tsv", f"production/{typed}/chr9.tsv",
                f"production/{typed}/x.csv", f"production/{typed}/chr1.tsv/x", "production/none/x", "development", "test", old,
                old + "/scratch", old + "/scratch/d", old + "/scratch/f", old + "/scratch/none", old + "/scratch/f/x", "new",
                f"{old}/{typed}/chr1.tsv", f"{old}/{typed}/chr2.tsv", ".artifactfs", ".artifactfs/status.json", ".artifactfs/new",
                ".artifactfs/quarantine", ".artifactfs/quarantine/new", ".artifactfs/quarantine/" + kept,
                ".artifactfs/quarantine/" + kept + ".reason.json", "development/current", "development/20210101_000000", "test/t",
            ]
            def opened(flags): return lambda path: os.close(os.open(path, flags, 0o644))
            def exchange(path):
                libc = ctypes.CDLL(None, use_errno=True)
                if libc.renameat2(-100, path.encode(), -100, b"production/other", 2): raise OSError(ctypes.get_errno(), "")
            operations = {
                "read": opened(os.O_RDONLY), "overwrite": opened(os.O_WRONLY | os.O_CREAT | os.O_TRUNC),
                "write": opened(os.O_WRONLY | os.O_CREAT | os.O_APPEND), "truncate": lambda path: os.truncate(path, 0),
                "rename": lambda path: os.rename(path, "production/other"), "replace": lambda path: os.rename("production/other", path),
                "exchange": exchange, "remove": os.unlink, "rmdir": os.rmdir,
                "link": lambda path: os.link(path, "production/other", follow_symlinks=False),
                "chmod": lambda path: os.chmod(path, 0o755), "chown": lambda path: os.chown(path, 61001, 61101), "setxattr": lambda path: os.setxattr(path, "user.note", b"n"),
                "create": opened(os.O_WRONLY | os.O_CREAT | os.O_TRUNC), "mkdir": os.mkdir,
                "symlink": lambda path: os.symlink("x", path), "mkfifo": os.mkfifo,
            }
            def ask(case):
                name, path = case
                said = subprocess.run([binary, "explain", "--json", name, path], stdout=subprocess.PIPE, stderr=subprocess.STDOUT)
                try: return json.loads(said.stdout)["errno"] or "ok"
                except ValueError: return said.stdout.decode()
            cases, pool = [(name, path) for path in paths for name in operations], ThreadPoolExecutor(4)
            for (name, path), explained in zip(cases, pool.map(ask, cases)):
                try: operations[name](path); did = "ok"
                except OSError as e: did = errno.errorcode[e.errno].replace("ENOTSUP", "EOPNOTSUPP")
                if did != explained: print(f"{name} of {path}: the mount says {did}, explain says {explained}")
            print(len(cases), "asked")
            """

        @Test(.enabled(if: geteuid() == 0, "modes are not part of the answer")) func aReadOnlyMountSaysTheSame() throws
        {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            let frozen = "20200101_000000"
            try Mount.initialize(store: store)
            let old = store + "/base_layer/dev/" + frozen
            #expect(try run(["mkdir", "-p", old + "/scratch/d"]).succeeded)
            for path in [
                old + "/scratch/f", old + "/analysis_sequences_chr1.tsv",
                store + "/base_layer/analysis_sequences_chr1.tsv",
            ] { try write(table, to: path) }
            // Something that another mount kept back.
            let other = try Mount(store: store)
            _ = try? write("a\tb\n1\n", to: other.production("base/splice_errors/chr1.tsv"))
            #expect(other.settle() && !other.quarantined().isEmpty)
            try other.unmount()
            let mount = try Mount(store: store, MountVariant(readOnly: true))
            let outcome = try python(Self.readOnlyScript, [try Mount.binary(), mount.root, frozen], timeout: 300)
            #expect(outcome.succeeded && outcome.output.hasSuffix(" asked\n"), "\(outcome)")
            #expect(outcome.output.split(separator: "\n").count == 1, "\(outcome.output)\(outcome.errors)")
        }

        /// What is being written is its own job's to read: whoever else asks is told so.
        @Test func whoAsksMatters() throws {
            let mount = try Mount()
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            let outcome = try python(
                """
                import os, subprocess, sys
                binary, path = sys.argv[1:]
                file = open(path, "w"); file.write("a\\tb\\n"); file.flush()
                explain = [binary, "explain", "read", path]
                print(subprocess.run(explain, stdout=subprocess.PIPE).stdout.decode(), end="")
                # Daemons are of no job: the parent is gone, and the session is their own.
                pipe = os.pipe()
                if os.fork() == 0:
                    os.setsid()
                    middle = os.getpid()
                    if os.fork() == 0:
                        while os.getppid() == middle: pass
                        done = subprocess.run(explain, stdout=subprocess.PIPE)
                        try: open(path).close(); did = "opened"
                        except OSError as e: did = str(e.errno)
                        os.write(pipe[1], done.stdout + did.encode())
                    os._exit(0)
                os.wait(); os.close(pipe[1])
                print(open(pipe[0]).read())
                """, [try Mount.binary(), path])
            #expect(
                outcome.succeeded && outcome.output.hasPrefix("allowed (writing)\nrefused: EBUSY (16, "), "\(outcome)")
            #expect(outcome.output.contains("rule:    not-whole-yet\n"), "\(outcome)")
            #expect(outcome.output.hasSuffix("\n16\n"), "\(outcome)")
        }

        @Test func aReadOnlyMountRefusesEveryChange() throws {
            let mount = try Mount(MountVariant(readOnly: true))
            let path = mount.production("base/gene_manifest")
            let read = try run([try Mount.binary(), "explain", "read", path])
            #expect(read.succeeded && read.output == "allowed (a directory)\n", "\(read)")
            for (operation, name) in [("create", "gene_manifest.tsv"), ("mkdir", "x"), ("chmod", "."), ("rmdir", ".")] {
                let outcome = try run([try Mount.binary(), "explain", operation, path + "/" + name])
                #expect(outcome.status == 1 && outcome.output.hasPrefix("refused: EROFS (30, "), "\(outcome)")
                #expect(outcome.output.contains("rule:    read-only-mount\n"), "\(outcome)")
            }
        }

        /// A refusal says which file, by its path on the mount, wherever it is.
        @Test func refusalsNameWholePaths() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/model_eval"
            try Mount.initialize(store: store)
            let old = "development/20200101_000000/scratch"
            #expect(try run(["mkdir", "-p", store + "/base_layer/dev/20200101_000000/scratch/d/e"]).succeeded)
            try write("x", to: store + "/base_layer/dev/20200101_000000/scratch/d/f")
            let mount = try Mount(store: store)
            let outcome = try python(
                """
                import os, sys
                os.chdir(sys.argv[1])
                for try_ in [
                    lambda: os.mkdir(f"{sys.argv[2]}/d/new"), lambda: os.unlink(f"{sys.argv[2]}/d/f"),
                    lambda: os.rmdir(f"{sys.argv[2]}/d/e"), lambda: os.symlink("x", f"{sys.argv[2]}/link"),
                    lambda: os.setxattr(f"{sys.argv[2]}/d/f", "user.note", b"x"), lambda: os.mkdir(".artifactfs/new"),
                    lambda: os.setxattr("production/base", "user.note", b"x"),
                ]:
                    try: try_(); print("allowed")
                    except OSError: pass
                """, [mount.root, old])
            #expect(outcome.succeeded && outcome.output.isEmpty, "\(outcome)")
            let paths = mount.denials().map {
                $0.split(separator: #""path":""#, maxSplits: 1).last?.prefix { $0 != "\"" }
            }
            #expect(
                paths == [
                    "\(old)/d/new", "\(old)/d/f", "\(old)/d/e", "\(old)/link", "\(old)/d/f", ".artifactfs/new",
                    "production/base",
                ])
        }
    }
}
