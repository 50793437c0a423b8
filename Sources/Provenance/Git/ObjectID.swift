internal import ArtifactRecords

/// How a repository counts: `sha1`, or `sha256` (gitformat-hash-function, `extensions.objectFormat`).
typealias ObjectFormat = MessageDigest.Algorithm

/// The id of an object of git.
struct ObjectID: Hashable, Sendable {
    /// 20 or 32.
    let bytes: [UInt8]

    init(bytes: [UInt8]) { self.bytes = bytes }

    /// Of its hexadecimal digits, small or capital, and nothing else.
    init?(hexadecimal text: some Collection<UInt8>, _ format: ObjectFormat) {
        guard text.count == format.length * 2 else { return nil }
        var bytes: [UInt8] = []
        bytes.reserveCapacity(format.length)
        var high: UInt8?
        for character in text {
            let value: UInt8
            switch character {
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = character - UInt8(ascii: "0")
            case UInt8(ascii: "a")...UInt8(ascii: "f"): value = character - UInt8(ascii: "a") + 10
            case UInt8(ascii: "A")...UInt8(ascii: "F"): value = character - UInt8(ascii: "A") + 10
            default: return nil
            }
            if let first = high {
                bytes.append(first << 4 | value)
                high = nil
            } else {
                high = value
            }
        }
        self.bytes = bytes
    }

    /// In lower-case digits.
    var text: String { MessageDigest.hexadecimal(bytes) }
}
