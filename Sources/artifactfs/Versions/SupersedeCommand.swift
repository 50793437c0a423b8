import ArgumentParser
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls

/// Why an artifact is to leave its name.
struct ReasonArguments: ParsableArguments {
    @Option(name: .long, help: "Why, for who comes later; the ledger keeps it. At most 1024 bytes.")
    var reason: String

    func validate() throws {
        guard KeptBytes.isReason(reason), reason.utf8.count <= Unsealing.longestReason else {
            throw ValidationError("--reason needs a text of at most \(Unsealing.longestReason) bytes.")
        }
    }
}

/// `artifactfs supersede`
struct SupersedeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "supersede",
        abstract: "Replace a sealed artifact, and keep it as a version.",
        usage: """
            artifactfs supersede <path> ... --reason <text>
                   [--with <file>] [--store <dir>]
            """,
        discussion: """
            The artifact stays whole and readable as a version ('artifactfs versions PATH'), and never changes. With --with the file \
            is checked, copied (or its blocks are shared), and has the name in the same step; else the name is free, and whoever \
            writes it next has the next version. Who, why and when stands in the ledger. Several paths leave their names together, \
            or none does.

            The artifact's owner may do it, root, and whom the schema's may_supersede names. It works on a mount, and on the \
            store itself for its owner. Who has the artifact open reads on what it was.

            EXAMPLES:
              artifactfs supersede --reason "wrong genome build" \\
                  --with fixed/chr1.tsv chr1.tsv
              artifactfs supersede --reason "to be made again" chr*.tsv

            EXIT STATUS: 0 done; 1 refused, and nothing has changed; 2 no such path; 3 not a store; 8 waited in vain, or the driver ended: whether it was done is not known.
            """)

    @Argument(help: "Paths on a mount, or real paths of artifacts.", completion: .file())
    var paths: [String]
    @OptionGroup var why: ReasonArguments
    @Option(name: .customLong("with"), help: "The file that takes the name; of one artifact only.", completion: .file())
    var file: String?
    @Option(name: .long, help: "The store's directory, where it is not mounted.", completion: .directory)
    var store: String?

    func validate() throws {
        guard file == nil || paths.count == 1 else { throw ValidationError("--with is for one artifact.") }
    }

    func run() throws {
        try reporting {
            let artifacts = try ShownArtifact.find(paths, store: store)
            let place = try UnsealingPlace(of: artifacts)
            let new = try file.map { file in
                guard let real = try Paths.resolved(try Paths.absolute(file)) else {
                    throw Failure(.cannotAnswer, "\(file) is not there; nothing has changed")
                }
                return real
            }
            try place.unseal(.superseded, artifacts.map(\.path), reason: why.reason, with: new)
            for artifact in artifacts {
                Terminal.show(
                    file == nil
                        ? "superseded \(artifact.path); its name is free"
                        : "superseded \(artifact.path) with \(new ?? "")")
            }
            Terminal.show(
                "what was there is kept: 'artifactfs versions \(Shell.quoted(artifacts.first?.full ?? ""))' says where")
        }
    }
}
