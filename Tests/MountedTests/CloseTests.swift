import Glibc
import SystemPackage
import TestSupport
import Testing

/// What `close` says of contents.
extension MountedTests {
    @Suite struct CloseTests {
        /// Writes files that only a check of the whole finds at fault, and says what each close says.
        private static let writer = """
            import errno, sys
            production = sys.argv[1] + '/production/'
            def write(name, text):
                file = open(production + name, 'wb', buffering=0)
                file.write(text)
                try: file.close()
                except OSError as error: return errno.errorcode[error.errno]
                return 'closed'
            rows = b'1\\t2\\n' * 200_000
            for name, text in (
                ('meta/meta_metrics/bad.json', b'{"a": }'), ('meta/meta_metrics/good.json', b'{"a": 1}'),
                ('base/splice_errors/chr1.tsv', b'a\\tb\\n' + rows + b'1\\n' + rows),
                ('base/splice_errors/chr2.tsv', b'a\\tb\\n' + rows + rows),
                ('meta/meta_checkpoints/bad.pkl', b'\\x80\\x04K.K.'), ('meta/meta_checkpoints/good.pkl', b'N.')):
                print(name.split('/')[-1], write(name, text))
            """

        private func closes(_ mount: Mount) throws -> [String] {
            let outcome = try python(Self.writer, [mount.root])
            #expect(outcome.succeeded, "\(outcome)")
            return outcome.output.split(separator: "\n").map(String.init)
        }

        @Test(arguments: MountVariant.both) func checksTheWholeFile(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            #expect(
                try closes(mount) == [
                    "bad.json EINVAL", "good.json closed", "chr1.tsv EINVAL", "chr2.tsv closed", "bad.pkl EINVAL",
                    "good.pkl closed",
                ])
            #expect(mount.denials().contains { $0.contains("200002") && $0.contains("close") }, "the line at fault")
            for good in [
                "meta/meta_metrics/good.json", "base/splice_errors/chr2.tsv", "meta/meta_checkpoints/good.pkl",
            ] {
                #expect(mount.isSealed(mount.production(good)))
            }
            #expect(eventually { mount.quarantined().filter { !$0.hasSuffix(".reason.json") }.count == 3 })
            #expect(mount.count("errors") == nil && mount.count("total") != nil)
        }

        /// A store may leave it to publishing.
        @Test func onlyAsFarAsTheSchemaSays() throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/eval"
            try Mount.initialize(store: store)
            let schema = store + "/.artifactfs/schema.yaml"
            let text = try contents(schema)
            #expect(text.contains("check_at_close: 256 MiB"))
            try write(
                text.split(separator: "\n", omittingEmptySubsequences: false)
                    .map { $0.hasPrefix("check_at_close:") ? "check_at_close: 0" : $0 }.joined(separator: "\n"),
                to: schema)
            let mount = try Mount(store: store)
            #expect(try closes(mount).allSatisfy { $0.hasSuffix(" closed") })
            #expect(eventually { mount.quarantined().filter { !$0.hasSuffix(".reason.json") }.count == 3 })
        }
    }
}
