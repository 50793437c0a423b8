import Glibc
import TestSupport
import Testing

/// Snakemake with outputs in production, in a workflow of a few rules.
extension MountedTests {
    @Suite struct SnakemakeTests {
        private static let workflow = #"""
            import os
            P, S = os.environ["P"], os.environ["S"]
            rule all:
                input: P + "/meta/meta_metrics/sum.json"
            rule table:
                output: P + "/base/analysis_sequences/chr{n}.tsv"
                shell: r"""awk 'BEGIN {{ print "a\tb"; print "{wildcards.n}\t2" }}' > {output}"""
            rule draft:
                input: P + "/base/analysis_sequences/chr1.tsv"
                output: temp(S + "/base/splice_errors/chr9.tsv")
                shell: "cp {input} {output}"
            rule total:
                input: P + "/base/analysis_sequences/chr1.tsv", P + "/base/analysis_sequences/chr2.tsv", S + "/base/splice_errors/chr9.tsv"
                output: protected(P + "/meta/meta_metrics/sum.json")
                shell: r"""cat {input} | awk 'END {{ print "{{\"n\": " NR "}}" }}' > {output}"""
            rule bad:
                output: P + "/base/analysis_sequences/chr7.tsv"
                shell: r"""awk 'BEGIN {{ print "a\tb"; print "1\t2" }}' > {output}; {BAD}"""
            rule slow:
                output: P + "/base/analysis_sequences/chr8.tsv"
                shell: r"""{{ printf 'a\tb\n1\t2\n'; {SLOW}; }} > {output}"""
            """#

        /// Starts what follows as a session of its own, interrupts it as a terminal does once `sys.argv[1]` is there, and says how it ended.
        private static let interrupt = #"""
            import os, signal, subprocess, sys, time
            run = subprocess.Popen(sys.argv[2:], start_new_session=True, stdout=sys.stderr)
            while not os.path.exists(sys.argv[1]) and run.poll() is None: time.sleep(0.05)
            os.killpg(run.pid, signal.SIGINT)
            print(run.wait() != 0)
            """#

        @Test(
            .enabled(if: environmentValue("ARTIFACTFS_TEST_SNAKEMAKE") != nil, "mount-scripts/test.sh installs it"),
            arguments: MountVariant.both)
        func aWorkflow(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let directory = try TemporaryDirectory()
            let program = environmentValue("ARTIFACTFS_TEST_SNAKEMAKE") ?? "snakemake"
            let place = mount.production("base/analysis_sequences/")
            func file(bad: String = "false", slow: String = "sleep 100") throws {
                try write(
                    Self.workflow.replacing("{BAD}", with: bad).replacing("{SLOW}", with: slow),
                    to: directory.path + "/Snakefile")
            }
            func snakemake(_ arguments: String) throws -> Outcome {
                try shell(
                    "exec \(program) -j2 \(arguments) 2>&1", in: directory.path,
                    environment: ["P": mount.root + "/production", "S": mount.root + "/development/current"])
            }
            try file()
            let first = try snakemake("all")
            #expect(first.succeeded, "\(first)")
            for name in ["chr1.tsv", "chr2.tsv"] { #expect(mount.isSealed(place + name)) }
            let sum = mount.production("meta/meta_metrics/sum.json")
            #expect(mount.isSealed(sum))
            #expect(try contents(sum) == "{\"n\": 6}\n" && attributes(sum).st_mode & 0o222 == 0o200, "protected")
            #expect(!exists(mount.session("base/splice_errors/chr9.tsv")), "temporary")
            #expect(try snakemake("all").output.contains("Nothing to be done"))

            let bad = try snakemake("bad")
            #expect(!bad.succeeded && eventually { !exists(place + "chr7.tsv") }, "\(bad)")
            #expect(!exists(mount.real("base_layer/analysis_sequences_chr7.tsv")))
            try file(bad: "true")
            #expect(try snakemake("bad").succeeded && mount.isSealed(place + "chr7.tsv"), "its name is free")

            let interrupted = try run(
                [
                    "python3", "-c", Self.interrupt, place + "chr8.tsv", program, "-j2", "-s",
                    directory.path + "/Snakefile",
                ]
                    + ["-d", directory.path, "slow"],
                environment: ["P": mount.root + "/production", "S": mount.root + "/development/current"])
            #expect(interrupted.output == "True\n" && eventually { !exists(place + "chr8.tsv") }, "\(interrupted)")
            #expect(!exists(mount.real("base_layer/analysis_sequences_chr8.tsv")))
            try file(bad: "true", slow: "true")
            let again = try snakemake("--rerun-incomplete slow")
            #expect(again.succeeded && mount.isSealed(place + "chr8.tsv"), "\(again)")
        }
    }
}
