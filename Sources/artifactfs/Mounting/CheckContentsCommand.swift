import ArgumentParser
import ArtifactStore
import Glibc
import SystemCalls
import SystemPackage

/// The process in which a driver lets checks run that could trap; for the driver only. It reads files that it gets open, by a socket
/// that is its standard input, and ends with it.
struct CheckContentsCommand: ParsableCommand {
    static let name = "check-contents"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    func run() throws {
        SystemCall.setProcessName("artifact-check")
        chdir("/")
        CheckService.serve(socket: 0)
    }
}
