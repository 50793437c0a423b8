import ArgumentParser

// Text that is not UTF-8 would reach the commands as other text, and so as another path.
Arguments.check()
// `mount -t fuse.artifactfs` runs `artifactfs STORE MOUNTPOINT -o OPTIONS` (mount.fuse3(8)); everything else is a subcommand.
Terminal.checkOutput()
ArtifactFS.main(MountHelperForm.asSubcommand(Array(CommandLine.arguments.dropFirst())))
