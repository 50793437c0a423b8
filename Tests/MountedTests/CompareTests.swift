import Glibc
import SystemPackage
import TestSupport
import Testing

extension MountedTests {
    /// `artifactfs compare`, as people use it.
    @Suite struct CompareTests {
        /// Four runs of two models with two rates: their ids, the oldest first.
        private func runs(_ mount: Mount) throws -> [String] {
            try write("a\tb\n1\t2\n", to: mount.production("base/gene_manifest/gene_manifest.tsv"))
            #expect(mount.settle())
            let script = """
                number=0
                for model in cnn rnn; do for rate in 0.1 0.01; do
                    number=$((number + 1))
                    echo '{"optimizer": {"name": "adam"}, "a|b": "<&>_'$number'"}' > "$1"
                    NUMBER=$number "$0" run --experiment e --config "$1" --param model=$model --param lr=$rate -- bash -c '
                        echo "{\\"auc\\": [0.5, 0.9$NUMBER], \\"loss\\": 0.$NUMBER}" > development/current/meta/meta_metrics/t.json
                        sort production/base/gene_manifest/gene_manifest.tsv > production/base/splice_errors/chr$NUMBER.tsv' || exit
                done; done
                """
            let made = try run(
                ["bash", "-c", script, try Mount.binary(), mount.store + "/../config.json"], directory: mount.root)
            #expect(made.succeeded && mount.settle(), "\(made)")
            let listed = try run([
                try Mount.binary(), "runs", "--store", mount.store, "--columns", "run", "--sort",
                "param.model,-param.lr",
            ])
            return listed.output.split(separator: "\n").map(String.init)
        }

        private func compare(_ mount: Mount, _ words: [String]) throws -> Outcome {
            try run([try Mount.binary(), "compare", "--store", mount.store] + words)
        }

        @Test func onlyWhatDiffers() throws {
            let mount = try Mount()
            let names = try runs(mount)
            try #require(names.count == 4)
            let two = try compare(mount, Array(names[0...1]))
            #expect(two.status == 1, "\(two)")
            let lines = two.output.split(separator: "\n").map {
                $0.split(separator: "\t", omittingEmptySubsequences: false)
            }
            let table = Dictionary(lines.map { (String($0[0]), $0.dropFirst().map(String.init)) }) { one, _ in one }
            #expect(table[""] == Array(names[0...1]))
            #expect(table["param.lr"] == ["0.1", "0.01"] && table["param.model"] == nil && table["begun"] == nil)
            #expect(table["metric.t.auc"] == ["0.91", "0.92"] && table["metric.t.loss"] == ["0.1", "0.2"])
            #expect(table["param.a|b"] == ["<&>_1", "<&>_2"] && table["param.optimizer.name"] == nil)
            let made = try #require(table["made production/base/splice_errors/chr1.tsv"])
            #expect(made[0].hasPrefix("1 rows, 8 bytes, ") && made[1] == "-")
            #expect(table["input production/base/gene_manifest/gene_manifest.tsv"] == nil)
            let all = try compare(mount, Array(names[0...1]) + ["--all"])
            #expect(
                all.succeeded && all.output.contains("\nparam.model\tcnn\tcnn\n") && all.output.contains("\nseconds\t"),
                "\(all)")
            #expect(all.output.contains("\ninput production/base/gene_manifest/gene_manifest.tsv\t"), "\(all)")
            #expect(try compare(mount, [names[0], String(names[0].dropLast(1)) + "x"]).status == 2)
            #expect(try compare(mount, [names[0]]).status == 2 && compare(mount, []).status == 64)
            let same = try compare(mount, [names[0], names[0], "--where", "run = \(names[0])"])
            #expect(same.status == 2, "\(same)")
        }

        @Test func forDocuments() throws {
            let mount = try Mount()
            let names = try runs(mount)
            let csv = try compare(mount, ["--where", "experiment = e and param.model = cnn", "--csv"])
            #expect(
                csv.output.hasPrefix(",\(names[0]),\(names[1])\n") && csv.output.contains("\nmetric.t.auc,0.91,0.92\n"),
                "\(csv)")
            let markdown = try compare(mount, ["--where", "experiment = e", "--md"])
            #expect(markdown.output.contains("| param.a\\|b | \\<&\\>\\_1 | \\<&\\>\\_2 |"), "\(markdown)")
            let latex = try compare(mount, ["--where", "experiment = e", "--latex"])
            #expect(latex.output.contains("param.a\\textbar{}b & \\textless{}\\&\\textgreater{}\\_1 & "), "\(latex)")
            let json = try compare(mount, ["--where", "experiment = e", "--json"])
            #expect(
                json.output.contains(#"{"what":"parameter","name":"lr","alike":false,"values":[0.1,0.01,0.1,0.01]}"#),
                "\(json)")
            let pivot = try compare(
                mount, ["--where", "experiment = e", "--pivot", "param.model,param.lr", "--metric", "auc"])
            #expect(
                pivot.output == "param.model \\ param.lr\t0.01\t0.1\ncnn\t0.92\t0.91\nrnn\t0.94\t0.93\n", "\(pivot)")
            let means = try compare(
                mount, ["--where", "experiment = e", "--pivot", "param.lr", "--metric", "t.loss", "--md"])
            #expect(means.output.hasSuffix("| 0.01 | 0.3 (2) |\n| 0.1 | 0.2 (2) |\n"), "\(means)")
            for (words, part) in [
                (["--pivot", "param.model"], "--metric"),
                (["--pivot", "param.model", "--metric", "gone"], "none of the runs"),
                (["--pivot", "modle", "--metric", "auc"], "no field"),
                (["--metric", "auc", "--plot", "x.gif"], "FILE.svg"),
            ] {
                let wrong = try compare(mount, ["--where", "experiment = e"] + words)
                #expect([2, 64].contains(wrong.status) && wrong.errors.contains(part), "\(wrong)")
            }
        }

        /// On a terminal it is turned when the runs do not fit side by side.
        @Test func forPeople() throws {
            let mount = try Mount()
            let names = try runs(mount)
            let page = try python(
                ListTests.onATerminal,
                [try Mount.binary(), "compare", "--store", mount.store, "--where", "experiment = e"])
            let lines = page.output.split(separator: "\n").map(String.init)
            #expect(page.status == 1 && lines.allSatisfy { $0.count <= 80 } && lines[0].hasPrefix("run  "), "\(page)")
            for name in names { #expect(lines.contains { $0.hasPrefix(name) }, "\(page)") }
            let drawn = try compare(mount, ["--where", "experiment = e", "--metric", "auc", "--ascii"])
            #expect(
                drawn.succeeded && drawn.output.hasPrefix("auc\n") && drawn.output.contains("  x  \(names[3])\n"),
                "\(drawn)")
            let file = mount.store + "/../auc.svg"
            #expect(try compare(mount, ["--where", "experiment = e", "--metric", "auc", "--plot", file]).succeeded)
            let check = """
                import sys, xml.etree.ElementTree as tree
                root = tree.parse(sys.argv[1]).getroot()
                lines = [e for e in root.iter() if e.tag.endswith('polyline')]
                texts = {e.text for e in root.iter() if e.tag.endswith('text')}
                assert len(lines) == 4 and len({e.get('stroke') for e in lines}) == 4, lines
                assert all(len(e.get('points').split()) == 2 for e in lines)
                assert {'auc', 'epoch or step', *sys.argv[2:]} <= texts, texts
                """
            let checked = try python(check, [file] + names)
            #expect(checked.succeeded, "\(checked)")
            let image = try compare(
                mount, ["--where", "experiment = e", "--metric", "loss", "--plot", mount.store + "/../loss.png"])
            #expect(image.succeeded || image.status == 1 && image.errors.contains("librsvg2-bin"), "\(image)")
        }
    }
}
