import Glibc
import TestSupport
import Testing

/// `artifactfs mirror` with `gs://`: against a server that judges signatures, checksums and conditions as Google's Cloud Storage says that it does.
extension MountedTests {
    @Suite struct GoogleMirrorTests {
        private static let secret = "the-secret-of-a-test"
        private let files: TemporaryDirectory
        private let server: Child
        private let store: String
        private let endpoint: String

        private static let large = "production/meta/meta_checkpoints/checkpoint-6"

        init() throws {
            files = try TemporaryDirectory()
            let script = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Mirror/google.py"
            server = try Child([environmentValue("ARTIFACTFS_TEST_PYTHON") ?? "python3", script, files.path])
            let (server, port) = (server, files.path + "/port")
            let isThere = eventually(within: 60) { !server.isRunning || access(port, F_OK) == 0 }
            try #require(isThere && server.isRunning, "\(server.output) \(server.errors)")
            endpoint = "http://127.0.0.1:\(try contents(port))"
            store = files.path + "/store"
            try Mount.initialize(store: store)
            try produce(
                """
                printf 'a\\tb\\n1\\t2\\n' > production/base/splice_errors/chr1.tsv
                mkdir \(Self.large); head -c 20000000 /dev/zero > \(Self.large)/weights; echo 1 > '\(Self.large)/a b%.json'
                """)
        }

        private func produce(_ script: String) throws {
            let mount = try Mount(store: store)
            let made = try run(["bash", "-ec", script], directory: mount.root)
            try #require(made.succeeded && mount.settle(), "\(made)")
            #expect(try mount.unmount() == 0)
        }

        private func mirror(_ words: String..., environment: [String: String] = [:]) throws -> Outcome {
            let none = [
                "AWS_ACCESS_KEY_ID": "", "AWS_SECRET_ACCESS_KEY": "", "AWS_SESSION_TOKEN": "", "AWS_PROFILE": "",
                "HOME": files.path, "GS_ACCESS_KEY_ID": "GOOGTEST", "GS_SECRET_ACCESS_KEY": Self.secret,
            ]
            return try run(
                [try Mount.binary(), "mirror"] + words, environment: none.merging(environment) { $1 })
        }

        private func add(_ name: String = "m", environment: [String: String] = [:]) throws -> Outcome {
            try mirror(
                "add", name, "gs://lab-results/\(name)", "--endpoint", endpoint, "--store", store,
                environment: environment)
        }

        /// Where the server has what it was sent, by a part of the key.
        private func object(_ part: String) throws -> String {
            let found = try shell(
                "for x in *; do case $x in *.json.json) ;; *\(part)*) echo $x; break;; esac; done",
                in: files.path + "/objects")
            return files.path + "/objects/" + (found.output.split(separator: "\n").first.map(String.init) ?? "none")
        }

        private func hashes(_ store: String) throws -> String {
            try shell(
                """
                find base_layer meta_layer .artifactfs/ledger .artifactfs/manifests .artifactfs/schema.yaml -name dev -prune \
                -o -type f -print0 | LC_ALL=C sort -z | xargs -0 sha256sum
                """, in: store
            ).output
        }

        @Test func aStoreComesBackFromGoogle() throws {
            let added = try add()
            #expect(added.succeeded && added.output.contains("gs://lab-results/m/"), "\(added)")
            let pushed = try mirror("push", "m", "--store", store)
            #expect(pushed.succeeded && pushed.output.contains("has 2 artifacts"), "\(pushed)")
            // However large: nothing is put together from parts, where no condition is known.
            let requests = try contents(files.path + "/requests")
            #expect(!requests.contains("upload") && requests.contains("weights"))
            let told = try shell(
                "for x in objects/*; do if [ -f \"$x.json\" ]; then cat \"$x.json\"; fi; done", in: files.path)
            #expect(told.output.contains("x-goog-generation"))
            for facts in told.output.split(separator: "}") {
                #expect(facts.contains("\"condition\": \"0\"") && facts.contains("x-goog-meta-sha256"), "\(facts)")
                #expect(!facts.contains("\"md5\": null"), "\(facts)")
            }
            #expect(try mirror("status", "--store", store).succeeded)
            // The ledger says which generation has each.
            let noted = try shell("grep -h '\"event\":\"mirrored\"' .artifactfs/ledger/*.jsonl", in: store)
            let first = try object("m%2Fartifacts%2Fbase_layer%2Fsplice_errors_chr1")
            let generation = try contents(first + ".json").split(separator: "\"x-goog-generation\": \"")[1].prefix {
                $0 != "\""
            }
            #expect(noted.output.contains("\"object_version\":\"\(generation)\""), "\(noted)")
            for words in [[], ["--read"]] {
                let verified = try run(
                    [try Mount.binary(), "mirror", "verify", "--store", store] + words,
                    environment: ["GS_ACCESS_KEY_ID": "GOOGTEST", "GS_SECRET_ACCESS_KEY": Self.secret])
                #expect(verified.succeeded, "\(verified)")
            }
            let target = files.path + "/again"
            let restored = try mirror("restore", "gs://lab-results/m", target, "--endpoint", endpoint)
            #expect(restored.succeeded, "\(restored)")
            #expect(try hashes(target) == hashes(store))
            #expect(try hashes(store).contains("weights"))
            // More is a second snapshot; what another push knows is found by the server's list, page by page.
            try produce("printf 'a\\tb\\n5\\t6\\n' > production/base/splice_errors/chr3.tsv")
            _ = try shell("rm '\(store)/.artifactfs/mirrors/m/sent' '\(store)/.artifactfs/mirrors/m/last.jsonl'")
            let more = try mirror("push", "m", "--store", store)
            #expect(more.succeeded && more.output.contains("snapshot 2 has 3 artifacts"), "\(more)")
            #expect(try shell("grep -rl '\(Self.secret)' '\(store)' '\(target)'").status == 1)
        }

        @Test func nothingIsOverwrittenAtGoogle() throws {
            #expect(try add().succeeded)
            #expect(try add("o").succeeded)
            #expect(try mirror("push", "m", "--store", store).succeeded)
            // Another program's, under the name that the second mirror would give.
            let sent = try object("m%2Fartifacts%2Fbase_layer%2Fsplice_errors_chr1")
            try #require(access(sent, F_OK) == 0)
            let theirs = sent.replacing("/m%2F", with: "/o%2F")
            try write("other bytes", to: theirs)
            let refused = try mirror("push", "o", "--store", store)
            #expect(refused.status == 1 && refused.errors.contains("nothing was overwritten"), "\(refused)")
            #expect(refused.errors.contains("gs://lab-results/o/"), "\(refused)")
            #expect(try contents(theirs) == "other bytes")
            // An answer that was lost: the same is there, by its hash, and counts as sent.
            unlink(theirs)
            try write("", to: files.path + "/lose")
            let again = try mirror("push", "o", "--store", store)
            #expect(again.succeeded && again.output.contains("has 2 artifacts"), "\(again)")
            #expect(access(files.path + "/lose", F_OK) != 0)
            // What was changed there is seen.
            try write("A\tb\n1\t2\n", to: sent)
            #expect(try mirror("verify", "m", "--read", "--store", store).status == 1)
            #expect(try mirror("restore", "gs://lab-results/m", files.path + "/x", "--endpoint", endpoint).status == 1)
        }

        @Test func googlesKeysAreItsOwn() throws {
            let none = ["GS_ACCESS_KEY_ID": "", "GS_SECRET_ACCESS_KEY": ""]
            let nobody = try add(environment: none)
            #expect(nobody.status == 2 && nobody.errors.contains("GS_ACCESS_KEY_ID"), "\(nobody)")
            let wrong = try add(environment: ["GS_SECRET_ACCESS_KEY": "another"])
            #expect(wrong.status == 2 && wrong.errors.contains("SignatureDoesNotMatch (403)"), "\(wrong)")
            // Its own names come before AWS's, which are for another mirror.
            let both = try add(environment: ["AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "x"])
            #expect(both.succeeded, "\(both)")
            let named = ["AWS_ACCESS_KEY_ID": "GOOGTEST", "AWS_SECRET_ACCESS_KEY": Self.secret]
            #expect(try add("n", environment: none.merging(named) { $1 }).succeeded)
            let gone = try mirror("add", "x", "gs://not-there/x", "--endpoint", endpoint, "--store", store)
            #expect(gone.status == 2 && gone.errors.contains("NoSuchBucket"), "\(gone)")
        }
    }
}
