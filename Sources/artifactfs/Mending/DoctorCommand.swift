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

            EXAMPLE:
              artifactfs doctor /data/spliceai_eval

            EXIT STATUS: 0 all is as it should be, 1 something is not, 2 it cannot be looked up, 3 not a store.
            """)

    @Argument(help: "The store's directory, or a mount of it.", completion: .directory)
    var place: String?
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    /// So many of a kind are named.
    private static let most = 10

    func run() throws {
        try reporting {
            let place = try StorePlace.find(place)
            guard let path = place.store else {
                throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
            }
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
