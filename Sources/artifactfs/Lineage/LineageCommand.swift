import ArgumentParser
import ArtifactRecords
import Glibc
import Lineage

/// `artifactfs lineage`
struct LineageCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "lineage",
        abstract: "Show from what an artifact was made, and what was made from it.",
        discussion: """
            'lineage PATH' is short for 'lineage show PATH': 'artifactfs help lineage show' has its options.

            EXAMPLES:
              artifactfs lineage chr1.tsv                    from what, and so on upwards
              artifactfs lineage --down --depth 1 chr1.tsv   what was made from it
              artifactfs lineage --svg chr1.tsv > chr1.svg   as a picture
              artifactfs lineage --crate DIR chr1.tsv        as a Process Run Crate
              artifactfs lineage diff chr1.tsv@1 chr1.tsv    what differs between two

            EXIT STATUS: 0 there is a lineage, 1 nothing is known of it, 2 no such path, or it cannot be looked up, 3 not a store, \
            8 waited in vain. Of 'diff': 0 made alike, 1 not, 2 trouble.
            """,
        subcommands: [LineageShowCommand.self, LineageDiffCommand.self],
        defaultSubcommand: LineageShowCommand.self)
}

/// `artifactfs lineage show`
struct LineageShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show",
        abstract: "Show from what an artifact was made, and what was made from it.",
        usage: "artifactfs lineage [show] PATH [--store DIR] [--up] [--down] [OPTION...]",
        discussion: """
            PATH is on a mount, or a real path in a store; PATH@N is its N-th version. What was read in a session, in a test or (with \
            --store) outside the store may be asked for too.

            Follows what records say of inputs, over versions and promotions, as far as it is known, and says where it ends and \
            why. Edges that are only possible are followed with --possible.

            The store's owner and root see all that its ledgers tell; other users of a mount see what they may read.

            EXIT STATUS: 0 there is a lineage, 1 nothing is known of it, 2 no such path, or it cannot be looked up, 3 not a store, \
            8 waited in vain.
            """)

    @OptionGroup var artifact: ArtifactArguments
    @Flag(name: .long, help: "From what it was made. This is the default.")
    var up = false
    @Flag(name: .long, help: "What was made from it.")
    var down = false
    @Option(name: .long, help: ArgumentHelp("At most so many steps.", valueName: "n"))
    var depth: Int?
    @Flag(name: .long, help: "Follow edges too that are only possible.")
    var possible = false
    @Flag(name: .long, help: "Begin with all versions of the path.")
    var allVersions = false
    @OptionGroup(title: "How it is shown") var form: LineageForm

    func validate() throws {
        if let depth, depth < 1 { throw ValidationError("--depth is at least 1") }
        try form.check()
    }

    func run() throws {
        try reporting {
            var question = LineageQuestion()
            (question.isUp, question.isDown) = (up || !down, down)
            (question.depth, question.showsPossible, question.allVersions) = (depth, possible, allVersions)
            let found = try AskedLineage.find(artifact, question)
            try form.show(found)
        }
    }
}

/// In which form a lineage is shown.
struct LineageForm: ParsableArguments {
    @Flag(name: .long, help: "Print nodes and edges, one JSON object.")
    var json = false
    @Flag(name: .long, help: "Print a graph for Graphviz' dot.")
    var dot = false
    @Flag(name: .long, help: "Print a picture, SVG.")
    var svg = false
    @Flag(name: .long, help: "Print PROV-JSON of the W3C.")
    var prov = false

    @Option(
        name: .long,
        help: ArgumentHelp("Make a directory that is a Process Run Crate (RO-Crate 1.1).", valueName: "dir"),
        completion: .directory)
    var crate: String?
    @Flag(name: .long, help: "Of a crate: copy every artifact that is there, and not only what is asked for.")
    var copyAll = false
    @Flag(name: .long, help: "Of a crate: copy nothing, name all.")
    var reference = false

    func check() throws {
        guard [json, dot, svg, prov, crate != nil].count(where: { $0 }) <= 1 else {
            throw ValidationError("--json, --dot, --svg, --prov and --crate exclude each other")
        }
        guard crate != nil || !copyAll && !reference else {
            throw ValidationError("--copy-all and --reference are of --crate")
        }
        if copyAll, reference { throw ValidationError("--copy-all and --reference exclude each other") }
    }

    func show(_ found: AskedLineage) throws {
        if json {
            print(found.graph.json)
        } else if dot {
            print(found.graph.dot, terminator: "")
        } else if let crate {
            let copies: CrateDirectory.Copies = copyAll ? .all : reference ? .none : .asked
            let count = try CrateDirectory(crate).make(of: found, copies)
            Terminal.show("made \(crate): \(found.graph.nodes.count) artifacts and files, \(count) of them copied")
        } else if svg {
            guard let picture = found.graph.svg(of: found.path) else {
                throw Failure(
                    .failed,
                    "\(found.graph.nodes.count) artifacts and files are more than a picture can show; --depth makes them fewer"
                )
            }
            print(picture, terminator: "")
        } else if prov {
            print(found.graph.prov)
        } else {
            print(LineageTree(found.graph, found.question).text, terminator: "")
        }
    }
}
