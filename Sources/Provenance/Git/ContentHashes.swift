internal import SystemCalls

/// What files had in them, by what `stat` showed of them then: bounded, and for each user.
struct ContentHashes: Sendable {
    struct ContentKey: Hashable, Sendable {
        let rights: UserRights
        let file: FileStamp
        /// What git counts by there.
        let format: ObjectFormat
    }

    private static let most = 16_384
    private var known: [ContentKey: FileContent] = [:]

    /// Setting one more than are kept forgets the others: they are read again when they are needed.
    subscript(key: ContentKey) -> FileContent? {
        get { known[key] }
        set {
            if known.count >= Self.most { known = [:] }
            known[key] = newValue
        }
    }
}

/// What is in a file, as ids of git.
struct FileContent: Sendable, Equatable {
    /// As it is.
    let plain: ObjectID
    /// With each CR LF as LF, as `core.autocrlf` and `eol` have it; nil when there is none.
    let unixLines: ObjectID?
}
