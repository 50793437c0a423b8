import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 2.11: what is sealed is immutable for root too, where file system and rights allow it. Temporary directories take the flag from what is left.
extension MountedTests {
    @Suite struct HardenTests {
        private static let chr1 = "base/analysis_sequences/chr1.tsv"
        private static let real = "base_layer/analysis_sequences_chr1.tsv"
        private static let shelf = ".artifactfs/versions/base_layer%2Fanalysis_sequences_chr1.tsv/"
        private static let way = "that takes root's right CAP_LINUX_IMMUTABLE"

        /// What lsattr(1) says of real paths: `i` or `-`, one after the other.
        private func flags(_ mount: Mount, _ paths: String...) throws -> String {
            let shown = try run(["lsattr", "-d"] + paths.map { mount.real($0) })
            #expect(shown.succeeded, "\(shown)")
            return shown.output.split(separator: "\n").map { $0.prefix(5).suffix(1) }.joined()
        }

        private func command(_ words: String...) throws -> Outcome { try run([try Mount.binary()] + words) }

        @Test(.enabled(if: geteuid() == 0), arguments: MountVariant.both)
        func nobodyRemovesIt(_ variant: MountVariant) throws {
            let files = try TemporaryDirectory()
            let store = files.path + "/model_eval"
            try Mount.initialize(store: store)
            try write("a\tb\n3\t4\n", to: files.path + "/new.tsv")
            var mount = try Mount(store: store, variant.with { $0.options = "harden" })
            #expect(try mount.status().contains(#""words":"what is sealed becomes immutable""#))
            let status = try command("status", mount.root)
            #expect(status.output.contains("hardening     what is sealed becomes immutable\n"), "\(status)")
            let path = mount.production(Self.chr1)
            try write("a\tb\n1\t2\n", to: path)
            #expect(mount.isSealed(path))
            #expect(try flags(mount, Self.real) == "i")
            // Around the mount nothing is done.
            for attack in [
                "rm -f f", "mv f g", "ln f g", "chmod 644 f", "touch f", "echo x >> f", "setfattr -n user.x -v 1 f",
                "setfattr -x user.artifact.immutable f",
            ] {
                let done = try shell(
                    attack.replacing(" f", with: " " + mount.real(Self.real)).replacing(" g", with: " \(files.path)/g"))
                #expect(!done.succeeded, "\(attack): \(done)")
            }
            #expect(try contents(mount.real(Self.real)) == "a\tb\n1\t2\n")
            // Its owner does what an owner may; attributes that are the file's own are not shown.
            let owner = try shell(
                "chmod 440 \(path) && touch -d 2020-01-02 \(path) && stat -c '%a %y' \(mount.real(Self.real)); getfattr \(path)"
            )
            #expect(owner.output.hasPrefix("440 2020-01-02 ") && !owner.output.contains("immutable"), "\(owner)")
            #expect(try flags(mount, Self.real) == "i")

            let superseded = try command("supersede", "--reason", "r", "--with", files.path + "/new.tsv", path)
            #expect(superseded.succeeded && mount.isSealed(path), "\(superseded)")
            #expect(try flags(mount, Self.real, Self.shelf + "1") == "ii")
            #expect(try contents(path) == "a\tb\n3\t4\n")
            #expect(
                try contents(mount.production("base/analysis_sequences/.meta/chr1.tsv.versions/1")) == "a\tb\n1\t2\n")

            // A directory, whole; what is in it is its owner's to chmod.
            let made = mount.session("meta/meta_checkpoints/cp")
            #expect(try shell("mkdir -p \(made)/sub && echo '{}' > \(made)/sub/a.json").succeeded)
            let whole = mount.production("meta/meta_checkpoints/cp")
            #expect(try shell("mv \(made) \(whole)").succeeded && command("wait", whole).succeeded)
            let parts = ["", "/sub", "/sub/a.json"].map { "meta_layer/checkpoints/cp" + $0 }
            #expect(try flags(mount, parts[0], parts[1], parts[2]) == "iii")
            let inner = try shell("chmod 400 \(whole)/sub/a.json && stat -c %a \(mount.real(parts[2]))")
            #expect(inner.output == "400\n", "\(inner)")
            #expect(try flags(mount, parts[0], parts[1], parts[2]) == "iii")
            #expect(try !shell("rm -rf \(mount.real(parts[0]))").succeeded)
            #expect(try command("verify", "--store", mount.root).succeeded)
            #expect(try mount.unmount() == 0)

            // A mount that was not asked to, and the store's own directory.
            mount = try Mount(store: store, variant)
            #expect(try mount.status().contains(#""hardening":null"#))
            let second = try command("supersede", "--reason", "r", mount.production(Self.chr1))
            #expect(second.succeeded && !exists(mount.real(Self.real)), "\(second)")
            #expect(try mount.unmount() == 0)
            let retracted = try command("retract", "--reason", "r", mount.real(parts[0]))
            #expect(retracted.succeeded, "\(retracted)")
            let former = ".artifactfs/versions/meta_layer%2Fcheckpoints%2Fcp/1"
            #expect(try flags(mount, Self.shelf + "1", Self.shelf + "2", former, former + "/sub/a.json") == "iiii")
            #expect(try command("verify", "--store", store).succeeded)

            // A flag that somebody takes away is missed.
            #expect(try run(["chattr", "-i", mount.real(Self.shelf + "1")]).succeeded)
            let missed = try command("verify", "--store", store)
            #expect(
                missed.status == 1 && missed.output.contains("DIFFERS: it was made immutable and is not any more"),
                "\(missed)")
            let again = try command("verify", "--harden", "--store", store)
            #expect(again.succeeded && again.output.hasPrefix("3 artifacts are what was sealed"), "\(again)")
            #expect(try flags(mount, Self.shelf + "1") == "i")
            // What the schema lets go is removed all the same, a directory too.
            let schema = store + "/.artifactfs/schema.yaml"
            try write(
                try contents(schema).replacing("keep_versions: all", with: "keep_versions: {within: 1s}"), to: schema)
            let gone = try eventually {
                let removed = try command("gc", "--versions", "--delete", store)
                return removed.succeeded && !exists(mount.real(Self.shelf + "1")) && !exists(mount.real(former))
            }
            #expect(gone)
            let audit = try command("audit", store)
            #expect(audit.succeeded, "\(audit)")
            // A store is given up.
            mount = try Mount(store: store, variant.with { $0.options = "harden" })
            try write("a\tb\n1\t2\n", to: mount.production(Self.chr1))
            #expect(mount.isSealed(mount.production(Self.chr1)))
            #expect(try mount.unmount() == 0)
            #expect(
                try shell("! rm -r \(store) && chattr -R -i \(store) && rm -r \(store)").succeeded && !exists(store))
        }

        /// Without the right nothing is promised, and everything works.
        @Test func itIsSaidWhereItCannotBeDone() throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/eval", person.home + "/m")
            #expect(try person.artifactfs("init", store).succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            let mounted = try person.artifactfs("mount", "--harden", store, mount)
            let words = "what is sealed does NOT become immutable in base_layer and meta_layer, on "
            let said = mounted.output.split(separator: "\n").joined(separator: " ")
            #expect(mounted.succeeded && said.contains(words) && said.contains(Self.way), "\(mounted)")
            let status = try person.shell("cat m/.artifactfs/status.json")
            #expect(status.output.contains(words) && status.output.contains(Self.way), "\(status)")
            let sealed = try person.shell(
                "printf 'a\\tb\\n1\\t2\\n' > m/production/\(Self.chr1) && artifactfs wait m/production/\(Self.chr1); lsattr eval/\(Self.real) | cut -c5"
            )
            #expect(sealed.output.hasSuffix("-\n"), "\(sealed)")
            let refused = try person.artifactfs("verify", "--harden", "--store", store)
            #expect(
                refused.status == 2 && refused.output.split(separator: "\n").joined(separator: " ").contains(Self.way),
                "\(refused)")

            guard geteuid() == 0 else { return }
            // Root has made it immutable: its owner supersedes nothing any more without root.
            let hardened = try command("verify", "--harden", "--store", store)
            #expect(hardened.succeeded, "\(hardened)")
            let onMount = try person.shell("artifactfs retract --reason r m/production/\(Self.chr1) 2>&1; echo $?")
            #expect(onMount.output.contains("immutable") && onMount.output.hasSuffix("\n1\n"), "\(onMount)")
            let attributes = try person.shell(
                "chmod 400 m/production/\(Self.chr1) 2>&1; rm -f eval/\(Self.real) 2>&1; ls eval/base_layer")
            #expect(
                attributes.output.contains("Operation not permitted") && attributes.output.contains("_chr1.tsv\n"),
                "\(attributes)")
            #expect(try person.artifactfs("unmount", mount).succeeded)
            let inStore = try person.shell("artifactfs retract --reason r eval/\(Self.real) 2>&1; echo $?")
            let text = inStore.output.split(separator: "\n").joined(separator: " ")
            #expect(
                text.contains("it is immutable, and only root's right CAP_LINUX_IMMUTABLE lifts that")
                    && text.hasSuffix(" 1"), "\(inStore)")
            #expect(text.contains("nothing has changed"), "\(inStore)")
            let byRoot = try command("retract", "--reason", "r", store + "/" + Self.real)
            #expect(byRoot.succeeded, "\(byRoot)")
        }

        /// An option of `-o` as well, which a read-only mount takes.
        @Test func aReadOnlyMountTakesIt() throws {
            let mount = try Mount(MountVariant(readOnly: true, options: "harden"))
            #expect(try mount.status().contains(#""hardening":null"#))
        }
    }
}
