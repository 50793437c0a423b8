import Foundation
import Glibc
import TestSupport

/// Real jobs on a mount of their own, under strace and without it, and what came of them (Lineage/main.py).
enum EdgesHarness {
    /// One job's outcome.
    struct Result: Decodable {
        /// One output's.
        struct Row: Decodable {
            var expected: [String: String]
            var missing: [String]
            var `false`: [String]
            var bytes: [String]
        }

        /// One run's outputs.
        struct Run: Decodable { var outputs: [Row] }

        var job: String
        /// An edge is missing or false, or the job could not be judged.
        var failed: Bool
        /// What differs, a line each.
        var details: [String]
        /// Why it could not be judged.
        var problems: [String]
        var runs: [Run]
        /// The programs that the job needs and that are not here.
        var leftOut: [String]?

        private var rows: [Row] { runs.flatMap(\.outputs) }
        var expected: Int { rows.reduce(0) { $0 + $1.expected.count } }
        var missing: [String] { rows.flatMap(\.missing) }
        var falseEdges: [String] { rows.flatMap(\.false) }
        /// Inputs whose hash is that of other bytes.
        var otherBytes: [String] { rows.flatMap(\.bytes) }

        /// What is missing though every machine with the tests' packages has it.
        var unexpectedlyAbsent: Set<String> {
            Set(leftOut ?? []).subtracting(["Rscript", "root", "snakemake", "static", "trace"])
        }

        private enum CodingKeys: String, CodingKey {
            case job, failed, details, problems, runs
            case leftOut = "left_out"
        }
    }

    private static let directory = URL(fileURLWithPath: #filePath).deletingLastPathComponent().path + "/Lineage"

    /// The jobs' names: a file each.
    static let jobs: [String] = {
        let names = (try? FileManager.default.contentsOfDirectory(atPath: directory + "/jobs")) ?? []
        return names.filter { $0.hasSuffix(".sh") || $0.hasSuffix(".py") }.map { String($0.dropLast(3)) }.sorted()
    }()

    /// Whether strace is here and may be used.
    static let canTrace = (try? run(["strace", "-o", "/dev/null", "true"]))?.succeeded == true

    /// Runs all jobs.
    ///
    /// - Throws: ``Mount/Failure`` with the program's words when it gave no results.
    static func results(_ options: String...) throws -> [String: Result] {
        let place = try TemporaryDirectory()
        let file = place.path + "/results.json"
        let program = [testPython, directory + "/main.py", "--json", file, "--binary", try Mount.binary()] + options
        // One of the jobs makes a mount namespace, with a copy of all that is mounted.
        let alone = ["unshare", "--mount", "--", "sh", "-c", Mount.leavesOtherMounts + #"exec "$0" "$@""#]
        let ran = try run(
            geteuid() == 0 ? alone + program : program, environment: ["PYTHONDONTWRITEBYTECODE": "1"], timeout: 240)
        guard let text = try? contents(file), !text.isEmpty else { throw Mount.Failure(description: "\(ran)") }
        let all = try JSONDecoder().decode([Result].self, from: Data(text.utf8))
        return Dictionary(uniqueKeysWithValues: all.map { ($0.job, $0) })
    }

    /// Runs the tests of its own parser and model.
    static func ownTests() throws -> Outcome {
        try run(
            [testPython, "-m", "unittest", "discover", "-s", directory], environment: ["PYTHONDONTWRITEBYTECODE": "1"])
    }
}
