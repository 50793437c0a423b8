import ArtifactFormats
import ArtifactRecords
import ArtifactStore
import ArtifactWeb
import Artifacts
import Catalog
import Glibc
import Lineage
import Queries
import SystemCalls

/// The pages of artifacts.
struct ArtifactPages {
    private let maker: PageMaker

    init(_ maker: PageMaker) { self.maker = maker }

    /// Of ledgers that are longer not all is read for a page, in bytes.
    private static let longestLedger: Int64 = 256 << 20
    /// What is looked at of a file, in bytes.
    private static let headLength = 256 << 10
    private static let (mostRows, mostColumns, mostText) = (20, 50, 8 << 10)
    /// A lineage of more artifacts and files is not drawn on a page.
    private static let mostNodes = 400

    func artifact(_ target: PageTarget) throws -> ArtifactView {
        guard let path = target["path"] else {
            throw Failure(.cannotAnswer, "the page /artifact is of an artifact: /artifact?path=PATH")
        }
        guard maker.schema.isArtifact(path) else {
            throw Failure(.cannotAnswer, "\(path) is no artifact: no type of the schema has this name")
        }
        // What asks a mount comes before the catalog, which has threads.
        let contents = try contents(path)
        let place = maker.place
        let shown: ShownArtifact
        if let mount = place.mount {
            shown = try ShownArtifact.find(mount.mountPoint + "/" + path, store: nil)
        } else {
            shown = try ShownArtifact.find(path, store: place.store)
        }
        let isSmall = (try? ledgerLength()).map { $0 <= Self.longestLedger } ?? true
        var (record, state, problem): (ArtifactRecord?, String, String?) = (nil, "", nil)
        if isSmall {
            do { (record, state) = try ShowCommand.find(shown) } catch let failure as Failure {
                let isClosed = place.mount != nil && failure.status == .cannotAnswer
                problem =
                    isClosed ? "nothing of it is known to you: it is not there, or not yours to read" : failure.text
            }
        }
        var versions: FoundTable?
        var (drawing, history, more): (String?, [(time: String, what: String, words: String)], String?) = (nil, [], nil)
        if isSmall {
            drawing = try? lineage(path)
            if let known = try? shown.history() {
                history = known.entries.map { HistoryCommand.event($0, of: known.path) }
            }
        } else {
            let word = Shell.quoted(shown.full)
            more =
                "The ledgers are long: 'artifactfs history \(word)' and 'artifactfs lineage \(word)' read all of them."
        }
        try place.asking { catalog in
            versions = try self.versions(path, catalog)
            guard record == nil, !isSmall, let store = place.store, let found = try catalog.records(at: path).first
            else {
                return
            }
            record = try ShownArtifact.openStore(store).withLedgers { found.record(in: $0) }
            state = "sealed, as the ledgers tell"
        }
        let facts =
            record.map {
                RecordPage(
                    $0, state: state, showsPossible: true, proved: ShowCommand.proved($0, place.store)
                ).facts
            } ?? []
        return ArtifactView(
            path, facts: facts, problem: facts.isEmpty ? problem ?? "nothing is known of it" : nil, versions: versions,
            contents: contents, lineage: drawing, history: history, more: more)
    }

    private func ledgerLength() throws -> Int64 {
        guard let store = maker.place.store else { return 0 }
        return try ShownArtifact.openStore(store).withLedgers { try $0.length() }
    }

    private func versions(_ path: String, _ catalog: Catalog) throws -> FoundTable {
        let columns = [.version, .sealed, .user, .size, .rows, .state, .run, .sha256].map { Field($0) }
        var rows: [[CatalogValue]] = []
        let query = Query.field(Field(.path), .compare(.equal, .text(path)))
        try catalog.find(query, .artifacts, columns: columns, limit: 100) { row in
            rows.append(row)
            return true
        }
        return FoundTable(columns: columns, rows: rows)
    }

    private func lineage(_ path: String) throws -> String? {
        let place = maker.place
        let argument = place.mount.map { $0.mountPoint + "/" + path } ?? path
        let asked = try LineagePlace.find(argument, store: place.mount == nil ? place.store : nil)
        return try asked.withRecords { records in
            for depth in [nil, 3, 1] as [Int?] {
                var question = LineageQuestion()
                (question.isUp, question.isDown, question.depth) = (true, true, depth)
                let graph = try asked.lineage(question, in: &records).graph
                guard graph.nodes.count <= Self.mostNodes || depth == 1 else { continue }
                guard graph.nodes.count > 1 else { return nil }
                return graph.svg(of: path) { node in
                    node.nature == .artifact && !node.isHidden
                        ? PageLinks.target(ofArtifact: node.path).text : nil
                }
            }
            return nil
        }
    }

    // MARK: - Contents

    private func contents(_ path: String) throws -> ArtifactView.ShownContents {
        if ShownImages.type(of: path) != nil { return .image(PageTarget("/image", [("path", path)]).text) }
        let name = path.lowercased()
        let isCompressed = name.hasSuffix(".gz")
        let bare = isCompressed ? String(name.dropLast(3)) : name
        let separator: UInt8? =
            bare.hasSuffix(".tsv") ? UInt8(ascii: "\t") : bare.hasSuffix(".csv") ? UInt8(ascii: ",") : nil
        let isText = [
            ".json", ".jsonl", ".yaml", ".yml", ".txt", ".md", ".log", ".fai", ".bed", ".gtf", ".fasta", ".fa",
        ]
        .contains { bare.hasSuffix($0) }
        guard separator != nil || isText else { return .none("") }
        guard var (bytes, isCut) = try ShownImages(maker).head(path, atMost: Self.headLength) else {
            return .none("It cannot be read.")
        }
        if isCompressed {
            (bytes, isCut) = CompressedHead.gzip(bytes, limit: Self.headLength)
        }
        guard let separator else {
            return .text(
                String(decoding: bytes.prefix(Self.mostText), as: UTF8.self),
                isCut: isCut || bytes.count > Self.mostText)
        }
        var lines = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false)
        if isCut || lines.last?.isEmpty == true { lines.removeLast() }
        let rows = lines.prefix(Self.mostRows + 1).map { line in
            let line = line.last == UInt8(ascii: "\r") ? line.dropLast() : line
            return Self.cells(line, separator).prefix(Self.mostColumns).map { String($0.prefix(200)) }
        }
        let widest = lines.prefix(Self.mostRows + 1).map { Self.cells($0, separator).count }.max() ?? 0
        return .table(
            rows: rows.map { Array($0) }, isCut: isCut || lines.count > Self.mostRows + 1,
            columnsLeftOut: max(0, widest - Self.mostColumns))
    }

    /// The cells of a line; in CSV with quotes (RFC 4180), as far as they end in it.
    private static func cells(_ line: ArraySlice<UInt8>, _ separator: UInt8) -> [String] {
        guard separator == UInt8(ascii: ","), line.contains(UInt8(ascii: "\"")) else {
            return line.split(separator: separator, omittingEmptySubsequences: false)
                .map { String(decoding: $0, as: UTF8.self) }
        }
        var cells: [[UInt8]] = [[]]
        var isQuoted = false
        for byte in line {
            switch byte {
            case UInt8(ascii: "\""): isQuoted.toggle()
            case separator where !isQuoted: cells.append([])
            default: cells[cells.count - 1].append(byte)
            }
        }
        return cells.map { String(decoding: $0, as: UTF8.self) }
    }
}
