import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// What becomes of what was kept back: by the mount, which acts for its user, or by the store itself.
extension KeptPlace {
    /// For how long a whole check may take, in milliseconds.
    private static let longest: Int64 = 6 * 3_600_000

    /// Publishes an entry.
    ///
    /// - Parameter newPath: where, from the mount point.
    func publish(_ entry: QuarantineEntry, as newPath: String, despite: String?) throws {
        guard mount == nil else { return try publishOnMount(entry, as: newPath, despite: despite) }
        let store = try openStore()
        defer { store.close() }
        let (location, rest) = store.schema.locate(newPath)
        guard let destination = Promotion.Destination(path: newPath, in: store.schema, isDirectory: entry.isDirectory)
        else {
            let kind: Creation = entry.isDirectory ? .directory : .file
            let name = OverwritePolicy.classify(rest.first ?? "", in: location.place, as: kind)
            let verdict = OverwritePolicy.judge(kind, named: name, in: location.place, standing: .production)
            if let refusal = verdict.refusal { throw Self.failure(refusal, newPath, location.place, nil) }
            throw Failure(.cannotAnswer, "\(newPath) is no place of production; it stays in quarantine")
        }
        do throws(PromotionObstacle) {
            try store.publish(entry, as: destination, despite: despite, by: geteuid())
        } catch {
            switch error {
            case .refused(let refused, let detail):
                let path = refused.question == .source ? entry.path : newPath
                throw Self.failure(refused.refusal, path, location.place, detail)
            case .stillOpen:
                throw Failure(
                    .failed,
                    "a program can still write to \(file(of: entry)); end it, and publish then. It stays in quarantine")
            case .system(let errno):
                throw Failure(.failed, "cannot publish \(newPath): \(errno); it stays in quarantine")
            }
        }
    }

    /// Discards an entry.
    func discard(_ entry: QuarantineEntry) throws {
        guard mount == nil else {
            return try change("discard \(entry.id)", of: entry, []) { file throws(Errno) in
                try SystemCall.unlink(SystemCall.currentDirectory, file, isDirectory: entry.isDirectory)
            }
        }
        let store = try openStore()
        defer { store.close() }
        do throws(Errno) {
            try store.discard(entry, by: Agent(user: geteuid(), process: getpid(), program: "artifactfs"))
        } catch { throw Failure(.failed, "cannot discard \(entry.id): \(error)") }
    }

    private func openStore() throws -> Store {
        try Store(
            at: path, readOnly: false, durability: .synced,
            checkCommand: ["/proc/self/exe", CheckContentsCommand.name])
    }

    private func publishOnMount(_ entry: QuarantineEntry, as newPath: String, despite: String?) throws {
        let target = path + "/" + newPath
        try change("publish \(newPath)", of: entry, [newPath]) { file throws(Errno) in
            if let despite {
                try SystemCall.setExtendedAttribute(
                    ArtifactAttribute.despite, Array(despite.utf8), ofPath: file, flags: 0)
            }
            // The driver replaces nothing, and says why; with RENAME_NOREPLACE the kernel would answer.
            try SystemCall.rename(SystemCall.currentDirectory, file, SystemCall.currentDirectory, target, 0)
        }
    }

    /// Changes something through the mount, whose driver may be stopped meanwhile.
    ///
    /// - Parameters:
    ///   - what: completes "cannot".
    ///   - paths: what a refusal may be about besides the entry.
    private func change(
        _ what: String, of entry: QuarantineEntry, _ paths: [String], _ body: (String) throws(Errno) -> Void
    ) throws {
        let (file, path) = (file(of: entry), path)
        let about = paths + [StoreLayout.quarantineDirectory + "/" + entry.id]
        let answer = Patience.find(within: Self.longest, on: mount) {
            let code = Patience.number { () throws(Errno) in try body(file) }
            var fields: JSONObject = ["errno": .integer(Int64(code))]
            if code != 0, let denial = Self.lastDenial(on: path, about: about) { fields["denial"] = denial }
            return Array(JSONValue.object(fields).description.utf8)
        }
        guard let answer, let value = JSONValue(parsing: answer), let errno = value["errno"]?.integer else {
            throw mount?.silence ?? Failure(.silent, "\(path) does not answer")
        }
        guard errno != 0 else { return }
        if errno == Int64(EROFS) {
            throw Failure(
                .failed,
                "cannot \(what): the mount at \(path) is read-only; use one that is not, or the store's directory as its owner"
            )
        }
        guard let denial = value["denial"], let reason = denial["reason"]?.string else {
            throw Failure(
                .failed, "cannot \(what): \(Errno(rawValue: Int32(clamping: errno))); it stays in quarantine")
        }
        throw Self.failure(reason, denial["detail"]?.string, denial["way_out"]?.string)
    }

    /// Why the driver refused this process something.
    private static func lastDenial(on mountPoint: String, about paths: [String]) -> JSONValue? {
        let lines = Paths.contents(mountPoint + "/.artifactfs/denials.jsonl") ?? []
        for line in lines.split(separator: UInt8(ascii: "\n")).reversed() {
            guard let denial = JSONValue(parsing: line), let path = denial["path"]?.string else { continue }
            if paths.contains(path) { return denial }
        }
        return nil
    }

    private static func failure(_ refusal: Refusal, _ path: String, _ place: Place, _ detail: String?) -> Failure {
        failure(refusal.reason(path: path), detail, refusal.wayOut(in: place))
    }

    private static func failure(_ reason: String, _ detail: String?, _ wayOut: String?) -> Failure {
        Failure(
            .failed,
            [reason, detail, wayOut, "it stays in quarantine"].compactMap { $0 }.joined(separator: "; "))
    }
}
