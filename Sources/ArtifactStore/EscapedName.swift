/// Paths as parts of file names: every byte but letters, digits, `.`, `_` and `-` is `%XX`.
enum EscapedName {
    /// - Returns: at most `limit` bytes; a longer one keeps its end, which is the file's name, after `%~`.
    static func encode(_ path: String, limit: Int) -> String {
        let digits = Array("0123456789ABCDEF".utf8)
        var units: [[UInt8]] = []
        for byte in path.utf8 {
            switch byte {
            case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "."), UInt8(ascii: "_"), UInt8(ascii: "-"):
                units.append([byte])
            default: units.append([UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]])
            }
        }
        var length = units.reduce(0) { $0 + $1.count }
        if length <= limit { return String(decoding: units.joined(), as: UTF8.self) }
        var kept = units[...]
        while length > limit - 2, let first = kept.first {
            length -= first.count
            kept = kept.dropFirst()
        }
        return "%~" + String(decoding: kept.joined(), as: UTF8.self)
    }

    /// The path, or as much of it as the name kept.
    static func decode(_ name: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        var rest = Array(name.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            if rest.first == UInt8(ascii: "~") {
                rest = rest.dropFirst()
                bytes.append(contentsOf: "...".utf8)
            } else if rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                rest = rest.dropFirst(2)
                bytes.append(value)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
