internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Sees with which code a process works: the repositories of its directory, of its script and program, and of the script that runs it.
///
/// A repository's files are where their user put them, and may be as slow as that: they are read on threads of their own, and nobody waits.
final class CodeCapture: Sendable {
    private struct Key: Hashable {
        let user: UInt32
        let path: String
    }

    /// Of a job with many scripts the nearest are told.
    private static let mostScripts = 4
    private static let mostKept = 4096
    /// In nanoseconds: a loop's programs are hardly ever in a repository that was made meanwhile.
    private static let withoutTime: UInt64 = 1_000_000_000
    /// Between two looks at every file of a repository so many times as long as one took goes by, whatever is run how often: meanwhile it is not known.
    private static let share: UInt64 = 24

    private let repositories: GitRepositories
    /// Few: each holds the descriptors of a whole path.
    private let reader = PatientReader(mostAtWork: 2, mostThreads: 8)
    /// A leaf in the order of locks.
    private let memory = Lock(Memory())

    /// Times on the monotonic clock.
    private struct Memory {
        /// When it may be looked again whether a repository's files differ.
        var looks: [Key: UInt64] = [:]
        /// Until when a path counts as one that is in no repository.
        var without: [Key: UInt64] = [:]
    }

    init() {
        let mounts = OwnMounts()
        repositories = GitRepositories { mounts.contains(device: $0) }
    }

    /// Finds out and notes it, soon.
    ///
    /// - Parameter isOther: whether it has become another program since that was found out.
    func look(_ process: LinuxProcess, _ image: ProcessImage, _ ancestors: [ProcessImage], again isOther: Bool) {
        guard process.beginLookingForCode(again: isOther) else { return }
        // In a container the same paths lead to other files.
        guard image.seesOwnFiles, let rights = image.rights,
            reader.submit({ [self] in process.noteCode(code(of: image, ancestors, rights)) })
        else { return process.noteCode([]) }
    }

    private func code(of image: ProcessImage, _ ancestors: [ProcessImage], _ rights: UserRights) -> [ArtifactRecord
        .Code]
    {
        var all: [ArtifactRecord.Code] = []
        func add(_ found: ArtifactRecord.Code?) {
            guard var found else { return }
            let same = all.filter { $0.path == found.path }
            guard !same.contains(where: { found.script == nil || $0.script == found.script }) else { return }
            // It was looked at just now.
            if found.dirty == nil, found.path != nil { found.dirty = same.lazy.compactMap(\.dirty).first }
            all.append(found)
        }
        if let directory = image.directory {
            add(
                found(directory, rights) {
                    repositories.code(forDirectory: FilePath(directory), role: .cwd, for: rights, changes: $0)
                })
        }
        for runner in [image] + ancestors where runner.seesOwnFiles && all.count <= Self.mostScripts {
            guard let program = runner.program, let arguments = runner.arguments,
                let script = ScriptArgument.script(of: program, arguments)
            else { continue }
            let directory = runner.directory.map { FilePath($0) }
            add(
                found(nil, rights) {
                    repositories.code(forFile: FilePath(script), in: directory, role: .script, for: rights, changes: $0)
                })
        }
        if let program = image.program {
            // Often an interpreter's own: whether its thousands of files differ is not looked at.
            add(
                known(program, rights) {
                    repositories.code(forFile: FilePath(program), in: nil, role: .program, for: rights)
                })
        }
        return all
    }

    /// What is known of a path; nil, for a moment, of one that was in no repository a moment ago.
    private func known(_ path: String, _ rights: UserRights, _ read: () -> ArtifactRecord.Code?) -> ArtifactRecord.Code?
    {
        let key = Key(user: rights.user, path: path)
        let begin = Clock.monotonic()
        if memory.withLock({ $0.without[key].map { begin < $0 } ?? false }) { return nil }
        let found = read()
        if found == nil {
            memory.withLock { memory in
                if memory.without.count >= Self.mostKept { memory.without = [:] }
                memory.without[key] = begin &+ Self.withoutTime
            }
        }
        return found
    }

    /// What a repository says, and whether its files differ where it is time to look.
    ///
    /// - Parameter place: a directory that it is asked for; nil of a file, which may be in none.
    private func found(
        _ place: String?, _ rights: UserRights, _ read: (LookForChanges) -> ArtifactRecord.Code?
    ) -> ArtifactRecord.Code? {
        let code = if let place { known(place, rights) { read(.no) } } else { read(.no) }
        guard let code else { return nil }
        guard let path = code.path else { return code }
        let key = Key(user: rights.user, path: path)
        let begin = Clock.monotonic()
        let mayLook = memory.withLock { memory in
            guard memory.looks[key].map({ $0 <= begin }) ?? true else { return false }
            if memory.looks.count >= Self.mostKept { memory.looks = [:] }
            // Nobody else meanwhile.
            memory.looks[key] = .max
            return true
        }
        guard mayLook else { return code }
        let whole = read(.yes(home: SystemCall.homeDirectory(rights.user).map { FilePath($0) }))
        let end = Clock.monotonic()
        memory.withLock { $0.looks[key] = end &+ (end &- begin) &* Self.share }
        return whole ?? code
    }
}

/// The mounts of this file system: what is read of a process's code is never asked of ourselves.
final class OwnMounts: Sendable {
    private struct State {
        var known: [UInt64: Bool] = [:]
        /// Until when that counts: numbers of devices are given again.
        var end: UInt64 = 0
    }

    /// In nanoseconds.
    private static let validity: UInt64 = 1_000_000_000
    /// A leaf in the order of locks.
    private let state = Lock(State())

    func contains(device: UInt64) -> Bool {
        let now = Clock.monotonic()
        if let known = state.withLock({ now < $0.end ? $0.known[device] : nil }) { return known }
        let isOwn = Self.lookUp(device)
        state.withLock { state in
            if now >= state.end { (state.known, state.end) = ([:], now &+ Self.validity) }
            state.known[device] = isOwn
        }
        return isOwn
    }

    private static func lookUp(_ device: UInt64) -> Bool {
        let name = "\((device >> 8) & 0xfff):\((device & 0xff) | (device >> 12) & 0xfff00)"
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, "/proc/self/mountinfo", O_RDONLY) else {
            return false
        }
        defer { SystemCall.close(file) }
        var text: [UInt8] = []
        while text.count < 4 << 20, let next = try? SystemCall.bytes(file, atMost: 1 << 16), !next.isEmpty {
            text.append(contentsOf: next)
        }
        return text.split(separator: UInt8(ascii: "\n")).contains { Self.isOwn($0, name) }
    }

    /// Whether a line of mountinfo (proc_pid_mountinfo(5)) is of a device and of this file system.
    static func isOwn(_ line: ArraySlice<UInt8>, _ device: String) -> Bool {
        let fields = line.split(separator: UInt8(ascii: " "))
        guard fields.count > 3, fields[2].elementsEqual(device.utf8),
            let end = fields.firstIndex(where: { $0.elementsEqual("-".utf8) }), end + 1 < fields.count
        else { return false }
        return fields[end + 1].elementsEqual("fuse.artifactfs".utf8)
            || fields[end + 1].elementsEqual("fuse.artifactfs-root".utf8)
    }
}
