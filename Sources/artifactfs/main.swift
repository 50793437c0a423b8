import ArtifactDriver
import ArtifactStore
import FuseKernel
import Glibc

let arguments = CommandLine.arguments
umask(0)
do {
    if arguments[1] == "init" { print(try Store.create(at: arguments[2])) } else {
        let store = try Store(at: arguments[2], readOnly: arguments.contains("--read-only"), durability: arguments.contains("--relaxed") ? .relaxed : .synced)
        let volume = try Volume(store: store, options: VolumeOptions(mountPoint: arguments[3], version: "0"))
        var options = MountOptions(mountPoint: arguments[3], fileSystemName: arguments[2])
        options.isReadOnly = store.isReadOnly
        options.passthrough = !arguments.contains("--no-passthrough")
        options.allowsOthers = arguments.contains("--allow-other")
        let session = try Session(fileSystem: volume, options: options)
        try session.mount()
        session.run()
    }
} catch { print("error: \(error)"); exit(1) }
