/// Names of files and refs, which are bytes, as the text of a record.
enum NameText {
    /// The text; where the bytes are no UTF-8, those beyond ASCII and backslashes are `\xNN`.
    static func text(_ bytes: some Collection<UInt8>) -> String {
        if let text = String(validating: bytes, as: UTF8.self) { return text }
        var text = ""
        for byte in bytes {
            if byte < 0x80, byte != UInt8(ascii: "\\") {
                text.unicodeScalars.append(Unicode.Scalar(byte))
            } else {
                let digits = String(byte, radix: 16)
                text += "\\x" + (digits.utf8.count == 1 ? "0" + digits : digits)
            }
        }
        return text
    }
}
