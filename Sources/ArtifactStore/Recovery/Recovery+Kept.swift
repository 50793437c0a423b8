internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What one who was killed while a file went out of quarantine had not done yet.
extension Recovery {
    /// That the file of an intent is in quarantine still.
    static func stays(_ intent: SealIntent) -> LedgerEvent.NotPublished {
        .init(
            mount: intent.mount, staged: intent.staged,
            reason: "it was being published from quarantine when that was ended; it is there still",
            record: intent.record)
    }

    /// What was to be discarded goes, what was to be taken out and is here stays, and what was published has no reason here any more.
    ///
    /// - Parameter staging: the mount's staging directory.
    mutating func finishLeaving(_ history: MountHistory, in staging: Directory) throws(Errno) {
        for (id, event) in history.left.sorted(by: { $0.key < $1.key }) {
            let file = quarantine.file(id)
            switch event {
            case .discarded where (try? file.attributes())?.isDirectory == true:
                // What is left half-removed is not seen as something that was kept back.
                let doomed = staging.file(StagedName.text(.discarded, "0", EscapedName.encode(id, limit: 200)))
                if doomed.exists { try DirectoryTree.remove(doomed) }
                try file.moveWhole(to: doomed)
                // What cannot be removed is seen as any file of the mount's.
                try? DirectoryTree.remove(doomed)
            case .discarded where file.exists: try file.unlink()
            case .takenOut(let left) where file.exists:
                let entry = try QuarantineReader(quarantine).entry(id)
                try ledger.append([
                    LedgerEntry(
                        .quarantined(
                            .init(
                                mount: left.mount, staged: "",
                                reason: (entry.reason.map { $0 + "; " } ?? "")
                                    + "it was to be taken out of quarantine, and is there still",
                                rule: entry.rule?.rawValue, record: entry.record.json), as: id))
                ])
            default: break
            }
            try removeReason(of: id)
        }
        for intent in history.open + history.sealed {
            // Of what was published together and was in staging meanwhile.
            if intent.kept == nil, let id = ArtifactRecord(intent.record).recovered?.id {
                Store.forget(id, in: quarantine)
                continue
            }
            guard let id = intent.kept,
                let artifact = try? RealDirectory.open(intent.directory, beneath: root)?.file(intent.name).attributes(),
                artifact.isDirectory ? UInt64(artifact.st_ino) == intent.inode : Int64(artifact.st_size) == intent.size
            else { continue }
            let file = quarantine.file(id)
            // On another file system it was copied, and the ledger has it as sealed.
            if UInt64(artifact.st_ino) != intent.inode, let kept = try? file.attributes(),
                UInt64(kept.st_ino) == intent.inode, try hash(of: file) == intent.sha256,
                try hash(of: artifactFile(intent)) == intent.sha256
            {
                try file.unlink()
            }
            try removeReason(of: id)
        }
    }

    private func artifactFile(_ intent: SealIntent) throws(Errno) -> RealFile {
        guard let directory = try RealDirectory.open(intent.directory, beneath: root) else {
            throw .noSuchFileOrDirectory
        }
        return directory.file(intent.name)
    }

    private func removeReason(of id: String) throws(Errno) {
        guard !quarantine.file(id).exists else { return }
        do throws(Errno) { try quarantine.file(QuarantineReader.reasonName(of: id)).unlink() } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
        }
    }
}
