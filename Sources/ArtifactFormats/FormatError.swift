public import SystemPackage

/// Why a file is refused.
public enum FormatError: Error, Equatable, Sendable {
    /// The content is not what its name says. `reason` is a sentence fragment for people, such as
    /// "line 17 has 5 columns, the header has 6". It quotes at most ``Excerpt/limit`` bytes of the file, escaped.
    case invalid(reason: String)

    /// Reading the file failed; nothing is known about its content.
    case unreadable(Errno)

    /// A writer is at work on a file that should have none.
    static var changedWhileRead: FormatError { .invalid(reason: "its length changed while it was being checked") }
}

/// File content as it may be shown in a reason: bounded, and printable ASCII only, so that no terminal or log is at
/// the mercy of a file's bytes.
enum Excerpt {
    /// How many bytes of a file one reason shows at most.
    static let limit = 60

    /// The bytes with everything but printable ASCII as `\xNN`, cut at ``limit`` with "...".
    static func text(_ bytes: some Sequence<UInt8>) -> String {
        var text = ""
        var shown = 0
        for byte in bytes {
            guard shown < limit, text.utf8.count < 80 else { return text + "..." }
            text += one(byte)
            shown += 1
        }
        return text
    }

    /// One byte in quotes, such as `'}'` or `'\x00'`.
    static func quoted(_ byte: UInt8) -> String { "'" + one(byte) + "'" }

    /// A byte as `0x1F`.
    static func hex(_ byte: UInt8) -> String { "0x" + digits(byte) }

    private static func one(_ byte: UInt8) -> String {
        switch byte {
        case 0x09: "\\t"
        case 0x0A: "\\n"
        case 0x0D: "\\r"
        case 0x5C: "\\\\"
        case 0x20...0x7E: String(UnicodeScalar(byte))
        default: "\\x" + digits(byte)
        }
    }

    private static func digits(_ byte: UInt8) -> String {
        let text = String(byte, radix: 16, uppercase: true)
        return text.utf8.count == 1 ? "0" + text : text
    }
}

/// "1 column", "5 columns".
func counted(_ number: Int64, _ noun: String) -> String { number == 1 ? "1 \(noun)" : "\(number) \(noun)s" }
