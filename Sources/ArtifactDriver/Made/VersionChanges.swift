internal import ArtifactRecords
internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// What was superseded and retracted through this mount, for `versions.jsonl`.
final class VersionChanges: Sendable {
    /// So many are told; the ledger has all.
    private static let most = 1000
    private let changes = Lock<[(time: String, artifact: UnsealedArtifact)]>([])

    func add(_ artifacts: [UnsealedArtifact]) {
        let time = TimeText.rfc3339(Clock.now())
        changes.withLock { changes in
            changes += artifacts.suffix(Self.most).map { (time, $0) }
            changes.removeFirst(max(0, changes.count - Self.most))
        }
    }

    func text(for viewer: Viewer) -> String {
        changes.withLock { $0 }.filter { viewer.user == nil || $0.artifact.uid == viewer.user.map(Int64.init) }.map {
            var fields: JSONObject = ["time": .string($0.time)]
            for (name, value) in $0.artifact.members.sorted
            where ["as", "path", "version", "size", "sha256", "reason", "uid", "pid", "command"].contains(name) {
                fields[name] = value
            }
            return JSONValue.object(fields).description + "\n"
        }.joined()
    }
}

/// Artifacts are superseded and retracted (SEMANTICS 2.8): a process says so through `user.artifact.versions` of `.artifactfs/versions.jsonl`.
extension Volume {
    /// - Parameter value: `{"supersede": {...}}` or `{"retract": {...}}` with `reason`, and `paths` or `run`; the former may have `with`, a path of a
    ///   session or a test on the mount, and `inputs`.
    /// - Throws: `EINVAL` of anything else.
    func changeVersions(_ value: UnsafeRawBufferPointer, for caller: Caller) throws(Errno) {
        guard !store.isReadOnly else { throw Errno.readOnlyFileSystem }
        guard case .object(let statement)? = JSONValue(parsing: Array(value)),
            let unsealing = Unsealing.allCases.first(where: { statement[$0.command] != nil }),
            case .object(let facts)? = statement[unsealing.command]
        else { throw Errno.invalidArgument }
        // It waits for the disk.
        if caller.isMovable { throw Errno.takesLong }
        let paths: [String]
        if case .array(let names)? = facts["paths"] {
            paths = names.compactMap(\.string)
            guard paths.count == names.count else { throw Errno.invalidArgument }
        } else if let run = facts["run"]?.string {
            paths = try store.artifacts(ofRun: run)
        } else {
            throw Errno.invalidArgument
        }
        guard !paths.isEmpty else { throw Errno.noSuchFileOrDirectory }
        let request = UnsealRequest(
            paths: paths, unsealing: unsealing, reason: facts["reason"]?.string ?? "", agent: agent(caller),
            groups: rights.groups(of: caller))
        do throws(UnsealObstacle) {
            let left: [UnsealedArtifact]
            if unsealing == .superseded, let new = facts["with"]?.string {
                left = [try supersede(request, with: new, facts, caller)]
            } else {
                left = try store.unseal(request)
            }
            versionChanges.add(left)
            tellChanged(left.map(\.path))
        } catch {
            switch error {
            case .refused(let path, let refusal, let detail):
                try enforce(.refused(refusal), unsealing.command, path, caller, detail: detail)
                throw refusal.errno
            case .successor(let reason, let rule):
                try enforce(
                    .refused(.ofUnsealing(.invalidArgument)), unsealing.command, paths.first ?? "", caller,
                    detail: "the new file is not taken: \(reason) (\(rule.rawValue))")
                throw Errno.invalidArgument
            case .system(let path, let doing, let errno):
                try enforce(
                    .refused(.ofUnsealing(errno)), unsealing.command, path, caller,
                    detail: "it could not be \(doing): \(errno)")
                throw errno
            case .stopped: throw Errno.ioError
            }
        }
    }

    private func supersede(
        _ request: UnsealRequest, with new: String, _ facts: JSONObject, _ caller: Caller
    ) throws(UnsealObstacle) -> UnsealedArtifact {
        let descriptor: FileDescriptor
        do throws(Errno) { descriptor = try openShown(new, caller) } catch {
            throw .system(path: new, doing: "read", error)
        }
        defer { SystemCall.close(descriptor) }
        var record = ArtifactRecord(path: request.paths.first ?? "")
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid) = (caller.user, caller.group)
        writer.pid = caller.process > 0 ? caller.process : nil
        record.writer = writer
        (record.times.opened, record.times.closed) = (Clock.now(), Clock.now())
        record.run = jobs?.run(for: caller)?.inRecord
        if let process = processes.watch(caller.process) {
            processes.observeOpening(process)
            process.awaitFacts(atMost: Self.patience)
            process.facts?.fill(&record)
        }
        var inputs: [String] = []
        if case .array(let names)? = facts["inputs"] { inputs = names.compactMap(\.string) }
        return try store.supersede(request, with: Successor(descriptor: descriptor, record: record, inputs: inputs))
    }

    /// Opens a file of a session or a test to read, by its path on the mount, with the caller's rights.
    private func openShown(_ path: String, _ caller: Caller) throws(Errno) -> FileDescriptor {
        let (location, rest) = store.schema.locate(path)
        switch location.scope {
        case .session, .test: break
        case .production, nil: throw Errno.invalidArgument
        }
        guard !rest.isEmpty,
            !path.utf8.split(separator: UInt8(ascii: "/")).contains(where: { $0.elementsEqual("..".utf8) })
        else { throw Errno.invalidArgument }
        guard let top = try root.real.current() else { throw Errno.noSuchFileOrDirectory }
        return try withExtendedLifetime(top) { () throws(Errno) in
            try rights.acting(for: caller) { () throws(Errno) in
                try SystemCall.openFile(
                    beneath: top.descriptor, store.schema.realPath(ofShown: path), O_RDONLY | O_NONBLOCK)
            }
        }
    }
}
