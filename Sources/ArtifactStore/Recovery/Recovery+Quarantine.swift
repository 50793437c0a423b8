internal import ArtifactRecords
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
        guard !names.isEmpty, let firstDead else { return }
        // All that the ledgers know, where it is not known whose a file is.
        var recorded: Set<String>?
        let now = Clock.now()
        for name in names.sorted() where !putAway.contains(name) {
            let isReason = Quarantine.isReason(name, among: names)
            let stem = isReason ? String(name.dropLast(suffix.count)) : name
            if isReason, names.contains(stem) || putAway.contains(stem) { continue }
            // What came here before is an earlier recovery's.
            guard let found = try? quarantine.file(name).attributes(),
                found.st_ctim.tv_sec >= firstDead &- Self.age
            else { continue }
            let reason = names.contains(stem + suffix) ? reason(stem + suffix) : nil
            let mount = reason?["mount"]?.string ?? ""
            if !mount.isEmpty {
                guard dead.contains(mount) else { continue }
            } else {
                guard reason != nil || living.isEmpty || found.st_ctim.tv_sec < now.tv_sec &- Self.age else { continue }
                let all: Set<String>
                if let recorded { all = recorded } else { all = try namesInLedger() }
                recorded = all
                if all.contains(stem) { continue }
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
        guard let reason else {
            let path = EscapedName.decode(name.drop { $0 != "-" }.dropFirst())
            let event = LedgerEvent.quarantined(
                .init(
                    mount: "", staged: "",
                    reason: "a driver was killed, or had no room, while it put this away; why is not known",
                    record: ArtifactRecord(path: path).quarantined.json), as: name)
            try ledger.append([LedgerEntry(event)])
            let place = Quarantine(directory: quarantine, ledger: ledger, mount: "", isSynced: durability == .synced)
            do throws(Errno) {
                try place.writeReason(name, event, at: Clock.now())
            } catch {
                // Without room the line must do.
            }
            return
        }
        let file = LedgerEvent.NotPublished(
            mount: reason["mount"]?.string ?? "", staged: reason["staged"]?.string ?? "",
            reason: reason["reason"]?.string ?? "", rule: reason["rule"]?.string,
            record: JSONValue.object(reason)["record"]?.object ?? [:])
        try ledger.append([LedgerEntry(.quarantined(file, as: name))])
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
        try LedgerReader(directory: ledgers.descriptor).forEachLine { line in
            guard LedgerReader.contains(line, needle), let value = JSONValue(parsing: line),
                let name = value["quarantined"]?.string
            else { return }
            names.insert(name)
        }
        return names
    }
}
