import ArtifactRecords
import Glibc
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// What reads files and times that others make gets 0, -1 and the extremes in every number. Saying no is fine; a trap would end the
/// driver, and with it everybody's mount.
@Suite struct NumberTests {
    static let extremes: [Int64] =
        [8, 16, 32, 64].flatMap { width -> [Int64] in
            let top = Int64.min >> Int64(64 - width)
            return [top, top &+ 1, ~top, ~top - 1, top &- 1, top &+ top]
        } + [0, 1, -1, 2, -2, 1 << 53, 1 << 53 - 1, 1 << 53 + 1]

    static let texts: [String] =
        extremes.map { "\($0)" } + [
            "18446744073709551615", "9223372036854775808", "-9223372036854775809", "1e308", "-0", "1.5", "1e999",
        ]

    /// A ledger whose last line has a number that nothing can be added to: what is published is still recorded.
    @Test(arguments: extremes) func aLastLineOfAnyNumber(number: Int64) throws {
        let place = try TemporaryStore()
        do {
            let ledger = try #require(try place.open().ledger)
            try ledger.append([LedgerEntry(event: "note", [:])])
        }
        let path = ".artifactfs/ledger/" + (try place.ledgerFile().name)
        let before = try place.read(path)
        let lines = before.split(separator: "\n").count
        let hash = try SHA256.digest(Array((before.split(separator: "\n").last ?? "").utf8))
        try place.write(path, before + "{\"seq\":\(number),\"prev\":\"\(hash)\",\"event\":\"note\"}\n")
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, table)
        guard case .sealed = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("not published after number \(number)")
            return
        }
        store.close()
        #expect(try place.events("sealed").count == 1)
        // Only the line that follows the others is one of theirs.
        let problems = try problems(inLedger: try place.ledgerFile())
        #expect(
            problems.isEmpty == (number == Int64(lines) + 1 || !(1..<1 << 53).contains(number)),
            "\(number): \(problems)")
    }

    @Test func aLedgerWithoutEnd() throws {
        let place = try TemporaryStore(in: "/dev/shm")
        let ledger = try #require(try place.open().ledger)
        try ledger.append([LedgerEntry(event: "note", [:])])
        let path = place.path + "/.artifactfs/ledger/" + (try place.ledgerFile().name)
        // Nobody's disk is so large: a hole.
        try #require(truncate(path, off_t(Int64.max)) == 0)
        #expect(throws: Errno.fileTooLarge) { try ledger.append([LedgerEntry(event: "note", [:])]) }
    }

    /// Every number of an intent that a killed mount left, changed: recovery settles it or leaves it, and goes on.
    @Test func anIntentOfAnyNumbers() throws {
        for (inode, size) in zip(Self.texts, Self.texts.reversed()) {
            let place = try TemporaryStore()
            try #require(mkdir(place.path + "/.artifactfs/staging/dead", 0o700) == 0)
            try place.write(".artifactfs/staging/dead/a-1-x", table)
            try place.write(
                ".artifactfs/ledger/other.jsonl",
                """
                {"seq":\(size),"prev":"x","event":"seal-intent","mount":"dead","staged":"a-1-x","directory":"base_layer",\
                "name":"gene_manifest.tsv","inode":\(inode),"size":\(size),"modified":"x","sha256":"x","record":{"n":\(inode)}}

                """)
            let store = try place.open()
            #expect(store.recovery.quarantined.count == 1, "\(inode), \(size): \(store.recovery)")
            store.close()
        }
    }

    @Test func jsonOfAnyNumbers() {
        for text in Self.texts + ["--1", "+1", "1-1", "1e", "e", ".", "00", "\u{0}"] {
            let value = JSONValue(parsing: "{\"a\":[\(text)],\"b\":\(text)}".utf8)
            if let value, !text.hasSuffix("999") {
                #expect(JSONValue(parsing: value.description.utf8) == value, "\(text)")
            }
        }
        for value in Self.extremes {
            #expect(JSONValue(parsing: JSONValue.integer(value).description.utf8) == .integer(value))
        }
        for escape in ["ffff", "0000", "d800", "dbff\\udfff", "dc00", "d800\\u0000", "+123", "-000", "12", "d8", ""] {
            _ = JSONValue(parsing: "\"\\u\(escape)\"".utf8)
        }
        #expect(JSONValue(parsing: "\"\\u+123\"".utf8) == nil)
    }

    @Test func timesOfAnyNumbers() {
        for seconds in Self.extremes {
            for nanoseconds in Self.extremes {
                let time = timespec(tv_sec: Int(seconds), tv_nsec: Int(nanoseconds))
                #expect(TimeText.rfc3339(time).utf8.count == 30)
                #expect(TimeText.compact(time).utf8.count == 20)
            }
            let ago = Clock.secondsSince(timespec(tv_sec: Int(seconds), tv_nsec: 0))
            #expect(seconds < 0 ? ago > 0 : seconds > 1 << 40 ? ago < 0 : true, "\(seconds): \(ago)")
            var attributes = stat()
            attributes.st_ctim.tv_sec = Int(seconds)
            for keeping in [0, 60, Int.max, Int.min] {
                let isOld = Recovery.isOld(attributes, keepingSeconds: keeping)
                if keeping == 60 { #expect(isOld == (seconds < 1 << 30 || seconds == -1), "\(seconds)") }
            }
        }
    }

    @Test func aSchemaOfAnyNumbers() {
        for one in Self.texts + ["", "+1", "0x7f", "1_000", ".inf", "~"] {
            for other in ["86400", one] {
                let text = """
                    version: 1
                    settling_seconds: \(one)
                    transient_seconds: \(other)
                    types:
                      a:
                        layers: [base]
                        formats: [.tsv]

                    """
                _ = try? SchemaFile.parse(text, file: "f")
                _ = try? SchemaFile.parse(text.replacing("version: 1", with: "version: \(one)"), file: "f")
            }
        }
    }

    /// Names in staging and in quarantine are others' to choose as well.
    @Test func stagedNamesOfAnyNumbers() {
        for text in Self.texts + ["", "%", "%F", "%FF", "%~", "-", "%-1", "%+1"] {
            for name in ["a-\(text)-x", "t-\(text)", "a-1-\(text)", "-\(text)-", "\(text)", "a--\(text)%"] {
                _ = Staging.understand(name)
                _ = EscapedName.decode(name)
            }
        }
    }

    /// More than there is memory for is an error that the caller gets.
    @Test func readingMoreThanThereIsRoomFor() throws {
        let file = try FileDescriptor.open("/dev/zero", .readOnly)
        defer { SystemCall.close(file) }
        #expect(throws: Errno.noMemory) { try SystemCall.bytes(file, at: 0, count: Int.max) }
        #expect(try SystemCall.bytes(file, at: 0, count: Int.min).isEmpty)
        #expect(throws: Errno.self) { try SystemCall.bytes(file, at: Int64.min, count: 10) }
        let own = try FileDescriptor.open("/proc/self/exe", .readOnly)
        defer { SystemCall.close(own) }
        _ = try? SystemCall.bytes(own, at: Int64.max, count: 10)
    }
}
