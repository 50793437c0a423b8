import Foundation
import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs serve` and `report`, in a real browser.
    @Suite struct PagesTests {
        private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Pages"
        /// Where the screenshots are kept.
        private static let pictures =
            URL(fileURLWithPath: #filePath).deletingLastPathComponent().deletingLastPathComponent()
            .deletingLastPathComponent().path + "/.build/test-output/pages"

        /// Three runs that measured something and made artifacts, artifacts made from others, and one that was kept back.
        private func production(_ mount: Mount) throws {
            let script = """
                import os, struct, sys, zlib
                def chunk(kind, data):
                    return struct.pack(">I", len(data)) + kind + data + struct.pack(">I", zlib.crc32(kind + data))
                image = (b"\\x89PNG\\r\\n\\x1a\\n" + chunk(b"IHDR", struct.pack(">IIBBBBB", 4, 4, 8, 2, 0, 0, 0))
                    + chunk(b"IDAT", zlib.compress((b"\\0" + b"\\x30\\x60\\x90" * 4) * 4)) + chunk(b"IEND", b""))
                rate, name = float(sys.argv[1]), sys.argv[2]
                session = "development/current/"
                import json
                with open(session + "meta/meta_metrics/training_metrics.json", "w") as file:
                    json.dump([{"epoch": e, "loss": 1 / (1 + e * rate), "auc": 1 - .5 / (1 + e * rate)} for e in range(20)], file)
                with open(session + "plots/loss.png", "wb") as file: file.write(image)
                with open("production/base/analysis_sequences/%s.tsv" % name, "w") as file:
                    file.write("gene\\tchrom\\tscore\\n")
                    for n in range(40): file.write("ENSG%02d\\t%s\\t%.4f\\n" % (n, name, (n * 7919 % 97) / 100))
                print("it went well")
                """
            try write(script, to: mount.store + "/../train.py")
            for (rate, name) in [("0.1", "chr1"), ("0.01", "chr21"), ("0.001", "chrX")] {
                let made = try run(
                    [
                        try Mount.binary(), "run", "--experiment", "splice", "--param", "lr=" + rate, "--param",
                        "model=cnn", "--param", "html=<script>alert(1)</script>", "--param", "param\u{1b}=1", "--",
                        testPython, mount.store + "/../train.py", rate, name,
                    ], directory: mount.root)
                #expect(made.succeeded, "\(made)")
            }
            #expect(mount.settle())
            let rest = try run(
                [
                    "bash", "-c",
                    """
                    cd production/base
                    head -4 analysis_sequences/chr1.tsv > splice_errors/chr1.tsv
                    echo 'a\tb' > splice_errors/chr2.tsv
                    (echo 'a\tb' > splice_errors/chrX.tsv; exit 3)
                    true
                    """,
                ], directory: mount.root)
            #expect(rest.succeeded && mount.settle(), "\(rest)")
        }

        private func serve(_ place: String, _ words: String..., user: User? = nil) throws -> (Child, url: String) {
            let server = try Child([try Mount.binary(), "serve", place] + words, user: user)
            #expect(eventually(within: 60) { server.output.hasSuffix("\n") }, "\(server.output) \(server.errors)")
            return (server, String(server.output.prefix { $0 != "\n" }))
        }

        /// As a person sees them, wide and narrow, and who is not let in.
        @Test(arguments: ["mount", "store"]) func pagesInABrowser(_ place: String) throws {
            let mount = try Mount()
            try production(mount)
            let store = place == "mount" ? mount.root : mount.store
            let report = mount.store + "/../report.html"
            let made = try run([try Mount.binary(), "report", "--store", store, "-o", report])
            #expect(made.succeeded && made.output.hasPrefix("wrote "), "\(made)")
            let (server, url) = try serve(store)
            defer { server.kill() }
            let seen = try run(
                [testPython, Self.directory + "/main.py", url, report, Self.pictures + "/" + place], timeout: 400)
            #expect(seen.succeeded && seen.output.isEmpty, "\(seen.output)\(seen.errors)")
            #expect(server.errors.isEmpty, "\(server.errors)")
        }

        /// A report is of what is asked for.
        @Test func reports() throws {
            let mount = try Mount()
            try production(mount)
            func report(_ words: String...) throws -> (Outcome, text: String) {
                let file = mount.store + "/../r.html"
                unlink(file)
                let made = try run(
                    [try Mount.binary(), "report"] + words + ["--store", mount.store, "-o", file])
                return (made, (try? contents(file)) ?? "")
            }
            let listed = try run([
                try Mount.binary(), "runs", "--store", mount.store, "--columns", "run", "--sort", "param.lr",
            ])
            let names = listed.output.split(separator: "\n").map(String.init)
            try #require(names.count == 3)
            let one = try report(names[0]).text
            #expect(
                one.contains("chrX.tsv") && !one.contains("chr21.tsv") && !one.contains(names[1])
                    && one.utf8.count < 1_000_000)
            #expect(one.contains("data:image/png;base64,") && !one.contains("<script>alert"))
            let query = try report("param.lr > 0.005", "--no-images").text
            #expect(query.contains(names[1]) && query.contains(names[2]) && !query.contains(names[0]))
            #expect(!query.contains("data:image/png") && query.contains("What differs"))
            let artifacts = try report("type = splice_errors").text
            #expect(artifacts.contains("splice_errors/chr1.tsv") && !artifacts.contains("analysis_sequences/chr21.tsv"))
            for (words, status, part) in [
                (["experiment = none"], 1, "nothing was found"), (["typ = x"], 64, "is no field"),
                ([String(names[0].prefix(8))], 2, "may be any of 3 runs"),
            ] as [([String], Int32, String)] {
                let (made, text) = try report(words[0])
                #expect(made.status == status && made.errors.replacing("\n    ", with: " ").contains(part), "\(made)")
                #expect(text.isEmpty)
            }
            let full = try run([try Mount.binary(), "report", "--store", mount.store, "-o", "/dev/full"])
            #expect(full.status == 1 && full.errors.contains("cannot write /dev/full"), "\(full)")
        }

        /// What a user may not read, no page tells.
        @Test func pagesOfAnotherUser() throws {
            try #require(geteuid() == 0)
            let mount = try Mount(MountVariant(allowOther: true))
            try production(mount)
            let hidden = mount.real("base_layer/analysis_sequences_chr21.tsv")
            #expect(chmod(hidden, 0o600) == 0)
            func page(_ target: String, user: User?) throws -> String {
                let made = try run([try Mount.binary(), "page", "--store", mount.root, "--", target], user: user)
                #expect(made.succeeded, "\(made)")
                return made.output
            }
            let path = "/artifact?path=production/base/analysis_sequences/"
            for user in [nil, User.nobody] {
                let all = try page("/artifacts", user: user)
                #expect(all.contains("chr1.tsv") && all.contains("chr21.tsv") == (user == nil))
                #expect(try page(path + "chr1.tsv", user: user).contains("ENSG02"))
                #expect(try page(path + "chr21.tsv", user: user).contains("ENSG02") == (user == nil))
                #expect(try page("/kept", user: user).contains("splice_errors/chrX.tsv") == (user == nil))
            }
        }

        @Test func whatCannotBeServed() throws {
            let mount = try Mount()
            let (server, url) = try serve(mount.root)
            defer { server.kill() }
            let port = try #require(url.split(separator: ":").last?.split(separator: "/").first.map(String.init))
            let second = try run([try Mount.binary(), "serve", mount.root, "--port", port])
            #expect(second.status == 1 && second.errors.contains("another program has the port"), "\(second)")
            #expect(try run([try Mount.binary(), "serve", "/proc"]).status == 3)
            #expect(try run([try Mount.binary(), "serve", mount.root, "--port", "70000"]).status == 64)
        }
    }
}
