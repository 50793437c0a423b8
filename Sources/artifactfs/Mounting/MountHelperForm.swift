import Glibc
import SystemCalls
import SystemPackage

/// The form in which mount(8) calls: `artifactfs STORE MOUNTPOINT [-o OPTIONS]`.
enum MountHelperForm {
    /// The same as a subcommand, when the first argument is none and names a directory.
    static func asSubcommand(_ arguments: [String]) -> [String] {
        let commands: Set<String> = [
            "init", "mount", "unmount", "status", "explain", HoldersCommand.name, CheckContentsCommand.name, "help",
        ]
        guard let first = arguments.first, !first.hasPrefix("-"), !commands.contains(first), arguments.count >= 2 else {
            return arguments
        }
        let isDirectory = Patience.find {
            [(try? SystemCall.attributes(atPath: first))?.isDirectory == true ? 1 : 0]
        }
        // What does not answer is a path.
        return isDirectory == [0] ? arguments : ["mount"] + arguments
    }
}
