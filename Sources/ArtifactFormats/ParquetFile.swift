/// Apache Parquet: the ends of the file, and the metadata in its footer (parquet.thrift of apache/parquet-format).
///
/// The pages are not decoded. Files whose footer is encrypted, and files that only point at column data in other files, are
/// refused: nothing could be said about what they hold.
enum ParquetFile {
    /// Where the footer's metadata lies.
    struct Footer {
        let start: Int64
        let end: Int64
    }

    /// `PAR1` at both ends and a footer length that fits.
    static func footer(of source: some ByteSource) throws(FormatError) -> Footer {
        let magic = Array("PAR1".utf8)
        let encrypted = Array("PARE".utf8)
        let head = try source.head(4)
        let tail = try source.tail(8)
        if head == encrypted, tail.suffix(4) == encrypted[...] {
            throw .invalid(reason: "its Parquet footer is encrypted (PARE), so it cannot be checked")
        }
        guard head == magic else {
            throw .invalid(
                reason: "it does not begin with the Parquet signature PAR1, but with \"\(Excerpt.text(head))\"")
        }
        guard source.count >= 12, tail.suffix(4) == magic[...] else {
            throw .invalid(reason: "it does not end with the Parquet signature PAR1: it is cut short")
        }
        let length = Int64(ZipDirectory.number(tail, 0, 4))
        guard length > 0, length <= source.count - 12 else {
            throw .invalid(
                reason: "its Parquet footer would be \(length) bytes long, "
                    + "which does not fit a file of \(source.count) bytes")
        }
        return Footer(start: source.count - 8 - length, end: source.count - 8)
    }

    /// Decodes the footer and holds it against the file.
    static func facts(of source: some ByteSource) throws(FormatError) -> FormatFacts {
        let footer = try footer(of: source)
        let thrift = ThriftReader(source, from: footer.start, to: footer.end, name: "its Parquet footer")
        var metadata = ParquetMetadata(thrift, dataEnd: footer.start)
        return try metadata.read()
    }
}

/// The FileMetaData structure, checked while it is read; only the schema is kept.
private struct ParquetMetadata<Source: ByteSource> {
    typealias Kind = ThriftReader<Source>.Kind

    /// More schema elements than this are refused.
    private let elementLimit: Int64 = 250_000
    /// Longer names, more text of names together, and deeper groups are refused: the schema is kept in memory.
    private let nameLimit = 64 * 1024
    private let nameTextLimit = 64 * 1024 * 1024
    private let depthLimit = 256

    private var thrift: ThriftReader<Source>
    /// Where the column data must end: the footer's first byte.
    private let dataEnd: Int64
    private var elements: [ParquetElement] = []
    /// What the row groups say, together.
    private var groups: Int64 = 0
    private var groupRows: Int64 = 0
    private var groupColumns: Int64?

    init(_ thrift: ThriftReader<Source>, dataEnd: Int64) {
        self.thrift = thrift
        self.dataEnd = dataEnd
    }

    mutating func read() throws(FormatError) -> FormatFacts {
        var version: Int64?
        var rows: Int64?
        var hasGroups = false
        var createdBy: String?
        var id: Int64 = 0
        while let kind = try thrift.nextField(&id) {
            switch id {
            case 1: version = try thrift.integer(kind)
            case 2: try readSchema(kind)
            case 3: rows = try thrift.integer(kind)
            case 4:
                try readGroups(kind)
                hasGroups = true
            case 6: createdBy = String(decoding: try thrift.binary(kind, limit: nameLimit).prefix(200), as: UTF8.self)
            default: try thrift.skip(kind)
            }
        }
        guard version != nil, let rows, rows >= 0, hasGroups else {
            throw .invalid(reason: "its Parquet footer lacks the version, the number of rows, or the row groups")
        }
        var facts = try schemaFacts()
        guard groupRows == rows else {
            throw .invalid(reason: "its Parquet row groups hold \(groupRows) rows, its footer says \(rows)")
        }
        facts.rows = rows
        facts.details["row_groups"] = String(groups)
        facts.details["created_by"] = createdBy
        return facts
    }

    // MARK: The schema

    private mutating func readSchema(_ kind: Kind) throws(FormatError) {
        try thrift.expect(kind, .list)
        let count = try thrift.list(of: .structure)
        guard count <= elementLimit else { throw .invalid(reason: "its Parquet schema has \(count) elements") }
        elements = []
        var text = 0
        for _ in 0..<count {
            let element = try readElement()
            text += element.name.utf8.count
            guard text <= nameTextLimit else { throw .invalid(reason: "its Parquet schema has too long names") }
            elements.append(element)
        }
    }

    private mutating func readElement() throws(FormatError) -> ParquetElement {
        var element = ParquetElement()
        var id: Int64 = 0
        while let kind = try thrift.nextField(&id) {
            switch id {
            case 1: element.physical = try thrift.integer(kind)
            case 2: element.length = try thrift.integer(kind)
            case 4: element.name = String(decoding: try thrift.binary(kind, limit: nameLimit), as: UTF8.self)
            case 5: element.children = try thrift.integer(kind)
            case 6: element.converted = try thrift.integer(kind)
            case 7: element.scale = try thrift.integer(kind)
            case 8: element.precision = try thrift.integer(kind)
            case 10: element.logical = try readLogicalType(kind)
            default: try thrift.skip(kind)
            }
        }
        return element
    }

    /// The LogicalType union as text; nil for a member that is not known here.
    private mutating func readLogicalType(_ kind: Kind) throws(FormatError) -> String? {
        try thrift.expect(kind, .structure)
        var text: String?
        var id: Int64 = 0
        while let kind = try thrift.nextField(&id) {
            switch id {
            case 5:
                let numbers = try readNumbers(kind)
                text = "DECIMAL(\(numbers[2] ?? 0),\(numbers[1] ?? 0))"
            case 7, 8:
                let numbers = try readNumbers(kind)
                let unit = [1: "MILLIS", 2: "MICROS", 3: "NANOS"][numbers[2] ?? 0] ?? "?"
                text = (id == 7 ? "TIME" : "TIMESTAMP") + "(\(unit)\(numbers[1] == 1 ? ",UTC" : ""))"
            case 10:
                let numbers = try readNumbers(kind)
                text = (numbers[2] == 1 ? "INT" : "UINT") + "(\(numbers[1] ?? 0))"
            default:
                text = ParquetElement.logicalNames[id]
                try thrift.skip(kind)
            }
        }
        return text
    }

    /// The integer and boolean fields of a small structure; a union field counts as the number of its member.
    private mutating func readNumbers(_ kind: Kind) throws(FormatError) -> [Int64: Int64] {
        try thrift.expect(kind, .structure)
        var numbers: [Int64: Int64] = [:]
        var id: Int64 = 0
        while let kind = try thrift.nextField(&id) {
            switch kind {
            case .yes: numbers[id] = 1
            case .no: numbers[id] = 0
            case .byte, .int16, .int32, .int64: numbers[id] = try thrift.integer(kind)
            case .structure:
                var member: Int64 = 0
                while let inner = try thrift.nextField(&member) {
                    numbers[id] = member
                    try thrift.skip(inner)
                }
            default: try thrift.skip(kind)
            }
        }
        return numbers
    }

    /// The leaves of the schema, which is a tree written in depth-first order.
    private func schemaFacts() throws(FormatError) -> FormatFacts {
        let broken = FormatError.invalid(reason: "its Parquet schema is not a tree")
        guard let root = elements.first, root.physical == nil, let first = children(of: root) else { throw broken }
        var path: [(name: String, left: Int64)] = [("", first)]
        var leaves: Int64 = 0
        var columns: [FormatFacts.Column] = []
        var text = 0
        for element in elements.dropFirst() {
            while let last = path.last, last.left == 0 { path.removeLast() }
            guard !path.isEmpty, path.count <= depthLimit else { throw broken }
            path[path.count - 1].left -= 1
            if element.physical == nil {
                guard element.children != nil, let children = children(of: element) else { throw broken }
                path.append((element.name, children))
                continue
            }
            guard element.children ?? 0 == 0, let type = element.typeText else { throw broken }
            leaves += 1
            guard columns.count <= FormatFacts.columnLimit, text <= FormatFacts.columnTextLimit else { continue }
            let name = (path.dropFirst().map(\.name) + [element.name]).joined(separator: ".")
            text += name.utf8.count + type.utf8.count
            columns.append(FormatFacts.Column(name: name, type: type))
        }
        guard path.allSatisfy({ $0.left == 0 }) else { throw broken }
        if let groupColumns, groupColumns != leaves {
            throw .invalid(
                reason: "its Parquet row groups have \(counted(groupColumns, "column")), its schema has \(leaves)")
        }
        if columns.count > FormatFacts.columnLimit || text > FormatFacts.columnTextLimit {
            return FormatFacts(details: ["columns": String(leaves)])
        }
        return FormatFacts(columns: columns)
    }

    /// How many elements are directly under a group; nil for a number that no group has.
    private func children(of group: ParquetElement) -> Int64? {
        let children = group.children ?? 0
        return (0...elementLimit).contains(children) ? children : nil
    }

    // MARK: Row groups

    private mutating func readGroups(_ kind: Kind) throws(FormatError) {
        try thrift.expect(kind, .list)
        groups = try thrift.list(of: .structure)
        for group in 0..<groups {
            var columns: Int64?
            var rows: Int64?
            var id: Int64 = 0
            while let kind = try thrift.nextField(&id) {
                switch id {
                case 1:
                    try thrift.expect(kind, .list)
                    let count = try thrift.list(of: .structure)
                    for column in 0..<count { try readChunk(group: group, column: column) }
                    columns = count
                case 3: rows = try thrift.integer(kind)
                default: try thrift.skip(kind)
                }
            }
            guard let columns, let rows, rows >= 0, columns == groupColumns ?? columns else {
                throw .invalid(reason: "row group \(group + 1) of its Parquet footer lacks columns or rows")
            }
            groupColumns = columns
            let (sum, overflow) = groupRows.addingReportingOverflow(rows)
            guard !overflow else { throw .invalid(reason: "its Parquet row groups hold too many rows") }
            groupRows = sum
        }
    }

    private mutating func readChunk(group: Int64, column: Int64) throws(FormatError) {
        let place = "column \(column + 1) of row group \(group + 1)"
        var hasData = false
        var isEncrypted = false
        var id: Int64 = 0
        while let kind = try thrift.nextField(&id) {
            switch id {
            case 1:
                let path = try thrift.binary(kind, limit: nameLimit)
                throw .invalid(reason: "\(place) lies in another file, \"\(Excerpt.text(path))\"")
            case 3:
                try readChunkData(kind, place)
                hasData = true
            case 8, 9:
                isEncrypted = true
                try thrift.skip(kind)
            default: try thrift.skip(kind)
            }
        }
        guard hasData || isEncrypted else { throw .invalid(reason: "\(place) has no Parquet metadata") }
    }

    private mutating func readChunkData(_ kind: Kind, _ place: @autoclosure () -> String) throws(FormatError) {
        try thrift.expect(kind, .structure)
        var values: Int64 = -1
        var size: Int64 = -1
        var data: Int64 = -1
        var dictionary: Int64?
        var id: Int64 = 0
        while let kind = try thrift.nextField(&id) {
            switch id {
            case 5: values = try thrift.integer(kind)
            case 7: size = try thrift.integer(kind)
            case 9: data = try thrift.integer(kind)
            case 11: dictionary = try thrift.integer(kind)
            default: try thrift.skip(kind)
            }
        }
        // Writers say 0 for a page that is not there: no dictionary, or in a column without values no data.
        guard values >= 0, data > 0 || values == 0 else { throw .invalid(reason: "\(place()) has no data pages") }
        let pages = [data, dictionary ?? 0].filter { $0 > 0 }
        guard let start = pages.min(), size != 0 || values != 0 else { return }
        guard start >= 4, start < dataEnd, size > 0, size <= dataEnd - start else {
            throw .invalid(reason: "the data of \(place()) lies outside the Parquet file: it is damaged or cut short")
        }
    }
}

/// A SchemaElement, as far as it is reported.
private struct ParquetElement {
    var name = ""
    var physical: Int64?
    var length: Int64?
    var children: Int64?
    var converted: Int64?
    var scale: Int64?
    var precision: Int64?
    var logical: String?

    static let logicalNames: [Int64: String] = [
        1: "STRING", 2: "MAP", 3: "LIST", 4: "ENUM", 6: "DATE", 11: "NULL", 12: "JSON", 13: "BSON", 14: "UUID",
        15: "FLOAT16", 16: "VARIANT", 17: "GEOMETRY", 18: "GEOGRAPHY",
    ]

    private static let physicalNames = [
        "BOOLEAN", "INT32", "INT64", "INT96", "FLOAT", "DOUBLE", "BYTE_ARRAY", "FIXED_LEN_BYTE_ARRAY",
    ]

    /// ConvertedType, the older annotation, in the words of the newer one.
    private static let convertedNames = [
        "STRING", "MAP", "MAP_KEY_VALUE", "LIST", "ENUM", "DECIMAL", "DATE", "TIME(MILLIS)", "TIME(MICROS)",
        "TIMESTAMP(MILLIS)", "TIMESTAMP(MICROS)", "UINT(8)", "UINT(16)", "UINT(32)", "UINT(64)", "INT(8)", "INT(16)",
        "INT(32)", "INT(64)", "JSON", "BSON", "INTERVAL",
    ]

    /// The type as text; nil for a physical type that Parquet does not have.
    var typeText: String? {
        guard let physical, let index = Int(exactly: physical), Self.physicalNames.indices.contains(index) else {
            return nil
        }
        var text = Self.physicalNames[index]
        if index == 7, let length { text += "(\(length))" }
        if let logical { return "\(text) (\(logical))" }
        guard let converted, let old = Int(exactly: converted), Self.convertedNames.indices.contains(old) else {
            return text
        }
        if old == 5 { return "\(text) (DECIMAL(\(precision ?? 0),\(scale ?? 0)))" }
        return "\(text) (\(Self.convertedNames[old]))"
    }
}
