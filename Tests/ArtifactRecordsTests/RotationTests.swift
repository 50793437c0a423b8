import Glibc
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactRecords

/// A ledger of several files.
@Suite struct RotationTests {
    /// Where the ledgers of a test are.
    private final class Place: Sendable {
        let temporary: TemporaryDirectory
        let directory: FileDescriptor

        init() throws {
            temporary = try TemporaryDirectory()
            directory = try FileDescriptor.open(temporary.path, .readOnly)
        }

        deinit { SystemCall.close(directory) }

        var reader: LedgerReader { LedgerReader(directory: directory) }

        func ledger(_ host: String = "node", limit: Int64 = 1000, isSynced: Bool = false) throws -> Ledger {
            let name = try LedgerFiles.newest(of: host, in: directory)
            let file = try SystemCall.open(directory, name, O_RDWR | O_APPEND | O_CREAT, 0o600)
            return try Ledger(
                owning: file, named: name, of: host, in: directory, isSynced: isSynced, limit: limit)
        }

        func text(_ name: String) throws -> String {
            let file = try SystemCall.open(directory, name, O_RDONLY)
            defer { SystemCall.close(file) }
            return String(decoding: try SystemCall.bytes(file, at: 0, count: 1 << 20), as: UTF8.self)
        }

        func write(_ name: String, _ text: String) throws {
            let file = try SystemCall.open(directory, name, O_WRONLY | O_CREAT | O_TRUNC, 0o600)
            defer { SystemCall.close(file) }
            try SystemCall.write(file, Array(text.utf8))
        }

        func files() throws -> [String] { try names(in: temporary.path).sorted() }

        /// The numbers that tests wrote, in the ledger's order.
        func numbers(_ host: String = "node") throws -> [Int64] {
            var found: [Int64] = []
            _ = try reader.read(from: LedgerCursor(beginningOf: host)) { line in
                if case .other("note", let members) = line.event, let number = members["number"]?.integer {
                    found.append(number)
                }
            }
            return found
        }
    }

    private static func note(_ number: Int) -> LedgerEntry {
        LedgerEntry(.other(name: "note", members: ["number": .integer(Int64(number))]))
    }

    @Test(arguments: [false, true]) func aLargeFileGoesOnInTheNext(isSynced: Bool) throws {
        let place = try Place()
        let ledger = try place.ledger(isSynced: isSynced)
        for number in 0..<40 { try ledger.append([Self.note(number)]) }
        let files = try place.files()
        #expect(files.count > 4 && files.contains("node.jsonl") && files.contains("node~2.jsonl"), "\(files)")
        #expect(try place.reader.verify("node") == [])
        #expect(try place.numbers() == Array(0..<40))
        for file in files where file != "node~\(files.count).jsonl" {
            let last = try #require(try place.text(file).split(separator: "\n").last)
            guard case .ledgerContinues = LedgerLine(parsing: last.utf8)?.event else {
                Issue.record("\(file) ends with \(last)")
                continue
            }
        }
    }

    /// Several drivers of a host, each with many threads, and some that come later.
    @Test func everybodyGoesOnInTheSameFile() throws {
        let place = try Place()
        let ledgers = try (0..<3).map { _ in try place.ledger() }
        runThreads(12) { index in
            for number in 0..<20 {
                do {
                    let ledger = number == 10 ? try place.ledger() : ledgers[index % 3]
                    try ledger.append([Self.note(index * 20 + number)])
                } catch { Issue.record(error) }
            }
        }
        #expect(try place.reader.verify("node") == [])
        #expect(try place.numbers().sorted() == Array(0..<240))
    }

    /// Killed at any step between two files.
    @Test func whoIsKilledBetweenTwoFiles() throws {
        // The next one was made, and nothing said so.
        var place = try Place()
        try place.ledger(limit: 100_000).append((0..<20).map { Self.note($0) })
        try place.write("node~2.jsonl", "")
        try place.ledger(limit: 100_000).append([Self.note(20)])
        #expect(try place.text("node~2.jsonl").isEmpty, "the first is not full yet")
        try place.ledger().append([Self.note(21)])
        #expect(try place.text("node~2.jsonl").contains("\"number\":21"))
        #expect(try place.reader.verify("node") == [] && place.numbers() == Array(0..<22))

        // It was said, and the next one is not there, or empty, or its directory entry was lost.
        for isThere in [false, true] {
            place = try Place()
            let ledger = try place.ledger()
            for number in 0..<8 { try ledger.append([Self.note(number)]) }
            let last = try #require(try place.files().map { LedgerFiles.understand($0)?.number ?? 0 }.max())
            let name = LedgerFiles.name(of: "node", number: last)
            #expect(last > 1)
            let lost = try place.numbers().count
            try SystemCall.unlink(place.directory, name)
            if isThere { try place.write(name, "") }
            let kept = try place.numbers()
            #expect(kept.count < lost)
            try place.ledger().append([Self.note(100)])
            #expect(try place.numbers() == kept + [100])
            let problems = try place.reader.verify("node")
            #expect(problems == [])
        }

        // The line that says so was cut off.
        place = try Place()
        let ledger = try place.ledger()
        while try place.files().count == 1 { try ledger.append([Self.note(0)]) }
        try SystemCall.unlink(place.directory, "node~2.jsonl")
        let text = try place.text("node.jsonl")
        for cut in [1, 2, 30, 80] {
            try place.write("node.jsonl", String(text.dropLast(cut)))
            try place.write("node~2.jsonl", "")
            try place.ledger().append([Self.note(1)])
            let problems = try place.reader.verify("node")
            #expect(problems == [], "\(cut)")
            #expect(try place.numbers().last == 1)
            try SystemCall.unlink(place.directory, "node~2.jsonl")
        }
    }

    /// A disk on which nothing can be made keeps the ledger in one file.
    @Test func withoutRoomForAnotherFile() throws {
        let place = try Place()
        let ledger = try place.ledger()
        try Faults.with({ call, name in call == .open && name.contains("node~") ? .fails(.noSpace) : nil }) {
            for number in 0..<20 { try ledger.append([Self.note(number)]) }
        }
        #expect(try place.files() == ["node.jsonl"])
        for number in 20..<22 { try ledger.append([Self.note(number)]) }
        #expect(try place.files().count == 2)
        #expect(try place.numbers() == Array(0..<22) && place.reader.verify("node") == [])
    }

    @Test func aLineThatLeadsAstrayIsNotFollowed() throws {
        for name in ["../evil.jsonl", "other.jsonl", "node~7.jsonl", "node.jsonl", "x"] {
            let place = try Place()
            try place.ledger().append([LedgerEntry(.ledgerContinues(file: name))])
            #expect(throws: Errno.self, "\(name)") { try place.ledger().append([Self.note(1)]) }
            #expect(try place.files() == ["node.jsonl"])
        }
    }

    @Test func whoReadsGoesOnWhereItStopped() throws {
        let place = try Place()
        let ledger = try place.ledger()
        var cursor = LedgerCursor(beginningOf: "node")
        var seen: [Int64] = []
        func read() throws {
            cursor = try place.reader.read(from: cursor) { line in
                if case .other("note", let members) = line.event { seen.append(members["number"]?.integer ?? -1) }
            }
            cursor = try #require(LedgerCursor(.object(cursor.json)), "it is kept as JSON")
        }
        try ledger.append([Self.note(0)])
        try read()
        try read()
        #expect(seen == [0])
        for number in 1..<30 {
            try ledger.append([Self.note(number)])
            if number % 7 == 0 { try read() }
        }
        try read()
        #expect(seen == Array(0..<30) && cursor.file != "node.jsonl")

        // A line that is still being written is read when it is whole.
        let name = cursor.file
        let text = try place.text(name)
        try ledger.append([Self.note(30)])
        let more = try place.text(name)
        try place.write(name, String(more.dropLast(10)))
        try read()
        #expect(seen.count == 30)
        try place.write(name, more)
        try read()
        #expect(seen.last == 30)

        // What was read before is not what is there: it is said, and nothing is read.
        try place.write(name, text.replacing("\"number\":29", with: "\"number\":99") + more.dropFirst(text.count))
        try ledger.append([Self.note(31)])
        let before = LedgerCursor(
            file: cursor.file, offset: Int64(text.utf8.count), seq: cursor.seq - 1, hash: cursor.hash)
        #expect(throws: LedgerReader.ReadingFailure.changed(before)) { try place.reader.read(from: before) { _ in } }
        for wrong in [
            LedgerCursor(file: "gone.jsonl", offset: 3, seq: 1, hash: cursor.hash),
            LedgerCursor(file: "x", offset: 0, seq: 1, hash: cursor.hash),
        ] {
            #expect(throws: LedgerReader.ReadingFailure.changed(wrong)) { try place.reader.read(from: wrong) { _ in } }
        }
        for wrong in [
            #"{}"#, #"{"file":"a/b.jsonl","offset":0,"seq":0,"hash":"0"}"#, #"{"file":"x","offset":-1}"#, "3",
        ] {
            #expect(try LedgerCursor(#require(JSONValue(parsing: wrong.utf8))) == nil)
        }
    }

    @Test func verifyingSeesWhatIsMissingBetweenFiles() throws {
        let place = try Place()
        let ledger = try place.ledger()
        for number in 0..<40 { try ledger.append([Self.note(number)]) }
        #expect(try place.files().count > 3)
        let second = try place.text("node~2.jsonl")
        try SystemCall.unlink(place.directory, "node~2.jsonl")
        #expect(try !place.reader.verify("node").isEmpty, "a file is gone")
        try place.write("node~2.jsonl", second.split(separator: "\n").dropLast().joined(separator: "\n") + "\n")
        #expect(try !place.reader.verify("node").isEmpty, "a last line is gone")
        try place.write("node~2.jsonl", second + "{}\n")
        #expect(try !place.reader.verify("node").isEmpty, "a line came after the last")
        try place.write("node~2.jsonl", second)
        #expect(try place.reader.verify("node") == [])
    }

    /// A reader that wants what one mount wrote reads from where the ledger stood.
    @Test func aPlaceIsBeforeWhatComesAfter() throws {
        let place = try Place()
        let ledger = try place.ledger()
        for number in 0..<9 { try ledger.append([Self.note(number)]) }
        let start = try ledger.position()
        for number in 9..<19 { try ledger.append([Self.note(number)]) }
        var count = 0
        try place.reader.forEachLine(of: "node", from: start) { line in
            if LedgerReader.contains(line, Array("\"note\"".utf8)) { count += 1 }
        }
        #expect(count == 10)
    }

    @Test func namesOfFiles() throws {
        #expect(
            LedgerFiles.name(of: "a", number: 1) == "a.jsonl" && LedgerFiles.name(of: "a", number: 12) == "a~12.jsonl")
        for number in [1, 2, 999_999_999] {
            let found = LedgerFiles.understand(LedgerFiles.name(of: "a.b-1", number: number))
            #expect(found?.host == "a.b-1" && found?.number == number)
        }
        for wrong in [
            "", ".jsonl", "a.json", "a~1.jsonl", "a~0.jsonl", "a~02.jsonl", "a~.jsonl", "~2.jsonl", "a~-2.jsonl",
            "a~2x.jsonl", "a~99999999999999999999.jsonl",
        ] {
            #expect(LedgerFiles.understand(wrong) == nil, "\(wrong)")
        }
    }
}
