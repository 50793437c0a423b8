internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

extension EvictionShelf {
    /// Removes what was prepared for an artifact. One that is there stays: its bytes go by the ledger only.
    static func clear(_ moving: Directory, _ unique: String) throws(Errno) {
        let directory: Directory
        do throws(Errno) { directory = try moving.directory(unique) } catch .noSuchFileOrDirectory { return }
        let file = directory.file(fileName)
        do throws(Errno) {
            guard try file.attributes().isSymbolicLink else { return }
            try file.unlink()
        } catch .noSuchFileOrDirectory {}
        // What says which it is goes after it.
        for entry in try directory.entries() { try directory.file(entry.name).unlink() }
        try SystemCall.unlink(moving.descriptor, unique, isDirectory: true)
    }
}

/// What one who was killed was evicting.
extension Recovery {
    /// Ends what has its link, and takes back the rest.
    mutating func settleEvictions(_ staging: Staging) {
        guard let shelf = try? EvictionShelf.open(beneath: root), let all = try? shelf.moving.entries(), !all.isEmpty
        else { return }
        do throws(Errno) {
            // Who evicts just now ends it.
            let hold = try Store.lock(
                try own.directory(StoreFormat.versionsDirectory, orMakeWith: 0o700), staging)
            defer { withExtendedLifetime(hold) {} }
            for entry in try shelf.moving.entries() where entry.isDirectory {
                do throws(Errno) { try settleEviction(entry.name, shelf) } catch {
                    problem("\(StoreFormat.evicting)/\(entry.name): \(error)")
                }
            }
        } catch { problem("\(StoreFormat.evicting): \(error)") }
    }

    private mutating func settleEviction(_ unique: String, _ shelf: EvictionShelf) throws(Errno) {
        let directory = try shelf.moving.directory(unique)
        let file = directory.file(EvictionShelf.fileName)
        var bytes: stat?
        do throws(Errno) {
            let found = try file.attributes()
            if !found.isSymbolicLink { bytes = found }
        } catch .noSuchFileOrDirectory {}
        guard let line = Self.intent(in: directory) else {
            guard bytes == nil else {
                return problem(
                    "\(StoreFormat.evicting)/\(unique)/\(EvictionShelf.fileName) is an artifact, and nothing beside it says which; it stays there"
                )
            }
            return try EvictionShelf.clear(shelf.moving, unique)
        }
        let real = try RealDirectory.open(line.directory, beneath: root)?.file(line.name)
        var mark: EvictionMark?
        do throws(Errno) {
            mark = try real.flatMap { file throws(Errno) in try EvictionMark(of: file) }
        } catch .noSuchFileOrDirectory {}
        if let bytes {
            let isIt = UInt64(bytes.st_ino) == line.inode
            // It is back, whole, by other bytes: these were to go before.
            if isIt, mark == nil, let real, (try? real.sha256()) == line.sha256 {
                return try drop(file, unique, shelf)
            }
            guard isIt, let mark, mark.inode == line.inode, mark.sha256 == line.sha256 else {
                return problem(
                    "\(StoreFormat.evicting)/\(unique)/\(EvictionShelf.fileName) has left \(line.path), which is another by now; it stays there"
                )
            }
            // A line that is there already says the same.
            try ledger.append([LedgerEntry(.evicted(line))])
            ledger.sync(always: true)
            return try drop(file, unique, shelf)
        } else if mark == nil {
            // Nothing was done: the artifact has its name, and needs no place.
            try? shelf.places.file(unique).unlink()
        }
        try EvictionShelf.clear(shelf.moving, unique)
    }

    private func drop(_ file: RealFile, _ unique: String, _ shelf: EvictionShelf) throws(Errno) {
        _ = try ImmutableFlag.remove(from: file)
        try file.unlink()
        try EvictionShelf.clear(shelf.moving, unique)
    }

    private static func intent(in directory: Directory) -> LedgerEvent.EvictedArtifact? {
        guard let file = try? directory.file(EvictionShelf.intentName).open(O_RDONLY | O_NONBLOCK) else { return nil }
        defer { SystemCall.close(file) }
        guard let bytes = try? SystemCall.bytes(file, at: 0, count: 65_536), let value = JSONValue(parsing: bytes)
        else { return nil }
        return LedgerEvent.EvictedArtifact(value)
    }
}
