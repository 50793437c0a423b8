import ArgumentParser
import ArtifactRecords
import ArtifactWeb
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs report`
struct ReportCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "report",
        abstract: "Write what was run and made into one page, for a paper's supplement.",
        usage: """
            artifactfs report [QUERY... | RUN...] -o FILE
                              [--store PLACE] [--no-images]
            """,
        discussion: """
            Writes one HTML file that needs no other and no network: the runs, what differs between them, their metrics as \
            drawings, what each was given, and the artifacts that they made, with hashes and commits. The words are runs, by their ids \
            or the beginnings of these, or a query for runs ('artifactfs runs list --help'), or, where that finds none, for artifacts ('artifactfs find --help'). \
            Without any it is of the whole store.

            Without images it is smaller than 1 MB: of very many runs and artifacts the newest are told, and the command that lists \
            all. Images are what the runs' sessions have in plots/.

            EXAMPLES:
              artifactfs report 'experiment = spliceai' -o spliceai.html
              artifactfs report 20261127T103022Z 20261127T141500Z -o two-runs.html
              artifactfs report 'type = meta_models' -o models.html

            EXIT STATUS: 0; 1 nothing was found, or it cannot be written, 2 it cannot be looked up, 3 not a store, 6 busy, 8 its driver does not answer, 64 the \
            query is wrong.
            """)

    @Argument(help: "Runs, or a query.")
    var words: [String] = []
    @Option(name: .shortAndLong, help: "The file that is written.", completion: .file(extensions: ["html"]))
    var output: String
    @OptionGroup var store: StoreArguments
    @Flag(name: .long, help: "Leave images out.")
    var noImages = false

    func run() throws {
        try reporting {
            let maker = try PageMaker(try store.place())
            guard !output.isEmpty else { throw Failure(.usage, "-o: which file?") }
            var report = ReportMaker(maker, words, withImages: !noImages)
            let html = try report.html()
            do throws(Errno) {
                let file = try SystemCall.open(SystemCall.currentDirectory, output, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
                defer { SystemCall.close(file) }
                try SystemCall.write(file, Array(html.utf8))
            } catch { throw Failure(.failed, "cannot write \(output): \(error)") }
            Terminal.show("wrote \(output): \(ShownText.bytes(Int64(html.utf8.count)))")
        }
    }
}

/// Brings a report together.
struct ReportMaker {
    private let maker: PageMaker
    private let words: [String]
    private let withImages: Bool
    /// Whether the words are a query for artifacts.
    private var isOfArtifacts = false
    /// Whether the artifacts of the newest runs only are told, as there are so many.
    private var isCut = false

    /// Without images, in bytes.
    private static let largest = 1_000_000
    /// Of images, in bytes.
    private static let mostImages = 24 << 20
    private static let (mostRuns, mostDetails, mostCompared, mostArtifacts) = (500, 50, 12, 2_000)
    /// So many runs are asked for by their names.
    private static let mostNamed = 5_000

    init(_ maker: PageMaker, _ words: [String], withImages: Bool) {
        (self.maker, self.words, self.withImages) = (maker, words, withImages)
    }

    mutating func html() throws -> String {
        // What asks a mount comes before the catalog, which has threads.
        let inventory = words.isEmpty ? try maker.inventory() : nil
        var html = ""
        try maker.place.asking { catalog in
            var report = ReportView()
            report.inventory = inventory
            let (runs, artifacts) = try queries(catalog)
            try add(runs, artifacts, catalog, to: &report)
            html = try whole(report, runs, catalog)
        }
        return html
    }

    /// What is asked for: runs, and the artifacts that they made; or artifacts, and the runs that made them.
    private mutating func queries(_ catalog: Catalog) throws -> (runs: Query, artifacts: Query) {
        let text = words.joined(separator: " ")
        if text.isEmpty {
            return (.all, .field(Field(.state), .compare(.equal, .text(ArtifactRecord.State.sealed.rawValue))))
        }
        let named = try words.map { try catalog.runs(named: $0) }
        if named.allSatisfy({ !$0.isEmpty }) {
            for (word, found) in zip(words, named) where found.count > 1 {
                throw Failure(.cannotAnswer, "\(word) may be any of \(found.count) runs; give more of its id")
            }
            return Self.of(named.flatMap { $0 })
        }
        var failure: (any Error)?
        do {
            let asked = try AskedQuery(text, .runs, columns: "run", sort: nil)
            let found = try runs(asked.query, catalog, most: Self.mostNamed)
            isCut = found.count == Self.mostNamed
            if !found.isEmpty { return (asked.query, Self.of(found).artifacts) }
        } catch let error as Failure where error.status == .usage { failure = error }
        // Perhaps it is of artifacts.
        guard let asked = try? AskedQuery(text, .artifacts, columns: "run", sort: nil) else {
            throw failure ?? Failure(.failed, "nothing was found of \(text)")
        }
        isOfArtifacts = true
        var ids: [String] = []
        var known: Set<String> = []
        try catalog.find(asked.query, .artifacts, columns: [Field(.run)]) { row in
            if row[0] != .unknown, known.insert(row[0].text).inserted { ids.append(row[0].text) }
            return ids.count < Self.mostNamed
        }
        return (Self.of(ids).runs, asked.query)
    }

    private static func of(_ runs: [String]) -> (runs: Query, artifacts: Query) {
        let test = Query.field(Field(.run), .oneOf(runs.map { .text($0) }))
        let isSealed = Query.field(Field(.state), .compare(.equal, .text(ArtifactRecord.State.sealed.rawValue)))
        return (test, .and([isSealed, test]))
    }

    private func runs(_ query: Query, _ catalog: Catalog, most: Int) throws -> [String] {
        var names: [String] = []
        try catalog.find(query, .runs, columns: [Field(.run)], limit: most) { row in
            names.append(row[0].text)
            return true
        }
        return names
    }

    private func add(_ runs: Query, _ artifacts: Query, _ catalog: Catalog, to report: inout ReportView) throws {
        let text = words.joined(separator: " ")
        let asked = try AskedQuery("", .runs, columns: nil, sort: nil)
        let wide = AskedQuery(asked, runs)
        let (table, _) = try maker.rows(of: wide, catalog, from: 0, most: Self.mostRuns, widens: true)
        report.runs = table
        let allRuns = try catalog.count(runs, .runs)
        report.runsLeftOut = allRuns - table.rows.count
        let columns = [.path, .version, .size, .rows, .sealed, .user, .run, .commit, .dirty, .sha256].map { Field($0) }
        var rows: [[CatalogValue]] = []
        try catalog.find(artifacts, .artifacts, columns: columns, limit: Self.mostArtifacts) { row in
            rows.append(row)
            return true
        }
        let allArtifacts = try catalog.count(artifacts, .artifacts)
        report.artifacts = FoundTable(columns: columns, rows: rows)
        report.artifactsLeftOut = allArtifacts - rows.count
        guard allRuns > 0 || allArtifacts > 0 || words.isEmpty else {
            throw Failure(.failed, "nothing was found of \(text)")
        }
        report.runsCommand =
            text.isEmpty ? "artifactfs runs --tsv" : isOfArtifacts ? "" : "artifactfs runs \(Shell.quoted(text))"
        if text.isEmpty {
            report.artifactsCommand = "artifactfs find"
        } else if isOfArtifacts {
            report.artifactsCommand = "artifactfs find \(Shell.quoted(text))"
        } else if table.rows.count <= 5, let place = table.columns.firstIndex(where: { $0.name == .run }) {
            let list = table.rows.map { QueryText.quoted($0[place].text) }.joined(separator: ", ")
            report.artifactsCommand = "artifactfs find \(Shell.quoted("run in (\(list))"))"
        }
        report.title = text.isEmpty ? "Report" : "Report: \(text)"
        report.facts = [
            ("store", maker.place.path), ("made", PageMaker.now),
            ("runs", "\(allRuns)"),
            ("artifacts", "\(allArtifacts)" + (isCut ? " of the newest \(Self.mostNamed) runs" : "")),
        ]
    }

    /// Fits it into the size that it may have: what is told last goes first.
    private func whole(_ report: ReportView, _ query: Query, _ catalog: Catalog) throws -> String {
        var report = report
        let names = (report.runs?.rows ?? []).compactMap { row in
            report.runs?.columns.firstIndex { $0.name == .run }.map { row[$0].text }
        }
        let facts = try maker.place.withEnvironments(catalog.facts(of: Array(names.prefix(Self.mostDetails))), catalog)
        if (2...Self.mostCompared).contains(names.count), facts.count == names.count {
            report.comparison = ComparisonView(
                RunComparison(facts, all: false), plots: try RunPlots.together(of: facts, catalog), PageTarget("/"))
        }
        if names.count > Self.mostCompared {
            report.comparisonNote =
                "\(names.count) runs are more than stand side by side on a page: 'artifactfs compare' compares any number of them."
        }
        let plots = try facts.map { try RunPlots.each(of: $0, catalog) }
        func details(
            _ count: Int, images: [(images: [RunView.Image], notes: [String])]
        ) -> [(run: String, view: RunView)] {
            report.detailsLeftOut = names.count - count
            return facts.prefix(count).enumerated().map { place, facts in
                let own = place < images.count ? images[place] : (images: [], notes: [])
                let view = RunView(
                    facts, plots: plots[place].plots, images: own.images, log: nil,
                    notes: plots[place].notes + own.notes)
                return (facts.run, view)
            }
        }
        var count = facts.count
        report.details = details(count, images: [])
        while report.html(date: PageMaker.now).utf8.count >= Self.largest {
            if count > 2 {
                count /= 2
                report.details = details(count, images: [])
            } else if let table = report.artifacts, table.rows.count > 10 {
                let fewer = FoundTable(columns: table.columns, rows: Array(table.rows.prefix(table.rows.count / 2)))
                report.artifactsLeftOut += table.rows.count - fewer.rows.count
                report.artifacts = fewer
            } else if let table = report.runs, table.rows.count > 10 {
                let fewer = FoundTable(columns: table.columns, rows: Array(table.rows.prefix(table.rows.count / 2)))
                report.runsLeftOut += table.rows.count - fewer.rows.count
                report.runs = fewer
            } else {
                break
            }
        }
        if withImages {
            var room = Self.mostImages
            let shown = ShownImages(maker)
            let images = facts.prefix(count).map { facts in
                shown.ownImages(ofSession: facts.values[.init(.time, "session")]?.text, &room)
            }
            report.details = details(count, images: images)
        }
        return report.html(date: PageMaker.now)
    }
}
