import Glibc
import TestSupport
import Testing

/// SEMANTICS 4.1: what other programs read of a lineage. They say themselves whether they can.
extension MountedTests {
    @Suite struct LineageDocumentTests {
        private static let isSetUp = environmentValue("ARTIFACTFS_TEST_DOCUMENTS") != nil
        private static let reason: Comment = "mount-scripts/test.sh installs what reads them"

        /// A Python that has prov, roc-validator and rocrate.
        private func reader(_ script: String, _ arguments: [String]) throws -> Outcome {
            try run(
                [environmentValue("ARTIFACTFS_TEST_DOCUMENTS") ?? "python3", "-c", script] + arguments, timeout: 300)
        }

        private func lineage(_ arguments: String...) throws -> Outcome {
            try run([try Mount.binary(), "lineage"] + arguments, timeout: 120)
        }

        private let last = "production/base/splice_errors/chr2.tsv"

        /// A mount with artifacts of several processes, one promoted, one a directory, and names that have to be escaped.
        private func mount() throws -> Mount {
            let mount = try Mount()
            let script = #"""
                set -e
                cd "$0"
                printf 'a\tb\n1\t2\n' > development/current/base/analysis_sequences/chr1.tsv
                mv development/current/base/analysis_sequences/chr1.tsv production/base/analysis_sequences/chr1.tsv
                mkdir -p development/current/meta/meta_checkpoints/checkpoint-5/sub
                echo '{}' > development/current/meta/meta_checkpoints/checkpoint-5/sub/config.json
                mv development/current/meta/meta_checkpoints/checkpoint-5 production/meta/meta_checkpoints/
                cat > development/current/scratch/make.py <<'END'
                import os, sys
                with open(sys.argv[1], "w") as file:
                    os.setxattr(file.fileno(), "user.artifact.inputs", "\n".join(sys.argv[2:]).encode())
                    file.write("a\tb\n1\t2\n")
                END
                python3 development/current/scratch/make.py production/base/splice_errors/chr1.tsv \
                    production/base/analysis_sequences/chr1.tsv '/data/a b&<c>.fa' production/meta/meta_checkpoints/checkpoint-5
                "$1" wait production/base/splice_errors/chr1.tsv
                python3 development/current/scratch/make.py production/base/splice_errors/chr2.tsv \
                    production/base/splice_errors/chr1.tsv test/t/base/analysis_sequences/x.tsv
                """#
            let outcome = try run(["bash", "-c", script, mount.root, try Mount.binary()])
            #expect(outcome.succeeded, "\(outcome); log: \(mount.log)")
            #expect(mount.isSealed(mount.path(last)), "log: \(mount.log)")
            return mount
        }

        @Test func theseAreWellFormed() throws {
            let mount = try mount()
            let script = """
                import sys, xml.etree.ElementTree as tree
                root = tree.fromstring(sys.stdin.read())
                space = "{http://www.w3.org/2000/svg}"
                boxes = [g for g in root.iter(space + "g") if "box" in g.get("class", "").split()]
                print(len(boxes), all(g.find(space + "title").text for g in boxes))
                """
            let svg = try lineage("--svg", mount.path(last))
            let drawn = try run(["/usr/bin/python3", "-c", script], input: svg.output)
            // With the script, which is read from the mount.
            #expect(drawn.output == "7 True\n", "\(drawn) of \(svg)")
            let dot = try lineage("--dot", mount.path(last))
            #expect(dot.succeeded && dot.output.contains("a b&<c>.fa"), "\(dot)")
            if try run(["sh", "-c", "command -v dot"]).succeeded {
                let read = try run(["dot", "-Tplain"], input: dot.output)
                #expect(read.succeeded && read.output.hasPrefix("graph "), "\(read)")
            }
        }

        @Test(.enabled(if: isSetUp, reason)) func provReadsAndWritesItBackUnchanged() throws {
            let mount = try mount()
            let prov = try lineage("--prov", mount.path(last))
            #expect(prov.succeeded)
            let script = """
                import json, prov.model, sys
                text = sys.argv[1]
                document = prov.model.ProvDocument.deserialize(content=text, format="json")
                written = document.serialize(format="json")
                print(json.loads(text) == json.loads(written))
                for kind in (prov.model.ProvEntity, prov.model.ProvUsage, prov.model.ProvGeneration,
                    prov.model.ProvDerivation, prov.model.ProvAttribution, prov.model.ProvAssociation):
                    print(kind.__name__, len(list(document.get_records(kind))) > 0)
                """
            let read = try reader(script, [prov.output])
            #expect(read.succeeded && read.output.hasPrefix("True\n") && !read.output.contains("False"), "\(read)")
        }

        /// `rocrate-validator validate -p process-run-crate-0.5 -l RECOMMENDED`, with the context of RO-Crate 1.1 as the package `rocrate` has
        /// it: there need not be a network.
        @Test(.enabled(if: isSetUp, reason), arguments: ["", "--reference", "--copy-all"])
        func theValidatorFindsNothing(_ copies: String) throws {
            let mount = try mount()
            let directory = try TemporaryDirectory()
            let crate = directory.path + "/crate"
            let arguments = ["lineage", "--crate", crate, mount.path(last)] + (copies.isEmpty ? [] : [copies])
            let made = try run([try Mount.binary()] + arguments, timeout: 120)
            #expect(made.succeeded, "\(made)")
            #expect(exists(crate + "/" + last) == (copies != "--reference"))
            let others = ["base/analysis_sequences/chr1.tsv", "meta/meta_checkpoints/checkpoint-5/sub/config.json"]
            for other in others {
                #expect(exists(crate + "/production/" + other) == (copies == "--copy-all"), "\(other)")
            }
            if copies != "--reference" { #expect(try contents(crate + "/" + last) == contents(mount.path(last))) }
            // The crate does not need the store to be mounted.
            try mount.unmount()
            let script = """
                import json, os, rocrate, sys
                from rocrate_validator.utils import http
                text = open(os.path.join(os.path.dirname(rocrate.__file__), "data", "ro-crate.jsonld")).read()
                class Answer:
                    status_code, ok, url, text, content, from_cache = 200, True, "", text, text.encode(), True
                    headers = {"Content-Type": "application/ld+json"}
                    def json(self): return json.loads(self.text)
                    def raise_for_status(self): pass
                def get(self, url, *arguments, **members):
                    if url == "https://w3id.org/ro/crate/1.1/context": return Answer()
                    raise OSError("asked for " + url)
                http.HttpRequester.get = get
                from rocrate_validator import services, models
                settings = services.ValidationSettings(
                    rocrate_uri=sys.argv[1], profile_identifier="process-run-crate-0.5",
                    requirement_severity=models.Severity.RECOMMENDED)
                result = services.validate(settings)
                for issue in result.get_issues(models.Severity.OPTIONAL): print(issue.severity, issue.message)
                print("passed", result.passed(models.Severity.RECOMMENDED), len(result.get_issues(models.Severity.OPTIONAL)))
                """
            let checked = try reader(script, [crate])
            #expect(checked.output.hasSuffix("passed True 0\n"), "\(checked)")
        }

        @Test func whatACrateReplaces() throws {
            let mount = try mount()
            let directory = try TemporaryDirectory()
            let crate = directory.path + "/crate"
            _ = mkdir(crate, 0o755)
            #expect(
                try lineage("--crate", crate, mount.path(last)).succeeded && exists(crate + "/ro-crate-metadata.json"))
            let again = try lineage("--crate", crate, mount.path(last))
            #expect(again.status == 1 && again.errors.contains("nothing is replaced"), "\(again)")
            #expect(try lineage("--crate", directory.path + "/x/y", mount.path(last)).status == 1)
            #expect(try lineage("--copy-all", mount.path(last)).status == 64)
            // What is there now is not what was sealed.
            try mount.unmount()
            let real = mount.real("base_layer/splice_errors_chr2.tsv")
            #expect(try shell("chmod u+w \(real); echo 'a\tc' > \(real)").succeeded)
            let changed = try lineage("--store", mount.store, "--crate", directory.path + "/other", last)
            #expect(changed.status == 1 && changed.errors.contains("not what was sealed"), "\(changed)")
            #expect(try names(in: directory.path) == ["crate"], "nothing is left")
        }
    }
}
