import ArgumentParser

// `mount -t fuse.artifactfs` runs `artifactfs STORE MOUNTPOINT -o OPTIONS` (mount.fuse3(8)); everything else is a subcommand.
ArtifactFS.main(MountHelperForm.asSubcommand(Array(CommandLine.arguments.dropFirst())))
