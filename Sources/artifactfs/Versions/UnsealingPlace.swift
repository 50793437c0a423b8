import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// Where artifacts are superseded and retracted: on a mount, as its user, or in a store's own directory, for who may.
struct UnsealingPlace {
    /// The mount; nil for a store's directory.
    let mount: MountEntry?
    /// The store's directory; nil where the mount does not say it.
    let store: String?

    /// That of artifacts, which must be in one store.
    init(of artifacts: [ShownArtifact]) throws {
        guard let first = artifacts.first else { throw Failure(.usage, "name an artifact") }
        if let part = artifacts.first(where: \.isPart) {
            throw Failure(
                .failed,
                "what was named is in \(part.full), an artifact that is a directory, which leaves its name as a whole: name that; "
                    + "nothing has changed")
        }
        for other in artifacts where other.mount?.mountPoint != first.mount?.mountPoint || other.store != first.store {
            throw Failure(
                .cannotAnswer,
                "\(other.full) is in another store than \(first.full), or on another mount; what goes together is in one"
            )
        }
        (mount, store) = (first.mount, first.store)
    }

    init(_ place: StorePlace) { (mount, store) = (place.mount, place.store) }

    /// The place as it is named in a command.
    var argument: String { Shell.quoted(mount?.mountPoint ?? store ?? "") }

    /// Takes the names from artifacts, of all or of none.
    ///
    /// - Parameters:
    ///   - paths: on the mount, from its root; nil for those of the run.
    ///   - file: what is to take the name of the only one.
    func unseal(
        _ unsealing: Unsealing, _ paths: [String]?, ofRun run: String? = nil, reason: String, with file: String? = nil
    ) throws {
        if let mount { return try unseal(unsealing, paths, run, reason, file, on: mount) }
        guard let store = self.store else { throw Failure(.cannotAnswer, "the store's directory is not known") }
        let opened = try Store(
            at: store, readOnly: false, durability: .synced,
            checkCommand: ["/proc/self/exe", CheckContentsCommand.name])
        defer { opened.close() }
        let all = try paths ?? Self.paths(ofRun: run ?? "", in: opened)
        let request = UnsealRequest(
            paths: all, unsealing: unsealing, reason: reason,
            agent: Agent(user: geteuid(), process: getpid(), program: "artifactfs"), groups: Self.groups())
        do throws(UnsealObstacle) {
            if let file {
                let descriptor = try Self.open(file)
                defer { SystemCall.close(descriptor) }
                var record = ArtifactRecord(path: all.first ?? "")
                record.writer = ArtifactRecord.Writer(ofThisProcess: ())
                _ = try opened.supersede(
                    request,
                    with: Successor(
                        descriptor: descriptor, record: record, inputs: [Self.input(file, opened.schema, store)]))
            } else {
                _ = try opened.unseal(request)
            }
        } catch { throw Self.failure(error, unsealing) }
    }

    private func unseal(
        _ unsealing: Unsealing, _ paths: [String]?, _ run: String?, _ reason: String, _ file: String?,
        on mount: MountEntry
    ) throws {
        var facts: JSONObject = ["reason": .string(reason)]
        if let paths { facts["paths"] = .array(paths.map { .string($0) }) }
        facts["run"] = run.map { .string($0) }
        var copy: PassingFile?
        defer { withExtendedLifetime(copy) {} }
        if let file {
            var shown = Paths.rest(of: file, in: mount.mountPoint + "/")
            let isOfSession = [Mode.development, .test].contains { shown.hasPrefix($0.rawValue + "/") }
            if !file.utf8.starts(with: (mount.mountPoint + "/").utf8) || !isOfSession {
                let new = try Self.copy(file, to: mount)
                shown = Paths.rest(of: new.path, in: mount.mountPoint + "/")
                copy = new
            }
            facts["with"] = .string(shown)
            facts["inputs"] = .array([.string(Self.input(file, on: mount.mountPoint))])
        }
        let value = Array(JSONValue.object([unsealing.command: .object(facts)]).description.utf8)
        guard value.count <= 65_536 else {
            throw Failure(
                .cannotAnswer,
                "these are too many paths at a time: they have \(value.count) bytes, and 65,536 at most go together; name fewer, or all that "
                    + "a run published with --run; nothing has changed")
        }
        let door = mount.mountPoint + "/" + StoreLayout.privateDirectory + "/" + StoreLayout.versionsFile
        let what = "\(unsealing.command) \(paths?.first ?? run.map { "what run \($0) published" } ?? "")"
        try MountChange(
            mount: mount, what: what, paths: paths ?? [], otherwise: "nothing has changed"
        ).make { () throws(Errno) in
            try SystemCall.setExtendedAttribute(ArtifactAttribute.versions, value, ofPath: door, flags: 0)
        }
    }

    /// The driver reads with its user's rights what is on the mount; what is elsewhere this process reads, and brings it there.
    private static func copy(_ file: String, to mount: MountEntry) throws -> PassingFile {
        let status = try MountStatus.of(mount)
        guard let session = Paths.link(mount.mountPoint + "/development/current") ?? status.string("session") else {
            throw Failure(
                .failed,
                "the mount at \(mount.mountPoint) is read-only; use one that is not, or the store's directory as its owner"
            )
        }
        let target = "\(mount.mountPoint)/development/\(session)/scratch/.supersede-\(getpid())"
        let passing: PassingFile
        do throws(UnsealObstacle) {
            let source = try open(file)
            defer { SystemCall.close(source) }
            passing = PassingFile(at: target)
            do throws(Errno) {
                let made = try SystemCall.open(
                    SystemCall.currentDirectory, target, O_WRONLY | O_CREAT | O_EXCL | O_NOFOLLOW, 0o600)
                defer { SystemCall.close(made) }
                try FileCopy.copyBytes(source, to: made)
            } catch {
                throw UnsealObstacle.system(path: file, doing: "copied to \(target)", error)
            }
        } catch { throw failure(error, .superseded) }
        return passing
    }

    private static func open(_ file: String) throws(UnsealObstacle) -> FileDescriptor {
        do throws(Errno) {
            let descriptor = try SystemCall.open(SystemCall.currentDirectory, file, O_RDONLY | O_NONBLOCK)
            do throws(Errno) {
                let found = try SystemCall.attributes(descriptor)
                guard found.isRegular else { throw found.isDirectory ? Errno.isDirectory : Errno.notSupported }
                return descriptor
            } catch {
                SystemCall.close(descriptor)
                throw error
            }
        } catch {
            throw .system(path: file, doing: error == .notSupported ? "taken: it is no plain file" : "read", error)
        }
    }

    /// How the file is named as an input: a former version as the artifact that it is, `PATH@N`.
    private static func input(_ file: String, on mountPoint: String) -> String {
        let parts = file.split(separator: "/", omittingEmptySubsequences: false).map(String.init)
        guard file.utf8.starts(with: (mountPoint + "/").utf8), parts.count > 4,
            let number = Int64(parts[parts.count - 1]),
            parts[parts.count - 3] == StoreLayout.recordsDirectory,
            parts[parts.count - 2].hasSuffix(StoreLayout.versionsSuffix)
        else { return file }
        let name = parts[parts.count - 2].dropLast(StoreLayout.versionsSuffix.count)
        let directory = parts.dropLast(3).joined(separator: "/")
        return "\(Paths.rest(of: directory, in: mountPoint))/\(name)@\(number)"
    }

    /// The same by its real path.
    private static func input(_ file: String, _ schema: ArtifactSchema, _ store: String) -> String {
        guard let (real, number) = VersionReader.place(of: file, inStore: store),
            let path = schema.shownPath(ofReal: real)
        else { return file }
        return "\(path)@\(number)"
    }

    static func paths(ofRun run: String, in store: Store) throws -> [String] {
        let paths: [String]
        do throws(Errno) { paths = try store.artifacts(ofRun: run) } catch {
            throw Failure(.failed, "cannot read the ledger of \(store.path): \(error)")
        }
        guard !paths.isEmpty else {
            throw Failure(
                .cannotAnswer,
                "run \(run) has published nothing that is there still; 'artifactfs runs \(Shell.quoted(store.path))' lists the runs"
            )
        }
        return paths
    }

    private static func failure(_ obstacle: UnsealObstacle, _ unsealing: Unsealing) -> Failure {
        switch obstacle {
        case .refused(let path, let refusal, let detail):
            MountChange.failure(
                [refusal.reason(path: path), detail, refusal.wayOut, "nothing has changed"],
                refusal.errno == .noSuchFileOrDirectory ? .cannotAnswer : .failed)
        case .successor(let reason, let rule):
            MountChange.failure(["the new file is not taken: \(reason) (\(rule.rawValue))", "nothing has changed"])
        case .system(let path, let doing, let errno):
            Failure(.failed, "\(path) could not be \(doing): \(errno); nothing has changed")
        case .stopped: Failure(.failed, "stopped")
        }
    }

    private static func groups() -> [UInt32] {
        let count = getgroups(0, nil)
        guard count > 0 else { return [getegid()] }
        var all = [gid_t](repeating: 0, count: Int(count))
        let found = getgroups(count, &all)
        return [getegid()] + all.prefix(Int(max(0, found)))
    }
}

extension ArtifactRecord.Writer {
    /// What this process is.
    init(ofThisProcess: Void) {
        self.init()
        (uid, gid, pid) = (getuid(), getgid(), getpid())
        user = SystemCall.userName(getuid())
        argv = ArgumentMask.masked(CommandLine.arguments)
        program = Paths.link("/proc/self/exe")
        cwd = Paths.link("/proc/self/cwd")
    }
}
