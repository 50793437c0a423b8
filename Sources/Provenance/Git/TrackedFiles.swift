internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Compares the files of a working tree with an index, as `git status` does, and says nothing where that cannot be told.
struct TrackedFiles {
    let walk: PathWalk
    let top: HeldFile
    let index: GitIndex
    /// When the index was written, in seconds: what was changed in the same second may have been changed after git looked.
    let written: Int64
    let format: ObjectFormat
    let settings: RepositorySettings
    let conversion: FileConversion
    /// What is in a file of a directory; nil when it is not to be read, or too much.
    let content: (ArraySlice<UInt8>, HeldFile, stat) throws(Errno) -> FileContent?
    /// Whether what is checked out in a submodule differs from a commit.
    let submodule: (HeldFile, stat, ObjectID) -> Difference

    enum Difference { case same, differs, unknown }

    /// A directory on the way, as long as names in it come.
    private struct Level {
        /// Its path with a slash at the end.
        let path: ArraySlice<UInt8>
        /// Nil when there is no such directory.
        let held: HeldFile?
    }

    /// Whether a tracked file differs from the index.
    func difference() -> Difference {
        var levels: [Level] = []
        var isKnown = true
        for number in index.entries.indices {
            do throws(Errno) {
                switch try difference(of: number, &levels) {
                case .same: continue
                case .unknown: isKnown = false
                case .differs: return .differs
                }
            } catch {
                isKnown = false
            }
        }
        return isKnown ? .same : .unknown
    }

    private func difference(of number: Int, _ levels: inout [Level]) throws(Errno) -> Difference {
        let entry = index.entries[number]
        if entry.stage != 0 || entry.isIntended { return .differs }
        var name = index.name(number)
        if entry.mode == .directory { name.removeLast() }
        let start = name.lastIndex(of: UInt8(ascii: "/")).map { $0 + 1 } ?? name.startIndex
        let directory = try directory(name[..<start], &levels)
        guard let found = try directory?.attributes(of: name[start...]), let directory else {
            if entry.skipsWorkingTree { return .same }
            return entry.isAssumedUnchanged ? .unknown : .differs
        }
        // What is there of a directory that should not be is not known.
        if entry.mode == .directory { return .unknown }
        let difference = try difference(of: number, entry, name[start...], found, in: directory)
        // git was told not to look.
        if difference == .differs, entry.skipsWorkingTree || entry.isAssumedUnchanged { return .unknown }
        return difference
    }

    /// The directory that a path with a slash at its end leads to, through no symbolic link; nil when there is none.
    private func directory(_ path: ArraySlice<UInt8>, _ levels: inout [Level]) throws(Errno) -> HeldFile? {
        while let last = levels.last, !path.starts(with: last.path) { levels.removeLast() }
        var start = path.startIndex + (levels.last?.path.count ?? 0)
        while let slash = path[start...].firstIndex(of: UInt8(ascii: "/")) {
            let above = levels.isEmpty ? top : levels.last?.held
            var held: HeldFile?
            if let above {
                let next = try walk.open(path[start..<slash], in: above)
                if let next, try walk.known(next).isDirectory { held = next }
            }
            levels.append(Level(path: path[...slash], held: held))
            start = slash + 1
        }
        return levels.isEmpty ? top : levels.last?.held
    }

    private func difference(
        of number: Int, _ entry: GitIndex.Entry, _ name: ArraySlice<UInt8>, _ found: stat, in directory: HeldFile
    ) throws(Errno) -> Difference {
        switch entry.mode {
        case .directory: return .unknown
        case .commit:
            guard found.isDirectory else { return .differs }
            guard let held = try walk.open(name, in: directory) else { return .unknown }
            return submodule(held, found, ObjectID(bytes: Array(index.id(number))))
        case .symbolicLink:
            if !found.isSymbolicLink {
                return found.isRegular && settings.hasSymbolicLinks == false ? .unknown : .differs
            }
            if isAsIndexed(entry, found) { return .same }
            if entry.size != 0, entry.size != UInt32(truncatingIfNeeded: found.st_size) { return .differs }
            guard let held = try walk.open(name, in: directory) else { return .unknown }
            let target = try withExtendedLifetime(held) { () throws(Errno) in
                try SystemCall.linkTarget(held.descriptor)
            }
            return try ObjectID(of: "blob", target, format).bytes.elementsEqual(index.id(number)) ? .same : .differs
        case .file, .program:
            guard found.isRegular else { return .differs }
            return try fileDifference(of: number, entry, name, found, in: directory)
        }
    }

    private func fileDifference(
        of number: Int, _ entry: GitIndex.Entry, _ name: ArraySlice<UInt8>, _ found: stat, in directory: HeldFile
    ) throws(Errno) -> Difference {
        var isModeKnown = true
        if (found.st_mode & 0o100 != 0) != (entry.mode == .program) {
            switch settings.hasFileModes {
            case true: return .differs
            case false: break
            default: isModeKnown = false
            }
        }
        if isAsIndexed(entry, found) { return isModeKnown ? .same : .unknown }
        // Zero is also what git writes when it does not trust its own look.
        if entry.size != 0, entry.size != UInt32(truncatingIfNeeded: found.st_size) { return .differs }
        guard let content = try content(name, directory, found) else { return .unknown }
        let id = index.id(number)
        if content.plain.bytes.elementsEqual(id) { return isModeKnown ? .same : .unknown }
        // The same to git where line ends are converted, which can be set in many places.
        if let lines = content.unixLines, lines.bytes.elementsEqual(id) { return .unknown }
        return conversion.mayConcern(index.name(number)) ? .unknown : .differs
    }

    /// Whether a file is what it was when git looked last, by what stat(2) shows; not when that was in the second in which the index was written.
    private func isAsIndexed(_ entry: GitIndex.Entry, _ found: stat) -> Bool {
        func same(_ time: timespec, _ other: (seconds: UInt32, nanoseconds: UInt32)) -> Bool {
            UInt32(truncatingIfNeeded: time.tv_sec) == other.seconds
                && UInt32(truncatingIfNeeded: time.tv_nsec) == other.nanoseconds
        }
        return same(found.st_mtim, entry.modified) && same(found.st_ctim, entry.changed)
            && UInt32(truncatingIfNeeded: found.st_ino) == entry.inode
            && UInt32(truncatingIfNeeded: found.st_size) == entry.size
            && Int64(found.st_mtim.tv_sec) < written && Int64(found.st_ctim.tv_sec) < written
    }
}
