import ArtifactFormats
import enum TestSupport.Seed
import struct TestSupport.SplitMix64
import Testing

@Suite struct FuzzTests {
    private static let samples: [(FormatCheck, [UInt8])] = [
        (.tsv, bytes("a\tb\tc\n1\té\t3\n4\t5\t6\r\n")),
        (
            .table(TableForm(comment: .hash, hasQuotes: true)),
            bytes("#x\na\t\"b\n\"\tc\n1\té\t3\n\"4\"\"\t\"\t5\t6\r\n#\n")
        ),
        (.json, bytes("{\"a\": [1, -2.5e3, \"é\\u00e9\", true, null, NaN, {}], \"b\": {\"c\": []}}")),
        (.jsonLines, bytes("{\"a\": NaN}\n\n[1, \"é\"]\r\n-Infinity\ntrue\n")),
        (.parquet, ParquetSample(dictionary: 4).file),
        (
            .pickle,
            [0x80, 4, 0x95, 8, 0, 0, 0, 0, 0, 0, 0] + bytes("}") + [0x8C, 1, 0x61] + bytes("K") + [1] + bytes("s.")
        ),
        (.pickle, PickleTests.zip([("a/data.pkl", [0x80, 2, 0x4E, 0x2E]), ("a/data/0", [1, 2, 3])])),
        (.pickle, PickleTests.zip([("a/data.pkl", [0x80, 2, 0x4E, 0x2E])], wide: true)),
        (.safetensors, CheckpointTests.safetensors), (.hdf5, CheckpointTests.hdf5(version: 0)),
        (.hdf5, CheckpointTests.hdf5(version: 3, userBlock: 512)), (.keras, CheckpointTests.keras),
        (.npy, NumPyTests.structured), (.npy, NumPyTests.objects), (.npz, NumPyTests.archive),
        (.npz, NumPyTests.compressed), (.tensorIndex, TensorIndexTests.sample),
    ]

    private static let compressed = CompressedPickleTests.samples.map { (FormatCheck.pickle, $0.file) }

    /// No file may crash a check, and how the reads fall may not change what it says.
    private func examine(_ file: [UInt8], _ check: FormatCheck, _ generator: inout SplitMix64, _ seed: UInt64) {
        let whole = check.whole(file)
        let size = readSizes[Int.random(in: 0..<readSizes.count, using: &generator)]
        let pieces = check.whole(file, readSize: size)
        #expect(whole.facts == pieces.facts, "seed \(seed), \(check), read size \(size), \(file)")
        if whole.isAccepted { #expect(check.quick(file).isAccepted, "seed \(seed), \(check), \(file)") }
    }

    @Test func randomBytes() {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        for _ in 0..<4000 {
            let length = Int.random(in: 0..<200, using: &generator)
            var file = (0..<length).map { _ in UInt8.random(in: 0...255, using: &generator) }
            // The starts and ends that let a check go on to its inside.
            switch Int.random(in: 0..<6, using: &generator) {
            case 0: file = ParquetSample.file(footer: file)
            case 1: file = [0x80, UInt8.random(in: 2...5, using: &generator)] + file + [0x2E]
            case 2: file = bytes("PK") + [3, 4] + file + bytes("PK") + [5, 6] + file.prefix(16) + [0, 0]
            case 3: file = bytes("{") + file.map { $0 & 0x7F } + bytes("}")
            case 4: file = file.map { $0 & 0x0F } + [0x0A]
            default: break
            }
            for check in FormatCheck.kinds { examine(file, check, &generator, seed) }
        }
    }

    @Test func changedSamples() {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        for (check, sample) in Self.samples + Self.compressed {
            #expect(check.whole(sample).isAccepted, "\(check): \(check.whole(sample))")
            for _ in 0..<1000 {
                var file = sample
                for _ in 0..<Int.random(in: 1...4, using: &generator) where !file.isEmpty {
                    let at = Int.random(in: 0..<file.count, using: &generator)
                    switch Int.random(in: 0..<5, using: &generator) {
                    case 0: file.remove(at: at)
                    case 1: file.insert(UInt8.random(in: 0...255, using: &generator), at: at)
                    case 2: file[at] = [0, 0x7F, 0x80, 0xFF][Int.random(in: 0..<4, using: &generator)]
                    case 3: file[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    default: file[at] = sample[Int.random(in: 0..<sample.count, using: &generator)]
                    }
                }
                examine(file, check, &generator, seed)
            }
        }
    }
}
