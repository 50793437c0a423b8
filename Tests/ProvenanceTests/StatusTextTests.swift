import SystemCalls
import Testing

@testable import Provenance

/// Files of `/proc` that have a key and a value in each line.
@Suite struct StatusTextTests {
    private func read<Result>(_ text: String, _ body: (StatusText) -> Result) -> Result {
        Array(text.utf8).withUnsafeBytes { body(StatusText(text: $0)) }
    }

    @Test func aWholeFile() {
        let text =
            "Name:\tsort\nState:\tS (sleeping)\nTgid:\t7\nPid:\t8\nPPid:\t6\nUid:\t1\t2\t3\t4\nGid:\t5\t6\t7\t8\n"
            + "Groups:\t4 24 \nNSsid:\t3\t1\nSigIgn:\t0000000000300000\n"
        read(text) { status in
            #expect(status.name == "sort" && status.state == UInt8(ascii: "S"))
            #expect(status.process == 7 && status.parent == 6 && status.session == 3)
            #expect(status.rights == UserRights(user: 4, group: 8, groups: [4, 24]))
            #expect(status.ignoredSignals == 0x300000)
        }
    }

    /// What is cut, or something else than a number, is not there; a name that is written in another way than in `comm` is read there.
    @Test func whatIsNotThere() {
        #expect(read("Tgid:\t7") { $0.process } == nil, "the line may go on")
        #expect(read("Tgid:\t7x\n") { $0.process } == nil)
        #expect(read("Tgid:\t99999999999999999999\n") { $0.process } == nil)
        #expect(read("Tgid:\t4294967296\n") { $0.process } == nil)
        #expect(read("xTgid:\t7\n") { $0.process } == nil)
        #expect(read("Name:\ta\\nb\n") { $0.name } == nil)
        #expect(read("Groups:\t\n") { $0.groups } == [])
        #expect(read("Groups:\t1 2") { $0.groups } == nil)
        #expect(read("Uid:\t1\t2\t3\nGid:\t5\t6\t7\t8\nGroups:\t\n") { $0.rights } == nil)
        for text in ["", "\n", "\n\n", ":", "Tgid:", "Tgid:\n"] {
            read(text) { #expect($0.process == nil && $0.rights == nil && $0.session == 0) }
        }
        #expect(read("flags:\t0100002\n") { $0.octal("flags:\t") } == 0o100002)
        #expect(read("flags:\t8\n") { $0.octal("flags:\t") } == nil)
    }

    /// The fields of `stat` count from the last parenthesis.
    @Test func statLines() throws {
        let fields = (3...52).map { field -> String in
            switch field {
            case 3: "S"
            case 4: "6"
            case 8: "-1"
            case 9: "4194368"
            case 28: "140000000000001"
            case 47: "94000000000000"
            default: "\(field)"
            }
        }
        func origin(_ line: String) -> ProcFile.Descent? {
            Array(line.utf8).withUnsafeBytes { ProcFile.origin(inStat: $0) }
        }
        let found = try #require(origin("7 (a) b) 1 2) " + fields.joined(separator: " ") + "\n"))
        #expect(found.parent == 6 && found.group == 5 && found.session == 6 && found.start == 22)
        #expect(!found.isProgram && found.memory != nil)
        // Of one that is gone the kernel writes -1.
        var gone = fields
        (gone[1], gone[2], gone[3]) = ("0", "-1", "-1")
        #expect(origin("7 (a) " + gone.joined(separator: " ") + "\n")?.group == -1)
        for length in 0..<19 { #expect(origin("7 (a) " + fields.prefix(length).joined(separator: " ")) == nil) }
        #expect(origin("7 a S 6") == nil && origin("") == nil && origin(")") == nil)
    }
}
