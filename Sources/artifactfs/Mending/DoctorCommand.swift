import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs doctor`
struct DoctorCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "doctor",
        abstract: "Look for what is not as it should be in a store, and say what mends it.",
        discussion: """
            Looks for files that no type claims, artifacts without records, records without files, artifacts that can be written to or \
            are not as large as they were sealed, what killed drivers have left, and links in sessions that lead nowhere. Nothing is \
            changed. The bytes of artifacts are not read.

            The store's owner and root ask, with or without a mount.

            With --shared it finds out instead what the file system can that the store is on, and whether several hosts may use \
            the store at once. Run the same command on two hosts at once: they work together in .artifactfs/probe, and keep what \
            they find in .artifactfs/shared.json, which mounts tell. Nothing else is touched.

            EXAMPLES:
              artifactfs doctor /data/spliceai_eval
              artifactfs doctor --shared /cluster/spliceai_eval   on two hosts

            EXIT STATUS: 0 all is as it should be (--shared: several hosts may use it), 1 something is not, 2 it cannot be looked \
            up (--shared: no other host came, it went away, or both were one machine), 3 not a store, 64 wrong usage.
            """)

    @Argument(help: "The store's directory, or a mount of it.", completion: .directory)
    var place: String?
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false
    @Flag(name: .long, help: "Find out, on two hosts at once, whether several may use the store.")
    var shared = false
    @Option(name: .long, help: "With --shared: how many seconds the first host waits for the other; 60 by default.")
    var wait: Int?

    /// So many of a kind are named.
    private static let most = 10

    func validate() throws {
        guard let wait else { return }
        guard shared else { throw ValidationError("--wait is for --shared.") }
        guard (1...86_400).contains(wait) else { throw ValidationError("--wait takes 1 to 86400 seconds.") }
    }

    func run() throws {
        try reporting {
            let place = try StorePlace.find(place)
            guard let path = place.store else {
                throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
            }
            if shared { return try SharedDoctor(store: path, wait: wait ?? 60, json: json).run() }
            let findings = try StoreFindings(path).all
            if json {
                for finding in findings { print(JSONValue.object(finding.json)) }
            } else {
                show(findings)
            }
            if !findings.isEmpty { throw ExitCode(Status.failed.rawValue) }
        }
    }

    private func show(_ findings: [StoreFinding]) {
        if findings.isEmpty {
            Terminal.show("all is as it should be, as far as can be seen without reading the artifacts")
        }
        for kind in StoreFinding.Trouble.allCases {
            let here = findings.filter { $0.trouble == kind }
            guard !here.isEmpty else { continue }
            Terminal.show("\(here.count == 1 ? kind.one : "\(here.count) \(kind.several)"):")
            for finding in here.prefix(Self.most) { Terminal.show("  " + finding.path, indent: 6) }
            if here.count > Self.most { Terminal.show("  and \(here.count - Self.most) more (--json lists all)") }
            for command in Set(here.prefix(Self.most).map(\.remedy)).sorted() {
                Terminal.show("  mend: " + command, indent: 8)
            }
        }
    }
}
