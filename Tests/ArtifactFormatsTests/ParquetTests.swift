import ArtifactFormats
import Testing

/// Writes Thrift's compact protocol, right or wrong as a test asks.
struct ThriftWriter {
    private(set) var bytes: [UInt8] = []
    /// Where the numbers stand in the bytes.
    private(set) var numbers: [Range<Int>] = []
    private var last: [Int] = [0]

    mutating func varint(_ value: UInt64) {
        let start = bytes.count
        defer { numbers.append(start..<bytes.count) }
        var value = value
        while value >= 0x80 {
            bytes.append(UInt8(truncatingIfNeeded: value) | 0x80)
            value >>= 7
        }
        bytes.append(UInt8(value))
    }

    mutating func zigzag(_ value: Int64) { varint(UInt64(bitPattern: value << 1 ^ value >> 63)) }

    mutating func field(_ id: Int, _ kind: UInt8) {
        let delta = id - (last.last ?? 0)
        if delta > 0, delta < 16 {
            bytes.append(UInt8(delta) << 4 | kind)
        } else {
            bytes.append(kind)
            zigzag(Int64(id))
        }
        last[last.count - 1] = id
    }

    mutating func integer(_ id: Int, _ value: Int64, kind: UInt8 = 6) {
        field(id, kind)
        zigzag(value)
    }

    mutating func text(_ id: Int, _ value: String) {
        field(id, 8)
        varint(UInt64(value.utf8.count))
        bytes += Array(value.utf8)
    }

    mutating func structure(_ id: Int, _ body: (inout ThriftWriter) -> Void) {
        field(id, 12)
        element(body)
    }

    mutating func element(_ body: (inout ThriftWriter) -> Void) {
        last.append(0)
        body(&self)
        last.removeLast()
        bytes.append(0)
    }

    mutating func list(_ id: Int, count: Int, kind: UInt8 = 12) {
        field(id, 9)
        if count < 15 {
            bytes.append(UInt8(count) << 4 | kind)
        } else {
            bytes.append(0xF0 | kind)
            varint(UInt64(count))
        }
    }

    mutating func raw(_ more: [UInt8]) { bytes += more }
}

/// A small Parquet file in parts that tests change: two flat columns, two row groups.
struct ParquetSample: Sendable {
    var version: Int64? = 1
    var rows: Int64 = 5
    var groupRows: [Int64] = [3, 2]
    var values: Int64?
    var offset: Int64 = 4
    var size: Int64 = 40
    var dictionary: Int64?
    var filePath: String?
    var columnsInGroup = 2
    var rootChildren: Int64 = 2
    var extra: @Sendable (inout ThriftWriter) -> Void = { _ in }

    var footer: [UInt8] { thrift.bytes }

    var thrift: ThriftWriter {
        var thrift = ThriftWriter()
        thrift.element { file in
            if let version { file.integer(1, version, kind: 5) }
            file.list(2, count: 3)
            file.element { root in
                root.text(4, "schema")
                root.integer(5, rootChildren, kind: 5)
            }
            file.element { column in
                column.integer(1, 2, kind: 5)
                column.integer(3, 1, kind: 5)
                column.text(4, "position")
            }
            file.element { column in
                column.integer(1, 6, kind: 5)
                column.integer(3, 1, kind: 5)
                column.text(4, "gène")
                column.integer(6, 0, kind: 5)
                column.structure(10) { $0.structure(1) { _ in } }
            }
            file.integer(3, rows)
            file.list(4, count: groupRows.count)
            for rows in groupRows {
                file.element { group in
                    group.list(1, count: columnsInGroup)
                    for _ in 0..<columnsInGroup {
                        group.element { chunk in
                            if let filePath { chunk.text(1, filePath) }
                            chunk.integer(2, 0)
                            chunk.structure(3) { data in
                                data.integer(1, 2, kind: 5)
                                data.list(2, count: 1, kind: 5)
                                data.raw([0])
                                data.integer(5, values ?? rows)
                                data.integer(7, size)
                                data.integer(9, offset)
                                if let dictionary { data.integer(11, dictionary) }
                            }
                        }
                    }
                    group.integer(2, 100)
                    group.integer(3, rows)
                }
            }
            extra(&file)
            file.text(6, "a test")
        }
        return thrift
    }

    var file: [UInt8] { Self.file(footer: footer) }

    static func file(footer: [UInt8], length: UInt64? = nil) -> [UInt8] {
        bytes("PAR1") + [UInt8](repeating: 0xAA, count: 40) + footer
            + PickleTests.number(length ?? UInt64(footer.count), 4) + bytes("PAR1")
    }
}

@Suite struct ParquetTests {
    @Test func accepts() {
        for size in readSizes {
            let outcome = FormatCheck.parquet.whole(ParquetSample().file, readSize: size)
            let expected = FormatFacts(
                rows: 5,
                columns: [.init(name: "position", type: "INT64"), .init(name: "gène", type: "BYTE_ARRAY (STRING)")],
                details: ["row_groups": "2", "created_by": "a test"])
            #expect(outcome == .accepted(expected))
        }
    }

    @Test func everyTruncationIsRefused() {
        let file = ParquetSample().file
        for length in 0..<file.count {
            #expect(!FormatCheck.parquet.quick(Array(file[..<length])).isAccepted, "\(length) bytes")
            #expect(!FormatCheck.parquet.whole(Array(file[..<length])).isAccepted, "\(length) bytes")
        }
    }

    @Test func everyTruncationOfTheFooterIsRefused() {
        let footer = ParquetSample().footer
        for length in 1..<footer.count {
            let file = ParquetSample.file(footer: Array(footer[..<length]))
            #expect(FormatCheck.parquet.quick(file).isAccepted)
            #expect(!FormatCheck.parquet.whole(file).isAccepted, "\(length) bytes")
        }
    }

    @Test func ends() {
        let file = ParquetSample().file
        func changed(_ at: Int, _ text: String) -> [UInt8] {
            var file = file
            file.replaceSubrange(at..<(at + 4), with: bytes(text))
            return file
        }
        #expect(FormatCheck.parquet.quick(changed(0, "PAR2")).reason?.contains("begin with") == true)
        #expect(FormatCheck.parquet.quick(changed(file.count - 4, "PAR2")).reason?.contains("end with") == true)
        let encrypted = Array(changed(0, "PARE").dropLast(4)) + bytes("PARE")
        #expect(FormatCheck.parquet.quick(encrypted).reason?.contains("encrypted") == true)
        for length: UInt64 in [0, UInt64(file.count - 11), 0x7FFF_FFFF, 0xFFFF_FFFF] {
            let wrong = ParquetSample.file(footer: ParquetSample().footer, length: length)
            #expect(FormatCheck.parquet.quick(wrong).reason?.contains("does not fit") == true, "\(length)")
        }
        #expect(!FormatCheck.parquet.quick(bytes("PAR1PAR1")).isAccepted)
    }

    private static let bad: [(name: String, ParquetSample, reason: String)] = [
        ("no version", ParquetSample(version: nil), "lacks the version"),
        ("negative rows", ParquetSample(rows: -5), "lacks the version"),
        ("rows do not add up", ParquetSample(rows: 6), "row groups hold 5 rows"),
        ("rows overflow", ParquetSample(groupRows: [.max, .max]), "too many rows"),
        ("negative group", ParquetSample(groupRows: [-1, 6], values: 3), "lacks columns or rows"),
        ("negative values", ParquetSample(values: -1), "has no data pages"),
        ("offset in the signature", ParquetSample(offset: 3), "lies outside"),
        ("offset beyond", ParquetSample(offset: 1000), "lies outside"),
        ("offset huge", ParquetSample(offset: .max), "lies outside"),
        ("no data", ParquetSample(offset: 0), "has no data pages"),
        ("data into the footer", ParquetSample(size: 41), "lies outside"),
        ("size huge", ParquetSample(size: .max), "lies outside"),
        ("size negative", ParquetSample(size: -1), "lies outside"),
        ("data moved by a dictionary", ParquetSample(offset: 30, size: 30), "lies outside"),
        ("another file", ParquetSample(filePath: "part-0\n.parquet"), "lies in another file, \"part-0\\n.parquet\""),
        ("a column too few", ParquetSample(columnsInGroup: 1), "have 1 column, its schema has 2"),
        ("schema too short", ParquetSample(rootChildren: 3), "not a tree"),
        ("schema too long", ParquetSample(rootChildren: 1), "not a tree"),
        ("negative children", ParquetSample(rootChildren: -1), "not a tree"),
    ]

    @Test(arguments: bad.indices) func refuses(_ index: Int) throws {
        let (name, sample, expected) = Self.bad[index]
        #expect(FormatCheck.parquet.quick(sample.file).isAccepted, "\(name)")
        let reason = try #require(FormatCheck.parquet.whole(sample.file).reason, "\(name)")
        #expect(reason.contains(expected), "\(name)")
    }

    @Test func emptyColumnsHaveNoOffsets() {
        // What pyarrow writes for a table without rows: a dictionary page, and 0 for the data page.
        let empty = ParquetSample(rows: 0, groupRows: [0], offset: 0, size: 15, dictionary: 4)
        #expect(FormatCheck.parquet.whole(empty.file).facts?.rows == 0)
        let dictionary = ParquetSample(offset: 24, size: 40, dictionary: 4)
        #expect(FormatCheck.parquet.whole(dictionary.file).isAccepted)
        let none = ParquetSample(offset: 4, size: 40, dictionary: 0)
        #expect(FormatCheck.parquet.whole(none.file).isAccepted)
    }

    /// Fields that a later version of the format adds are passed over, whatever their kind.
    @Test func unknownFieldsArePassedOver() {
        let sample = ParquetSample { file in
            file.field(100, 1)
            file.integer(200, -7)
            file.structure(300) { inner in
                inner.list(1, count: 20, kind: 1)
                inner.raw([UInt8](repeating: 1, count: 20))
                inner.field(2, 7)
                inner.raw([UInt8](repeating: 0, count: 8))
                inner.field(3, 11)
                inner.raw([2, 0x58, 2, 1, 65, 0, 0])
                inner.field(4, 11)
                inner.raw([0])
                inner.field(5, 3)
                inner.raw([9])
                inner.field(6, 13)
                inner.raw([UInt8](repeating: 0, count: 16))
            }
        }
        let outcome = FormatCheck.parquet.whole(sample.file)
        #expect(outcome.isAccepted, "\(outcome)")
    }

    /// Lengths and nesting made to exhaust a reader that believes them.
    @Test func hostileFootersAreRefused() {
        let huge: [UInt8] = [0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0xFF, 0x7F]
        let extras: [(String, @Sendable (inout ThriftWriter) -> Void)] = [
            (
                "nested structures",
                {
                    $0.field(100, 12); $0.raw([UInt8](repeating: 0x1C, count: 5000))
                }
            ),
            (
                "nested lists",
                {
                    $0.field(100, 9); $0.raw([UInt8](repeating: 0x19, count: 5000))
                }
            ),
            (
                "huge text",
                {
                    $0.field(100, 8); $0.raw(huge)
                }
            ),
            (
                "huge list of structures",
                {
                    $0.field(100, 9); $0.raw([0xFC] + huge)
                }
            ),
            (
                "huge list of booleans",
                {
                    $0.field(100, 9); $0.raw([0xF1] + huge)
                }
            ),
            (
                "huge map",
                {
                    $0.field(100, 11); $0.raw(huge + [0x55])
                }
            ),
            (
                "endless varint",
                {
                    $0.field(100, 6); $0.raw([UInt8](repeating: 0xFF, count: 40))
                }
            ),
            ("field number out of range", { $0.raw([0x06] + huge) }),
            ("unknown kind", { $0.raw([0x1E, 0, 0]) }),
        ]
        for (name, extra) in extras {
            let outcome = FormatCheck.parquet.whole(ParquetSample(extra: extra).file)
            let expected = name.hasPrefix("nested") ? "its Parquet footer nests too deep" : "its Parquet footer"
            #expect(outcome.reason?.contains(expected) == true, "\(name): \(outcome)")
        }
    }
}
