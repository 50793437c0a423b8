internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Whether one host's locks are seen by the other: each holds one while the other tries it.
struct ProbeLocks {
    let talk: ProbeTalk

    /// What this host has found when it tried.
    func facts() throws(SharedProbeFailure) -> [SharedQuestion: SharedFact] {
        [
            .flock: try look("flock") { descriptor throws(Errno) in
                try SystemCall.lock(descriptor, waiting: false)
            },
            .openFileLocks: try look("range") { descriptor throws(Errno) in
                try SystemCall.lockRange(descriptor)
            },
        ]
    }

    private func look(
        _ kind: String, _ lock: (FileDescriptor) throws(Errno) -> Void
    ) throws(SharedProbeFailure) -> SharedFact {
        talk.doing = "trying locks (\(kind))"
        var found = SharedFact.unknown
        for holder in 0...1 {
            // Each makes its file, so that no user's rights keep a host from it: the other one opens it for writing too.
            let file = talk.room.file("lock-\(kind)-\(holder)")
            if talk.role == holder {
                let descriptor = try talk.acting("make a file for locks") { () throws(Errno) in
                    let made = try file.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o666)
                    try? SystemCall.setMode(made, 0o666)
                    return made
                }
                defer { SystemCall.close(descriptor) }
                var holds = true
                do throws(Errno) { try lock(descriptor) } catch { holds = false }
                _ = try talk.exchange(["holds": .bool(holds)])
                // It is held until the other has tried.
                _ = try talk.exchange()
            } else {
                let holds = try talk.exchange()["holds"] == .bool(true)
                found = holds ? attempt(file, lock) : SharedFact(.no, "refused")
                _ = try talk.exchange()
            }
        }
        return found
    }

    private func attempt(_ file: RealFile, _ lock: (FileDescriptor) throws(Errno) -> Void) -> SharedFact {
        do throws(Errno) {
            let descriptor = try file.open(O_RDWR)
            defer { SystemCall.close(descriptor) }
            try lock(descriptor)
            return SharedFact(.no)
        } catch .resourceTemporarilyUnavailable, .permissionDenied {
            return SharedFact(.yes)
        } catch { return SharedFact(.unknown, "failed: \(error)") }
    }
}
