import ArtifactRecords
import Glibc
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

@Suite struct LedgerTests {
    private func entry(_ number: Int) -> LedgerEntry {
        LedgerEntry(
            event: "note", ["number": .integer(Int64(number)), "text": .string("a\"b\\c\n\u{1B}[31m\u{2028}é")])
    }

    @Test func chainsLinesOfManyThreadsAndMounts() throws {
        let place = try TemporaryStore()
        let stores = try (0..<3).map { _ in try place.open() }
        let ledgers = try stores.map { try #require($0.ledger) }
        runThreads(30) { index in
            for number in 0..<10 {
                do throws(Errno) {
                    try ledgers[index % 3].append([entry(index * 10 + number)])
                } catch { Issue.record(error) }
            }
        }
        try place.verifyLedger()
        let numbers = try place.events("note").compactMap { $0["number"]?.integer }
        #expect(numbers.sorted() == (0..<300).map { Int64($0) })
        #expect(try place.events("note").allSatisfy { $0["text"]?.string == "a\"b\\c\n\u{1B}[31m\u{2028}é" })
    }

    @Test func whatMayWaitGoesWithTheNextLine() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let ledger = try #require(store.ledger)
        ledger.appendLater([entry(1), entry(2)])
        #expect(try place.events("note").isEmpty)
        try ledger.append([entry(3)])
        #expect(try place.events("note").compactMap { $0["number"]?.integer } == [1, 2, 3])
        ledger.appendLater([entry(4)])
        ledger.settle()
        ledger.settle()
        #expect(try place.events("note").count == 4)
        ledger.appendLater([entry(5)])
        store.close()
        #expect(try place.events("note").compactMap { $0["number"]?.integer } == [1, 2, 3, 4, 5])
        #expect(!ledger.hasLost)
        try place.verifyLedger()
    }

    @Test(arguments: ["{\"seq\":99,\"prev\"", "\u{0}\u{0}\u{0}"])
    func repairsACutLine(rest: String) throws {
        let place = try TemporaryStore()
        let ledger = try #require(try place.open().ledger)
        try ledger.append([entry(1)])
        let file = try place.ledgerFile()
        let descriptor = try file.open(O_WRONLY | O_APPEND)
        try SystemCall.write(descriptor, Array(rest.utf8))
        SystemCall.close(descriptor)
        try ledger.append([entry(2), entry(3)])
        try place.verifyLedger()
        let text = try place.read(".artifactfs/ledger/" + file.name)
        #expect(text.contains(rest + "\n"))
        #expect(try place.events("ledger-repaired").count == 1)
        #expect(try place.events("note").count == 3)
    }

    @Test func goesOnAfterALineThatLacksOnlyItsNewline() throws {
        let place = try TemporaryStore()
        let ledger = try #require(try place.open().ledger)
        try ledger.append([entry(1)])
        let path = ".artifactfs/ledger/" + (try place.ledgerFile().name)
        try place.write(path, String(try place.read(path).dropLast()))
        try ledger.append([entry(2)])
        try place.verifyLedger()
        #expect(try place.ledger().map { $0["event"]?.string } == ["note", "ledger-repaired", "note"])
    }

    @Test func showsWhatWasChanged() throws {
        let place = try TemporaryStore()
        let ledger = try #require(try place.open().ledger)
        for number in 1...3 { try ledger.append([entry(number)]) }
        let path = ".artifactfs/ledger/" + (try place.ledgerFile().name)
        let text = try place.read(path)
        try place.write(path, text.replacing("\"number\":2", with: "\"number\":7"))
        #expect(try problems(inLedger: try place.ledgerFile()).map(\.line) == [3])
        let lines = text.split(separator: "\n")
        try place.write(path, "\(lines[0])\n\(lines[2])\n")
        #expect(try problems(inLedger: try place.ledgerFile()).map(\.line) == [2, 2])
    }

    @Test func findsTheLastLineHoweverLong() throws {
        let place = try TemporaryStore()
        do {
            let ledger = try #require(try place.open().ledger)
            try ledger.append([LedgerEntry(event: "long", ["text": .string(String(repeating: "x", count: 300_000))])])
        }
        try #require(try place.open().ledger).append([entry(1)])
        try place.verifyLedger()
        #expect(try place.ledger().count == 2)
    }

    @Test func readsWhatItWrites() throws {
        let value = JSONValue.object([
            "a": .array([.null, .bool(true), .integer(.min), .number(1.5), .string("\u{0}\u{7F}\u{1F600}\"\\/")]),
            "b": .object([:]),
        ])
        #expect(JSONValue(parsing: value.description.utf8) == value)
        #expect(value.description.utf8.allSatisfy { $0 >= 0x20 })
        #expect(JSONValue(parsing: "\"\\ud83d\\ude00\"".utf8) == .string("\u{1F600}"))
        for wrong in ["", "{", "[1,]", "{\"a\"}", "\"\\ud83d\"", "\"\u{1}\"", "nul", "1 2", "+", "{\"a\":1,}"] {
            #expect(JSONValue(parsing: wrong.utf8) == nil, "\(wrong)")
        }
        #expect(JSONValue(parsing: [UInt8(ascii: "\""), 0xFF, UInt8(ascii: "\"")]) == nil)
        #expect(JSONValue(parsing: String(repeating: "[", count: 100_000).utf8) == nil)
    }
}
