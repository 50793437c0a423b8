import ArtifactFormats
import enum TestSupport.Seed
import struct TestSupport.SplitMix64
import Testing

/// Every number of a valid file, one after the other and in pairs, becomes 0, -1, the extremes of each width, or what is next to them.
/// A check may say what it likes to that, and never traps: one of them ends the driver, and with it everybody's mount.
@Suite struct NumberTests {
    /// The numbers that overflow something, of every width.
    static let extremes: [UInt64] =
        [8, 16, 32, 64].flatMap { width -> [UInt64] in
            let top = UInt64(1) << UInt64(width - 1)
            return [top - 1, top, top + 1, top &+ top &- 1, top &+ top &- 2, ~(top - 1)]
        } + [0, 1, 2, UInt64(bitPattern: -1), UInt64(bitPattern: -2)]

    static func varint(_ value: UInt64) -> [UInt8] {
        var thrift = ThriftWriter()
        thrift.varint(value)
        return thrift.bytes
    }

    /// Both checks, of the file and of its every number of `size` bytes changed, at any place: what is a number is found so too.
    private func changeNumbers(
        of file: [UInt8], upTo end: Int = .max, sizes: [Int], bigEndian: Bool = false, _ check: FormatCheck
    ) {
        for size in sizes where size <= file.count {
            for place in 0...(file.count - size) where place < end {
                for value in Set(Self.extremes.map { $0 & (size == 8 ? .max : 1 << UInt64(8 * size) - 1) }) {
                    var changed = file
                    let number = PickleTests.number(value, size)
                    changed.replaceSubrange(place..<(place + size), with: bigEndian ? number.reversed() : number)
                    survive(changed, check)
                }
            }
        }
    }

    /// That it returns is what is tested; and that the two checks do not contradict each other.
    private func survive(_ file: [UInt8], _ check: FormatCheck) {
        let quick = check.quick(file)
        if check.whole(file).isAccepted { #expect(quick.isAccepted, "\(check), \(file)") }
    }

    // MARK: - Parquet

    /// What ended a mount: 42 bytes, in whose schema the root has Int64.min children.
    @Test(arguments: [Int64.min, .min + 1, -1, .max]) func aRootWithImpossiblyManyChildren(children: Int64) {
        var thrift = ThriftWriter()
        thrift.element { file in
            file.integer(1, 1, kind: 5)
            file.list(2, count: 2)
            file.element { $0.integer(5, children, kind: 5) }
            file.element { $0.integer(1, 1, kind: 5) }
            file.integer(3, 0)
            file.list(4, count: 0)
        }
        let outcome = FormatCheck.parquet.whole(ParquetSample.file(footer: thrift.bytes))
        #expect(outcome.reason == "its Parquet schema is not a tree")
    }

    @Test func everyNumberOfAParquetFooter() {
        let sample = ParquetSample(dictionary: 4) { file in
            file.field(100, 11)
            file.varint(2)
            file.raw([0x65])
            for number in 0..<4 { file.zigzag(Int64(number)) }
            file.structure(101) { inner in
                inner.integer(1, 7, kind: 4)
                inner.list(2, count: 16, kind: 6)
                for number in 0..<16 { inner.zigzag(Int64(number)) }
            }
            file.structure(102) { $0.integer(-5, 1) }
        }
        let (footer, numbers) = (sample.thrift.bytes, sample.thrift.numbers)
        #expect(FormatCheck.parquet.whole(sample.file).isAccepted)
        #expect(numbers.count > 60)
        // Longer than any number may be, too.
        let texts =
            Self.extremes.map(Self.varint) + [[UInt8](repeating: 0xFF, count: 10), [UInt8](repeating: 0x80, count: 11)]
        for range in numbers {
            for text in texts {
                var changed = footer
                changed.replaceSubrange(range, with: text)
                survive(ParquetSample.file(footer: changed), .parquet)
            }
        }
        var generator = SplitMix64(seed: 13)
        for _ in 0..<4000 {
            var changed = footer
            for range in numbers.shuffled(using: &generator).prefix(2).sorted(by: { $0.lowerBound > $1.lowerBound }) {
                changed.replaceSubrange(range, with: texts[Int.random(in: texts.indices, using: &generator)])
            }
            survive(ParquetSample.file(footer: changed), .parquet)
        }
        // Kinds, field numbers and short lengths share a byte.
        for place in footer.indices {
            for byte: UInt8 in [0, 0x0F, 0xF0, 0xFF, 0x7F, 0x80, 0x0C, 0xFC, 0x19, 0xF9, 0x1B, 0x01] {
                var changed = footer
                changed[place] = byte
                survive(ParquetSample.file(footer: changed), .parquet)
            }
        }
        for length in Self.extremes { survive(ParquetSample.file(footer: footer, length: length), .parquet) }
    }

    // MARK: - The others

    @Test(arguments: [false, true]) func everyNumberOfAnArchive(wide: Bool) {
        let file = PickleTests.zip(
            [("a/data.pkl", [0x80, 2, 0x4E, 0x2E]), ("a/data/0", [1, 2, 3])], wide: wide, comment: "c")
        #expect(FormatCheck.pickle.whole(file).isAccepted)
        changeNumbers(of: file, sizes: [2, 4, 8], .pickle)
    }

    @Test func everyNumberOfAPickle() {
        let file: [UInt8] =
            [0x80, 5, 0x95] + PickleTests.number(40, 8) + bytes("(]}") + [0x8C, 1, 0x61, 0x58, 1, 0, 0, 0, 0x62]
            + [0x8A, 1, 1, 0x8B, 1, 0, 0, 0, 1] + [0x8D] + PickleTests.number(1, 8) + [0x63] + [0x96]
            + PickleTests.number(1, 8) + [0x64] + [0x54, 1, 0, 0, 0, 0x65] + bytes("K.M..J....") + [0x2E]
        #expect(FormatCheck.pickle.whole(file).isAccepted, "\(FormatCheck.pickle.whole(file))")
        changeNumbers(of: file, sizes: [1, 2, 4, 8], .pickle)
    }

    @Test(arguments: [UInt8(0), 1, 2, 3]) func everyNumberOfASuperblock(version: UInt8) {
        for size in version == 0 ? [2, 4, 8, 16, 32] : [8] {
            let file = CheckpointTests.hdf5(version: version, size: size)
            #expect(FormatCheck.hdf5.whole(file).isAccepted, "\(FormatCheck.hdf5.whole(file))")
            changeNumbers(of: file, upTo: 28 + 4 * size, sizes: size == 8 ? [1, 2, 4, 8] : [1, 2], .hdf5)
        }
    }

    @Test func everyNumberOfTensors() {
        changeNumbers(of: CheckpointTests.safetensors, upTo: 8, sizes: [1, 8], .safetensors)
        changeNumbers(of: CheckpointTests.keras, sizes: [2, 4], .keras)
        let numbers =
            Self.extremes.flatMap { ["\($0)", "\(Int64(bitPattern: $0))"] } + [
                "1e3", "0.5", "-0", "", "[]", "null", "00",
            ]
        for begin in numbers {
            for end in numbers {
                let header = "{\"a\":{\"dtype\":\"F32\",\"shape\":[\(begin)],\"data_offsets\":[\(begin),\(end)]}}"
                survive(CheckpointTests.safetensors(header, data: 16), .safetensors)
            }
        }
    }

    @Test(arguments: CompressedPickleTests.samples.indices) func everyNumberOfACompressedPickle(_ index: Int) {
        changeNumbers(of: CompressedPickleTests.samples[index].file, sizes: [1], .pickle)
        changeNumbers(of: CompressedPickleTests.samples[index].file, upTo: 24, sizes: [2, 4, 8], .pickle)
    }

    @Test func everyNumberOfAnArray() {
        changeNumbers(of: NumPyTests.plain, upTo: 12, sizes: [1, 2, 4], .npy)
        changeNumbers(of: NumPyTests.archive, sizes: [4], .npz)
        changeNumbers(of: NumPyTests.compressed, upTo: 120, sizes: [1], .npz)
        changeNumbers(of: TensorIndexTests.sample, sizes: [1, 4, 8], .tensorIndex)
        let numbers =
            Self.extremes.flatMap { ["\($0)", "\(Int64(bitPattern: $0))"] } + ["", "()", "1e3", "0L", "None"]
        for one in numbers {
            for other in numbers {
                survive(NumPyTests.npy("[('a', '<f8', (\(one), \(other)))]", shape: "(2, 2)", data: 8), .npy)
                survive(NumPyTests.npy("'<S\(one)'", shape: "(\(one), \(other))", data: 8), .npy)
                survive(NumPyTests.npy("('<U\(other)', \(one))", shape: "(\(one),)", data: 8), .npy)
            }
        }
    }

    @Test func everyNumberOfAPicture() {
        changeNumbers(of: ImageTests.png, sizes: [1, 4], bigEndian: true, .png)
        let pdf = bytes(
            "%PDF-1.7\n1 0 obj<</Length 5>>stream\nhello\nendstream endobj\nxref\n0 2\nstartxref\n64\n%%EOF\n")
        changeNumbers(of: pdf, sizes: [1, 4], .pdf)
    }

    /// Numbers as text: those that fit nothing, and what is nearly a number.
    @Test func everyNumberOfAText() {
        let numbers =
            Self.extremes.flatMap { ["\($0)", "\(Int64(bitPattern: $0))"] } + [
                "", "-", "-0", "1e999999999", "-1e-999999999", "0.0", "1E+9223372036854775808",
                "9" + String(repeating: "9", count: 400),
                "NaN", "Infinity", "-Infinity", "\u{0}", "+1", "0x7F", "1_000",
            ]
        for one in numbers {
            for other in numbers {
                survive(bytes("{\"a\": [\(one), {\"b\": \(other)}], \"\\u\(one)\": \"\\u\(other)\"}"), .json)
                survive(bytes("a\tb\n\(one)\t\(other)\n"), .tsv)
            }
            survive(bytes(one), .json)
            survive(bytes(one), .tsv)
        }
    }

    /// What the driver checks in its own process: every beginning and every end of a file, and a character cut at the borders of what a quick
    /// check reads.
    @Test(arguments: FormatCheck.kinds.filter { !$0.isIntricate }) func everyPartOfAText(check: FormatCheck) {
        let samples: [[UInt8]] = [
            bytes("a\tb\n\u{1F600}\té\n\r\n\t\n"),
            bytes("{\"a\\u00e9\": [1, -2.5e3, \"\u{1F600}\", true, null, NaN, {}]}"),
            bytes("{}"), ImageTests.png,
            bytes("%PDF-1.7\n1 0 obj<</Length 5>>stream\nhello\nendstream endobj\nxref\n0 2\nstartxref\n64\n%%EOF\n"),
            [0xEF, 0xBB, 0xBF] + bytes("a\n1\n"), [0xF0, 0x9F, 0x98], [0x80, 0xBF], [0], [0x0A],
        ]
        for sample in samples {
            for end in 0...sample.count {
                survive(Array(sample[..<end]), check)
                survive(Array(sample[end...]), check)
                for byte: UInt8 in [0, 0x09, 0x0A, 0x22, 0x5C, 0x7F, 0x80, 0xC0, 0xED, 0xF4, 0xFF] {
                    survive(Array(sample[..<end]) + [byte] + Array(sample[end...]), check)
                }
            }
        }
        // The windows are 64 KiB; together they overlap, touch, or leave a gap.
        for size in [65_536, 131_072] {
            for shift in -5...5 {
                let text = [UInt8](repeating: 0x61, count: max(0, size + shift))
                survive(text, check)
                survive(text + bytes("\u{1F600}\n"), check)
                survive(bytes("\"\u{1F600}") + text + bytes("\u{1F600}\""), check)
                survive(bytes("é\n") + text + [0xF0, 0x9F], check)
                survive([UInt8](repeating: 0x0A, count: size + shift), check)
                survive([UInt8](repeating: 0x20, count: size + shift), check)
            }
        }
    }

    /// A file's length is a number from outside too: a file system may say anything.
    @Test(arguments: FormatCheck.kinds) func everyLengthThatAFileMayClaim(check: FormatCheck) {
        let samples: [[UInt8]] = [
            ParquetSample().file, PickleTests.zip([("a", [1])], wide: true), [0x80, 2, 0x4E, 0x2E], bytes("{}"),
            bytes("a\tb\n1\t2\n"), ImageTests.png, bytes("%PDF-%%EOF"), CheckpointTests.safetensors,
            CheckpointTests.hdf5(version: 2), CheckpointTests.keras, NumPyTests.plain, NumPyTests.compressed,
            TensorIndexTests.sample,
        ]
        for sample in samples {
            for claimed in Self.extremes.map({ Int64(bitPattern: $0) }) + [
                Int64(sample.count) - 1, Int64(sample.count) + 1,
            ] where claimed != Int64(sample.count) {
                let source = MemorySource(bytes: sample, claimedCount: claimed)
                #expect(throws: FormatError.self) {
                    try check.checkQuickly(source)
                    // A shorter one may look well at its ends.
                    _ = try check.checkWhole(source) { _ in }
                }
            }
        }
    }
}
