import ArtifactStore
import Artifacts
import FuseKernel
import TestSupport
import Testing

@testable import ArtifactDriver

/// What is known of a million inodes, against plain dictionaries.
@Suite struct NamespaceTests {
    @Test func anInodeIsOneWord() {
        #expect(MemoryLayout<Inode>.size == 8)
        #expect(MemoryLayout<Inode?>.size == 8)
        #expect(MemoryLayout<ArtifactFile.State>.size <= 96)
    }

    @Test(arguments: 1...8) func slotsAgainstADictionary(seed: UInt64) {
        var random = SplitMix64(seed: seed)
        var table = SlotTable<String>()
        var model: [Int: String] = [:]
        var highest = 0
        // Grows and shrinks by thousands, so that pieces come and go.
        for phase in 0..<12 {
            for step in 0..<3000 {
                let adds = Int.random(in: 0..<10, using: &random) < (phase % 2 == 0 ? 8 : 2)
                if adds || model.isEmpty {
                    let number = table.take()
                    #expect(number > 0 && model[number] == nil, "seed \(seed): \(number) is taken")
                    table[number] = "\(phase).\(step)"
                    model[number] = "\(phase).\(step)"
                    highest = max(highest, number)
                } else if let number = model.keys.randomElement(using: &random) {
                    table.free(number)
                    model[number] = nil
                    #expect(table[number] == nil)
                }
            }
            #expect(table.count == model.count)
            for (number, value) in model { #expect(table[number] == value, "seed \(seed)") }
            var seen = 0
            table.forEach { _ in seen += 1 }
            #expect(seen == model.count)
        }
        #expect(highest <= 40_000, "numbers are used again")
        for number in model.keys { table.free(number) }
        #expect(table.count == 0 && table[1] == nil && table[0] == nil && table[1_000_000] == nil)
        let first = table.take()
        #expect(first > 0 && first <= highest)
    }

    /// Few different hashes, so that numbers stand in each other's way.
    @Test(arguments: 1...8, [1, 7, 100, 1_000_000]) func numbersAgainstADictionary(seed: UInt64, hashes: UInt32) {
        var random = SplitMix64(seed: seed)
        var index = NumberIndex()
        var model: [UInt32: UInt32] = [:]
        func hash(_ key: UInt32) -> UInt32 { (key &* 2_654_435_761) % hashes }
        for step in 0..<4000 {
            let key = UInt32.random(in: 1...500, using: &random)
            let keys = model
            let found = index.find(hash(key)) { keys[$0] == key }
            let expected = model.first { $0.value == key }?.key
            #expect(found == expected, "seed \(seed) step \(step)")
            if let found {
                let (removed, again) = (index.remove(found, hash(key)), index.remove(found, hash(key)))
                #expect(removed && !again)
                model[found] = nil
            } else {
                let number = UInt32(step + 1)
                index.insert(number, hash(key))
                model[number] = key
            }
            #expect(index.count == model.count)
        }
        for (number, key) in model { #expect(index.find(hash(key)) { $0 == number } == number) }
    }

    @Test func memoryIsGivenBackOncePerShrinking() {
        let namespace = Namespace()
        let parent = InodeNumber(rawValue: 1)
        func fill() -> [InodeNumber] {
            (0..<20_000).map { index in
                namespace.findOrInsert(
                    "chr\(index).tsv", in: parent, remembering: true,
                    make: { .artifact(ArtifactFile(id: $0, size: 1)) }
                ).number
            }
        }
        for _ in 0..<2 {
            let numbers = fill()
            #expect(namespace.count == 20_000 && !namespace.hasShrunk())
            for number in numbers.dropLast() { namespace.forget(number, lookups: 1) }
            #expect(namespace.hasShrunk() && !namespace.hasShrunk())
            #expect(namespace.names(in: parent) == ["chr19999.tsv"])
            #expect(namespace.number(of: "chr7.tsv", in: parent) == nil)
            #expect(namespace.number(of: "chr19999.tsv", in: parent) == numbers.last)
            if let last = numbers.last { namespace.forget(last, lookups: 1) }
            #expect(namespace.count == 0)
        }
    }

    @Test func aNameThatAnotherInodeTakes() {
        let namespace = Namespace()
        let parent = InodeNumber(rawValue: 1)
        func make(_ name: String) -> InodeNumber {
            namespace.findOrInsert(
                name, in: parent, remembering: true, make: { .artifact(ArtifactFile(id: $0, size: 1)) }
            ).number
        }
        let (one, two) = (make("one"), make("two"))
        namespace.move(one, to: "two", in: parent)
        #expect(namespace.number(of: "two", in: parent) == one && namespace.number(of: "one", in: parent) == nil)
        namespace.move(one, to: "two", in: parent)
        #expect(namespace.number(of: "two", in: parent) == one, "onto itself")
        namespace.forget(two, lookups: 1)
        #expect(namespace.number(of: "two", in: parent) == one && namespace.count == 1)
        #expect(make("two") == one)
        // Canonically equivalent is not the same.
        let (composed, decomposed) = (make("\u{E9}"), make("e\u{301}"))
        #expect(composed != decomposed)
        #expect(namespace.number(of: "e\u{301}", in: parent) == decomposed)
    }
}
