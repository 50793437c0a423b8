internal import ArtifactRecords

/// What is in `HEAD` and in the file of a ref (gitrepository-layout(5)).
enum RefText: Equatable {
    /// The name of another ref.
    case symbolic([UInt8])
    /// A commit, or a tag.
    case object(ObjectID)

    /// The most that is read of such a file.
    static let limit = 4096

    /// Nil for what git does not take either, and for names that are none.
    init?(_ bytes: [UInt8], _ format: ObjectFormat) {
        if bytes.starts(with: "ref:".utf8) {
            var name = bytes[4...].drop(while: Self.isSpace)
            while let last = name.last, Self.isSpace(last) { name.removeLast() }
            guard RefName.isValid(name) else { return nil }
            self = .symbolic(Array(name))
        } else {
            let digits = bytes.prefix(format.length * 2)
            guard let id = ObjectID(hexadecimal: digits, format) else { return nil }
            if bytes.count > digits.count, !Self.isSpace(bytes[digits.count]) { return nil }
            self = .object(id)
        }
    }

    /// As C's isspace(3).
    private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
}
