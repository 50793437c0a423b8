internal import FoundationEssentials

/// Bytes as hexadecimal digits.
enum HexadecimalText {
    /// nil for what is no even number of digits.
    static func bytes(_ text: String) -> Data? {
        var text = text
        let bytes = text.withUTF8 { digits -> [UInt8]? in
            guard digits.count.isMultiple(of: 2) else { return nil }
            var bytes = [UInt8](repeating: 0, count: digits.count / 2)
            for place in bytes.indices {
                guard let high = value(digits[2 * place]), let low = value(digits[2 * place + 1]) else { return nil }
                bytes[place] = high << 4 | low
            }
            return bytes
        }
        return bytes.map { Data($0) }
    }

    private static func value(_ digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): digit - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
