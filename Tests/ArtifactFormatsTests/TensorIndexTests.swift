import ArtifactFormats
import Testing

/// A TensorFlow checkpoint's `.index`: LevelDB's table, as tensorflow/tsl/lib/io/table_builder.cc writes it.
@Suite struct TensorIndexTests {
    /// Bit by bit, as the standard says it.
    private static func maskedSum(_ bytes: [UInt8]) -> UInt64 {
        var sum: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            sum ^= UInt32(byte)
            for _ in 0..<8 { sum = sum & 1 == 0 ? sum >> 1 : sum >> 1 ^ 0x82F6_3B78 }
        }
        sum = ~sum
        return UInt64((sum >> 15 | sum << 17) &+ 0xA282_EAD8)
    }

    private static func block(_ entries: [(key: String, value: [UInt8])], compression: UInt8 = 0) -> [UInt8] {
        var bytes: [UInt8] = []
        var last: [UInt8] = []
        for (key, value) in entries {
            let key = Array(key.utf8)
            let shared = zip(key, last).prefix { $0 == $1 }.count
            for number in [shared, key.count - shared, value.count] { bytes += NumberTests.varint(UInt64(number)) }
            bytes += key[shared...] + value
            last = key
        }
        bytes += PickleTests.number(0, 4) + PickleTests.number(1, 4) + [compression]
        return bytes + PickleTests.number(maskedSum(bytes), 4)
    }

    static func file(_ blocks: [[(key: String, value: [UInt8])]], compression: UInt8 = 0) -> [UInt8] {
        var file: [UInt8] = []
        var index: [(key: String, value: [UInt8])] = []
        func add(_ block: [UInt8]) -> [UInt8] {
            defer { file += block }
            return NumberTests.varint(UInt64(file.count)) + NumberTests.varint(UInt64(block.count - 5))
        }
        for entries in blocks {
            index.append((entries.last?.key ?? "", add(block(entries, compression: compression))))
        }
        let meta = add(block([]))
        let top = add(block(index))
        let handles = meta + top
        file += handles + [UInt8](repeating: 0, count: 40 - handles.count)
        return file + PickleTests.number(0xDB47_7524_8B80_FB57, 8)
    }

    static let sample = file([
        [
            ("", [8, 1, 26, 2, 8, 1]), ("layer/bias", [8, 1, 18, 0, 40, 16]),
            ("layer/kernel", [8, 1, 18, 4, 18, 2, 8, 4]),
        ],
        [("optimizer/step", [8, 9, 40, 8])],
    ])

    @Test func whole() {
        #expect(FormatCheck(fileExtension: ".index") == .tensorIndex)
        #expect(FormatCheck(fileExtension: ".data-00000-of-00001") == .notEmpty)
        #expect(FormatCheck.tensorIndex.quick(Self.sample).isAccepted)
        for size in readSizes {
            let outcome = FormatCheck.tensorIndex.whole(Self.sample, readSize: size)
            #expect(outcome.facts?.details == ["tensors": "3"], "\(outcome)")
        }
        for length in Self.sample.indices {
            let cut = Array(Self.sample[..<length])
            #expect(!FormatCheck.tensorIndex.quick(cut).isAccepted)
            #expect(!FormatCheck.tensorIndex.whole(cut).isAccepted)
        }
    }

    @Test func damaged() throws {
        // The empty block before the index is nobody's; every other byte of a block counts, those of its check sum too.
        let index = Self.sample.count - 48
        let meta = try #require(Self.sample.indices.first { Self.sample[$0...].starts(with: Self.block([])) })
        for place in 0..<index where !(meta..<(meta + 13)).contains(place) {
            var changed = Self.sample
            changed[place] ^= 4
            #expect(!FormatCheck.tensorIndex.whole(changed).isAccepted, "byte \(place)")
        }
        for blocks in [[], [[("layer/bias", [UInt8(8), 1])]]] {
            #expect(FormatCheck.tensorIndex.whole(Self.file(blocks)).reason?.contains("tensor bundle's header") == true)
        }
    }
}
