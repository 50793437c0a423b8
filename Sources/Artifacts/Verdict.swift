public import SystemPackage

/// The policy's answer.
public enum Verdict: Hashable, Sendable {
    case allowed
    case refused(Refusal)

    /// The refusal, if it is one.
    public var refusal: Refusal? {
        if case .refused(let refusal) = self { refusal } else { nil }
    }
}

/// Why an operation is refused, with the errno that the program gets. It allocates nothing: the words are made when asked for.
public struct Refusal: Error, Hashable, Sendable {
    /// What the program gets.
    public let errno: Errno
    /// The rule that refused.
    public let rule: Rule

    /// A refusal by a rule.
    public init(_ errno: Errno, _ rule: Rule) {
        self.errno = errno
        self.rule = rule
    }

    /// What happened and why, in one sentence, for people.
    ///
    /// - Parameter path: the file, as the person knows it.
    public func reason(path: String) -> String {
        guard rule == .posix else { return "\(rule.happened): \(path) (\(rule.because))" }
        return "\(posixWords.happened): \(path) (\(posixWords.because))"
    }

    /// What the system says by itself, of any file system.
    private var posixWords: (happened: String, because: String, wayOut: String) {
        switch errno {
        case .noSuchFileOrDirectory:
            ("nothing is there", "the path or its directory does not exist", "look with 'ls' at what is there")
        case .fileExists: ("it exists", "something has this name already", "use another name")
        case .notDirectory: ("not a directory", "a file is on the way, or is itself meant", "name a directory")
        case .isDirectory:
            ("a directory", "directories are not opened to write, cut or unlinked", "name a file in it")
        case .directoryNotEmpty:
            ("not empty", "only an empty directory can be removed", "remove what is in it: 'rm -r'")
        case .resourceBusy: ("in use", "it is a mount point", "unmount it first: 'artifactfs unmount'")
        default: (rule.happened, rule.because, rule.wayOut)
        }
    }

    /// What to do instead.
    public var wayOut: String { rule == .posix ? posixWords.wayOut : rule.wayOut }

    /// The errno's name, as in errno(3).
    public var errnoName: String {
        switch errno {
        case .notPermitted: "EPERM"
        case .fileExists: "EEXIST"
        case .resourceBusy: "EBUSY"
        case .invalidArgument: "EINVAL"
        case .fileNameTooLong: "ENAMETOOLONG"
        case .improperLink: "EXDEV"
        case .notSupported: "EOPNOTSUPP"
        case .readOnlyFileSystem: "EROFS"
        case .hostIsDown: "EHOSTDOWN"
        case .noSpace: "ENOSPC"
        case .ioError: "EIO"
        case .noSuchFileOrDirectory: "ENOENT"
        case .notDirectory: "ENOTDIR"
        case .isDirectory: "EISDIR"
        case .directoryNotEmpty: "ENOTEMPTY"
        default: "errno \(errno.rawValue)"
        }
    }
}

/// The rules that refuse. The raw value is stable: it stands in `denials.jsonl`, in logs and in `explain --json`.
public enum Rule: String, CaseIterable, Hashable, Sendable {
    case productionImmutable = "production-immutable"
    case beingWritten = "being-written"
    case notWholeYet = "not-whole-yet"
    case writtenByAnother = "written-by-another"
    case anotherWriter = "another-writer"
    case frozenSession = "frozen-session"
    case sealedAttributes = "sealed-attributes"
    case noExchange = "no-exchange"
    case noLinks = "no-links"
    case invalidName = "invalid-name"
    case nameTooLong = "name-too-long"
    case unknownDirectory = "unknown-directory"
    case fixedDirectory = "fixed-directory"
    case directoryInUse = "directory-in-use"
    case mountSession = "mount-session"
    case anothersSession = "another-users-session"
    case sessionInUse = "session-in-use"
    case noSpecialFiles = "no-special-files"
    case siblingLinks = "sibling-links"
    case notADirectoryHere = "plain-files-only"
    case failedCheck = "failed-check"
    case emptyFile = "empty"
    case noRoom = "no-room"
    case storeFailed = "store-failed"
    case makerFailed = "maker-failed"
    case heldByRun = "held-by-run"
    case runIsOver = "run-is-over"
    case filesOnlyInRun = "files-only-in-run"
    case needsReason = "needs-reason"
    case keptBack = "kept-back"
    case notSealed = "not-sealed"
    case notYours = "not-yours-to-supersede"
    case reasonMissing = "no-reason"
    case notSuperseded = "not-superseded"
    case notPromotable = "not-promotable"
    case crossesTrees = "crosses-trees"
    case reservedAttribute = "reserved-attribute"
    case foreignAttribute = "foreign-attribute"
    case hiddenEntry = "hidden-entry"
    case readOnlyMount = "read-only-mount"
    case cutOff = "cut-off"
    case evicted = "evicted"
    /// None of artifactfs's: the kernel refuses on any file system.
    case posix = "posix"

    /// What was refused, in words that people know from Python's `save_artifact` helpers.
    var happened: String {
        switch self {
        case .productionImmutable: "artifact exists and overwrite not allowed"
        case .beingWritten, .writtenByAnother: "artifact is being written"
        case .notWholeYet: "artifact is not whole yet"
        case .anotherWriter: "another writer has this artifact"
        case .frozenSession: "session has ended and its files are frozen"
        case .sealedAttributes: "owner and extended attributes of a sealed artifact cannot change"
        case .noExchange: "exchange not allowed"
        case .noLinks: "hard link not allowed"
        case .invalidName: "not an artifact name"
        case .nameTooLong: "name too long"
        case .unknownDirectory: "not a directory of the schema"
        case .fixedDirectory: "the tree's own directories cannot change"
        case .directoryInUse: "this mount's session cannot be removed"
        case .mountSession: "the session that the mount began with does not end before it"
        case .anothersSession: "this session is another user's"
        case .sessionInUse: "session is being written to"
        case .noSpecialFiles: "links, fifos, sockets and devices not allowed"
        case .siblingLinks: "this symbolic link not allowed"
        case .notADirectoryHere: "only plain files can be here"
        case .failedCheck: "content check failed"
        case .emptyFile: "nothing was written to this artifact"
        case .noRoom: "no room for this artifact"
        case .storeFailed: "the store could not take this artifact"
        case .makerFailed: "artifact not published"
        case .heldByRun: "a run has this artifact until it ends"
        case .runIsOver: "the run that writes this has ended"
        case .filesOnlyInRun: "a directory cannot be made all or nothing"
        case .needsReason: "not published without a reason"
        case .keptBack: "what was kept back does not change"
        case .notSealed: "no sealed artifact"
        case .notYours: "artifact is another's to supersede"
        case .reasonMissing: "not done without a reason"
        case .notSuperseded: "artifact keeps its name"
        case .notPromotable: "not promoted with others"
        case .crossesTrees: "cannot move this file as it is"
        case .reservedAttribute: "this attribute is the driver's own"
        case .foreignAttribute: "only user.* attributes are kept here"
        case .hiddenEntry: "the driver's own entries cannot change"
        case .readOnlyMount: "the mount is read-only"
        case .cutOff: "this host was cut off from the store"
        case .evicted: "artifact could not be brought back"
        case .posix: "the system does not do that"
        }
    }

    /// The rule itself.
    var because: String {
        switch self {
        case .productionImmutable: "production artifacts are immutable"
        case .beingWritten: "one writer at a time: another program has it open for writing"
        case .notWholeYet: "who makes it has not ended; nobody takes half a file for a whole one"
        case .writtenByAnother: "only the user who began a production artifact may go on writing it"
        case .anotherWriter: "a name is the first writer's, through whichever mount of the store"
        case .frozenSession: "only a session that is live on this mount can change"
        case .sealedAttributes: "they are sealed with the bytes, a few seconds after the last close"
        case .noExchange: "RENAME_EXCHANGE works in logs/ and scratch/ only"
        case .noLinks:
            "a second name could change sealed bytes; hard links work between the types' directories of one session or test, and in "
                + "logs/ and scratch/"
        case .invalidName: "each directory takes the names of its own kind only"
        case .nameTooLong: "255 bytes at most, here and at the real path"
        case .unknownDirectory: "directories follow the schema; make your own in scratch/ or logs/"
        case .fixedDirectory: "modes, layers and types are always there"
        case .directoryInUse: "the mount writes into it until it ends"
        case .mountSession: "it is the session of everybody who has begun no other"
        case .anothersSession: "who began it ends it, or root, or who runs the mount"
        case .sessionInUse: "somebody has a file of it open to write"
        case .noSpecialFiles: "artifacts are plain files; logs/ and scratch/ take everything"
        case .siblingLinks: "here it says the plain name of an artifact in its own directory, and stays there"
        case .notADirectoryHere: "artifacts are plain files"
        case .makerFailed: "who made it did not end well, so it may be cut"
        case .heldByRun: "a run with --all-or-nothing publishes all that it made together, or nothing"
        case .runIsOver: "what a run with --all-or-nothing leaves running when it ends writes nothing to production"
        case .filesOnlyInRun: "a run with --all-or-nothing publishes plain files"
        case .needsReason: "who made it did not end well, or why it was kept back is not known, so it may be cut"
        case .keptBack: "its bytes are what they were when it was put away"
        case .notSealed: "only what is sealed in production is superseded or retracted, and keeps its versions"
        case .notYours: "its owner may take its name from it, root, and whom the schema's may_supersede names"
        case .notSuperseded: "what could not be done is said in 'detail', and nothing has changed"
        case .reasonMissing: "who comes later reads why it is not there any more, in one to 1024 bytes"
        case .notPromotable: "what is an artifact in a typed directory of a session or a test is promoted with others"
        case .failedCheck: "an artifact must be whole and of its format before it is published"
        case .emptyFile: "an empty file is no result"
        case .noRoom: "the store's disk is full, or a quota is used up"
        case .storeFailed: "its file system did not do what publishing needs"
        case .crossesTrees:
            "it has other names, is a special file, or another host's programs may write to it, so moving it would not make it independent"
        case .reservedAttribute:
            "user.artifact.* is the artifact's record; .config, .note, .experiment_id and .inputs may be set"
        case .foreignAttribute: "artifacts keep user.* attributes only"
        case .hiddenEntry: "they are made by the driver when they are read"
        case .readOnlyMount: "a mount made with --read-only refuses every change"
        case .cutOff:
            "a mount that has not reached the store for longer than its lease holds may be dead to other hosts"
        case .evicted:
            "its bytes are in a mirror and not here, and what the mirror gives counts only where it is what was sealed"
        case .posix: "as on any file system: a hard link to a directory, for example"
        }
    }

    /// What to do next.
    var wayOut: String {
        switch self {
        case .productionImmutable:
            "write under another name, or in development/current; 'artifactfs supersede' replaces it and keeps this version"
        case .beingWritten: "wait until the writer closes it, or remove it: the writer's bytes then go to quarantine"
        case .notWholeYet: "wait until it is sealed: 'artifactfs status' shows what is being written"
        case .writtenByAnother: "ask its writer, or use another name"
        case .anotherWriter:
            "wait until the other writer is ready, or use another name; bytes that came second are in quarantine: 'artifactfs recover'"
        case .frozenSession:
            "write in development/current, copy the file there, begin a session with 'artifactfs session new', or resume this one with "
                + "'artifactfs mount --session ID'; 'artifactfs gc' removes sessions that are not needed any more"
        case .sealedAttributes: "set them before or right after writing, from the program that writes"
        case .noExchange: "rename in two steps through a temporary name"
        case .noLinks: "copy the file, or link in the session or test that it is in"
        case .invalidName: "see the names that the directory takes with 'artifactfs explain create PATH'"
        case .nameTooLong: "use a shorter name"
        case .unknownDirectory: "use one that 'ls' shows, declare the type in .artifactfs/schema.yaml, or use scratch/"
        case .fixedDirectory: "leave it as it is, it is always there; directories of your own go into scratch/ or logs/"
        case .directoryInUse: "remove the files in it; the directory stays until the mount ends"
        case .mountSession: "begin another one with 'artifactfs session new'; it ends with 'artifactfs unmount'"
        case .anothersSession: "leave it: 'artifactfs session list' shows which are yours"
        case .sessionInUse: "close the file or wait until its program has; 'fuser -v -m' and lsof(8) name the program"
        case .noSpecialFiles: "make it in scratch/ or logs/"
        case .siblingLinks:
            "copy the file ('cp' follows the link), or link to the name of a file beside it: 'ln -s epoch_1.pkl last.pkl'"
        case .notADirectoryHere: "make directories in scratch/ or logs/"
        case .failedCheck:
            "mend what 'detail' names and write the file again, its name is free; 'artifactfs recover' shows and fetches its bytes, which "
                + "are in quarantine under the name in 'detail'"
        case .emptyFile: "look why its program wrote nothing, and write the file again: its name is free"
        case .noRoom:
            "make room: what is whole is published by itself then, and what 'detail' says is in the store's quarantine has to be "
                + "written again"
        case .storeFailed:
            "mend what 'detail' names: what is staged is published by itself then, and what is in the store's quarantine has to be "
                + "written again"
        case .makerFailed:
            "run it again, its name is free; 'detail' names who failed, and what its bytes are called in quarantine: 'artifactfs recover' "
                + "shows, fetches and publishes them"
        case .heldByRun: "wait until the run has ended, which 'detail' names: its own processes may do this"
        case .runIsOver: "let the command wait for all that it starts before it ends"
        case .filesOnlyInRun: "make it in the run's session, and promote it when the run has ended"
        case .needsReason:
            "look at it with 'artifactfs recover show', and if it is whole say why: 'artifactfs recover publish --despite REASON', or set "
                + "the attribute user.artifact.despite before the rename"
        case .keptBack:
            "publish it ('artifactfs recover publish', or rename it into production), copy it out, or discard it whole ('artifactfs recover "
                + "discard', 'rm', and 'rmdir' for a directory with all that is in it)"
        case .notSealed:
            "wait until it is sealed, or name one that is: 'ls' and 'artifactfs find' show them; 'artifactfs versions' shows former ones"
        case .notYours: "ask its owner, or the store's"
        case .reasonMissing: "say why: --reason TEXT"
        case .notSuperseded: "mend that, and try again"
        case .notPromotable: "name such files and directories, or the session or test that they are in"
        case .crossesTrees: "copy it ('cp' instead of 'mv')"
        case .reservedAttribute: "use another attribute name, such as user.comment"
        case .foreignAttribute: "use a name that begins with 'user.'"
        case .hiddenEntry: "read it; 'artifactfs status' shows the same"
        case .readOnlyMount: "use a mount that was made without --read-only"
        case .cutOff: "'artifactfs status' says whether to wait, or to mount again"
        case .evicted:
            "mend what 'detail' says and open it again, or bring it back by hand: 'artifactfs mirror recall PATH --store STORE'"
        case .posix: "use another path"
        }
    }
}
