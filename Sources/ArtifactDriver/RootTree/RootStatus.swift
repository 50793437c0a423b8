internal import ArtifactRecords
internal import FuseKernel
internal import Glibc
internal import Synchronization
internal import SystemCalls

/// What the mount of several stores says of itself, and of those that were looked for.
extension RootTree {
    /// The bytes of `status.json`. Other users learn how many stores there are, and of each on its own path.
    func statusContent(for caller: Caller) -> [UInt8] {
        let stores = self.stores.sorted { $0.shown < $1.shown }
        let isOwners = caller.user == 0 || caller.user == geteuid()
        var (open, failed) = (0, 0)
        var rows: [JSONValue] = []
        for store in stores {
            var fields: JSONObject = [
                "path": .string(store.shown), "store": .string(path + "/" + store.real),
            ]
            switch store.state.withLock({ $0 }) {
            case .open(let volume):
                open += 1
                fields["state"] = .string("open")
                if isOwners { fields["status"] = JSONValue(parsing: Array(volume.statusText(for: .everybody).utf8)) }
            case .failed(let problem, _):
                failed += 1
                fields["state"] = .string("failed")
                fields["problem"] = .string(problem)
            case .opening: fields["state"] = .string("opening")
            case .closed, .ended: fields["state"] = .string("not opened")
            }
            if isOwners { rows.append(.object(fields)) }
        }
        let fields: JSONObject = [
            "version": .string(version),
            "pid": .integer(Int64(getpid())),
            "root": .string(path),
            "mount_point": .string(mountPoint),
            "read_only": .bool(isReadOnly),
            "publishing": .integer(Int64(pendingSeals)),
            "seen": .integer(Int64(stores.count)),
            "open": .integer(Int64(open)),
            "failed": .integer(Int64(failed)),
            "stores": .array(rows),
            "uptime_seconds": .integer(Int64((Clock.monotonic() &- startTime) / 1_000_000_000)),
        ]
        return Array((JSONValue.object(fields).description + "\n").utf8)
    }
}
