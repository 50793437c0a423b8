internal import ArtifactRecords

/// Names of objects.
public enum ObjectKey {
    /// The longest name that servers take, in bytes.
    public static let longest = 1024

    /// A path of any bytes as part of a key: letters, digits, `/`, `.`, `_`, `-` and `=` are themselves, every other byte is `%XX`. So no server, and
    /// no XML, has trouble with it, and no two paths have one key.
    ///
    /// - Parameter room: how many bytes it may have; a longer one is `%~` and the SHA-256 of the path, where that can be had.
    public static func encoded(_ path: some Collection<UInt8>, room: Int) -> String {
        var text: [UInt8] = []
        for byte in path {
            if isPlain(byte) || byte == UInt8(ascii: "/") || byte == UInt8(ascii: "=") {
                text.append(byte)
            } else {
                text += percent(byte)
            }
        }
        guard text.count > room, let hash = try? SHA256.digest(path) else {
            return String(decoding: text, as: UTF8.self)
        }
        return "%~" + hash
    }

    /// The path that ``encoded(_:room:)`` made of one that had room; nil of what it does not make.
    public static func decoded(_ text: String) -> [UInt8]? {
        guard let bytes = percentDecoded(text, { $0 }) else { return nil }
        return encoded(bytes, room: .max) == text ? bytes : nil
    }

    /// The bytes of a text in which `%XX` is one; nil where something else follows a `%`.
    ///
    /// - Parameter plain: what any other byte stands for.
    static func percentDecoded(_ text: String, _ plain: (UInt8) -> UInt8) -> [UInt8]? {
        var (bytes, rest): ([UInt8], Substring.UTF8View) = ([], text.utf8[...])
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(plain(byte))
                continue
            }
            let digits = String(decoding: rest.prefix(2), as: UTF8.self)
            guard digits.utf8.count == 2, let value = UInt8(digits, radix: 16) else { return nil }
            bytes.append(value)
            rest = rest.dropFirst(2)
        }
        return bytes
    }

    /// A text as it stands in a URL's query (RFC 3986): nothing but letters, digits, `-`, `.`, `_` and `~` is itself.
    public static func percentEncoded(_ text: String) -> String { inURL(text) { _ in false } }

    /// A path as it stands in a URL, with its slashes.
    public static func encodedPath(_ path: String) -> String { inURL(path) { $0 == UInt8(ascii: "/") } }

    private static func inURL(_ text: String, but isKept: (UInt8) -> Bool) -> String {
        var encoded: [UInt8] = []
        for byte in text.utf8 {
            if isPlain(byte) || byte == UInt8(ascii: "~") || isKept(byte) {
                encoded.append(byte)
            } else {
                encoded += percent(byte)
            }
        }
        return String(decoding: encoded, as: UTF8.self)
    }

    private static func isPlain(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "A")...UInt8(ascii: "Z"), UInt8(ascii: "a")...UInt8(ascii: "z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"):
            true
        default: false
        }
    }

    private static func percent(_ byte: UInt8) -> [UInt8] {
        let digits = Array("0123456789ABCDEF".utf8)
        return [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
    }
}
