import Glibc

/// The form in which mount(8) calls: `artifactfs STORE MOUNTPOINT [-o OPTIONS]`.
enum MountHelperForm {
    /// The same as a subcommand, when the first argument is none and names a directory.
    static func asSubcommand(_ arguments: [String]) -> [String] {
        let commands: Set<String> = ["init", "mount", "unmount", "status", "explain", "help"]
        guard let first = arguments.first, !first.hasPrefix("-"), !commands.contains(first), arguments.count >= 2 else {
            return arguments
        }
        var info = stat()
        guard stat(first, &info) == 0, info.st_mode & S_IFMT == S_IFDIR else { return arguments }
        return ["mount"] + arguments
    }
}

/// `-o` options: those of artifactfs, those that mount(8) keeps for itself, and the rest, which go to the kernel and libfuse.
struct OptionList {
    var isReadOnly = false
    var allowsOthers = false
    var noPassthrough = false
    var allowsNonempty = false
    var session: String?
    var durability: String?
    var others: [String] = []

    init(_ lists: [String]) {
        for option in lists.flatMap({ $0.split(separator: ",").map(String.init) }) {
            let parts = option.split(separator: "=", maxSplits: 1).map(String.init)
            let value = parts.count > 1 ? parts[1] : nil
            switch parts[0] {
            case "ro": isReadOnly = true
            case "allow_other": allowsOthers = true
            case "no_passthrough": noPassthrough = true
            case "nonempty": allowsNonempty = true
            case "session": session = value
            case "durability": durability = value
            case "rw", "defaults", "auto", "noauto", "user", "nouser", "users", "owner", "group", "_netdev", "nofail",
                "comment",
                "default_permissions", "nosuid", "nodev", "dev", "suid":
                break
            default: if !option.hasPrefix("x-") { others.append(option) }
            }
        }
    }
}
