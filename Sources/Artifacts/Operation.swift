/// What a program asks of a file that exists (the rows of SEMANTICS 2's table).
public enum Operation: String, CaseIterable, Hashable, Sendable {
    case openToRead = "read"
    /// Open to write with `O_TRUNC`: Python's `open(path, "w")`, the shell's `>`.
    case openTruncating = "overwrite"
    /// Open to write without `O_TRUNC`: append and update.
    case openToWrite = "write"
    /// Write, mmap store or fallocate on a handle that was opened for writing.
    case writeOnHandle = "write-handle"
    /// `truncate(2)`: by path.
    case truncate
    case renameFrom = "rename"
    case renameOnto = "replace"
    case exchange
    case unlink = "remove"
    case link
    /// chmod and utimens.
    case setAttributes = "chmod"
    /// chown, where it changes something.
    case setOwner = "chown"
    /// setxattr and removexattr of `user.*`.
    case setExtendedAttribute = "setxattr"
}

/// What a program asks to make under a name that does not exist.
public enum Creation: String, CaseIterable, Hashable, Sendable {
    case file = "create"
    case directory = "mkdir"
    case symbolicLink = "symlink"
    /// A fifo, a socket or a device.
    case specialFile = "mkfifo"
}

/// What the policy needs to know besides operation and state.
public struct Facts: Hashable, Sendable {
    /// The caller is the user who created the staged file.
    public var isSameUser: Bool
    /// The caller belongs to the job that makes the file: the same process, an ancestor or a descendant, or the same session (setsid(2)).
    public var isSameJob: Bool
    /// The caller is the process that wrote the file, and its settling window is open.
    public var isSettling: Bool
    /// The file is in `logs/` or `scratch/`.
    public var isInOrdinaryTree: Bool
    /// The file, and its other name, are in typed directories of one session or test.
    public var isInTypedDirectory: Bool
    /// The file is on its way to quarantine: nobody changes it any more, and nobody takes it for a whole one.
    public var isKeptBack: Bool

    /// Facts; the defaults are an unrelated caller and a typed directory.
    public init(
        isSameUser: Bool = false, isSameJob: Bool = false, isSettling: Bool = false, isInOrdinaryTree: Bool = false,
        isInTypedDirectory: Bool = false, isKeptBack: Bool = false
    ) {
        self.isSameUser = isSameUser
        self.isSameJob = isSameJob
        self.isSettling = isSettling
        self.isInOrdinaryTree = isInOrdinaryTree
        self.isInTypedDirectory = isInTypedDirectory
        self.isKeptBack = isKeptBack
    }
}
