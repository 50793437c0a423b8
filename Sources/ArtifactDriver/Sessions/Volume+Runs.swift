internal import ArtifactRecords
internal import Artifacts
internal import ArtifactStore
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import SystemCalls
internal import SystemPackage

/// Runs begin and end (SEMANTICS 2.6): a process says so through `user.artifact.run` of `.artifactfs/runs.jsonl`.
extension Volume {
    /// - Parameter value: `{"begin": {...}}` or `{"end": {...}}`.
    /// - Throws: `EINVAL` of anything else; `ENOENT` when the session is not live here, or the process has begun no run.
    func changeRun(_ value: UnsafeRawBufferPointer, for caller: Caller) throws(Errno) {
        guard let jobs else { throw Errno.readOnlyFileSystem }
        guard case .object(let statement)? = JSONValue(parsing: Array(value)) else { throw Errno.invalidArgument }
        if case .object(let facts)? = statement["end"] {
            if let run = jobs.ownRun(of: caller), run.isAllOrNothing { return try end(run, facts, caller) }
            guard let run = jobs.endRun(for: caller) else { throw Errno.noSuchFileOrDirectory }
            return store.recordRun(.runEnded(line(run, facts)))
        }
        if case .object? = statement["started"] {
            guard let run = jobs.ownRun(of: caller) else { throw Errno.noSuchFileOrDirectory }
            return jobs.noteProcesses(of: run)
        }
        guard case .object(let facts)? = statement["begin"] else { throw Errno.invalidArgument }
        let outer = jobs.run(for: caller)?.holder
        // What would become of its part when the whole fails, or the other way round?
        if outer != nil, facts["all_or_nothing"] == .bool(true) { throw Errno.resourceBusy }
        let session = try sessionForRun(facts, caller)
        guard
            let run = JobRun(
                facts, session: session, process: caller.process, user: caller.user, in: outer)
        else { throw Errno.invalidArgument }
        let watch = run.isAllOrNothing ? processes.watch(caller.process) : nil
        // Its end must be heard of, whatever ends it.
        if run.isAllOrNothing, watch.map({ $0.descriptor < 0 }) ?? true { throw Errno.notSupported }
        tellThatCurrentDiffers()
        guard jobs.begin(run, for: caller) else { throw Errno.noSuchProcess }
        if let watch {
            let process = RunProcess(run, number: handles.nextNumber().rawValue)
            guard settler.add(process, until: nil, [watch]).isEmpty else {
                _ = jobs.end(run)
                throw Errno.resourceTemporarilyUnavailable
            }
        }
        var said = facts
        for key in ["id", "umask", "session"] { said[key] = nil }
        store.recordRun(.runBegun(line(run, said)))
    }

    func line(_ run: JobRun, _ facts: JSONObject) -> LedgerEvent.RunLine {
        .init(
            mount: store.staging?.mountID ?? "", run: run.id, session: run.session.description, uid: Int64(run.user),
            pid: Int64(run.process), facts: facts)
    }

    /// One that is live, or a new one, which is nobody else's `current`.
    private func sessionForRun(_ facts: JSONObject, _ caller: Caller) throws(Errno) -> SessionName {
        if let name = facts["session"]?.string {
            guard let session = SessionName(name), standing(of: .session(session)) == .live else {
                throw Errno.noSuchFileOrDirectory
            }
            return session
        }
        let development = directoryNode(.mode(.development))
        try rights.checkCreation(in: development.real.nearestExisting(), for: caller)
        var second = Int64(Clock.now().tv_sec)
        while true {
            guard let name = SessionName(secondsSince1970: second) else { throw Errno.invalidArgument }
            do throws(Errno) {
                try store.beginSession(named: name)
                var maker = caller
                maker.umask = UInt32(clamping: facts["umask"]?.integer ?? 0o022) & 0o777
                try makeScope(.session(name), 0o777, maker)
                sessions.begin(name, of: caller.user)
                endForgotten(sparing: name)
                return name
            } catch .fileExists { second += 1 }
        }
    }

    /// The runs that go on, a JSON object a line; who may not know of everybody sees the viewer's own.
    func runsText(for viewer: Viewer) -> String {
        (jobs?.runs ?? []).filter { viewer.user == nil || $0.user == viewer.user }.map { run in
            var fields: JSONObject = ["run": .string(run.id)]
            fields["experiment"] = run.experiment.map { .string($0) }
            fields["session"] = .string(run.session.description)
            if run.isAllOrNothing { fields["all_or_nothing"] = .bool(true) }
            fields["uid"] = .integer(Int64(run.user))
            fields["pid"] = .integer(Int64(run.process))
            return JSONValue.object(fields).description + "\n"
        }.joined()
    }
}
