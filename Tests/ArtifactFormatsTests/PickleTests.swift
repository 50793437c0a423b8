import ArtifactFormats
import Testing

@Suite struct PickleTests {
    /// Little-endian bytes of a number.
    static func number(_ value: UInt64, _ size: Int) -> [UInt8] {
        (0..<size).map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    /// PyTorch's magic number as it begins the older format.
    private static let torchMagic: [UInt8] =
        [0x80, 2, 0x8A, 10, 0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19, 0x2E]

    /// A stream with every opcode of protocols 0 to 5 and, in the arguments, bytes that look like opcodes.
    private static let everyOpcode: [UInt8] =
        [0x80, 5, 0x95] + number(4, 8)
        + bytes("(01N(2QRabde}l]ost)u") + [
            0x81, 0x85, 0x86, 0x87, 0x88, 0x89, 0x8F, 0x90, 0x91, 0x92, 0x93, 0x94, 0x97, 0x98,
        ]
        + bytes("K.h.q.M..J....j....r....G........") + [0x82, 0x2E, 0x83, 0x2E, 0x2E, 0x84, 0x2E, 0x2E, 0x2E, 0x2E]
        + bytes("F1.5\nI01\nL12L\nP.\nS'a.'\nV.\ng0\np0\ncos\nsystem\nios\nsystem\n")
        + [0x55, 3] + bytes("...") + [0x43, 0] + [0x8A, 2, 0x2E, 0xFF] + [0x8C, 1, 0x2E]
        + [0x58] + number(2, 4) + bytes("..") + [0x42] + number(0, 4) + [0x54] + number(1, 4) + bytes(".")
        + [0x8B] + number(5, 4) + bytes(".....") + [0x8D] + number(3, 8) + bytes("...") + [0x8E] + number(0, 8)
        + [0x96] + number(1, 8) + bytes(".") + bytes(".")

    // "2" is an opcode too (DUP), and the stream above is only ever walked, so that its stack makes no sense is no matter.

    private static let good: [(name: String, [UInt8])] = [
        ("None", bytes("N.")),
        ("protocol 2", [0x80, 2, 0x4E, 0x2E]),
        ("every opcode", everyOpcode),
        ("two in a row", [0x80, 4, 0x4E, 0x2E, 0x80, 2, 0x4E, 0x2E]),
        ("two of protocol 0", bytes("N.I1\n.")),
        ("torch", torchMagic + Array(repeating: [0x80, 2, 0x4E, 0x2E], count: 4).joined() + [1, 2, 3, 0, 0xFF]),
        ("torch without tensors", torchMagic + Array(repeating: [0x80, 2, 0x4E, 0x2E], count: 4).joined()),
        (
            "joblib",
            [0x80, 4, 0x8C, 19] + bytes("joblib.numpy_pickle") + [0x8C, 17] + bytes("NumpyArrayWrapper")
                + [0x93, 0x29, 0x81, 0x7D, 0x62, 0xFF, 0x00, 0xFF, 0x2E]
        ),
        (
            "joblib, protocol 2",
            [0x80, 2] + bytes("cjoblib.numpy_pickle\nNumpyArrayWrapper\n)") + [0x81, 0x7D, 0x62, 0xFF, 0x00, 0x2E]
        ),
        ("zlib", CompressedPickleTests.zlib),
    ]

    @Test(arguments: good.indices) func accepts(_ index: Int) {
        let (name, file) = Self.good[index]
        #expect(FormatCheck.pickle.quick(file).isAccepted, "\(name)")
        for size in readSizes {
            let outcome = FormatCheck.pickle.whole(file, readSize: size)
            #expect(outcome.isAccepted, "\(name), read size \(size): \(outcome)")
        }
    }

    @Test func facts() {
        #expect(FormatCheck.pickle.whole(Self.everyOpcode).facts?.details == ["protocol": "5", "pickles": "1"])
        #expect(FormatCheck.pickle.whole(bytes("N.N.")).facts?.details == ["protocol": "0", "pickles": "2"])
        #expect(FormatCheck.pickle.whole(Self.good[5].1).facts?.details["container"] == "torch")
        #expect(FormatCheck.pickle.whole(Self.good[7].1).facts?.details["container"] == "joblib")
        #expect(FormatCheck.pickle.whole(Self.good[9].1).facts?.details["container"] == "zlib")
    }

    private static let bad: [(name: String, [UInt8], reason: String)] = [
        ("text", bytes("hello world\n"), "does not end with the pickle opcode STOP"),
        ("HTML", bytes("<html>."), "neither a pickle nor a ZIP"),
        ("only STOP", bytes("."), "neither a pickle nor a ZIP"),
        ("protocol 6", [0x80, 6, 0x4E, 0x2E], "protocol"),
        ("unknown opcode", [0x80, 4, 0xFF, 0x2E], "0xFF, which is not a pickle opcode"),
        ("ends in an argument", [0x80, 4, 0x43, 5] + bytes("abc."), "is cut short"),
        ("line without an end", bytes("I12."), "before the pickle opcode STOP"),
        ("huge length", [0x80, 4, 0x8E] + number(.max, 8) + bytes("."), "cut short"),
        ("negative length", bytes("T") + number(0xFFFF_FFFF, 4) + bytes("."), "cut short"),
        ("frame beyond the end", [0x80, 4, 0x95] + number(3, 8) + bytes("N."), "cut short"),
        ("a byte between pickles", [0x80, 4, 0x4E, 0x2E, 0x4E, 0x2E], "after the pickle's STOP"),
        ("STOP twice", bytes("N.."), "after the pickle's STOP"),
        ("torch, 3 of 5", torchMagic + [0x80, 2, 0x4E, 0x2E, 0x80, 2, 0x4E, 0x2E], "3 pickles of PyTorch's five"),
        ("torch, cut", torchMagic + [0x80, 2, 0x4E], "before the pickle opcode STOP"),
        ("ZIP header only", [0x50, 0x4B, 3, 4] + Array(repeating: 0, count: 100), "no end record"),
        (
            "joblib, cut",
            [0x80, 2] + bytes("cjoblib.numpy_pickle\nNumpyArrayWrapper\n)") + [0x81, 0x7D, 0x62, 0xFF, 0x00],
            "cut short"
        ),
    ]

    @Test(arguments: bad.indices) func refuses(_ index: Int) throws {
        let (name, file, expected) = Self.bad[index]
        for size in readSizes {
            let reason = try #require(FormatCheck.pickle.whole(file, readSize: size).reason, "\(name)")
            #expect(reason.contains(expected), "\(name), read size \(size)")
        }
    }

    @Test func everyTruncationOfAPlainPickleIsRefused() {
        for file in [Self.everyOpcode, [0x80, 2, 0x4E, 0x2E], bytes("(lp0\nI1\na.")] {
            #expect(FormatCheck.pickle.whole(file).isAccepted)
            for length in 0..<file.count {
                for size in [1, 7, Int.max] {
                    let cut = Array(file[..<length])
                    #expect(
                        !FormatCheck.pickle.whole(cut, readSize: size).isAccepted, "\(length) of \(file.count) bytes")
                }
            }
        }
    }

    // MARK: ZIP

    /// A stored archive; `wide` writes sizes and offsets the ZIP64 way, as PyTorch does for large files.
    static func zip(_ entries: [(String, [UInt8])], wide: Bool = false, comment: String = "") -> [UInt8] {
        var file: [UInt8] = []
        var directory: [UInt8] = []
        for (name, data) in entries {
            let offset = UInt64(file.count)
            let size = UInt64(data.count)
            let extra = wide ? number(1, 2) + number(24, 2) + number(size, 8) + number(size, 8) + number(offset, 8) : []
            let fixed = number(0, 4) + number(0, 4) + number(0, 4)
            file += bytes("PK") + [3, 4] + number(45, 2) + fixed + number(size, 4) + number(size, 4)
            file += number(UInt64(name.utf8.count), 2) + number(0, 2) + bytes(name) + data
            let shown = wide ? 0xFFFF_FFFF : size
            directory +=
                bytes("PK") + [1, 2] + number(45, 2) + number(45, 2) + fixed + number(shown, 4) + number(shown, 4)
            directory += number(UInt64(name.utf8.count), 2) + number(UInt64(extra.count), 2) + number(0, 10)
            directory += number(wide ? 0xFFFF_FFFF : offset, 4) + bytes(name) + extra
        }
        let start = UInt64(file.count)
        file += directory
        let count = UInt64(entries.count)
        if wide {
            let record = UInt64(file.count)
            file += bytes("PK") + [6, 6] + number(44, 8) + number(45, 2) + number(45, 2) + number(0, 8)
            file += number(count, 8) + number(count, 8) + number(UInt64(directory.count), 8) + number(start, 8)
            file += bytes("PK") + [6, 7] + number(0, 4) + number(record, 8) + number(1, 4)
        }
        let most: UInt64? = wide ? .max : nil
        file += bytes("PK") + [5, 6] + number(0, 4) + number(most ?? count, 2) + number(most ?? count, 2)
        file += number(most ?? UInt64(directory.count), 4) + number(most ?? start, 4)
        return file + number(UInt64(comment.utf8.count), 2) + bytes(comment)
    }

    private static let entries: [(String, [UInt8])] = [
        ("archive/data.pkl", [0x80, 2, 0x4E, 0x2E]), ("archive/data/0", [UInt8](repeating: 7, count: 300)),
        ("archive/version", bytes("3\n")),
    ]

    @Test(arguments: [false, true], ["", "a comment"]) func zipArchives(wide: Bool, comment: String) {
        let file = Self.zip(Self.entries, wide: wide, comment: comment)
        #expect(FormatCheck.pickle.quick(file).isAccepted)
        for size in readSizes {
            let outcome = FormatCheck.pickle.whole(file, readSize: size)
            #expect(outcome.facts?.details == ["container": "zip", "entries": "3"], "\(outcome)")
        }
        for length in 0..<file.count {
            #expect(!FormatCheck.pickle.quick(Array(file[..<length])).isAccepted, "\(length) of \(file.count) bytes")
            #expect(!FormatCheck.pickle.whole(Array(file[..<length])).isAccepted, "\(length) of \(file.count) bytes")
        }
        #expect(!FormatCheck.pickle.quick(file + [0]).isAccepted)
        // A piece lost from the middle moves the directory.
        var hole = file
        hole.removeSubrange(100..<200)
        #expect(!FormatCheck.pickle.whole(hole).isAccepted)
    }

    @Test func zipEntriesLieInTheFile() throws {
        let file = Self.zip(Self.entries)
        let directory = try #require(file.indices.first { file[$0...].starts(with: bytes("PK") + [1, 2]) })
        // The first entry's data begin after its header and name; they may reach to the directory, and no byte further.
        let room = UInt64(directory - 30 - "archive/data.pkl".utf8.count)
        for (size, fits) in [(room, true), (room + 1, false)] {
            var exact = file
            exact.replaceSubrange((directory + 20)..<(directory + 24), with: Self.number(size, 4))
            #expect(FormatCheck.pickle.whole(exact).isAccepted == fits)
        }
        var large = file
        large.replaceSubrange((directory + 20)..<(directory + 24), with: Self.number(100_000, 4))
        #expect(FormatCheck.pickle.quick(large).isAccepted)
        #expect(FormatCheck.pickle.whole(large).reason?.contains("\"archive/data.pkl\" in it lies outside") == true)
        var moved = file
        moved.replaceSubrange((directory + 42)..<(directory + 46), with: Self.number(1, 4))
        #expect(FormatCheck.pickle.whole(moved).reason?.contains("is not where its ZIP directory says") == true)
        var many = file
        many.replaceSubrange((file.count - 12)..<(file.count - 10), with: Self.number(60_000, 2))
        #expect(FormatCheck.pickle.quick(many).reason?.contains("does not fit") == true)
    }
}
