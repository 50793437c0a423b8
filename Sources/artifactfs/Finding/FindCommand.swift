import ArgumentParser
import ArtifactRecords
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// `artifactfs find`
struct FindCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "find",
        abstract: "Find artifacts by what is known of them.",
        usage: """
            artifactfs find [QUERY...] [--store PLACE | --root DATA] [--columns A,B]
                             [--sort A,-B] [-n N] [--json | --csv | --tsv | --paths0]
            """,
        discussion: """
            A query is made of tests with 'and', 'or', 'not' and brackets; 'and' may be left out. A test is FIELD = VALUE, with \
            = != < <= > >=, 'in (A, B)', 'like "chr*"' (* or % for any characters, ? for one), '~ REGEX' (POSIX, extended), 'is \
            known' or 'is unknown'. Any other word is looked for in commands and notes. Values with blanks or brackets stand in quotes.

            FIELDS: path name type layer mode key chromosome format version session test run experiment user host program command \
            commit dirty size rows columns sealed opened left removed state sha256 note input metric.NAME param.NAME

            Sizes have units (10kB, 1.5GB, 2GiB). Dates are 2026-10-01, "2026-10-01 14:30", today, "last month", "3 days ago", \
            in local time, and go with 'since', 'before', 'after', 'until' and 'on' too; without a field it is when the artifact was \
            sealed. A hash is known by its first 4 digits or more. What is not known is neither equal nor unequal to anything.

            metric.NAME is the last value of a metric: of the artifact itself (types whose names end with metrics), else of its \
            session, else of another file of its run. Of a file the first 1,000 names are known, and 100,000 steps, when it has 16 MiB \
            or less. NAME may be the end of a name, after a dot.

            State is sealed, superseded or retracted ('left' tells when, 'removed' when gc has removed its bytes), quarantined (kept back) or replaced (its file was removed, and \
            the name given again). Without a test of 'state' only sealed artifacts are found.

            In a pipe each line is an artifact, with tabs between its columns.

            On a mount of several stores ('mount --root'), above them, all stores below are asked, and with --root all below a real directory: \
            one list in one order, and paths begin with the store's. The query's own paths are of a store. What cannot be asked is told.

            EXAMPLES:
              artifactfs find 'type = meta_models sealed since "last month"'
              artifactfs find 'metric.auc > 0.9 user = alice' --sort=-metric.auc
              artifactfs find 'size > 1GB' --columns path,size,run --csv
              artifactfs find 'input = production/base/splice_sites/splice_sites.tsv'
              artifactfs find 'type = error_analysis' --paths0 | xargs -0 wc -l

            EXIT STATUS: 0 something was found, 1 nothing was, 2 it cannot be looked up (of several stores: \
            nothing was found, and one could not be asked), 3 not a store, 6 busy, 64 the query is wrong.
            """)

    @Argument(help: "The query; several arguments are one. Without it everything is found.")
    var query: [String] = []
    @OptionGroup var stores: AskedStores
    @Option(name: .long, help: "What is shown of each: fields with commas between.")
    var columns: String?
    @Option(
        name: .long, parsing: .unconditional,
        help: "Sort by a field, or several; -FIELD for the greatest first. (default: -sealed)")
    var sort: String?
    @Option(name: [.long, .customShort("n")], parsing: .unconditional, help: "Show only so many.")
    var limit: Int?
    @Flag(help: "How it is printed.")
    var form: FoundForm?

    func run() throws {
        try reporting {
            if let limit, limit < 0 { throw Failure(.usage, "--limit \(limit): that is no number of artifacts") }
            let asked = try AskedQuery(query.joined(separator: " "), .artifacts, columns: columns, sort: sort)
            let (places, problems) = try stores.places()
            let output = FoundOutput(asked, form)
            let search = StoresSearch(places, asked, columns: output.columns + [Field(.path), Field(.state)])
            var gone = 0
            try search.run(wanted: limit, begin: output.begin) { files, row in
                if limit == 0 { return false }
                let (path, state) = (row[row.count - 2].text, row[row.count - 1].text)
                let isSealed = state == ArtifactRecord.State.sealed.rawValue
                // Of what was removed at its real path the ledgers do not tell.
                if isSealed, !files.isThere(path) {
                    gone += 1
                    return true
                }
                // What was kept back is not where it was to be.
                if form == .paths0, !isSealed { return true }
                let values = zip(output.columns, row).map { field, value -> CatalogValue in
                    if field.name == .path, case .text(let path) = value { return .text(files.place.named(path)) }
                    return value
                }
                return try output.add(values, at: files.location(of: path)) && limit.map { output.count < $0 } ?? true
            }
            try output.end()
            if gone > 0 {
                Terminal.complain(
                    gone == 1
                        ? "1 artifact is not told: it was sealed, and its file is not there any more"
                        : "\(gone) artifacts are not told: they were sealed, and their files are not there any more")
            }
            guard output.count == 0 else { return }
            let isUnknown = problems > 0 || search.unanswered > 0
            throw ExitCode((isUnknown ? Status.cannotAnswer : .failed).rawValue)
        }
    }
}

/// How what was found is printed.
enum FoundForm: String, EnumerableFlag {
    case json, csv, tsv, paths0

    static func help(for value: FoundForm) -> ArgumentHelp? {
        switch value {
        case .json: "Print JSON, an object a line; what is not known has no member."
        case .csv: "Print CSV (RFC 4180) with a head."
        case .tsv: "Print a head and lines with tabs."
        case .paths0: "Print where those are that are sealed, each with a zero byte after it, for xargs -0."
        }
    }
}
