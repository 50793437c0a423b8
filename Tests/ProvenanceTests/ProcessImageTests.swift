import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import TestSupport
import Testing

@testable import Provenance

/// What is seen of real processes.
@Suite struct ProcessImageTests {
    private func image(_ command: [String], environment: [String: String] = [:], directory: String? = nil) throws
        -> (ProcessImage, Child)
    {
        let child = try Child(command, environment: environment, directory: directory)
        var seen: ProcessImage?
        let last = command.last
        #expect(
            eventually(within: 30) {
                seen = ProcessImage(child.process, .builtIn)
                return seen?.arguments?.last == last && seen?.name != "env"
            })
        return (try #require(seen), child)
    }

    @Test func aProgram() throws {
        let directory = try TemporaryDirectory()
        let (seen, child) = try image(
            ["sleep", "--", "61"],
            environment: ["SLURM_JOB_ID": "7", "SECRET_TOKEN": "abc", "CONDA_PREFIX": "https://a:b@c/", "HOME": "/x"],
            directory: directory.path)
        #expect(seen.process == child.process)
        #expect(seen.name == "sleep" && seen.program?.hasSuffix("/sleep") == true)
        #expect(seen.arguments == ["sleep", "--", "61"] && !seen.isCut)
        #expect(seen.directory == directory.path)
        #expect(seen.environment?["SLURM_JOB_ID"]?.string == "7")
        #expect(seen.environment?["CONDA_PREFIX"]?.string == "https://a:***@c/")
        #expect(seen.environment?["SECRET_TOKEN"] == nil && seen.environment?["HOME"] == nil)
        #expect(seen.isOfProgram && seen.namespace == nil && seen.origin.parent == getpid())
        let age = Clock.secondsSince(Clock.time(ofTicksSinceBoot: seen.origin.start))
        #expect((-2...120).contains(age), "\(age)")
        child.kill()
        #expect(ProcessImage(child.process, .builtIn) == nil)
    }

    /// Command lines of any length, and arguments that are no text.
    @Test func strangeArguments() throws {
        let long = String(repeating: "x", count: 100)
        let (seen, child) = try image(
            ["sh", "-c", "sleep 60; exit"] + Array(repeating: long, count: 300))
        #expect(!seen.isCut && seen.arguments?.count == 303)
        child.kill()
        let more = try Child(["sh", "-c", "sleep 60; exit"] + Array(repeating: long, count: 15_000))
        #expect(eventually(within: 30) { ProcessImage(more.process, .builtIn)?.isCut == true })
        let cut = try #require(ProcessImage(more.process, .builtIn))
        #expect(cut.arguments?.first == "sh" && cut.arguments?.last == long)
        #expect(cut.arguments.map { $0.reduce(0) { $0 + $1.utf8.count + 1 } <= ProcessImage.mostArgumentBytes } == true)
        more.kill()
        #expect(NameText.text([0x61, 0xff, 0xc3, 0xa4, 0xc3]) == "a\\xff\\xc3\\xa4\\xc3")
        #expect(NameText.text([]) == "")
        #expect(ProcessImage.words([0x61, 0, 0, 0x62, 0])?.words == ["a", "", "b"])
        #expect(ProcessImage.words([]) == nil && ProcessImage.words(nil) == nil)
    }

    @Test func aProgramThatWasRemoved() throws {
        let directory = try TemporaryDirectory()
        let program = directory.path + "/tool"
        #expect(try run(["cp", "/bin/sleep", program]).succeeded)
        let (_, child) = try image([program, "60"])
        #expect(try run(["rm", program]).succeeded)
        #expect(ProcessImage(child.process, .builtIn)?.program == program)
        child.kill()
        #expect(ProcessImage.path("/a (deleted)") == "/a" && ProcessImage.path("(unreachable)/a") == nil)
    }

    /// A process that has ended and that nobody has waited for has no memory: nothing of it is claimed.
    @Test func aZombie() throws {
        let parent = try Child([
            "python3", "-c",
            "import os, time\np = os.fork()\nif not p: os._exit(0)\nprint(p, flush=True)\ntime.sleep(60)",
        ])
        #expect(eventually(within: 30) { parent.output.hasSuffix("\n") })
        let zombie = try #require(Int32(parent.output.dropLast()))
        var seen: ProcessImage?
        #expect(
            eventually(within: 30) {
                seen = ProcessImage(zombie, .builtIn)
                // It gives up its memory before its directory.
                return seen?.program == nil && seen?.directory == nil
            })
        #expect(seen?.arguments == nil)
        parent.kill()
    }

    @Test func statLines() throws {
        func origin(_ text: String) -> ProcFile.Descent? {
            Array(text.utf8).withUnsafeBytes { ProcFile.origin(inStat: $0) }
        }
        let rest = "S 7 8 9 34816 8 4194368 \(Array(repeating: "0", count: 12).joined(separator: " ")) 4711 1 2 3"
        let seen = try #require(origin("12 (a) b) \(rest)"))
        #expect(seen.parent == 7 && seen.session == 9 && seen.start == 4711 && !seen.isProgram)
        for text in [
            "", "1", "1 (a", "1 (a)", "1 (a) S", "1 (a) S 1 2 3", "1 (a) \(rest)".replacing("4711", with: "-1"),
        ] {
            #expect(origin(text) == nil, "\(text)")
        }
        var random = SplitMix64(seed: Seed.fromEnvironment())
        for _ in 0..<2000 {
            let numbers = (0..<Int.random(in: 0...30, using: &random)).map { _ in
                ["0", "-1", "9223372036854775807", "-9223372036854775808", "18446744073709551616", "", "x"]
                    .randomElement(using: &random) ?? ""
            }
            _ = origin("1 (a) S " + numbers.joined(separator: " "))
        }
    }

    @Test func kinds() throws {
        func chain(_ command: [String], _ environment: [String: String] = [:]) throws -> [ProcessImage] {
            let (seen, child) = try image(command, environment: environment)
            child.kill()
            return [seen]
        }
        #expect(JobKind.kind(of: try chain(["sleep", "60"])) == nil)
        #expect(JobKind.kind(of: try chain(["bash", "-c", "read -t 60 x < <(sleep 60)", "60"])) == "shell")
        let slurm = try chain(
            ["sleep", "60"], ["SLURM_JOB_ID": "9", "SLURM_ARRAY_JOB_ID": "8", "SLURM_ARRAY_TASK_ID": "3"])
        #expect(JobKind.kind(of: slurm) == "slurm" && JobKind.schedulerID(of: slurm) == "slurm:8_3")
        let sge = try chain(["sleep", "60"], ["JOB_ID": "9", "SGE_TASK_ID": "undefined"])
        #expect(JobKind.kind(of: sge) == "sge" && JobKind.schedulerID(of: sge) == "sge:9")
        #expect(JobKind.kind(of: try chain(["sleep", "60"], ["ARTIFACTFS_RUN": "r"])) == "run")
        let directory = try TemporaryDirectory()
        for (name, kind) in [("snakemake", "snakemake"), ("make", "make"), (".command.sh", "nextflow")] {
            try write("sleep 60; exit\n", to: directory.path + "/" + name)
            #expect(JobKind.kind(of: try chain(["sh", directory.path + "/" + name])) == kind)
        }
    }
}
