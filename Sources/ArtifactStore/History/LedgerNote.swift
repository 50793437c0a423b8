internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Where a host's ledger stood before an artifact was sealed, on the artifact itself: the ledger's file and an offset in bytes in the extended
/// attribute `user.artifact.ledger`. Its lines come after that place, so that its record is found without reading the ledgers.
///
/// It is written while the file can still be written to, so it is not the line's own place, which only comes then: that is known when the
/// file belongs to nobody's writing any more, and would change it after it was brought to disk.
enum LedgerNote {
    static let attribute = "user.artifact.ledger"
    private static let longest = 300

    /// Puts it on a file that its owner can still write to, where the file system keeps attributes and has room for it.
    static func write(_ place: LedgerPlace?, to descriptor: FileDescriptor) {
        guard let place else { return }
        try? SystemCall.setExtendedAttribute(attribute, Array("\(place.file) \(place.offset)".utf8), of: descriptor)
    }

    /// Reads the attribute's value; nil for any other.
    static func place(_ value: [UInt8]) -> (file: String, offset: Int64)? {
        guard value.count <= longest, let text = String(validating: value, as: UTF8.self) else { return nil }
        let words = text.split(separator: " ")
        guard words.count == 2, LedgerFiles.understand(String(words[0])) != nil, !words[0].contains("/"),
            let offset = Int64(words[1]), offset >= 0
        else { return nil }
        return (String(words[0]), offset)
    }
}
