import Artifacts
import Testing

@Suite struct EvictionMarkTests {
    private static let mark = EvictionMark(
        size: 12, modified: 1_795_869_276_064_708_782, mode: 0o444, sha256: String(repeating: "0a", count: 32),
        inode: 7,
        mirror: "cloud")

    /// The text stands on disk: changing it breaks the stores that have it.
    @Test func itsTextIsStable() {
        #expect(
            Self.mark.text
                == "artifactfs-evicted:1:12:1795869276064708782:444:\(String(repeating: "0a", count: 32)):7:cloud")
    }

    @Test func isReadAsItWasWritten() {
        for mark in [
            Self.mark,
            EvictionMark(
                size: .max, modified: .min, mode: 0, sha256: Self.mark.sha256, inode: .max, mirror: "a.b-c_9"),
            EvictionMark(size: 0, modified: -1, mode: 0o777, sha256: Self.mark.sha256, inode: 0, mirror: "m"),
        ] { #expect(EvictionMark(mark.text.utf8) == mark) }
    }

    /// Every field with what it must not be, and with what looks alike: nothing is read that would not be written so.
    @Test func takesNothingElse() {
        let parts = Self.mark.text.split(separator: ":").map(String.init)
        let wrong = [
            "", "-", "+1", "-1", "01", " 1", "1 ", "0x1", "9223372036854775808", "-9223372036854775809",
            "18446744073709551616", "1000", "8", "٣", "a/b", "..", ".", "a:b", String(repeating: "0A", count: 32),
            String(repeating: "0", count: 63), String(repeating: "0", count: 65), String(repeating: "m", count: 65),
            String(repeating: "9", count: 400),
        ]
        var read = 0
        for index in parts.indices {
            for value in wrong {
                var changed = parts
                changed[index] = value
                let text = changed.joined(separator: ":")
                if let mark = EvictionMark(text.utf8) {
                    read += 1
                    #expect(mark.text == text)
                    // Such as a time before 1970.
                    #expect(index > 1 && index != 5, "\(text)")
                }
            }
            var shorter = parts
            shorter.remove(at: index)
            #expect(EvictionMark(shorter.joined(separator: ":").utf8) == nil)
            #expect(EvictionMark((parts + [parts[index]]).joined(separator: ":").utf8) == nil)
        }
        #expect(read > 0)
        for text in ["", ":", "artifactfs-evicted:1", "chr1.tsv", "../x", Self.mark.text + "\n", Self.mark.text + "\0"]
        {
            #expect(EvictionMark(text.utf8) == nil, "\(text)")
        }
        #expect(EvictionMark([0xff] + Array(Self.mark.text.utf8)) == nil)
        for place in Array(Self.mark.text.utf8).indices {
            var bytes = Array(Self.mark.text.utf8)
            for value: UInt8 in [0, 0x2f, 0x3a, 0x80, 0xff] {
                bytes[place] = value
                _ = EvictionMark(bytes)
            }
        }
    }
}
