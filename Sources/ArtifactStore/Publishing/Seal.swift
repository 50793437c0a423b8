internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What an artifact is, on the file itself: its size and SHA-256 in the extended attribute `user.artifact.seal`.
///
/// With relaxed durability nothing waits for the disk, and a machine that stops may keep a name and lose the bytes and the ledger's line.
/// An attribute is kept or lost with the name: file systems write what they know of files in order. So it tells what the bytes must be.
struct Seal: Equatable {
    static let attribute = "user.artifact.seal"

    let size: Int64
    /// Lower-case hexadecimal digits.
    let sha256: String

    /// The attribute's value: the size in 8 bytes, the lowest first, then the hash in 32.
    private var bytes: [UInt8] {
        let digits = Array(sha256.utf8)
        let hash = stride(from: 0, to: digits.count - 1, by: 2).map {
            Self.value(digits[$0]) << 4 | Self.value(digits[$0 + 1])
        }
        return (0..<8).map { UInt8(truncatingIfNeeded: size >> ($0 * 8)) } + hash
    }

    private static func value(_ digit: UInt8) -> UInt8 {
        digit >= UInt8(ascii: "a") ? digit &- UInt8(ascii: "a") &+ 10 : digit &- UInt8(ascii: "0")
    }

    private static let digits = Array("0123456789abcdef".utf8)

    init(size: Int64, sha256: String) {
        self.size = size
        self.sha256 = sha256
    }

    /// A file's seal; nil when it has none.
    init?(of file: RealFile) {
        guard let bytes = try? file.extendedAttribute(Self.attribute), bytes.count == 40 else { return nil }
        size = Int64(truncatingIfNeeded: bytes[..<8].reversed().reduce(UInt64(0)) { $0 << 8 | UInt64($1) })
        sha256 = String(
            decoding: bytes[8...].flatMap { [Self.digits[Int($0 >> 4)], Self.digits[Int($0 & 15)]] }, as: UTF8.self)
    }

    /// Puts it on a file that its owner can still write to, where the file system keeps attributes and has room for it.
    func write(to descriptor: FileDescriptor) {
        try? SystemCall.setExtendedAttribute(Self.attribute, bytes, of: descriptor)
    }
}

/// When an artifact was sealed, on the file itself: a time as the ledger has it in the extended attribute `user.artifact.sealed_at`. Times of
/// the file are the writer's to set, and a backup's links change the others.
enum SealingTime {
    static let attribute = "user.artifact.sealed_at"

    /// Puts the time of now on a file that its owner can still write to, where the file system keeps attributes and has room for it.
    static func write(to descriptor: FileDescriptor) {
        let value = Array(TimeText.rfc3339(Clock.now()).utf8)
        try? SystemCall.setExtendedAttribute(attribute, value, of: descriptor)
    }
}

extension Store {
    /// Extended attributes that say of an artifact, on its real file, what it is, when it was sealed, where its record is, and whether it is immutable;
    /// nobody else's copy may have them.
    package static let ownAttributes = [
        Seal.attribute, SealingTime.attribute, LedgerNote.attribute, ImmutableFlag.attribute,
    ]

    /// When a file was sealed, as text whose order is that of the times; nil when it does not say.
    package static func sealingTime(of file: RealFile) -> String? {
        guard let bytes = try? file.extendedAttribute(SealingTime.attribute) else { return nil }
        return String(validating: bytes, as: UTF8.self)
    }
}
