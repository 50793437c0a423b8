import ArtifactRecords
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// Prints what is found.
final class FoundOutput {
    /// What is asked for.
    let columns: [Field]
    private(set) var count = 0
    private let form: FoundForm?
    /// Those of a table for a terminal, until its widths are known.
    private var rows: [[String]] = []
    private let isTable: Bool
    private var bytes: [UInt8] = []
    /// Whether nobody reads any more.
    private var isOver = false
    private var failure: Errno?

    /// So many rows are looked at for a table's widths.
    private static let most = 10_000

    init(_ asked: AskedQuery, _ form: FoundForm?) {
        self.form = form
        columns = form == .paths0 ? [Field(.path)] : asked.columns
        isTable = form == nil && isatty(1) != 0
        if form == .csv { line(columns.map { TableText.csv($0.text) }.joined(separator: ",")) }
        if form == .tsv { line(columns.map(\.text).joined(separator: "\t")) }
    }

    private func line(_ text: String) { write(Array(text.utf8) + [UInt8(ascii: "\n")]) }

    private func write(_ more: [UInt8]) {
        bytes += more
        if bytes.count >= 1 << 16 { flush() }
    }

    private func flush() {
        guard !bytes.isEmpty, !isOver else { return bytes = [] }
        do throws(Errno) { try SystemCall.write(FileDescriptor(rawValue: 1), bytes) } catch {
            isOver = true
            if error != .brokenPipe { failure = error }
        }
        bytes = []
    }

    /// Called before a question is asked: what was printed for one that failed is not printed twice.
    func begin() throws {
        guard count == 0 else {
            throw Failure(.failed, "the catalog is damaged, and a part of what was found is printed already: ask again")
        }
    }

    /// - Parameter location: where it is for this user, for `paths0`.
    /// - Returns: false when no more is wanted.
    func add(_ values: [CatalogValue], at location: @autoclosure () -> String = "") throws -> Bool {
        count += 1
        switch form {
        case .json:
            var object = JSONObject()
            for (field, value) in zip(columns, values) { object[field.text] = value.json }
            line(JSONValue.object(object).description)
        case .csv: line(values.map { TableText.csv($0.text) }.joined(separator: ","))
        case .tsv: line(values.map { Terminal.printable($0.text) }.joined(separator: "\t"))
        case .paths0: write(Array(location().utf8) + [0])
        case nil where isTable:
            rows.append(zip(columns, values).map { Self.shown($1, $0) })
            if rows.count == Self.most { table(withHead: count == Self.most) }
        case nil: line(values.map { Terminal.printable($0.text) }.joined(separator: "\t"))
        }
        return !isOver
    }

    /// - Throws: when what was found could not be written.
    func end() throws {
        if isTable, !rows.isEmpty { table(withHead: count <= Self.most) }
        flush()
        if let failure { throw Failure(.failed, "cannot write what was found: \(failure)") }
    }

    private func table(withHead: Bool) {
        let table = TextTable(
            heads: columns.map(\.text), areNumbers: columns.map { [.number, .size].contains($0.kind) })
        let lines = table.lines(rows, keepsEnds: columns.map { $0.name == .path }, width: Terminal.columns)
        for text in withHead ? lines[...] : lines.dropFirst() { line(text) }
        rows = []
    }

    /// For people.
    private static func shown(_ value: CatalogValue, _ field: Field) -> String {
        Terminal.printable(value.shown(as: field) ?? "?")
    }
}
