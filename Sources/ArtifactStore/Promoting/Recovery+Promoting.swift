internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What one who was killed while files were promoted together had brought into staging, and was not to publish.
extension Recovery {
    /// Puts a file back where it was, replacing nothing, with its permissions; to quarantine where it has no place there any more. A copy goes
    /// when what it was made from is there.
    mutating func putBack(_ staged: RealFile, _ intent: PromotionIntent) throws(Errno) {
        guard let found = try Self.found(staged) else { return }
        let reason = "the driver ended before all was ready that was to be promoted together"
        func keep() throws(Errno) {
            try take(staged, intent.mount, intent.path, reason, .beingWritten, intent.record)
        }
        guard intent.isCopy || UInt64(found.st_ino) == intent.inode,
            let origin = try RealDirectory.open(intent.directory, beneath: root)?.file(intent.name)
        else { return try keep() }
        if intent.isCopy {
            guard let source = try Self.found(origin), UInt64(source.st_ino) == intent.inode else { return try keep() }
            if found.isDirectory { try DirectoryTree.remove(staged) } else { try staged.unlink() }
        } else {
            if let modes = intent.modes { try DirectoryPublication.giveBack(modes, to: staged) }
            if found.permissions != intent.mode { try staged.setMode(intent.mode) }
            do throws(Errno) { try staged.moveWhole(to: origin) } catch .fileExists { return try keep() }
            if durability == .synced { try? SystemCall.sync(origin.directory.descriptor) }
        }
        let line = LedgerEvent.NotPublished(
            mount: intent.mount, staged: intent.staged, reason: reason, rule: Rule.beingWritten.rawValue,
            record: intent.record)
        try ledger.append([LedgerEntry(.restored(line))])
        report.restored.append(intent.from)
    }
}
