import ArgumentParser
import ArtifactRecords
import Glibc
import Lineage

/// `artifactfs lineage diff`
struct LineageDiffCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "diff",
        abstract: "Show what differs between how two artifacts were made.",
        usage: "artifactfs lineage diff A B [--store DIR] [--possible] [--json]",
        discussion: """
            Compares command, code, user, machine, environment and inputs of two artifacts; where an input has other bytes, also how that \
            was made, and so on up to where it begins. Times, process and job numbers are not compared. PATH@N is the N-th version of a path.

            EXAMPLE:
              artifactfs lineage diff metrics.json@1 metrics.json

            EXIT STATUS: 0 they were made alike as far as is known, 1 they were not, 2 trouble.
            """)

    @Argument(help: "A path, as 'lineage show' takes it.", completion: .file())
    var one: String
    @Argument(help: "Another, of the same store or not.", completion: .file())
    var other: String
    @Option(name: .long, help: "The store's directory, where it is not mounted.", completion: .directory)
    var store: String?
    @Flag(name: .long, help: "Compare inputs too that are only possible.")
    var possible = false
    @Flag(name: .long, help: "Print one JSON object.")
    var json = false

    func run() throws {
        var isSame = true
        try reporting {
            do { isSame = try compare() } catch let failure as Failure {
                // As of diff(1), whatever the trouble is.
                throw Failure(.cannotAnswer, failure.text)
            }
        }
        if !isSame { throw ExitCode(Status.failed.rawValue) }
    }

    private func compare() throws -> Bool {
        let (first, second) = (try LineagePlace.find(one, store: store), try LineagePlace.find(other, store: store))
        var question = LineageQuestion()
        question.showsPossible = possible
        let graphs = try first.withRecords { records in
            let one = try first.lineage(question, in: &records)
            guard first.store != second.store || first.artifact?.mount?.mountPoint != second.artifact?.mount?.mountPoint
            else { return (one, try second.lineage(question, in: &records)) }
            return (one, try second.withRecords { try second.lineage(question, in: &$0) })
        }
        guard let difference = LineageDifference(graphs.0.graph, graphs.1.graph) else {
            let (path, graph) =
                graphs.0.graph.nodes[0].record == nil ? (first.path, graphs.0.graph) : (second.path, graphs.1.graph)
            throw Failure(.cannotAnswer, "\(path): \(graph.nodes[0].gap ?? "it has no record")")
        }
        if json {
            print(difference.json)
        } else {
            print(DifferencePage(difference).text, terminator: "")
        }
        return difference.isSame
    }
}
