import ArgumentParser
import SystemCalls
import SystemPackage

// Text that is not UTF-8 would reach the commands as other text, and so as another path.
Arguments.check()
do {
    // `mount -t fuse.artifactfs` runs `artifactfs STORE MOUNTPOINT -o OPTIONS` (mount.fuse3(8)); everything else is a subcommand.
    var command = try ArtifactFS.parseAsRoot(MountHelperForm.asSubcommand(Array(CommandLine.arguments.dropFirst())))
    try command.run()
    Terminal.end(0)
} catch {
    let status = ArtifactFS.exitCode(for: error)
    let text = ArtifactFS.fullMessage(for: error)
    if !text.isEmpty {
        // Help and versions are asked for like this, too.
        if status.isSuccess {
            print(text)
        } else {
            try? SystemCall.write(FileDescriptor(rawValue: 2), Array((text + "\n").utf8))
        }
    }
    Terminal.end(status.rawValue)
}
