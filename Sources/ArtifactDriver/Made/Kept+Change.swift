internal import ArtifactRecords
internal import ArtifactStore
internal import Artifacts
internal import FuseKernel
internal import Glibc
internal import Provenance
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Why files of quarantine are to be published all the same, as their users said it (`user.artifact.despite`). Kept for as long as the
/// mount lives and the file is there.
final class DespiteReasons: Sendable {
    private struct Key: Hashable {
        let name: String
        let identity: FileIdentity
    }

    /// So many at most; who says more than that is told that there is no room.
    private static let most = 10_000
    private let reasons = Lock<[Key: [UInt8]]>([:])

    subscript(name: String, identity: FileIdentity) -> [UInt8]? {
        reasons.withLock { $0[Key(name: name, identity: identity)] }
    }

    /// - Parameter flags: `XATTR_CREATE` (1), `XATTR_REPLACE` (2) or 0.
    func set(_ value: [UInt8], for name: String, _ identity: FileIdentity, flags: Int32) throws(Errno) {
        try reasons.withLock { reasons throws(Errno) in
            let key = Key(name: name, identity: identity)
            if flags & 1 != 0, reasons[key] != nil { throw Errno.fileExists }
            if flags & 2 != 0, reasons[key] == nil { throw Errno.noData }
            guard reasons[key] != nil || reasons.count < Self.most else { throw Errno.noSpace }
            reasons[key] = value
        }
    }

    @discardableResult
    func remove(_ name: String, _ identity: FileIdentity) -> Bool {
        reasons.withLock { $0.removeValue(forKey: Key(name: name, identity: identity)) != nil }
    }
}

/// What leaves quarantine by the mount: by a rename into production it is published, by one into a session or test it goes there, and by
/// `unlink`, or `rmdir` of a directory, it is discarded. The driver acts for who asks; the kernel has asked for the permissions, and so does this.
extension Volume {
    func unlinkKept(_ name: EntryName, _ caller: Caller) throws(Errno) {
        let name = try text(name)
        let entry = try changeable(name, .operation(.unlink), caller)
        try store.discard(entry, by: agent(caller))
        despite.remove(entry.id, entry.identity)
    }

    /// A directory goes with all that is in it: what `rm -r` would leave when it is ended half way could be taken for a whole.
    func removeKeptDirectory(_ name: EntryName, _ caller: Caller) throws(Errno) {
        let name = try text(name)
        let entry = try changeable(name, .removeDirectory, caller)
        guard entry.isDirectory else {
            try refuseKept(.removeDirectory, StoreLayout.quarantineDirectory + "/" + name, caller)
        }
        // All that is in it is removed.
        if caller.isMovable { throw Errno.takesLong }
        try store.discard(entry, by: agent(caller))
        despite.remove(entry.id, entry.identity)
    }

    /// What may leave; a reason goes with its file.
    private func changeable(_ name: String, _ action: Action, _ caller: Caller) throws(Errno) -> QuarantineEntry {
        do throws(Errno) { return try keptFile(name, caller) } catch .noSuchFileOrDirectory {
            guard let id = QuarantineReader.id(ofReason: name) else { throw Errno.noSuchFileOrDirectory }
            _ = try keptFile(id, caller)
            try refuseHidden(action, StoreLayout.quarantineDirectory + "/" + name, caller)
        }
    }

    func agent(_ caller: Caller) -> Agent {
        Agent(user: caller.user, process: caller.process, program: processes.program(ofThread: caller.process))
    }

    func renameKept(
        _ name: EntryName, to newName: EntryName, in target: TreeDirectory, _ flags: RenameFlags, _ caller: Caller
    ) throws(Errno) {
        let (name, newName) = (try text(name), try text(newName))
        let entry = try changeable(name, .operation(.renameFrom), caller)
        let path = StoreLayout.quarantineDirectory + "/" + name
        guard flags.isSubset(of: [.noReplace]) else {
            try refuseKept(.operation(.exchange), isDirectory: entry.isDirectory, path, caller)
        }
        let to = target.path(of: newName)
        if try subdirectory(newName, of: target) != nil { throw Errno.isDirectory }
        if let made = madeEntry(newName, in: target) { try refuseMade(.operation(.renameOnto), made, to, caller) }
        let standing = standing(of: target.scope)
        let kind: Creation = entry.isDirectory ? .directory : .file
        var named = classify(newName, in: target, as: kind)
        // A temporary name would lead to another one by which nothing is asked.
        if named == .transient { named = .invalid(.notInSchema) }
        try enforce(
            OverwritePolicy.judge(kind, named: named, in: target.place, standing: standing), kind.rawValue, to, caller,
            detail: hint(target))
        guard case .artifact(let realName) = named else { throw Errno.invalidArgument }
        try refuseReplacing(newName, in: target, caller)
        try rights.checkCreation(in: target.real.nearestExisting(), for: caller)
        if target.isProduction {
            try publish(entry, path, newName, in: target, caller)
            counters.sealed.add(1, ordering: .relaxed)
        } else {
            try store.takeOut(
                entry, to: RealFile(directory: try ensure(target), name: realName), path: to, by: agent(caller))
        }
        despite.remove(entry.id, entry.identity)
        if entry.isDirectory, let scope = target.scope {
            // What is in it, and known, is there from now on.
            _ = artifactDirectories.directory(entry.identity, .published(scope))
        }
    }

    /// Nothing is replaced by what was kept back, in a session neither.
    private func refuseReplacing(
        _ name: String, in target: TreeDirectory, _ caller: Caller
    ) throws(Errno) {
        guard let state = try stateOfAnything(name, in: target) else { return }
        try enforce(
            OverwritePolicy.judge(.renameOnto, on: state), Operation.renameOnto.rawValue, target.path(of: name), caller)
        throw Errno.fileExists
    }

    private func publish(
        _ entry: QuarantineEntry, _ path: String, _ newName: String, in target: TreeDirectory, _ caller: Caller
    ) throws(Errno) {
        guard case .typed(_, let layer, let type) = target.location,
            let destination = Promotion.Destination(newName, of: type, in: layer, isDirectory: entry.isDirectory)
        else { throw Errno.invalidArgument }
        let reason = despite[entry.id, entry.identity].map { String(decoding: $0, as: UTF8.self) }
        try enforce(
            KeptBytes.judgePublishing(keptBy: entry.rule, despite: reason), Operation.renameFrom.rawValue, path, caller,
            detail: entry.reason)
        // It is read whole, and brought to disk.
        if caller.isMovable { throw Errno.takesLong }
        do throws(PromotionObstacle) {
            try store.publish(entry, as: destination, despite: reason, by: caller.user)
        } catch {
            switch error {
            case .refused(let refused, let detail):
                try enforce(
                    .refused(refused.refusal), refused.operation,
                    refused.question == .source ? path : target.path(of: newName), caller, detail: detail)
                throw refused.refusal.errno
            case .stillOpen: throw Errno.resourceBusy
            case .system(let errno): throw errno
            }
        }
    }

    // MARK: - Extended attributes

    func attribute(_ name: EntryName, of kept: KeptFile, _ caller: Caller) throws(Errno) -> [UInt8] {
        try withPath(of: kept, for: caller) { path throws(Errno) in
            guard name.string == ArtifactAttribute.despite else { return try attribute(name, of: path, for: caller) }
            guard let value = despite[kept.name, kept.identity] else { throw Errno.noData }
            return value
        }
    }

    func attributeNames(of kept: KeptFile) throws(Errno) -> [UInt8] {
        let names = try withPath(of: kept, for: nil) { path throws(Errno) in
            try SystemCall.withPath(of: path) { path throws(Errno) in
                try SystemCall.extendedAttributeNames(ofPath: path)
            }
        }
        return despite[kept.name, kept.identity] == nil ? names : names + Array(ArtifactAttribute.despite.utf8) + [0]
    }

    /// The one attribute that can be set: why it is to be published all the same.
    ///
    /// - Parameter value: nil removes it.
    func setAttribute(
        _ name: EntryName, of kept: KeptFile, to value: [UInt8]?, flags: Int32, _ caller: Caller
    ) throws(Errno) {
        guard kept.isInQuarantine, name.string == ArtifactAttribute.despite else {
            try refuseKept(.operation(.setExtendedAttribute), kept, caller)
        }
        try withPath(of: kept, for: caller) { _ throws(Errno) in
            guard let value else {
                if !despite.remove(kept.name, kept.identity) { throw Errno.noData }
                return
            }
            guard value.count <= KeptBytes.longestReason else { throw Errno(rawValue: E2BIG) }
            guard let text = String(validating: value, as: UTF8.self), KeptBytes.isReason(text) else {
                throw Errno.invalidArgument
            }
            try despite.set(value, for: kept.name, kept.identity, flags: flags)
        }
    }
}
