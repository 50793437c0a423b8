internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What was kept back and is published all or none (SEMANTICS 3.1), as what is promoted together is: single artifacts, and all that a run has left that
/// is all or nothing.
extension Store {
    /// Finds what of quarantine is to be published together. What refuses one of them, as far as its name and its reason tell, is noted.
    ///
    /// - Parameters:
    ///   - despite: why one is to be published although it may be cut (``KeptBytes``); nil where nobody has said it.
    ///   - user: who asks, and has been found to be one who may.
    public func keptSet(
        _ entries: [QuarantineEntry], by user: UInt32, despite: (QuarantineEntry) -> String?
    ) -> PromotionSet {
        var set = PromotionSet()
        for entry in entries {
            let reason = despite(entry)
            let refusal = KeptBytes.judgePublishing(keptBy: entry.rule, despite: reason).refusal
            let shown = StoreLayout.quarantineDirectory + "/" + entry.id
            do throws(Errno) {
                for (path, file) in try files(of: entry) {
                    let from = entry.isRun ? shown + "/" + path : shown
                    let kept = PromotionSet.KeptMember(entry: entry, record: record(path, of: entry, reason, user))
                    var member = try member(from, path, file, kept)
                    if let refusal { member.fault = PromotionFault(refusal, entry.reason) }
                    set.members.append(member)
                }
            } catch { set.members.append(.init(missing: shown, PromotionFault(.system(error), "\(error)"))) }
        }
        return set
    }

    /// The artifacts of an entry: their paths on the mount, and where they are.
    private func files(of entry: QuarantineEntry) throws(Errno) -> [(path: String, file: RealFile)] {
        let top = try quarantine().file(entry)
        guard entry.isRun else { return [(entry.path, top)] }
        var paths: [String] = []
        let directory = try top.open(O_RDONLY | O_DIRECTORY, seen: entry.identity)
        defer { SystemCall.close(directory) }
        do throws(PublishFailure) {
            try DirectoryWalk.visit(directory) { item in
                // What is no text is none of a type's names.
                if !item.isDirectory { paths.append(String(decoding: item.path, as: UTF8.self)) }
            }
        } catch {
            if case .system(_, let errno) = error { throw errno }
            throw .invalidArgument
        }
        var files: [(path: String, file: RealFile)] = []
        for path in paths {
            let parts = path.split(separator: "/").map(String.init)
            let parent = try RealDirectory.open(
                ([StoreLayout.quarantineDirectory, entry.id] + parts.dropLast()).joined(separator: "/"), beneath: root)
            guard let parent, let name = parts.last else { throw .noSuchFileOrDirectory }
            files.append((path, parent.file(name)))
        }
        return files
    }

    private func member(
        _ from: String, _ path: String, _ file: RealFile, _ kept: PromotionSet.KeptMember
    ) throws(Errno) -> PromotionSet.Promotee {
        let found = try file.look()
        guard
            let destination = Promotion.Destination(
                path: path, in: schema, isDirectory: found.attributes.isDirectory)
        else { return .init(missing: from, PromotionFault(.nameless, "\(path) is no artifact of production")) }
        var member = PromotionSet.Promotee(
            from: from, size: found.attributes.isDirectory ? 0 : Int64(found.attributes.st_size), found: found,
            promotion: Promotion(of: file, seen: found.identity, from: from, to: destination, in: self),
            staysThere: false, fault: nil)
        member.kept = kept
        return member
    }

    private func record(
        _ path: String, of entry: QuarantineEntry, _ despite: String?, _ user: UInt32
    ) -> ArtifactRecord {
        guard entry.isRun else { return record(of: entry, despite, by: user) }
        var record = entry.record(ofArtifact: path) ?? ArtifactRecord(path: path)
        record.run = record.run ?? entry.record.run
        return self.record(record, of: entry, despite, by: user)
    }

    /// Keeps everybody else from publishing or removing entries, as long as the holds live.
    ///
    /// - Parameter set: notes what cannot be had.
    func hold(_ set: inout PromotionSet) -> [StoreHold] {
        var held: [StoreHold] = []
        var seen: Set<String> = []
        for index in set.members.indices {
            guard let entry = set.members[index].kept?.entry, seen.insert(entry.id).inserted, let writable else {
                continue
            }
            do throws(Errno) { held.append(try hold(entry, writable).hold) } catch {
                set.refuse(index, PromotionFault(.system(error), "somebody else is at it: \(error)"))
            }
        }
        return held
    }

    /// What was published is not in quarantine any more: its reason goes, and of a run the empty directories.
    func forget(_ entries: [QuarantineEntry]) {
        guard let writable else { return }
        for entry in entries { Self.forget(entry.id, in: writable.quarantine) }
        if durability == .synced { try? SystemCall.sync(writable.quarantine.descriptor) }
    }

    static func forget(_ id: String, in quarantine: Directory) {
        let file = quarantine.file(id)
        if let found = try? file.attributes(), found.isDirectory, isEmpty(file) { try? DirectoryTree.remove(file) }
        guard !file.exists else { return }
        try? quarantine.file(QuarantineReader.reasonName(of: id)).unlink()
    }

    /// Whether there is nothing but directories in a directory.
    private static func isEmpty(_ directory: RealFile) -> Bool {
        guard let descriptor = try? directory.open(O_RDONLY | O_DIRECTORY | O_NONBLOCK) else { return false }
        defer { SystemCall.close(descriptor) }
        var isEmpty = true
        do throws(PublishFailure) {
            try DirectoryWalk.visit(descriptor) { item in if !item.isDirectory { isEmpty = false } }
        } catch { return false }
        return isEmpty
    }
}

extension PromotionSet {
    /// Where one of them was kept back.
    struct KeptMember: Sendable {
        let entry: QuarantineEntry
        /// What is known of it.
        let record: ArtifactRecord
    }

    /// The entries of quarantine that these are of.
    var keptEntries: [QuarantineEntry] {
        var seen: Set<String> = []
        return members.compactMap(\.kept?.entry).filter { seen.insert($0.id).inserted }
    }
}
