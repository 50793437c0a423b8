internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Looks whether the tracked files of a repository differ from its commit, for one user.
struct ChangeSearch {
    let walk: PathWalk
    let rights: UserRights
    /// The user's home directory, where git's own configuration is; nil when it is not known.
    let home: [UInt8]?
    let memory: ChangeMemory

    /// The largest file that is compared byte by byte, and the most of all together, in bytes.
    private static let largestFile: Int64 = 16 << 20
    private static let mostBytes: Int64 = 64 << 20
    /// How deep submodules are looked at in each other.
    private static let mostDepth = 4

    /// What is left to be looked at.
    private final class Budget {
        var bytes = ChangeSearch.mostBytes
        var files = GitIndex.mostEntries
    }

    /// - Returns: nil when it cannot be told.
    func isChanged(_ place: RepositoryPlace, _ identity: RepositoryIdentity) -> Bool? {
        switch search(place, identity, Budget(), depth: 0) {
        case .same: false
        case .differs: true
        case .unknown: nil
        }
    }

    private func search(
        _ place: RepositoryPlace, _ identity: RepositoryIdentity, _ budget: Budget, depth: Int
    ) -> TrackedFiles.Difference {
        guard let form = identity.form, let settings = identity.settings, hasOwnWorkingTree(place, settings),
            let known = try? memory.index(of: place, for: rights, form.objects, walk)
        else { return .unknown }
        budget.files -= known.index.entries.count
        guard budget.files >= 0 else { return .unknown }
        let staged = (try? stagedDifference(place, identity, known, form.objects)) ?? .unknown
        guard staged != .differs else { return .differs }
        let conversion = FileConversion(walk, place, settings, tracked: known.index.attributes, home: home)
        let files = TrackedFiles(
            walk: walk, top: place.top, index: known.index, written: known.written, format: form.objects,
            settings: settings, conversion: conversion,
            content: { name, directory, found throws(Errno) in
                try content(of: name, in: directory, found, form.objects, budget)
            },
            submodule: { held, found, commit in
                submodule(held, found, commit, place, settings, budget, depth: depth + 1)
            })
        let difference = files.difference()
        return difference == .same ? staged : difference
    }

    /// Whether the working tree is the one that the repository was found in.
    private func hasOwnWorkingTree(_ place: RepositoryPlace, _ settings: RepositorySettings) -> Bool {
        guard !place.isBare else { return false }
        // What is shared says nothing of a further working tree, but for what such a tree says itself.
        if place.own !== place.common, !settings.isOfWorkingTree { return true }
        guard !settings.mayBeBare else { return false }
        guard let path = settings.workingTree else { return true }
        guard let target = try? walk.follow(path, from: place.own), let top = try? place.top.attributes() else {
            return false
        }
        return target.attributes.number == top.number
    }

    /// Whether the index differs from what is checked out.
    private func stagedDifference(
        _ place: RepositoryPlace, _ identity: RepositoryIdentity, _ known: ChangeMemory.Index, _ format: ObjectFormat
    ) throws(Errno) -> TrackedFiles.Difference {
        guard let head = identity.head else { return .unknown }
        guard let tree = known.tree else { return .differs }
        guard let commit = head.commit else { return try tree == ObjectID(of: "tree", [], format) ? .same : .differs }
        guard let committed = try memory.tree(of: commit, in: place, for: rights, format, walk) else { return .unknown }
        return tree == committed ? .same : .differs
    }

    // MARK: - Files

    private func content(
        of name: ArraySlice<UInt8>, in directory: HeldFile, _ found: stat, _ format: ObjectFormat, _ budget: Budget
    ) throws(Errno) -> FileContent? {
        guard Int64(found.st_size) <= Self.largestFile else { return nil }
        let stamp = FileStamp(found)
        let key = ContentHashes.ContentKey(rights: rights, file: stamp, format: format)
        // Who may read a file cannot change without its time of change.
        if let known = memory.content(key) { return known }
        return try walk.open(name, in: directory)?.reading { open, attributes throws(Errno) -> FileContent? in
            // Another file has the name by now: what was found of this one does not hold.
            guard stamp == FileStamp(attributes) else { return nil }
            budget.bytes -= stamp.size
            guard budget.bytes >= 0 else { return nil }
            // Before it is read: what changes meanwhile has another time.
            let isFresh = stamp.isFresh
            let bytes = try SystemCall.bytes(open, at: 0, count: Int(stamp.size) + 1)
            guard bytes.count == stamp.size else { return nil }
            let content = FileContent(
                plain: try ObjectID(of: "blob", bytes, format),
                unixLines: try Self.unixLines(bytes).map { lines throws(Errno) in
                    try ObjectID(of: "blob", lines, format)
                })
            if !isFresh { memory.remember(content, key) }
            return content
        }
    }

    /// With each CR LF as LF; nil when there is none.
    private static func unixLines(_ bytes: [UInt8]) -> [UInt8]? {
        guard bytes.contains(0x0D) else { return nil }
        var lines: [UInt8] = []
        lines.reserveCapacity(bytes.count)
        for index in bytes.indices {
            if bytes[index] == 0x0D, index + 1 < bytes.count, bytes[index + 1] == 0x0A { continue }
            lines.append(bytes[index])
        }
        return lines.count == bytes.count ? nil : lines
    }

    // MARK: - Submodules

    private func submodule(
        _ directory: HeldFile, _ found: stat, _ commit: ObjectID, _ outer: RepositoryPlace,
        _ settings: RepositorySettings,
        _ budget: Budget,
        depth: Int
    ) -> TrackedFiles.Difference {
        guard depth <= Self.mostDepth else { return .unknown }
        let place: RepositoryPlace?
        do throws(Errno) { place = try RepositoryPlace.place(at: directory, found, walk, rights) } catch {
            return .unknown
        }
        // One that is not checked out.
        guard let place, !place.isBare else { return .same }
        var reader = RepositoryReader(place, walk)
        let identity = RepositoryIdentity.read(by: &reader)
        guard let head = identity.head else { return .unknown }
        guard let own = head.commit else { return .same }
        var difference = TrackedFiles.Difference.differs
        if own == commit { difference = search(place, identity, budget, depth: depth) }
        // git may be told not to look at it, or not at its files.
        return difference == .differs && mayBeIgnored(in: outer, settings) ? .unknown : difference
    }

    private func mayBeIgnored(in place: RepositoryPlace, _ settings: RepositorySettings) -> Bool {
        if settings.ignoresSubmodules { return true }
        do throws(Errno) {
            guard try place.top.attributes(of: ".gitmodules".utf8) != nil else { return false }
            let bytes = try walk.follow(".gitmodules".utf8, from: place.top).file.contents(limit: GitConfig.limit).bytes
            return GitConfig(bytes)?.ignoresSubmodules ?? true
        } catch {
            return true
        }
    }
}
