/// What is asked of a file system that several hosts use, by a probe on two of them (SEMANTICS 2.14). The names are those of `shared.json`.
public enum SharedQuestion: String, Sendable, CaseIterable {
    case links
    case link
    case exclusiveCreate = "exclusive_create"
    case renameNoReplace = "rename_no_replace"
    case renameRaced = "rename_raced"
    case renameExchange = "rename_exchange"
    case directory
    case flock
    case openFileLocks = "open_file_locks"
    case newName = "new_name"
    case lookedForName = "looked_for_name"
    case listedName = "listed_name"
    case contents
    case modification
    case removal
    case removedOpenFile = "removed_open_file"
    case serverTimes = "server_times"
    case clocks
    case unnamedFiles = "unnamed_files"
    case attributes
    case accessLists = "access_lists"
    case owner
    case modesBindRoot = "modes_bind_root"

    /// What is asked, in at most 32 characters: what is answered with yes is as one would have it.
    public var words: String {
        switch self {
        case .links: "it has hard links"
        case .link: "one host wins a name by link"
        case .exclusiveCreate: "one host wins a name by O_EXCL"
        case .renameNoReplace: "renames without replacing"
        case .renameRaced: "one host wins such a rename"
        case .renameExchange: "exchanges two names"
        case .directory: "one host wins a name by mkdir"
        case .flock: "flock is seen by the other host"
        case .openFileLocks: "fcntl's locks are seen, too"
        case .newName: "a new name is seen"
        case .lookedForName: "one that was missing before is"
        case .listedName: "one is seen in a list"
        case .contents: "new contents are seen"
        case .modification: "a new time is seen"
        case .removal: "a name that is gone is gone"
        case .removedOpenFile: "what is open stays, if removed"
        case .serverTimes: "times are of one clock"
        case .clocks: "both hosts' clocks agree"
        case .unnamedFiles: "files without names (O_TMPFILE)"
        case .attributes: "the other sees user attributes"
        case .accessLists: "the other sees access lists"
        case .owner: "files belong to who makes them"
        case .modesBindRoot: "modes hold for root"
        }
    }

    /// What artifactfs does where that is not so.
    public var without: String {
        switch self {
        case .links: "O_EXCL and renames; without those, one host at a time"
        case .link: "nothing: this cannot be used by several hosts"
        case .exclusiveCreate: "links"
        case .renameNoReplace, .renameRaced: "link and unlink"
        case .renameExchange: "a version goes away before its successor comes"
        case .directory: "links: no directory is a lock"
        case .flock: "leases, which it uses anyway"
        case .openFileLocks: "nothing: it has none"
        case .newName: "it is seen later, and asked for by who writes"
        case .lookedForName: "lists; without those, one host at a time"
        case .listedName: "looking names up; without that, one host at a time"
        case .contents: "times; without those, no leases: one host at a time"
        case .modification: "contents; without those, no leases: one host at a time"
        case .removal: "a name is free later for the other host"
        case .removedOpenFile: "who reads what is removed elsewhere gets ESTALE"
        case .serverTimes: "no lease depends on times; ages are of hosts' clocks"
        case .clocks: "no lease depends on clocks; records tell each host's"
        case .unnamedFiles: "files with names in staging"
        case .attributes: "looks through the ledgers instead"
        case .accessLists: "modes alone"
        case .owner: "run it as the store's owner, on every host"
        case .modesBindRoot: "its own rules bind root on the mount, not beside it"
        }
    }

    /// Whether it is answered with a time.
    public var isTimed: Bool {
        switch self {
        case .newName, .lookedForName, .listedName, .contents, .modification, .removal: true
        default: false
        }
    }
}
