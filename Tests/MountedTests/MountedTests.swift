import TestSupport
import Testing

/// Everything that runs the real binary, one test after the other: a program that one test starts holds copies of the other
/// tests' descriptors for the moment between fork and exec, which would put off their last close.
@Suite(.serialized) struct MountedTests {}

/// A small table that every check accepts.
let table = "a\tb\n1\t2\n"

extension Mount {
    /// Waits until nothing is being published.
    func settle() -> Bool {
        // Of one moment: a file that is written now may be published a moment later.
        eventually(within: 30) { counts("publishing", "settling", "writing").map { $0 == [0, 0, 0] } ?? false }
    }

    /// `user.artifact.state`; empty when it cannot be read.
    func state(of path: String) -> String { (try? extendedAttribute("user.artifact.state", of: path)) ?? "" }

    func isSealed(_ path: String) -> Bool { eventually(within: 30) { state(of: path) == "sealed" } }

    /// What lies in quarantine, without the files that say why.
    func quarantined() -> [String] { tree(real(".artifactfs/quarantine")) }

    /// The store's real files, without our own.
    func realFiles() -> [String] { tree(store).filter { !$0.hasPrefix(".artifactfs") } }
}
