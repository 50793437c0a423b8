public import ArtifactRecords
public import Artifacts
internal import Glibc
internal import SystemCalls
public import SystemPackage

extension Store {
    /// Moves a file to `.artifactfs/quarantine`, with a ledger line and a `<name>.reason.json` beside it. It is a
    /// rename only, so it works on a full disk; what cannot be written about it then is left out.
    ///
    /// - Parameters:
    ///   - file: on the file system of `.artifactfs`.
    ///   - reason: a sentence for people.
    ///   - rule: the one that it is kept back by; nil when that is not known.
    /// - Returns: its name in quarantine.
    /// - Throws: the error of the rename; the file is where it was then.
    @discardableResult
    public func quarantine(
        _ file: RealFile, reason: String, rule: Rule? = nil, record: ArtifactRecord
    ) throws(Errno) -> String {
        guard let writable else { throw .readOnlyFileSystem }
        // The bytes may stay in staging, where nobody writes them any more.
        defer { writable.staging.release(file) }
        return try Quarantine(
            directory: writable.quarantine, ledger: writable.ledger, mount: writable.staging.mountID,
            isSynced: durability == .synced
        ).take(file, path: record.artifact.path ?? "", reason: reason, rule: rule, record: record.quarantined.json)
    }
}

/// Where files go that are not published: bytes are never thrown away.
struct Quarantine {
    let directory: Directory
    let ledger: Ledger
    /// The mount in whose staging the file is.
    let mount: String
    let isSynced: Bool

    /// What is added to a file's name for the file that says why it is here.
    static let reasonSuffix = StoreLayout.reasonSuffix

    /// Moves a file here. Its reason is written first, so that one who is killed in between leaves enough for recovery to write the rest.
    func take(
        _ file: RealFile, path: String, reason: String, rule: Rule?, record: JSONObject
    ) throws(Errno) -> String {
        let time = Clock.now()
        if isSynced, let descriptor = try? file.open(O_RDONLY | O_NONBLOCK) {
            try? SystemCall.syncData(descriptor)
            SystemCall.close(descriptor)
        }
        let stem = TimeText.compact(time) + "-" + EscapedName.encode(path, limit: 180)
        // A name that ended as a reason's does would be taken for one.
        var number = stem.hasSuffix(Self.reasonSuffix) ? 2 : 1
        while true {
            let name = number == 1 ? stem : "\(stem)-\(number)"
            number += 1
            let event = LedgerEvent.quarantined(
                .init(mount: mount, staged: file.name, reason: reason, rule: rule?.rawValue, record: record), as: name)
            do throws(Errno) {
                try writeReason(name, event, at: time)
            } catch .fileExists { continue } catch {
                // Full, perhaps; the bytes need no room.
            }
            do throws(Errno) {
                try move(file, to: directory.file(name))
            } catch {
                try? directory.file(name + Self.reasonSuffix).unlink()
                if error == .fileExists { continue }
                throw error
            }
            if isSynced { try? SystemCall.sync(directory.descriptor) }
            try? ledger.append([LedgerEntry(event)])
            return name
        }
    }

    private func move(_ file: RealFile, to target: RealFile) throws(Errno) {
        do throws(Errno) {
            do throws(Errno) { try file.moveWhole(to: target) } catch .notPermitted {
                // It was sealed and immutable; what is kept back is neither.
                guard try ImmutableFlag.remove(from: file) else { throw .notPermitted }
                try file.moveWhole(to: target)
            }
        } catch .improperLink {
            // From a layer on another file system.
            try copy(file, to: target)
        }
    }

    private func copy(_ file: RealFile, to target: RealFile) throws(Errno) {
        let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        do throws(Errno) { try FileCopy.copy(descriptor, to: target, isSynced: isSynced) } catch {
            if error != .fileExists { try? target.unlink() }
            throw error
        }
        do throws(Errno) { try file.unlink() } catch .notPermitted {
            guard try ImmutableFlag.remove(from: file) else { throw .notPermitted }
            try file.unlink()
        }
    }

    /// Says beside a file why it is here.
    ///
    /// - Throws: `EEXIST` when that of another file has the name.
    func writeReason(_ name: String, _ event: LedgerEvent, at time: timespec) throws(Errno) {
        let file = directory.file(name + Self.reasonSuffix)
        let descriptor = try file.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600)
        defer { SystemCall.close(descriptor) }
        var all: JSONObject = ["time": .string(TimeText.rfc3339(time))]
        all.add(event.members)
        var text = [UInt8(ascii: "{")]
        JSONValue.write(all, to: &text)
        text.append(contentsOf: "}\n".utf8)
        do throws(Errno) {
            try SystemCall.write(descriptor, text)
        } catch {
            try? file.unlink()
            throw error
        }
    }
}
