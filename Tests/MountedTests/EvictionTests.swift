import Glibc
import TestSupport
import Testing

/// `artifactfs mirror evict`, and a mount that brings back what is opened, with a real server of S3's interface and a proxy before it.
extension MountedTests {
    @Suite(.enabled(if: environmentValue("ARTIFACTFS_TEST_BUCKETS") != nil, "mount-scripts/test.sh installs moto"))
    struct EvictionTests {
        private static let python = BucketServer.python
        private static let credentials = [
            "AWS_ACCESS_KEY_ID": "AKTEST", "AWS_SECRET_ACCESS_KEY": "the-secret-of-a-test",
            "AWS_EC2_METADATA_DISABLED": "true",
        ]
        private static let names = ["chr1", "chr2", "chr3"]
        private let files: TemporaryDirectory
        private let server: BucketServer
        private let store: String
        private let direct: String
        private let endpoint: String

        private static func path(_ name: String) -> String { "production/base/splice_errors/\(name).tsv" }
        private func real(_ name: String) -> String { store + "/base_layer/splice_errors_\(name).tsv" }

        init() throws { try self.init(server: []) }

        /// - Parameter server: further words for the program that starts it.
        fileprivate init(server words: [String]) throws {
            server = try BucketServer(words)
            (files, direct, endpoint) = (server.files, server.direct, server.proxied)
            store = files.path + "/store"
            try Mount.initialize(store: store)
            let mount = try Mount(store: store)
            let made = try run(
                [
                    "bash", "-ec",
                    """
                    (printf 'a\\tb\\n1\\t2\\n' > \(Self.path("chr1")))
                    (printf 'a\\tb\\n'; seq 1 100000 | awk '{print $1"\\t"$1}') > \(Self.path("chr2"))
                    (printf 'a\\tb\\n5\\t6\\n' > \(Self.path("chr3")))
                    """,
                ], directory: mount.root)
            try #require(made.succeeded && mount.settle(), "\(made)")
            #expect(try mount.unmount() == 0)
            #expect(try mirror("add", "m", "s3://lab-results/m", "--endpoint", endpoint).succeeded)
            let pushed = try mirror("push", "m")
            #expect(pushed.succeeded, "\(pushed)")
        }

        private func mirror(_ words: String..., at place: String? = nil) throws -> Outcome {
            try run(
                [try Mount.binary(), "mirror"] + words + ["--store", place ?? store], environment: Self.credentials)
        }

        private func mounted(_ variant: MountVariant = MountVariant()) throws -> Mount {
            try Mount(store: store, variant.with { $0.environment = Self.credentials })
        }

        private func control(_ json: String?) throws {
            unlink(files.path + "/count")
            unlink(files.path + "/control")
            if let json { try write(json, to: files.path + "/control") }
        }

        private var requests: [String] {
            ((try? contents(files.path + "/requests")) ?? "").split(separator: "\n").map(String.init)
        }

        private func gets(_ name: String) -> Int {
            requests.count { $0.hasPrefix("GET ") && $0.contains("splice_errors_\(name).tsv") }
        }

        /// Has the first so many answers for an object wait until the test lets them go on.
        private func hold(_ name: String, first: Int = 1) throws -> String {
            let fifo = files.path + "/hold"
            #expect(mkfifo(fifo, 0o600) == 0)
            try control("{\"match\": \"splice_errors_\(name).tsv\", \"first\": \(first), \"hold\": \"\(fifo)\"}")
            return fifo
        }

        private func letGo(_ fifo: String) throws {
            let file = open(fifo, O_WRONLY)
            #expect(file >= 0)
            close(file)
        }

        private func client(_ script: String) throws -> String {
            let whole = """
                import boto3
                s3 = boto3.client('s3', endpoint_url='\(direct)', aws_access_key_id='AKTEST', aws_secret_access_key='s', region_name='us-east-1')
                def key(part): return [x['Key'] for x in s3.list_objects_v2(Bucket='lab-results')['Contents'] if part in x['Key']][0]
                """
            let outcome = try run([Self.python, "-c", whole + "\n" + script])
            try #require(outcome.succeeded, "\(outcome)")
            return outcome.output
        }

        private func evict(_ names: String...) throws {
            let outcome = try run(
                [try Mount.binary(), "mirror", "evict"] + names.map(Self.path) + ["--store", store],
                environment: Self.credentials)
            try #require(outcome.succeeded, "\(outcome)")
        }

        private func isEvicted(_ name: String) -> Bool { access(real(name), F_OK) != 0 }

        private func command(_ words: String...) throws -> Outcome { try run([try Mount.binary()] + words) }

        @Test(arguments: MountVariant.both) func anOpenBringsBackWhatWasEvicted(variant: MountVariant) throws {
            let hashes = try shell(
                "sha256sum < base_layer/splice_errors_chr1.tsv; sha256sum < base_layer/splice_errors_chr2.tsv",
                in: store)
            let mount = try mounted(variant)
            let (one, two) = (mount.path(Self.path("chr1")), mount.path(Self.path("chr2")))
            func seen(_ path: String) throws -> String { try shell("stat -c '%s %Y %a %u %F' \(path)").output }
            let before = try (seen(one), seen(two))
            let dry = try mirror("evict", "--dry-run", Self.path("chr2"))
            #expect(dry.succeeded && dry.output.contains("would evict 1 artifact") && !isEvicted("chr2"), "\(dry)")
            try evict("chr1", "chr2")
            #expect(isEvicted("chr1") && isEvicted("chr2") && !isEvicted("chr3"))
            let read = try shell(
                "cat base_layer/splice_errors_chr2.tsv; du -s --apparent-size base_layer | cut -f 1", in: store)
            #expect(read.errors.contains("No such file") && !read.output.contains("100000"), "\(read)")
            // Looking asks nobody.
            let count = requests.count
            #expect(try seen(one) == before.0 && seen(two) == before.1)
            let looked = try shell(
                "ls -l; find . -size +100k; getfattr -d chr2.tsv; getfattr -n user.artifact.evicted --only-values chr2.tsv",
                in: mount.path("production/base/splice_errors"))
            #expect(
                looked.output.contains("chr1.tsv") && looked.output.contains("./chr2.tsv")
                    && looked.output.hasSuffix("m"), "\(looked)")
            #expect(requests.count == count && isEvicted("chr2"))
            for (words, status, word) in [
                (["verify", "--store", store], 2, "is evicted"),
                (["audit", store], 0, "the bytes of 2 are in a mirror"),
                (["doctor", store], 0, "all is as it should be"), (["verify", mount.root, "--json"], 2, "\"evicted\""),
                (["find", "--store", mount.root], 0, "chr2.tsv"),
            ] {
                let outcome = try run([try Mount.binary()] + words)
                #expect(outcome.status == Int32(status) && outcome.output.contains(word), "\(words): \(outcome)")
            }
            #expect(isEvicted("chr2"), "none of them brings it back")
            let back = try shell(
                "sha256sum < \(one); awk 'END { print NR }' \(two); sha256sum < \(two); stat -c %i \(two); cp \(two) \(files.path)/copy; stat -c %i \(two)"
            )
            let lines = back.output.split(separator: "\n").map(String.init)
            try #require(lines.count == 5, "\(back)")
            #expect(
                [lines[0], lines[2]] == hashes.output.split(separator: "\n").map(String.init) && lines[1] == "100001")
            #expect(lines[3] == lines[4], "it is the same file for who looks before and after")
            #expect(!isEvicted("chr1") && !isEvicted("chr2"))
            #expect(requests.count == count + 2, "each comes once, and nothing else is asked")
            #expect(try seen(one) == before.0 && seen(two) == before.1)
            #expect(try shell("getfattr -n user.artifact.evicted \(two)").succeeded == false)
            let history = try command("history", "--store", store, Self.path("chr2"))
            #expect(
                history.output.contains("evicted") && history.output.contains("recalled")
                    && history.output.contains("(awk)"), "\(history)")
            #expect(try mount.unmount() == 0)
            let proved = try command("verify", "--store", store)
            #expect(proved.succeeded, "\(proved)")
        }

        /// Who had it open reads on, and who opens it meanwhile gets its bytes.
        @Test func whoHasItOpenReadsOn() throws {
            let mount = try mounted()
            let path = mount.path(Self.path("chr2"))
            let file = open(path, O_RDONLY)
            try #require(file >= 0)
            defer { close(file) }
            var byte: UInt8 = 0
            #expect(read(file, &byte, 1) == 1)
            try evict("chr2")
            #expect(isEvicted("chr2"))
            #expect(lseek(file, -7, SEEK_END) > 0)
            var rest = [UInt8](repeating: 0, count: 16)
            #expect(read(file, &rest, 16) == 7 && rest[6] == 10)
            let other = try shell("tail -n 1 \(path)")
            #expect(other.output == "100000\t100000\n", "\(other)")
        }

        /// Many open one: it comes once, nobody else on the mount waits, and who is killed is not waited for.
        @Test func manyWaitForOneAndHoldNoWorker() throws {
            let mount = try mounted()
            try evict("chr2")
            let (fifo, before) = (try hold("chr2"), gets("chr2"))
            let readers = try (0..<20).map { _ in try Child(["sha256sum", mount.path(Self.path("chr2"))]) }
            #expect(eventually(within: 30) { gets("chr2") == before + 1 })
            let free = try shell(
                "cat \(mount.path(Self.path("chr3"))); ls -l \(mount.path("production/base/splice_errors")); stat \(mount.path(Self.path("chr2")))",
                timeout: 20)
            #expect(free.succeeded && free.output.contains("5\t6"), "\(free)")
            let killed = try #require(readers.first)
            killed.signal(SIGKILL)
            #expect(killed.wait(seconds: 20), "its open ends while the others wait")
            #expect(readers.dropFirst().allSatisfy { $0.isRunning })
            try letGo(fifo)
            #expect(readers.allSatisfy { $0.wait(seconds: 30) })
            let outputs = Set(readers.dropFirst().map(\.output))
            #expect(outputs.count == 1 && outputs.first?.isEmpty == false && gets("chr2") == before + 1)
            #expect(mount.denials().isEmpty)
        }

        /// Two who bring the same wait for each other: a mount and a command.
        @Test func whoBringsTheSameWaits() throws {
            let mount = try mounted()
            try evict("chr2")
            let (fifo, before) = (try hold("chr2"), gets("chr2"))
            let reader = try Child(["sha256sum", mount.path(Self.path("chr2"))])
            #expect(eventually(within: 30) { gets("chr2") == before + 1 })
            let other = try Child(
                [try Mount.binary(), "mirror", "recall", Self.path("chr2"), "--store", store],
                environment: Self.credentials)
            // It has opened the place when it waits.
            let place = store + "/.artifactfs/evicted/base_layer%2Fsplice_errors_chr2.tsv"
            let waits = eventually(within: 30) {
                ((try? shell("readlink /proc/\(other.process)/fd/*"))?.output ?? "").contains(place)
            }
            #expect(waits && other.isRunning && reader.isRunning)
            try letGo(fifo)
            #expect(
                reader.wait(seconds: 30) && reader.status == 0 && other.wait(seconds: 30) && other.status == 0,
                "\(other.errors)")
            #expect(gets("chr2") == before + 1 && !isEvicted("chr2"))
            #expect(try command("verify", "--store", store).succeeded)
        }

        /// What has no room here is told at once, and nothing of it stays.
        @Test(.enabled(if: geteuid() == 0)) func aFullDiskIsTold() throws {
            let small = files.path + "/small"
            #expect(mkdir(small, 0o755) == 0)
            try #require(try run(["mount", "-t", "tmpfs", "-o", "size=16m", "small", small]).succeeded)
            defer { umount2(small, Int32(MNT_DETACH)) }
            let moved = small + "/store"
            #expect(try run(["cp", "-a", store, moved]).succeeded)
            #expect(try mirror("evict", Self.path("chr2"), at: moved).succeeded)
            let mount = try Mount(store: moved, MountVariant().with { $0.environment = Self.credentials })
            #expect(try shell("head -c 100000000 /dev/zero > \(small)/fill").succeeded == false)
            let read = try shell("cat \(mount.path(Self.path("chr2")))")
            #expect(read.output.isEmpty && read.errors.contains("No space left"), "\(read)")
            let place = moved + "/.artifactfs/evicted/base_layer%2Fsplice_errors_chr2.tsv"
            #expect(try shell("stat -c '%s %b' \(place)").output == "0 0\n")
            unlink(small + "/fill")
            #expect(try mirror("recall", at: moved).succeeded)
            #expect(try shell("wc -l < \(mount.path(Self.path("chr2")))").output == "100001\n")
            #expect(try mount.unmount() == 0)
        }

        /// What the mirror has by now is not what was sealed: nothing of it is served, and the name stays.
        @Test(arguments: MountVariant.both) func otherBytesAreNotServed(variant: MountVariant) throws {
            let mount = try mounted(variant)
            try evict("chr2")
            _ = try client(
                """
                k = key('splice_errors_chr2.tsv')
                body = s3.get_object(Bucket='lab-results', Key=k)['Body'].read()
                open('\(files.path)/saved', 'wb').write(body)
                s3.put_object(Bucket='lab-results', Key=k, Body=body[:-2] + b'9\\n')
                """)
            let before = gets("chr2")
            let read = try shell("cat \(mount.path(Self.path("chr2"))) \(mount.path(Self.path("chr2")))")
            #expect(!read.succeeded && read.output.isEmpty && read.errors.contains("Input/output error"), "\(read)")
            #expect(
                isEvicted("chr2") && gets("chr2") == before + 1, "what has failed a moment ago is not asked for again")
            let denial = try #require(mount.denials().last)
            #expect(
                denial.contains("\"evicted\"") && denial.contains("SHA-256") && denial.contains("mirror 'm'"),
                "\(denial)")
            let verified = try mirror("verify", "m", "--read")
            #expect(verified.status == 1 && verified.errors.contains("IT IS EVICTED HERE"), "\(verified)")
            let again = try mirror("recall")
            #expect(again.status == 1 && again.errors.contains("not what was sealed") && isEvicted("chr2"), "\(again)")
            _ = try client(
                "s3.put_object(Bucket='lab-results', Key=key('splice_errors_chr2.tsv'), Body=open('\(files.path)/saved', 'rb').read())"
            )
            let mended = try mirror("recall")
            #expect(mended.succeeded && mended.output.contains("brought back 1 artifact"), "\(mended)")
            #expect(try shell("wc -l < \(mount.path(Self.path("chr2")))").output == "100001\n")
        }

        /// In a bucket that keeps versions what was sent is brought back, whatever somebody has put over it, and when it was deleted.
        @Test func whatWasSentIsBroughtBack() throws {
            #expect(try mirror("add", "v", "s3://lab-versions/v", "--endpoint", endpoint).succeeded)
            #expect(try mirror("push", "v").succeeded)
            let evicted = try mirror("evict", "--mirror", "v", Self.path("chr2"), Self.path("chr3"))
            #expect(evicted.succeeded && isEvicted("chr2") && isEvicted("chr3"), "\(evicted)")
            _ = try client(
                """
                keys = [x['Key'] for x in s3.list_objects_v2(Bucket='lab-versions')['Contents']]
                of = lambda name: [k for k in keys if name in k][0]
                body = s3.get_object(Bucket='lab-versions', Key=of('splice_errors_chr2.tsv'))['Body'].read()
                s3.put_object(Bucket='lab-versions', Key=of('splice_errors_chr2.tsv'), Body=body[:-2] + b'9\\n')
                s3.delete_object(Bucket='lab-versions', Key=of('splice_errors_chr3.tsv'))
                """)
            let mount = try mounted()
            #expect(try shell("wc -l < \(mount.path(Self.path("chr2")))").output == "100001\n")
            #expect(try contents(mount.path(Self.path("chr3"))) == "a\tb\n5\t6\n")
            #expect(try mount.unmount() == 0)
            #expect(try command("verify", store).succeeded)
        }

        /// A server that refuses: the open fails at once and says why, and a mount that is read-only says what to do.
        @Test func aServerThatRefusesIsTold() throws {
            try evict("chr1")
            try control(
                "{\"match\": \"splice_errors_chr1.tsv\", \"first\": 100, \"status\": 403, \"code\": \"AccessDenied\"}")
            let mount = try mounted()
            let read = try shell("cat \(mount.path(Self.path("chr1")))")
            #expect(read.errors.contains("Input/output error") && isEvicted("chr1"), "\(read)")
            #expect(mount.denials().last?.contains("AccessDenied") == true, "\(mount.denials())")
            try control(nil)
            #expect(try mount.unmount() == 0)
            let closed = try mounted(MountVariant(readOnly: true))
            let refused = try shell(
                "ls -l \(closed.path("production/base/splice_errors")); cat \(closed.path(Self.path("chr1")))")
            #expect(refused.output.contains("chr1.tsv") && refused.errors.contains("Input/output error"), "\(refused)")
            #expect(closed.denials().last?.contains("read-only") == true && isEvicted("chr1"))
            #expect(try closed.unmount() == 0)
            let open = try mounted()
            #expect(try contents(open.path(Self.path("chr1"))) == "a\tb\n1\t2\n")
        }

        /// The process that brings it is killed, and then the driver: what had come is not taken for the whole.
        @Test func whoIsKilledLeavesTheName() throws {
            let mount = try mounted()
            try evict("chr2")
            let (fifo, before) = (try hold("chr2"), gets("chr2"))
            let reader = try Child(["sha256sum", mount.path(Self.path("chr2"))])
            #expect(eventually(within: 30) { gets("chr2") == before + 1 })
            let killed = try shell("pkill -KILL -P \(mount.driver.process) -f recall-artifacts")
            #expect(killed.succeeded, "\(killed)")
            #expect(reader.wait(seconds: 30) && reader.status == 0, "another process brings it: \(reader.errors)")
            try letGo(fifo)
            unlink(fifo)
            try evict("chr2")
            let (second, now) = (try hold("chr2"), gets("chr2"))
            let other = try Child(["sha256sum", mount.path(Self.path("chr2"))])
            #expect(eventually(within: 30) { gets("chr2") == now + 1 })
            mount.kill()
            #expect(other.wait(seconds: 30) && other.status != 0)
            try letGo(second)
            #expect(isEvicted("chr2"))
            try control(nil)
            let again = try mounted()
            #expect(try shell("wc -l < \(again.path(Self.path("chr2")))").output == "100001\n")
            #expect(try again.unmount() == 0)
            #expect(try command("verify", "--store", store).succeeded)
        }

        /// Changes of what is sealed are judged as ever; its owner's chmod waits for the bytes.
        @Test func aChangeIsJudgedAsEver() throws {
            let mount = try mounted()
            try evict("chr1", "chr3")
            let count = requests.count
            let (path, new) = (mount.path(Self.path("chr1")), files.path + "/new")
            try write("a\tb\n7\t8\n", to: new)
            let over = try shell(
                """
                echo x > \(path); cp \(new) \(path); rm -f \(path); mv \(new) \(path)
                """)
            #expect(
                over.errors.contains("File exists") && over.errors.contains("not permitted") && isEvicted("chr1"),
                "\(over)")
            for words in [["supersede", path, "--with", new, "--reason", "r"], ["retract", path, "--reason", "r"]] {
                let outcome = try run([try Mount.binary()] + words)
                #expect(outcome.status == 1 && outcome.errors.contains("mirror recall"), "\(words): \(outcome)")
            }
            #expect(isEvicted("chr1") && requests.count == count, "nobody was asked")
            let other = mount.path(Self.path("chr3"))
            #expect(try shell("chmod 600 \(other) && stat -c %a \(other)").output == "600\n")
            #expect(!isEvicted("chr3"))
        }

        /// The next snapshots have what is evicted, as long as the mirror has it; another mirror says what it lacks.
        @Test func snapshotsKeepWhatIsEvicted() throws {
            try evict("chr1", "chr2")
            let mount = try mounted()
            #expect(
                try shell(
                    "printf 'a\\tb\\n' > \(mount.path(Self.path("chr9"))); printf '1\\t1\\n' >> \(mount.path(Self.path("chr9")))"
                ).succeeded)
            #expect(mount.settle())
            #expect(try mount.unmount() == 0)
            let pushed = try mirror("push", "m")
            #expect(pushed.succeeded && pushed.output.contains("has 4 artifacts"), "\(pushed)")
            #expect(isEvicted("chr2"))
            #expect(try mirror("verify", "m", "--read").succeeded)
            let target = files.path + "/again"
            let restored = try run(
                [try Mount.binary(), "mirror", "restore", "s3://lab-results/m", target, "--endpoint", endpoint],
                environment: Self.credentials)
            #expect(restored.succeeded, "\(restored)")
            #expect(try command("verify", "--store", target).succeeded)
            #expect(
                try shell(
                    "wc -l < base_layer/splice_errors_chr2.tsv; getfattr -n user.artifact.ledger base_layer/splice_errors_chr2.tsv",
                    in: target
                ).output.hasPrefix("100001\n"))
            #expect(try mirror("add", "second", "s3://lab-results/second", "--endpoint", endpoint).succeeded)
            let second = try mirror("push", "second")
            #expect(
                second.status == 1 && second.errors.contains("its bytes are in the mirror 'm' only")
                    && second.output.contains("has 2 artifacts"), "\(second)")
            _ = try client(
                "s3.delete_object(Bucket='lab-results', Key=key('m/artifacts/base_layer/splice_errors_chr2.tsv'))")
            let verified = try mirror("verify", "m")
            #expect(verified.status == 1 && verified.errors.contains("IT IS EVICTED HERE"), "\(verified)")
            let lost = try mirror("push", "m")
            #expect(lost.status == 1 && lost.errors.contains("THE MIRROR HAS LOST IT"), "\(lost)")
        }

        /// Only what the mirror is proved to have goes.
        @Test func whatIsNotProvedStays() throws {
            let mount = try mounted()
            #expect(try shell("(printf 'a\\tb\\n1\\t1\\n' > \(mount.path(Self.path("chr9"))))").succeeded)
            #expect(mount.settle())
            #expect(try mount.unmount() == 0)
            let unsent = try mirror("evict", Self.path("chr9"))
            #expect(unsent.status == 1 && unsent.errors.contains("mirror push") && !isEvicted("chr9"), "\(unsent)")
            _ = try client(
                """
                k = key('splice_errors_chr1.tsv')
                s3.put_object(Bucket='lab-results', Key=k, Body=b'a\\tb\\n9\\t9\\n', Metadata=s3.head_object(Bucket='lab-results', Key=k)['Metadata'])
                s3.delete_object(Bucket='lab-results', Key=key('splice_errors_chr2.tsv'))
                """)
            let evicted = try mirror("evict", Self.path("chr1"), Self.path("chr2"), Self.path("chr3"))
            #expect(evicted.status == 1 && evicted.output.contains("evicted 1 artifact"), "\(evicted)")
            #expect(!isEvicted("chr1") && !isEvicted("chr2") && isEvicted("chr3"))
            #expect(evicted.errors.contains("chr1.tsv: the mirror does not have it as it was sealed"), "\(evicted)")
            chmod(real("chr3"), 0o644)
        }

        /// Users bring back what they may read, and nobody else's: the process that asks the server is the store's owner's.
        @Test(.enabled(if: geteuid() == 0)) func usersBringBackWhatTheyMayRead() throws {
            #expect(try shell("chown -R nobody:nogroup .; chmod 777 base_layer", in: store).succeeded)
            #expect(try shell("chmod 755 \(files.path)").succeeded)
            let mount = try mounted(MountVariant(allowOther: true))
            let path = mount.path(Self.path("chr8"))
            let (owner, other) = (User(user: 1234, group: 1234), User(user: 4321, group: 4321))
            let parent = mount.root.split(separator: "/").dropLast().map { "/" + $0 }.joined()
            #expect(chmod(parent, 0o755) == 0)
            let made = try shell("(umask 077; printf 'a\\tb\\n3\\t3\\n' > \(path))", user: owner)
            #expect(made.succeeded && mount.settle(), "\(made)")
            #expect(try mirror("push", "m").succeeded)
            try evict("chr8", "chr1")
            let count = requests.count
            #expect(try shell("cat \(path)", user: other).errors.contains("Permission denied"))
            #expect(
                try shell("cat \(mount.path("production/base/splice_errors/.meta/chr8.tsv.json"))", user: other)
                    .succeeded == false)
            #expect(requests.count == count && isEvicted("chr8"))
            #expect(try shell("cat \(path)", user: owner).output == "a\tb\n3\t3\n")
            #expect(try shell("stat -c '%u %a' \(real("chr8"))").output == "1234 400\n")
            #expect(try shell("cat \(mount.path(Self.path("chr1")))", user: other).output == "a\tb\n1\t2\n")
            let asks = try shell("ps -o uid= -p $(pgrep -P \(mount.driver.process) -f recall-artifacts)")
            #expect(asks.output.trimmingPrefix(while: { $0 == " " }) == "65534\n", "\(asks)")
        }

        /// A mirror's production without a store: nothing comes before it is opened, and no more stays than was said.
        @Test func aMirrorIsMountedWithoutAStore() throws {
            let (mnt, cache) = (files.path + "/mnt", files.path + "/cache")
            #expect(mkdir(mnt, 0o755) == 0)
            func mount() throws -> Outcome {
                try run(
                    [
                        try Mount.binary(), "mount", "--mirror", "s3://lab-results/m", mnt, "--endpoint", endpoint,
                        "--cache", cache, "--cache-size", "1M",
                    ], environment: Self.credentials)
            }
            func unmount() throws { #expect(try command("unmount", mnt).succeeded) }
            func here() throws -> String {
                try shell("find . -name 'splice_errors_*' -type f -size +0 -printf '%f\\n' | sort", in: cache).output
            }
            defer { _ = try? command("unmount", mnt) }
            let began = try mount()
            try #require(began.succeeded && began.output.contains("snapshot 1"), "\(began)")
            let path = mnt + "/production/base/splice_errors"
            let before = Self.names.map(gets)
            let listed = try shell("ls -l; stat -c %s chr2.tsv; touch x", in: path)
            #expect(listed.output.contains("chr3.tsv") && listed.errors.contains("Read-only file system"), "\(listed)")
            #expect(Self.names.map(gets) == before)
            #expect(try here() == "")
            #expect(
                try shell("wc -l < chr2.tsv; sha256sum < chr2.tsv", in: path).output
                    == shell("wc -l < \(real("chr2")); sha256sum < \(real("chr2"))").output)
            #expect(try here() == "splice_errors_chr2.tsv\n", "one that is larger than all stays until the next comes")
            #expect(try contents(path + "/chr1.tsv") == "a\tb\n1\t2\n")
            #expect(try eventually(within: 20) { try here() == "splice_errors_chr1.tsv\n" })
            #expect(try contents(path + "/.meta/chr1.tsv.json").contains("sha256"))
            try control(
                "{\"match\": \"splice_errors_chr3.tsv\", \"first\": 100, \"status\": 403, \"code\": \"AccessDenied\"}")
            let refused = try shell("cat chr3.tsv", in: path)
            #expect(refused.output.isEmpty && refused.errors.contains("Input/output error"), "\(refused)")
            try control(nil)
            try unmount()
            // What came is here the next time; of a newer snapshot there is a new one.
            let count = gets("chr1")
            #expect(try mount().succeeded)
            #expect(try contents(path + "/chr1.tsv") == "a\tb\n1\t2\n" && gets("chr1") == count)
            try unmount()
            let other = try mounted()
            #expect(
                try shell("(printf 'a\\tb\\n9\\t9\\n' > \(other.path(Self.path("chr9"))))").succeeded && other.settle())
            #expect(try other.unmount() == 0)
            #expect(try mirror("push", "m").succeeded)
            let again = try mount()
            #expect(again.output.contains("snapshot 2"), "\(again)")
            #expect(try contents(path + "/chr9.tsv") == "a\tb\n9\t9\n")
            #expect(try shell("ls -d */store-*", in: cache).output.hasSuffix("/store-2\n"))
            try unmount()
            let wrong = try command("mount", "s3://lab-results/m", mnt)
            #expect(wrong.status == 64 && wrong.errors.contains("--mirror"), "\(wrong)")
        }
    }

    /// The same with SeaweedFS, which judges signatures.
    @Suite(.enabled(if: environmentValue("ARTIFACTFS_TEST_BUCKETS") != nil, "mount-scripts/test.sh installs SeaweedFS"))
    struct SeaweedEvictionTests {
        @Test func anOpenBringsBackWhatWasEvicted() throws {
            let weed =
                (environmentValue("ARTIFACTFS_TEST_BUCKETS") ?? "").split(separator: "/").dropLast().map { "/" + $0 }
                .joined()
                + "/weed"
            try EvictionTests(server: [weed]).anOpenBringsBackWhatWasEvicted(variant: MountVariant())
        }
    }
}
