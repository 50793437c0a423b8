internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What one who was killed while he put a file into quarantine had not written yet.
extension Recovery {
    /// How old a file must be, in seconds, of which it is not known whether a living mount is just putting it away.
    private static let age = 60

    /// Every file in quarantine gets its line and its reason; a reason whose file never came goes.
    mutating func completeQuarantine() throws(Errno) {
        let names = Set(try quarantine.entries().map(\.name))
        let suffix = Quarantine.reasonSuffix
        guard !names.isEmpty else { return }
        let recorded = try namesInLedger()
        let now = Clock.now()
        for name in names.sorted() where !recorded.contains(name) {
            let isReason = name.hasSuffix(suffix)
            let stem = isReason ? String(name.dropLast(suffix.count)) : name
            if isReason, names.contains(stem) || recorded.contains(stem) { continue }
            let reason = names.contains(stem + suffix) ? reason(stem + suffix) : nil
            if let mount = reason?["mount"]?.string {
                guard !living.contains(mount) else { continue }
            } else if !living.isEmpty {
                guard let found = try? quarantine.file(name).attributes(),
                    found.st_ctim.tv_sec < now.tv_sec &- Self.age
                else { continue }
            }
            if isReason {
                // The file is where it was, or is here under another name.
                try quarantine.file(name).unlink()
            } else {
                try complete(name, reason)
            }
        }
    }

    private func complete(_ name: String, _ reason: JSONObject?) throws(Errno) {
        guard var members = reason else {
            let path = EscapedName.decode(name.drop { $0 != "-" }.dropFirst())
            let members: JSONObject = [
                "mount": .string(""), "staged": .string(""), "quarantined": .string(name),
                "reason": .string("a driver was killed, or had no room, while it put this away; why is not known"),
                "record": .object(["path": .string(path)]),
            ]
            try ledger.append([LedgerEntry(event: "quarantined", members)])
            let place = Quarantine(directory: quarantine, ledger: ledger, mount: "", isSynced: durability == .synced)
            do throws(Errno) {
                try place.writeReason(name, members, at: Clock.now())
            } catch {
                // Without room the line must do.
            }
            return
        }
        members["time"] = nil
        try ledger.append([LedgerEntry(event: "quarantined", members)])
    }

    /// The members of a file's reason; nil when it is not whole.
    private func reason(_ name: String) -> JSONObject? {
        guard let descriptor = try? quarantine.file(name).open(O_RDONLY | O_NONBLOCK) else { return nil }
        defer { SystemCall.close(descriptor) }
        guard let bytes = try? SystemCall.bytes(descriptor, at: 0, count: 1 << 20),
            case .object(let members) = JSONValue(parsing: bytes)
        else { return nil }
        return members
    }

    /// The names in quarantine that the ledgers know.
    private func namesInLedger() throws(Errno) -> Set<String> {
        var names: Set<String> = []
        let needle = Array("\"event\":\"quarantined\"".utf8)
        for entry in try ledgers.entries() where entry.name.hasSuffix(".jsonl") {
            try LedgerReader.forEachLine(of: ledgers.file(entry.name)) { line in
                guard Self.contains(line, needle), let value = JSONValue(parsing: line),
                    let name = value["quarantined"]?.string
                else { return }
                names.insert(name)
            }
        }
        return names
    }
}
