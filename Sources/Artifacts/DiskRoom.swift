public import SystemPackage

/// What is left on a file system for one user, as it says itself (statvfs(3)); of a quota it says nothing.
public struct DiskRoom: Hashable, Sendable {
    /// Blocks that are free; nil where it has no number of blocks to tell.
    public let blocks: UInt64?
    /// A block's size, in bytes.
    public let blockSize: UInt64
    /// Whether another file can be made.
    public let takesFiles: Bool

    /// What statvfs(3) tells.
    ///
    /// - Parameters:
    ///   - total: `f_blocks`; 0 where there is none to tell.
    ///   - free: `f_bfree`, what root may use.
    ///   - available: `f_bavail`, what others may.
    ///   - blockSize: `f_frsize`.
    ///   - files: `f_files`; 0 where there is none to tell.
    ///   - freeFiles: `f_ffree`.
    ///   - user: whose room it is.
    public init(
        total: UInt64, free: UInt64, available: UInt64, blockSize: UInt64, files: UInt64 = 0, freeFiles: UInt64 = 0,
        user: UInt32
    ) {
        blocks = total > 0 ? (user == 0 ? free : available) : nil
        self.blockSize = blockSize
        takesFiles = files == 0 || freeFiles > 0
    }

    /// Fewer blocks than this are no room: file systems need some for themselves.
    public static let fewestBlocks: UInt64 = 16
    /// What nobody fills in a moment, in bytes.
    static let plenty: UInt64 = 8 << 30

    /// Whether no bytes can be written.
    public var isNone: Bool { blocks.map { $0 < Self.fewestBlocks } ?? false }

    /// Whether there is so much that for a moment it need not be asked for again.
    public var isPlenty: Bool {
        guard let blocks else { return true }
        let (bytes, isMore) = blocks.multipliedReportingOverflow(by: blockSize)
        return isMore || bytes > Self.plenty
    }

    /// Whether a file of so many bytes can be made.
    public func takes(_ bytes: Int64) -> Bool {
        guard takesFiles else { return false }
        guard let blocks, blockSize > 0 else { return true }
        return blocks >= Self.fewestBlocks && blocks - Self.fewestBlocks >= UInt64(max(0, bytes)) / blockSize
    }

    /// Whether an error says that there is no room.
    public static func isForWantOfRoom(_ error: Errno) -> Bool {
        error == .noSpace || error == .diskQuotaExceeded
    }
}

extension Rule {
    /// The rule that tells of a write, or of a step of publishing, that failed with an errno.
    public static func ofFailure(_ error: Errno) -> Rule {
        DiskRoom.isForWantOfRoom(error) ? .noRoom : error == .hostIsDown ? .cutOff : .storeFailed
    }
}

extension Refusal {
    /// What publishing tells by itself, later than any program could be answered, or of a name that another mount's writer has.
    public static func ofPublishing(_ rule: Rule) -> Refusal {
        let errno: Errno =
            switch rule {
            case .anotherWriter: .fileExists
            case .noRoom: .noSpace
            case .storeFailed: .ioError
            case .cutOff: .hostIsDown
            default: .invalidArgument
            }
        return Refusal(errno, rule)
    }

    /// What an open gets of an evicted artifact that does not come back.
    ///
    /// - Parameter isFull: whether that is for want of room.
    public static func ofRecall(isFull: Bool) -> Refusal { Refusal(isFull ? .noSpace : .ioError, .evicted) }
}
