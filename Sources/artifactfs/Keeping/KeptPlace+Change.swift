import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// What becomes of what was kept back: by the mount, which acts for its user, or by the store itself.
extension KeptPlace {
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

    /// Changes something through the mount.
    ///
    /// - Parameters:
    ///   - what: completes "cannot".
    ///   - paths: what a refusal may be about besides the entry.
    private func change(
        _ what: String, of entry: QuarantineEntry, _ paths: [String],
        _ body: @escaping (String) throws(Errno) -> Void
    ) throws {
        guard let mount else { return }
        let file = file(of: entry)
        try MountChange(
            mount: mount, what: what, paths: paths + [StoreLayout.quarantineDirectory + "/" + entry.id],
            otherwise: Self.stays
        ).make { () throws(Errno) in try body(file) }
    }

    private static let stays = "it stays in quarantine"

    private static func failure(_ refusal: Refusal, _ path: String, _ place: Place, _ detail: String?) -> Failure {
        MountChange.failure([refusal.reason(path: path), detail, refusal.wayOut(in: place), stays])
    }
}
