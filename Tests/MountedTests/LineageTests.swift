import Foundation
import Glibc
import TestSupport
import Testing

/// SEMANTICS 4.1: from what an artifact was made, and what was made from it.
extension MountedTests {
    @Suite struct LineageTests {
        private func lineage(_ arguments: String..., user: User? = nil, locale: String = "C.UTF-8") throws -> Outcome {
            try run(
                [try Mount.binary(), "lineage"] + arguments, environment: ["LC_ALL": locale], user: user, timeout: 60)
        }

        /// Makes an artifact by a program that says from what.
        private func make(_ path: String, from inputs: [String], on mount: Mount, mode: Int = 0o644) throws {
            let script = """
                import json, os, sys
                with open(sys.argv[1], "w") as file:
                    os.fchmod(file.fileno(), int(sys.argv[2]))
                    if sys.argv[3:]: os.setxattr(file.fileno(), "user.artifact.inputs", json.dumps(sys.argv[3:]).encode())
                    file.write("a\\tb\\n%s\\t2\\n" % os.path.basename(sys.argv[1]))
                """
            let outcome = try python(script, [mount.path(path), String(mode)] + inputs)
            #expect(outcome.succeeded, "\(outcome)")
            if path.hasPrefix("production") { #expect(mount.isSealed(mount.path(path)), "log: \(mount.log)") }
        }

        private let a = "production/base/analysis_sequences/chr1.tsv"
        private let b = "production/base/splice_errors/chr1.tsv"
        private let c = "production/base/splice_errors/chr2.tsv"

        @Test func upAndDown() throws {
            let mount = try Mount()
            try make(a, from: [], on: mount)
            try make(b, from: [a, "/data/hg38.fa"], on: mount)
            try make(c, from: [b, a], on: mount)
            let up = try lineage(mount.path(c))
            #expect(up.succeeded, "\(up)")
            let lines = up.output.split(separator: "\n").map(String.init)
            #expect(lines[0] == c && lines.contains("├─ \(b)") && lines.contains("│  └─ /data/hg38.fa"), "\(up)")
            #expect(lines.contains("└─ \(a) (above), declared"), "\(up)")
            #expect(lines.contains { $0.hasPrefix("│  │      declared, 20") }, "\(up)")
            #expect(lines.contains { $0.hasSuffix("inputs were not recorded") }, "\(up)")
            #expect(lines.allSatisfy { $0.count <= 80 }, "\(up)")
            let down = try lineage("--down", "--depth", "1", mount.path(a), locale: "C")
            #expect(down.output.contains("\n|- \(b)\n") && down.output.contains("\n`- \(c)\n"), "\(down)")
            // By its real path, by the store alone, and a file outside the store.
            #expect(try lineage(mount.real("base_layer/splice_errors_chr2.tsv")).output == up.output)
            #expect(try lineage("--store", mount.store, c).output == up.output)
            let outside = try lineage("--down", "--store", mount.store, "/data/hg38.fa")
            #expect(outside.succeeded && outside.output.contains("└─ \(b)\n"), "\(outside)")
            let json = try lineage("--json", mount.path(c))
            let script = """
                import json, sys
                found = json.loads(sys.argv[1])
                paths = {node["id"]: node["path"] for node in found["nodes"]}
                for edge in found["edges"]: print(paths[edge["from"]], paths[edge["to"]], edge.get("how"))
                """
            let edges = try python(script, [json.output])
            #expect(
                edges.output.split(separator: "\n").sorted() == [
                    "/data/hg38.fa \(b) declared", "\(a) \(b) declared", "\(a) \(c) declared", "\(b) \(c) declared",
                ], "\(edges)")
        }

        /// Any graph, circles and long chains too, is a page of 80 columns on which each of its files stands, and a picture that is XML.
        @Test(arguments: [1, 2, 3]) func anyGraph(_ seed: Int) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/s"
            try Mount.initialize(store: store)
            let script = #"""
                import json, random, sys
                random = random.Random(int(sys.argv[1]))
                names = ["production/base/analysis_sequences/" + random.choice("abc") * random.randint(1, 90) + "%d.tsv" % n
                    for n in range(300)]
                names[7] += "\x1b[31m <&> \u202e\u4e2d\u6587"
                for n, name in enumerate(names):
                    others = ([names[n - 1]] if n else []) + random.sample(names, random.randint(0, 2))
                    inputs = [{"path": other, "sha256": "h" + other, "how": random.choice(["process", "declared", "job"])}
                        for other in others]
                    if n % 10 == 0: inputs.append({"path": "development/x/scratch/%d" % n, "how": "pipe"})
                    record = {"artifact": {"path": name, "sha256": "h" + name}, "inputs": inputs,
                        "writer": {"argv": ["/bin/x", "y" * random.randint(0, 200), "\n"]}}
                    print(json.dumps({"seq": n + 1, "prev": "", "time": "2026-02-15T14:30:22.%09dZ" % n, "event": "sealed",
                        "mount": "m", "staged": str(n), "directory": "base_layer", "name": "n%d" % n, "inode": 1, "size": 8,
                        "modified": "2026-02-15T14:30:21.000000000Z", "sha256": "h" + name, "record": record},
                        separators=(",", ":")))
                print(names[-1], file=sys.stderr)
                """#
            let ledger = try run(["/usr/bin/python3", "-c", script, String(seed)])
            try write(ledger.output, to: store + "/.artifactfs/ledger/node7.jsonl")
            let path = String(ledger.errors.dropLast())
            let tree = try lineage("--store", store, "--possible", path)
            #expect(tree.succeeded, "\(tree.errors)")
            for line in tree.output.split(separator: "\n") {
                #expect(line.unicodeScalars.count <= 80, "\(line)")
                #expect(!line.unicodeScalars.contains { $0.properties.generalCategory == .control }, "\(line)")
            }
            // The chain is longer than a page is wide.
            #expect(tree.output.contains(" (below)") && tree.output.contains(" (above)"))
            let unfolded = tree.output.split { $0.isWhitespace || "├─└│".contains($0) }.joined()
            for number in [0, 1, 150, 298] { #expect(unfolded.contains("\(number).tsv"), "\(number)") }
            let picture = try lineage("--store", store, "--possible", "--svg", path)
            let parsed = try run(
                ["/usr/bin/python3", "-c", "import sys, xml.dom.minidom as x; x.parseString(sys.stdin.buffer.read())"],
                input: picture.output)
            #expect(picture.succeeded && parsed.succeeded, "\(picture.errors) \(parsed.errors)")
            let graph = try lineage("--store", store, "--possible", "--json", path)
            let counted = try run(
                ["/usr/bin/python3", "-c", "import json, sys; print(len(json.load(sys.stdin)['nodes']))"],
                input: graph.output)
            #expect(counted.output == "330\n", "\(counted)")
        }

        @Test func whatIsNotThere() throws {
            let mount = try Mount()
            #expect(try lineage(mount.path(a)).status == 2)
            #expect(try lineage("/etc/passwd").status == 2)
            #expect(try lineage("--store", "/etc", a).status == 3)
            #expect(try lineage().status == 64)
            #expect(try lineage("--depth", "0", mount.path(a)).status == 64)
            #expect(try lineage("--json", "--dot", mount.path(a)).status == 64)
            try make(a, from: [], on: mount)
            let version = try lineage(mount.path(a) + "@2")
            #expect(version.status == 1 && version.errors.contains("a version 2 of"), "\(version)")
            #expect(try lineage(mount.path(a) + "@1").output == lineage(mount.path(a)).output)
            let session = mount.session("base/splice_errors/chr1.tsv")
            try write(table, to: session)
            #expect(try lineage(session).status == 1)
        }

        /// What was made from a session's file is made from what that was promoted to; another artifact at the same path is another version.
        @Test func overPromotionsAndVersions() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/s"
            try Mount.initialize(store: store)
            var mount = try Mount(store: store)
            let session = "development/\(mount.sessionName)/base/analysis_sequences/chr1.tsv"
            try make(session, from: [], on: mount)
            try make(b, from: [session], on: mount)
            #expect(try run(["mv", mount.path(session), mount.path(a)]).succeeded && mount.isSealed(mount.path(a)))
            let up = try lineage(mount.path(b))
            #expect(up.output.contains("└─ \(a)\n") && up.output.contains("found by its name only"), "\(up)")
            let unfolded = up.output.split(whereSeparator: \.isWhitespace).joined()
            #expect(unfolded.contains("promotedfrom\(session)"), "\(up)")
            #expect(try lineage("--down", mount.path(session)).output.contains("└─ \(b)\n"))
            // Removed at its real path, and made again.
            try mount.unmount()
            #expect(try run(["rm", mount.real("base_layer/analysis_sequences_chr1.tsv")]).succeeded)
            mount = try Mount(store: store)
            try make(a, from: [b], on: mount)
            let again = try lineage(mount.path(a))
            #expect(again.output.hasPrefix("\(a) (version 2)\n"), "\(again)")
            #expect(again.output.contains("   └─ \(a)\n"), "\(again)")
            #expect(again.output.contains("what is at this path now is a later version"), "\(again)")
            let down = try lineage("--down", mount.path(a))
            #expect(down.output.contains("1 other version of it is known: --all-versions"), "\(down)")
        }

        /// Two versions that a program with another argument made, and what was made from each.
        @Test func whatDiffers() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/s"
            try Mount.initialize(store: store)
            let script = #"""
                set -e
                cd "$1/production/base"
                printf 'a\tb\n%s\t2\n' "$2" > analysis_sequences/chr1.tsv
                "$0" wait analysis_sequences/chr1.tsv
                python3 - splice_errors/chr1.tsv <<'END'
                import os, sys
                with open(sys.argv[1], "w") as file:
                    os.setxattr(file.fileno(), "user.artifact.inputs", b"production/base/analysis_sequences/chr1.tsv")
                    file.write(open("analysis_sequences/chr1.tsv").read() + "3\t4\n")
                END
                "$0" wait splice_errors/chr1.tsv
                """#
            for version in ["one", "two"] {
                let mount = try Mount(store: store)
                // Not by its standard input: what is in a command line is to differ.
                let file = directory.path + "/job.sh"
                try write(script, to: file)
                let outcome = try run(
                    ["bash", "-c", ". \(file)", try Mount.binary(), mount.root, version], directory: directory.path)
                #expect(outcome.succeeded, "\(outcome); log: \(mount.log)")
                #expect(mount.isSealed(mount.path(b)), "log: \(mount.log)")
                try mount.unmount()
                if version == "one" { #expect(try shell("rm -f \(store)/base_layer/*.tsv").succeeded) }
            }
            func diff(_ arguments: String...) throws -> Outcome {
                try run([try Mount.binary(), "lineage", "diff", "--store", store] + arguments, timeout: 60)
            }
            let found = try diff(b + "@1", b)
            #expect(found.status == 1, "\(found)")
            for words in ["bytes         not the same", "made from     \(a)", "arguments", "begins at     \(a)"] {
                #expect(found.output.contains(words), "\(words) in \(found)")
            }
            #expect(found.output.split(separator: "\n").allSatisfy { $0.count <= 80 }, "\(found)")
            let json = try diff("--json", b + "@1", b)
            #expect(json.status == 1 && json.output.contains(#""begins_here":true"#), "\(json)")
            let same = try diff(b, b)
            #expect(same.status == 0 && same.output.contains("made alike, as far as is known"), "\(same)")
            #expect(try diff(b + "@3", b).status == 2)
            #expect(try diff(b, "production/base/splice_errors/chr9.tsv").status == 2)
            #expect(try run([try Mount.binary(), "lineage", "diff", "--store", "/etc", a, b]).status == 2)
        }

        /// An ordinary user of a mount for all sees what that user may read, and of the rest that it is not to be read.
        @Test(.enabled(if: geteuid() == 0, "another user looks")) func usersSeeWhatTheyMayRead() throws {
            let mount = try Mount(MountVariant(allowOther: true))
            try make(a, from: [], on: mount, mode: 0o600)
            try make(b, from: [a], on: mount)
            try make(c, from: [b], on: mount, mode: 0o644)
            let up = try lineage(mount.path(c), user: .nobody)
            #expect(up.succeeded && up.output.contains("└─ \(b)\n") && up.output.contains("└─ \(a)\n"), "\(up)")
            #expect(up.output.contains("its record is not this user's to read"), "\(up)")
            let json = try lineage("--json", mount.path(c), user: .nobody)
            let hidden = try python(
                """
                import json, sys
                node = [n for n in json.loads(sys.argv[1])["nodes"] if n["path"] == sys.argv[2]][0]
                print(node["nature"], node["hidden"], "record" in node)
                """, [json.output, a])
            #expect(hidden.output == "file True False\n", "\(hidden)")
            let down = try lineage("--down", mount.path(b), user: .nobody)
            #expect(down.succeeded && down.output.contains("└─ \(c)\n"), "\(down)")
            // Root sees all.
            #expect(try !lineage(mount.path(c)).output.contains("not this user's"))
        }
    }
}
