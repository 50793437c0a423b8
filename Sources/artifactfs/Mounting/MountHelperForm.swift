import ArgumentParser
import Glibc
import SystemCalls
import SystemPackage

/// The form in which mount(8) calls: `artifactfs STORE MOUNTPOINT [-o OPTIONS]`.
enum MountHelperForm {
    /// The same as a subcommand, when the first argument is none and names a directory.
    static func asSubcommand(_ arguments: [String]) -> [String] {
        // A directory of a command's name is none: mount(8) gives whole paths.
        var commands: Set<String> = ["help"]
        for command in ArtifactFS.configuration.subcommands {
            if let name = command.configuration.commandName { commands.insert(name) }
        }
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
