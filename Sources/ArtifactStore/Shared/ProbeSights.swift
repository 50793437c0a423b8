internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// How soon one host sees what the other has done. Each thing is looked for in a directory of its own, so that looking for one brings no
/// news of another.
struct ProbeSights {
    let talk: ProbeTalk
    /// How long is looked, in milliseconds.
    let patience: Int64

    /// One after the other is the one who looks. What this host has seen.
    func facts() throws(SharedProbeFailure) -> [SharedQuestion: SharedFact] {
        var facts: [SharedQuestion: SharedFact] = [:]
        for maker in 0...1 {
            if talk.role == maker { try make() } else { facts = try look(maker) }
        }
        return facts
    }

    private static let parts = ["new", "missing", "list", "contents", "time", "removed", "open"]
    private static let old = Array("old".utf8)
    private static let new = Array("new".utf8)
    /// Longer than what is read ahead, so that its end is not in memory when it is removed.
    private static let longFile: Int64 = 1 << 20

    private func part(_ name: String, of maker: Int) -> String { "see-\(maker)-\(name)" }

    // MARK: - Who makes

    private func make() throws(SharedProbeFailure) {
        talk.doing = "making what the other looks for"
        let directories = try talk.acting("make directories for the probe") { () throws(Errno) in
            var all: [String: Directory] = [:]
            for name in Self.parts {
                all[name] = try ProbeRoom.directory(part(name, of: talk.role), in: talk.room)
            }
            for name in ["contents", "time", "removed"] {
                if let directory = all[name] { try write(Self.old, to: directory.file("file")) }
            }
            if let directory = all["open"] {
                let long = try directory.file("file").open(O_WRONLY | O_CREAT, mode: 0o644)
                defer { SystemCall.close(long) }
                try SystemCall.truncate(long, to: Self.longFile)
            }
            return all
        }
        _ = try talk.exchange()
        // The other one has looked at everything, and looks on.
        _ = try talk.exchange()
        try talk.acting("make what the other host is to see") { () throws(Errno) in
            for name in ["new", "missing", "list", "contents", "time"] {
                if let directory = directories[name] { try write(Self.new, to: directory.file("file")) }
            }
            for name in ["removed", "open"] { try directories[name]?.file("file").unlink() }
            for directory in directories.values { try? SystemCall.sync(directory.descriptor) }
        }
        _ = try talk.exchange()
    }

    private func write(_ bytes: [UInt8], to file: RealFile) throws(Errno) {
        let descriptor = try file.open(O_WRONLY | O_CREAT, mode: 0o644)
        defer { SystemCall.close(descriptor) }
        try SystemCall.write(descriptor, bytes)
        try SystemCall.sync(descriptor)
    }

    // MARK: - Who looks

    private func look(_ maker: Int) throws(SharedProbeFailure) -> [SharedQuestion: SharedFact] {
        talk.doing = "looking at what the other makes"
        _ = try talk.exchange()
        let directories = try talk.acting("look at what the other host has made") { () throws(Errno) in
            var all: [String: Directory] = [:]
            for name in Self.parts { all[name] = try talk.room.directory(part(name, of: maker)) }
            return all
        }
        func file(_ part: String) -> RealFile? { directories[part]?.file("file") }
        // What this host remembers from now on.
        let modification = (try? file("time")?.attributes()).map { ($0.st_mtim.tv_sec, $0.st_mtim.tv_nsec) }
        for name in ["missing", "contents", "removed"] { _ = try? file(name)?.attributes() }
        _ = file("contents").flatMap { contents(of: $0) }
        _ = try? directories["list"]?.entries()
        let held = try? file("open")?.open(O_RDONLY)
        defer { if let held { SystemCall.close(held) } }
        if let held { _ = try? SystemCall.bytes(held, at: 0, count: 1) }

        var pending: [(question: SharedQuestion, isSeen: () -> Bool)] = [
            (.lookedForName, { (try? file("missing")?.attributes()) != nil }),
            (.listedName, { (try? directories["list"]?.entries())?.contains { $0.name == "file" } ?? false }),
            (.contents, { file("contents").flatMap { contents(of: $0) } == Self.new }),
            (
                .modification,
                {
                    guard let modification, let now = try? file("time")?.attributes() else { return false }
                    return (now.st_mtim.tv_sec, now.st_mtim.tv_nsec) != modification
                }
            ),
            (
                .removal,
                {
                    do throws(Errno) {
                        _ = try file("removed")?.attributes()
                        return false
                    } catch { return error == .noSuchFileOrDirectory || error == .staleNFSFileHandle }
                }
            ),
        ]
        var facts: [SharedQuestion: SharedFact] = [:]
        // From here on the other one makes it: what is seen took no longer than since now.
        let start = Clock.monotonic()
        func milliseconds() -> Int64 { Int64(clamping: (Clock.monotonic() &- start) / 1_000_000) }
        _ = try talk.exchange()
        try talk.say()
        var isMade = false
        while true {
            pending.removeAll { entry in
                guard entry.isSeen() else { return false }
                facts[entry.question] = .seen(after: milliseconds())
                return true
            }
            if !isMade, try talk.heard() != nil {
                isMade = true
                // Nobody has looked for it here: it is looked for now.
                pending.append((.newName, { (try? file("new")?.attributes()) != nil }))
                facts[.removedOpenFile] = remains(held)
                continue
            }
            if isMade, pending.isEmpty || milliseconds() > patience { break }
            if isMade { _ = try talk.heard() }
            usleep(1_000)
        }
        for entry in pending { facts[entry.question] = .seen(after: nil) }
        return facts
    }

    private func contents(of file: RealFile) -> [UInt8]? {
        guard let descriptor = try? file.open(O_RDONLY) else { return nil }
        defer { SystemCall.close(descriptor) }
        return try? SystemCall.bytes(descriptor, at: 0, count: 16)
    }

    /// Whether a file that was removed by the other can be read by who has it open.
    private func remains(_ held: FileDescriptor?) -> SharedFact {
        guard let held else { return .unknown }
        SystemCall.forgetContents(of: held)
        do throws(Errno) {
            let bytes = try SystemCall.bytes(held, at: Self.longFile - 4096, count: 4096)
            return bytes.count == 4096 ? SharedFact(.yes) : SharedFact(.no, "it has become shorter")
        } catch { return SharedFact(.no, "\(error)") }
    }
}
