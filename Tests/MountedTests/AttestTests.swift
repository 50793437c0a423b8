import Glibc
import SystemPackage
import TestSupport
import Testing

/// `artifactfs attest`: what it signs model_signing verifies, and what that signs it verifies, and both find what is changed.
extension MountedTests {
    @Suite struct AttestTests {
        private static let isSetUp = environmentValue("ARTIFACTFS_TEST_SIGNING") != nil
        private static let reason: Comment = "mount-scripts/test.sh installs model-signing"

        private let keys: TemporaryDirectory
        private var key: String { keys.path + "/key.pem" }
        private var half: String { keys.path + "/key.pub" }

        init() throws {
            keys = try TemporaryDirectory()
            let made = try run(
                [
                    "bash", "-ec",
                    """
                    umask 077
                    for name in key other; do
                        openssl ecparam -name prime256v1 -genkey -noout -out $name.pem
                        openssl pkey -in $name.pem -pubout -out $name.pub
                    done
                    """,
                ], directory: keys.path)
            try #require(made.succeeded, "\(made)")
        }

        private let one = "production/base/splice_errors/chr1.tsv"
        private let two = "production/base/splice_errors/chr2.tsv"
        private let directory = "production/meta/meta_checkpoints/checkpoint-5"

        private func production(_ mount: Mount) throws {
            let made = try run(
                [
                    "bash", "-ec",
                    """
                    (printf 'a\\tb\\n1\\t2\\n' > \(one))
                    mkdir \(directory); cd \(directory); mkdir sub 'a b' a-b
                    echo '{"a": 1}' > config.json; echo 2 > sub/y; echo 3 > 'a b/ü'; echo 4 > a-b/z; echo 5 > .hidden; echo 6 > sub.txt
                    """,
                ], directory: mount.root)
            #expect(made.succeeded && mount.settle(), "\(made)")
            let from = try run(["bash", "-c", "cat \(one) > \(two)"], directory: mount.root)
            #expect(from.succeeded && mount.settle(), "\(from)")
        }

        private func attest(_ place: String, _ words: String..., user: User? = nil) throws -> Outcome {
            try run([try Mount.binary(), "attest", "--store", place] + words, user: user)
        }

        private func verify(_ place: String, _ words: String...) throws -> Outcome {
            try run([try Mount.binary(), "attest", "--store", place, "--verify", "--public-key", half] + words)
        }

        /// The program of others.
        private func model(_ words: String...) throws -> Outcome {
            let python = environmentValue("ARTIFACTFS_TEST_SIGNING") ?? "python3"
            return try run([python, "-m", "model_signing"] + words)
        }

        private func modelVerifies(_ signature: String, _ path: String) throws -> Bool {
            let outcome = try model("verify", "key", "--public_key", half, "--signature", signature, path)
            #expect(outcome.status == (outcome.output.contains("Verification succeeded") ? 0 : 1), "\(outcome)")
            return outcome.succeeded
        }

        /// Everything in `.artifactfs` that signing may change, and where the ledgers end.
        private func state(_ mount: Mount) throws -> String {
            try shell(
                "cd '\(mount.store)/.artifactfs' && find attestations -type f 2> /dev/null | sort; wc -l ledger/*"
            ).output
        }

        private func ledgerLines(_ mount: Mount) throws -> Int {
            try shell("cat '\(mount.store)'/.artifactfs/ledger/*.jsonl").output.split(separator: "\n")
                .filter { $0.contains("\"event\":\"attested\"") }.count
        }

        // MARK: - What is signed

        @Test(.enabled(if: isSetUp, reason)) func othersVerifyWhatIsSigned() throws {
            let mount = try Mount()
            try production(mount)
            let out = keys.path + "/out"
            let signed = try attest(mount.root, "--key", key, "--out", out)
            #expect(signed.succeeded && signed.output.hasPrefix("3 artifacts are signed with the key "), "\(signed)")
            #expect(signed.output.contains("\nverify elsewhere with: model_signing verify key "), "\(signed)")
            let realPaths = [
                one: "base_layer/splice_errors_chr1.tsv", directory: "meta_layer/checkpoints/checkpoint-5",
            ]
            for (path, real) in realPaths {
                for place in [mount.path(path), mount.real(real)] {
                    #expect(try modelVerifies("\(out)/\(path).sig", place), "\(place)")
                }
            }
            #expect(try !modelVerifies("\(out)/\(one).sig", mount.path(directory)))
            // The store's own files are the same.
            let copies = try shell(
                "cd '\(mount.store)/.artifactfs/attestations' && cat */*.json | sort | sha256sum; "
                    + "cd '\(out)' && find . -type f | xargs cat | sort | sha256sum")
            let sums = copies.output.split(separator: "\n")
            #expect(sums.count == 2 && sums[0] == sums[1], "\(copies)")
            // How it was made, in a form that in-toto's own library reads.
            let read = try run([
                environmentValue("ARTIFACTFS_TEST_SIGNING") ?? "python3", "-c",
                """
                import base64, hashlib, json, sys
                from google.protobuf import json_format
                from in_toto_attestation.predicates.provenance.v1 import provenance_pb2
                from in_toto_attestation.v1 import statement_pb2
                envelope = json.load(open(sys.argv[1]))["dsseEnvelope"]
                statement = json_format.Parse(base64.b64decode(envelope["payload"]), statement_pb2.Statement())
                subject = statement.subject[0]
                assert subject.name == sys.argv[2], subject
                assert subject.digest["sha256"] == hashlib.sha256(open(sys.argv[3], "rb").read()).hexdigest()
                said = json_format.Parse(json_format.MessageToJson(statement.predicate), provenance_pb2.Provenance())
                (input,) = [d for d in said.build_definition.resolved_dependencies if d.name == sys.argv[4]]
                assert input.digest["sha256"] == subject.digest["sha256"], input
                assert said.run_details.builder.id.startswith("urn:x-artifactfs:host:")
                print(list(said.build_definition.external_parameters["argv"]))
                """, "\(out)/\(two).provenance.json", two, mount.path(two), one,
            ])
            #expect(read.output == "['cat', '\(one)']\n" || read.output.hasPrefix("['bash', '-c', "), "\(read)")
        }

        @Test(.enabled(if: isSetUp, reason)) func whatOthersSignIsVerified() throws {
            let mount = try Mount()
            try production(mount)
            let signature = keys.path + "/theirs.sig"
            for path in [one, directory] {
                let signed = try model(
                    "sign", "key", "--private_key", key, "--signature", signature, mount.path(path))
                #expect(signed.succeeded, "\(signed)")
                let verified = try verify(mount.root, path, "--signature", signature)
                #expect(verified.succeeded && verified.output.hasPrefix("1 artifact is what was signed"), "\(verified)")
            }
            let other = try verify(mount.root, one, "--signature", signature)
            #expect(other.status == 1 && other.output.contains("DIFFERS"), "\(other)")
            let both = try verify(mount.root, "--signature", signature)
            #expect(both.status == 64 && both.errors.contains("of one artifact"), "\(both)")
        }

        /// Each part of it: what was signed, the signature, the key, the bytes of the artifact. Both programs find it.
        @Test(.enabled(if: isSetUp, reason)) func whatIsChangedIsFound() throws {
            let mount = try Mount()
            try production(mount)
            let out = keys.path + "/out"
            #expect(try attest(mount.root, "--key", key, "--out", out).succeeded)
            let change = """
                import base64, json, sys
                path, part = sys.argv[1:]
                bundle = json.load(open(path)); envelope = bundle["dsseEnvelope"]
                if part == "payload":
                    text = base64.b64decode(envelope["payload"])
                    changed = text.replace(b'"name":"', b'"name":"x', 1)
                    assert changed != text
                    envelope["payload"] = base64.b64encode(changed).decode()
                if part == "signature":
                    sig = bytearray(base64.b64decode(envelope["signatures"][0]["sig"])); sig[-1] ^= 1
                    envelope["signatures"][0]["sig"] = base64.b64encode(sig).decode()
                if part == "hint":
                    bundle["verificationMaterial"]["publicKey"]["hint"] = "0" * 64
                json.dump(bundle, open(sys.argv[1] + ".changed", "w"))
                """
            for path in [one, directory] {
                for part in ["payload", "signature", "hint"] {
                    let file = "\(out)/\(path).sig"
                    let changed = try run([testPython, "-c", change, file, part])
                    #expect(changed.succeeded, "\(changed)")
                    #expect(try !modelVerifies(file + ".changed", mount.path(path)), "\(part)")
                    let ours = try verify(mount.root, path, "--signature", file + ".changed")
                    #expect(ours.status == 1 && ours.output.contains("DIFFERS: the signature "), "\(part): \(ours)")
                }
                // Of the provenance too, and where it is gone.
                let provenance = "\(out)/\(path).provenance.json"
                for part in ["payload", "signature"] {
                    #expect(try run([testPython, "-c", change, provenance, part]).succeeded)
                    let ours = try verify(mount.root, path, "--signature", provenance + ".changed")
                    #expect(ours.status == 1, "\(part): \(ours)")
                }
                #expect(try verify(mount.root, path, "--signature", provenance).succeeded)
                #expect(rename(provenance, provenance + ".gone") == 0)
                let gone = try verify(mount.root, path, "--out", out)
                #expect(gone.status == 1 && gone.output.contains("is gone"), "\(gone)")
                #expect(rename(provenance + ".gone", provenance) == 0)
                #expect(try verify(mount.root, path, "--out", out).succeeded)
            }
            let wrong = try attest(mount.root, "--verify", "--public-key", keys.path + "/other.pub", "--json")
            #expect(wrong.status == 1 && wrong.output.contains("by another key"), "\(wrong)")
            // The bytes, at the real path: of the same length, at the same time.
            let damage = try run(
                [
                    "bash", "-ec",
                    """
                    f=base_layer/splice_errors_chr1.tsv; touch -r $f t; chmod u+w $f; printf 'a\\tb\\n9\\t2\\n' > $f; chmod u-w $f; touch -r t $f
                    f=meta_layer/checkpoints/checkpoint-5/sub/y; touch -r $f t; chmod u+w $f; echo 7 > $f; chmod u-w $f; touch -r t $f; rm t
                    """,
                ], directory: mount.store)
            #expect(damage.succeeded, "\(damage)")
            for (path, real) in [
                one: "base_layer/splice_errors_chr1.tsv", directory: "meta_layer/checkpoints/checkpoint-5",
            ] {
                #expect(try !modelVerifies("\(out)/\(path).sig", mount.real(real)))
                let ours = try verify(mount.root, path)
                #expect(ours.status == 1 && ours.output.contains("\(path): DIFFERS: its SHA-256 is "), "\(ours)")
                // It is signed by nobody any more.
                let before = try state(mount)
                let signed = try attest(mount.root, path, "--key", keys.path + "/other.pem")
                #expect(signed.status == 1 && signed.output.contains("is NOT SIGNED, as it differs"), "\(signed)")
                #expect(try state(mount) == before)
            }
            #expect(try verify(mount.root, two).succeeded)
        }

        // MARK: - What is kept

        @Test func whatIsSignedIsKept() throws {
            let mount = try Mount()
            try production(mount)
            let none = try verify(mount.root, one)
            #expect(
                none.status == 1 && none.output.contains("\(one): is NOT SIGNED: the store has no signature"), "\(none)"
            )
            #expect(try attest(mount.root, one, "--key", key).succeeded)
            let before = try state(mount)
            let again = try attest(mount.store, one, "--key", key)
            #expect(again.succeeded && again.output.contains("(1 of them before), kept in the store"), "\(again)")
            #expect(try state(mount) == before && ledgerLines(mount) == 1)
            // Without a mount too.
            #expect(try attest(mount.store, "type = splice_errors", "--key", key).succeeded)
            #expect(try verify(mount.store, "type = splice_errors").output.hasPrefix("2 artifacts are what was signed"))
            let history = try run([try Mount.binary(), "history", mount.path(one)])
            #expect(history.output.contains("  attested "), "\(history)")
            #expect(try run([try Mount.binary(), "audit", mount.store]).output.contains(" is whole: "))
            _ = try mount.unmount()
            #expect(try verify(mount.store, one).succeeded)
            // Who was killed while it wrote to --out, before the signature: it goes on, and nothing is signed twice.
            let out = keys.path + "/kept"
            let other = keys.path + "/other.pem"
            #expect(try attest(mount.store, one, "--key", other, "--out", out).succeeded)
            let (file, provenance) = ("\(out)/\(one).sig", try contents("\(out)/\(one).provenance.json"))
            for keepsStore in [true, false] {
                if !keepsStore { _ = try shell("rm -rf '\(mount.store)/.artifactfs/attestations'") }
                #expect(unlink(file) == 0)
                let again = try attest(mount.store, one, "--key", other, "--out", out)
                #expect(again.succeeded && access(file, F_OK) == 0, "\(again)")
                #expect(try contents("\(out)/\(one).provenance.json") == provenance)
            }
            #expect(try attest(mount.store, one, "--key", key).succeeded)
            let page = try run([try Mount.binary(), "show", "--store", mount.store, one])
            #expect(page.output.contains("\nsigned      with 2 keys: "), "\(page)")
            // A signature of which the ledger does not tell, as a kill leaves it, gets its line.
            let store = try TemporaryDirectory()
            let copied = try shell(
                """
                cp -a '\(mount.store)' '\(store.path)/s' && cd '\(store.path)/s/.artifactfs/ledger'
                n=$(grep -n '"event":"attested"' *.jsonl | head -n 1 | cut -d: -f1); head -n $((n - 1)) *.jsonl > x; cat x > *.jsonl; rm x
                """)
            #expect(copied.succeeded, "\(copied)")
            let told = try attest(store.path + "/s", one, "--key", key)
            #expect(told.succeeded && told.output.contains("1 of them before"), "\(told)")
            let line = try shell("grep -c '\"event\":\"attested\"' '\(store.path)'/s/.artifactfs/ledger/*.jsonl")
            #expect(line.output == "1\n", "\(line)")
        }

        /// Who is killed at any moment leaves all of an artifact's signatures or none, and no ledger that is not whole.
        @Test(.enabled(if: EdgesHarness.canTrace, "needs strace")) func killedAtAnyMoment() throws {
            let mount = try Mount()
            try production(mount)
            var (kills, counts) = (0, Set<Int>())
            // The calls by which anything is changed on disk.
            for call in ["write", "fsync", "fdatasync", "renameat2", "mkdirat", "unlinkat", "openat"] {
                for number in 1...200 {
                    // Most of what is opened is only read.
                    if call == "openat", number % 12 != 0 { continue }
                    let outcome = try run([
                        "strace", "-f", "-qq", "-o", "/dev/null", "-e", "trace=\(call)", "-e",
                        "inject=\(call):signal=SIGKILL:when=\(number)", try Mount.binary(), "attest", "--store",
                        mount.store, "--key", key, one, directory,
                    ])
                    if outcome.succeeded { break }
                    kills += 1
                    let checked = try verify(mount.store, one, directory, "--json")
                    let what = "\(call) \(number): \(checked)"
                    #expect(checked.status == 0 || checked.status == 1, "\(what)")
                    #expect(!checked.output.contains("\"differs\""), "\(what)")
                    counts.insert(checked.output.split(separator: "\n").filter { $0.contains("\"good\"") }.count)
                    let audit = try run([try Mount.binary(), "audit", mount.store])
                    #expect(audit.output.contains(" is whole: "), "\(call) \(number): \(audit)")
                    _ = try shell("rm -rf '\(mount.store)/.artifactfs/attestations'")
                }
            }
            #expect(kills > 10 && counts == [0, 1, 2], "\(kills) kills, \(counts) were signed by then")
            #expect(try attest(mount.store, "--key", key).succeeded)
            #expect(
                try run([try Mount.binary(), "attest", "--store", mount.store, "--verify", "--public-key", half])
                    .succeeded)
        }

        // MARK: - What is refused

        @Test func whatCannotBeSignedIsSaid() throws {
            let mount = try Mount()
            try production(mount)
            try write("a\tb\n1\t2\n", to: mount.session("base/splice_errors/chr3.tsv"))
            let made = try run(
                [
                    "bash", "-ec",
                    """
                    umask 077
                    openssl genpkey -algorithm ed25519 -out kind.pem; openssl ecparam -name secp384r1 -genkey -noout -out curve.pem
                    openssl pkcs8 -topk8 -in key.pem -passout pass:x -out locked.pem; : > empty.pem; mkdir directory.pem; mkfifo fifo.pem
                    cp key.pem open.pem; chmod 644 open.pem; echo x > file; head -c 100000 /dev/zero > long.pem
                    """,
                ], directory: keys.path)
            #expect(made.succeeded, "\(made)")
            let before = try state(mount)
            for (name, part) in [
                ("none.pem", "No such file"), ("kind.pem", "another kind (ED25519)"), ("curve.pem", "secp384r1"),
                ("locked.pem", "it has a passphrase"), ("empty.pem", "no private key in PEM"),
                ("directory.pem", "no plain file"), ("fifo.pem", "no plain file"), ("key.pub", "it is the public key"),
                ("open.pem", "chmod 600"), ("long.pem", "too long"),
            ] {
                let refused = try attest(mount.root, one, "--key", keys.path + "/" + name)
                #expect(refused.status == 2 && refused.errors.contains(part), "\(name): \(refused)")
                #expect(refused.errors.split(separator: "\n").count == 1 && refused.output.isEmpty, "\(refused)")
            }
            let wrongHalf = try attest(mount.root, one, "--verify", "--public-key", key)
            #expect(wrongHalf.status == 2 && wrongHalf.errors.contains("it is the private key"), "\(wrongHalf)")
            for (words, status, part) in [
                (["--key", key, "/etc/passwd"], 2, "neither on a mount"),
                (["--key", key, mount.session("base/splice_errors/chr3.tsv")], 2, "not in production"),
                (["--key", key, "production/base/splice_errors/chr9.tsv"], 2, "not sealed"),
                (["--key", key, "type = gene_manifest"], 2, "nothing was found"),
                (["--key", key, "typ = x"], 64, "query"),
                ([one], 64, "--key KEY"), (["--verify", one], 64, "--public-key PUB"),
                (["--verify", "--key", key, "--public-key", half, one], 64, "--key"),
                (["--key", key, "--signature", half, one], 64, "--verify"),
                (["--key", key, one, "--out", keys.path + "/file"], 2, "no directory"),
                (["--key", key, one, "--out", "/proc/x"], 1, "cannot write"),
                (["--verify", "--public-key", half, one, "--out", keys.path + "/none"], 2, "is not there"),
                (["--verify", "--public-key", half, one, "--signature", keys.path + "/none"], 2, "is not there"),
                (["--verify", "--public-key", half, one, "--signature", keys.path + "/file"], 1, "is no JSON object"),
                (["--verify", "--public-key", half, one, "--signature", keys.path + "/fifo.pem"], 2, "cannot read"),
            ] as [([String], Int32, String)] {
                let refused = try run([try Mount.binary(), "attest"] + words, directory: mount.root)
                #expect(
                    refused.status == status && (refused.errors + refused.output).contains(part), "\(words): \(refused)"
                )
            }
            // Nothing is replaced.
            let out = keys.path + "/out"
            #expect(
                try shell("mkdir -p '\(out)/production/base/splice_errors'; echo x > '\(out)/\(one).sig'").succeeded)
            let there = try attest(mount.root, one, "--key", key, "--out", out)
            #expect(there.status == 1 && there.errors.contains("nothing is replaced"), "\(there)")
            #expect(try state(mount) == before && contents("\(out)/\(one).sig") == "x\n")
            // A store in which nothing is yet.
            try Mount.initialize(store: keys.path + "/new")
            let new = try attest(keys.path + "/new", "--key", key)
            #expect(new.status == 2 && new.errors.contains("nothing is sealed yet"), "\(new)")
            // A ledger in which a line was changed proves nothing.
            _ = try mount.unmount()
            let edited = try shell("sed -i '0,/chr1/s/chr1/chr8/' '\(mount.store)'/.artifactfs/ledger/*.jsonl")
            #expect(edited.succeeded)
            let damaged = try attest(mount.store, two, "--key", key)
            #expect(damaged.status == 2 && damaged.errors.contains("is not as it was written"), "\(damaged)")
            #expect(try state(mount) == before)
        }

        /// A mount that is read-only, which the store is not; a file system that is, and one without room. Nothing half is left.
        @Test(.enabled(if: geteuid() == 0, "only root mounts file systems")) func whatCannotBeWrittenTo() throws {
            let mount = try Mount()
            try production(mount)
            _ = try mount.unmount()
            let reading = try Mount(store: mount.store, MountVariant(readOnly: true))
            let shown = try attest(reading.root, one, "--key", key)
            #expect(shown.succeeded && shown.output.contains("kept in the store"), "\(shown)")
            _ = try reading.unmount()
            let script =
                Mount.leavesOtherMounts + """
                    set -e
                    mkdir "$2/ro" "$2/full"; mount --bind "$1" "$2/ro"; mount -o remount,bind,ro "$2/ro"
                    "$0" attest --store "$2/ro" --key key.pem "$3" || echo "status $?" >&2
                    "$0" attest --store "$2/ro" --key key.pem "$3" --out "$2/out"
                    "$0" attest --store "$2/ro" --verify --public-key key.pub "$3"
                    mount -t tmpfs -o size=2m none "$2/full"; cp -a "$1" "$2/full/s"
                    cat /dev/zero > "$2/full/fill" 2> /dev/null || :
                    "$0" attest --store "$2/full/s" --key other.pem "$3" || echo "status $?" >&2
                    "$0" attest --store "$2/full/s" --verify --public-key key.pub "$3"
                    "$0" attest --store "$2/full/s" --verify --public-key other.pub "$3" || echo "status $?" >&2
                    """
            let place = try TemporaryDirectory()
            let outcome = try run(
                ["unshare", "--mount", "--", "bash", "-c", script, try Mount.binary(), mount.store, place.path, one],
                directory: keys.path)
            #expect(outcome.succeeded, "\(outcome)")
            let said = outcome.errors.split(separator: "\n")
            #expect(said.count == 5, "\(outcome)")
            #expect(said.first?.contains("mounted read-only") == true && said[1] == "status 2", "\(outcome)")
            #expect(outcome.errors.contains("No space left on device; make room there\nstatus 1\n"), "\(outcome)")
            #expect(
                outcome.output.contains("written to --out\n") && outcome.errors.hasSuffix("status 1\n"), "\(outcome)")
            #expect(
                outcome.output.split(separator: "\n").filter { $0.hasPrefix("1 artifact is what was signed") }.count
                    == 2, "\(outcome)")
        }

        /// Two at a time make one signature after the other.
        @Test func twoSignAtATime() throws {
            let mount = try Mount()
            try production(mount)
            let both = try shell(
                """
                for i in 1 2 3 4; do '\(Mount.binary())' attest --store '\(mount.store)' --key '\(key)' & done
                for job in $(jobs -p); do wait $job || exit 1; done
                """)
            #expect(both.succeeded, "\(both)")
            #expect(try verify(mount.store).output.hasPrefix("3 artifacts are what was signed"))
            #expect(try run([try Mount.binary(), "audit", mount.store]).succeeded)
        }

        /// Others sign what they can read, and keep it elsewhere.
        @Test(.enabled(if: geteuid() == 0, "only root acts as several users")) func othersSignWhatTheyRead() throws {
            let mount = try Mount(MountVariant(readOnly: false, allowOther: true))
            try production(mount)
            let own = try TemporaryDirectory()
            #expect(
                try shell(
                    "cp '\(key)' '\(half)' '\(own.path)' && chown -R 61001 '\(own.path)' && chmod 700 '\(own.path)'"
                ).succeeded)
            let (key, half) = (own.path + "/key.pem", own.path + "/key.pub")
            func alice(_ words: String...) throws -> Outcome {
                try run([try Mount.binary(), "attest", "--store", mount.root] + words, user: .alice)
            }
            let before = try state(mount)
            let refused = try alice(one, "--key", key)
            #expect(refused.status == 2 && refused.errors.contains("write them elsewhere with --out DIR"), "\(refused)")
            let signed = try alice(one, directory, "--key", key, "--out", own.path + "/out")
            #expect(signed.succeeded && signed.output.contains("signed with the key"), "\(signed)")
            #expect(!signed.output.contains("kept in the store"), "\(signed)")
            let again = try alice(one, directory, "--key", key, "--out", own.path + "/out")
            #expect(again.succeeded && again.output.contains("(2 of them before)"), "\(again)")
            let verified = try alice(one, directory, "--verify", "--public-key", half, "--out", own.path + "/out")
            #expect(verified.succeeded, "\(verified)")
            let stored = try alice(one, "--verify", "--public-key", half)
            #expect(stored.status == 2 && stored.errors.contains("its owner's and root's"), "\(stored)")
            #expect(try state(mount) == before)
            // What they cannot read they do not sign.
            #expect(chmod(mount.real("base_layer/splice_errors_chr1.tsv"), 0o400) == 0)
            let unreadable = try alice(one, "--key", key, "--out", own.path + "/more")
            #expect(unreadable.status == 2, "\(unreadable)")
            #expect(access(own.path + "/more", F_OK) != 0)
        }

        // MARK: - What is promoted

        /// With the schema's key; what cannot be signed is promoted all the same, which is said, and `attest` signs it later.
        @Test func whatIsPromotedIsSigned() throws {
            let files = try TemporaryDirectory()
            let store = files.path + "/store"
            try Mount.initialize(store: store)
            let schema = store + "/.artifactfs/schema.yaml"
            let unsigned = try contents(schema)
            try write(unsigned.replacing("signing_key: none", with: "signing_key: \"\(key)\""), to: schema)
            func promote(_ place: String, _ name: String) throws -> Outcome {
                try run([try Mount.binary(), "promote", name, "--store", place])
            }
            let session: String
            do {
                let mount = try Mount(store: store)
                session = mount.sessionName
                try write("a\tb\n1\t2\n", to: mount.session("base/splice_errors/chr1.tsv"))
                #expect(mkdir(mount.session("meta/meta_checkpoints/checkpoint-5"), 0o755) == 0)
                try write("{}", to: mount.session("meta/meta_checkpoints/checkpoint-5/config.json"))
                let done = try promote(mount.root, "current")
                #expect(done.succeeded && done.output.contains("2 artifacts are signed with the key"), "\(done)")
                #expect(try ledgerLines(mount) == 2)
                let verified = try verify(mount.root, one, directory)
                #expect(verified.succeeded, "\(verified)")
                if Self.isSetUp {
                    let out = keys.path + "/out"
                    // Without --key the schema's is meant.
                    #expect(try attest(mount.root, one, directory, "--out", out).succeeded)
                    for path in [one, directory] {
                        #expect(try modelVerifies("\(out)/\(path).sig", mount.path(path)), "\(path)")
                    }
                }
                func isPublishedOnly(_ number: Int, _ words: String) throws {
                    let name = "base/splice_errors/chr\(number).tsv"
                    try write("a\n\(number)\n", to: mount.session(name))
                    let done = try run([try Mount.binary(), "promote", mount.session(name)])
                    #expect(done.status == 9 && done.output.contains("promoted "), "\(words): \(done)")
                    #expect(done.errors.contains(words), "\(words): \(done)")
                    #expect(done.errors.contains("1 of 1 are published and not signed"), "\(done)")
                    #expect(mount.isSealed(mount.production(name)))
                    let path = "production/" + name
                    let told = try verify(mount.root, path)
                    #expect(told.status != 0, "nothing is told as signed that is not: \(told)")
                }
                #expect(chmod(key, 0o640) == 0)
                try isPublishedOnly(2, "others may use the key")
                #expect(chmod(key, 0o600) == 0 && rename(key, key + "-away") == 0)
                try isPublishedOnly(3, "cannot read the key that the schema names")
                try write("nothing", to: key)
                #expect(chmod(key, 0o600) == 0)
                try isPublishedOnly(4, "no private key in PEM")
                #expect(rename(key + "-away", key) == 0)
                if geteuid() == 0 {
                    // Nobody's schema makes others sign with keys of theirs.
                    #expect(chown(key, 61001, 61001) == 0)
                    try isPublishedOnly(5, "is not the store's owner's")
                    #expect(chown(key, 0, 0) == 0)
                }
                let later = try attest(mount.root)
                #expect(later.succeeded && later.output.contains("(2 of them before)"), "\(later)")
                #expect(try verify(mount.root).succeeded)
                try write("a\n6\n", to: mount.session("base/splice_errors/chr6.tsv"))
                _ = try mount.unmount()
            }
            // Without a mount, by a key whose path is the store's.
            #expect(mkdir(store + "/keys", 0o700) == 0)
            #expect(try shell("cp -p '\(key)' '\(store)/keys/lab.pem'").succeeded)
            try write(unsigned.replacing("signing_key: none", with: "signing_key: keys/lab.pem"), to: schema)
            let done = try promote(store, session)
            #expect(done.succeeded && done.output.contains("1 artifact is signed with the key"), "\(done)")
            #expect(try verify(store).succeeded)
            #expect(try run([try Mount.binary(), "audit", store]).succeeded)
        }

        /// What root keeps in a store of somebody else's is theirs.
        @Test(.enabled(if: geteuid() == 0, "only root acts as several users")) func whatRootKeepsIsTheOwners() throws {
            let mount = try Mount(MountVariant())
            try production(mount)
            _ = try mount.unmount()
            let own = mount.store + "/.artifactfs"
            #expect(try shell("chown -R 61001 '\(mount.store)'").succeeded)
            #expect(try attest(mount.store, one, "--key", key).succeeded)
            let owners = try shell("find '\(own)/attestations' -printf '%U\\n' | sort -u")
            #expect(owners.output == "61001\n", "\(owners)")
        }
    }
}
