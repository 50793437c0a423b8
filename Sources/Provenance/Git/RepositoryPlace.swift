internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Where a repository is, held open: found as git finds it (git(1), discovery), without its environment variables.
///
/// `safe.directory` is not asked: git refuses other users' repositories because it runs what they say, and nothing is run here. But whoever may only
/// make names in a directory of somebody else's, such as `/tmp`, does not tell by a `.git` there what the others' code is.
struct RepositoryPlace {
    /// The root of the working tree; of a bare repository, the repository.
    let top: HeldFile
    /// What the working tree has of its own: `.git`, or where a `.git` file leads.
    let own: HeldFile
    /// What all working trees share (`commondir`).
    let common: HeldFile
    /// Whether it was found without a `.git`.
    let isBare: Bool

    private static let mostLevels = 256
    private static let name = Array(".git".utf8)
    /// The most that is read of a `.git` file or `commondir`.
    private static let limit = 8192

    /// The parts of a repository that files are in.
    enum Part: Sendable, Hashable { case own, common }

    func directory(_ part: Part) -> HeldFile { part == .own ? own : common }

    /// Looks in a directory and in those above it.
    ///
    /// - Returns: nil when there is no repository.
    /// - Throws: when there is something that cannot be read, or is none: no guess is made then.
    static func find(
        from directory: HeldFile, by walk: PathWalk, for rights: UserRights
    ) throws(Errno) -> RepositoryPlace? {
        var at = directory
        var attributes = try walk.known(at)
        for _ in 0..<mostLevels {
            if let place = try place(at: at, attributes, walk, rights) { return place }
            guard let (above, found) = try walk.parent(of: at, attributes) else { return nil }
            (at, attributes) = (above, found)
        }
        return nil
    }

    /// The repository whose working tree begins at a directory.
    ///
    /// - Returns: nil when none does.
    static func place(
        at directory: HeldFile, _ attributes: stat, _ walk: PathWalk, _ rights: UserRights
    ) throws(Errno) -> RepositoryPlace? {
        if let entry = try directory.attributes(of: name) {
            try checkOwner(entry, in: directory, rights)
            if let place = try dotGit(in: directory, entry, walk) { return place }
        }
        guard let head = try directory.attributes(of: "HEAD".utf8),
            let common = try commonDirectory(of: directory, walk)
        else { return nil }
        try checkOwner(head, in: directory, rights)
        return RepositoryPlace(top: directory, own: directory, common: common, isBare: true)
    }

    private static func dotGit(
        in directory: HeldFile, _ entry: stat, _ walk: PathWalk
    ) throws(Errno) -> RepositoryPlace? {
        var own: HeldFile
        var found = entry
        do throws(Errno) {
            let target = try walk.follow(name, from: directory)
            (own, found) = (target.file, target.attributes)
        } catch .noSuchFileOrDirectory where entry.isSymbolicLink {
            return nil
        }
        guard found.isRegular else {
            guard found.isDirectory, let common = try commonDirectory(of: own, walk) else { return nil }
            return RepositoryPlace(top: directory, own: own, common: common, isBare: false)
        }
        let line = Self.line(try own.contents(limit: limit).bytes)
        guard line.starts(with: "gitdir: ".utf8) else { throw .invalidArgument }
        let target = try walk.follow(line.dropFirst(8), from: directory)
        own = target.file
        guard target.attributes.isDirectory, let common = try commonDirectory(of: own, walk) else {
            throw .invalidArgument
        }
        return RepositoryPlace(top: directory, own: own, common: common, isBare: false)
    }

    /// What a directory shares with others, when it is a repository's: it has a `HEAD`, and there are `objects` and `refs`.
    private static func commonDirectory(of own: HeldFile, _ walk: PathWalk) throws(Errno) -> HeldFile? {
        guard try own.attributes(of: "HEAD".utf8) != nil else { return nil }
        var common = own
        if try own.attributes(of: "commondir".utf8) != nil {
            let file = try walk.follow("commondir".utf8, from: own).file
            let target = try walk.follow(line(try file.contents(limit: limit).bytes), from: own)
            guard target.attributes.isDirectory else { throw .notDirectory }
            common = target.file
        }
        guard try common.attributes(of: "objects".utf8) != nil, try common.attributes(of: "refs".utf8) != nil else {
            return nil
        }
        return common
    }

    private static func line(_ bytes: [UInt8]) -> ArraySlice<UInt8> {
        var line = bytes[...]
        while line.last == 0x0A || line.last == 0x0D { line.removeLast() }
        return line
    }

    private static func checkOwner(_ entry: stat, in directory: HeldFile, _ rights: UserRights) throws(Errno) {
        if entry.st_uid == rights.user || entry.st_uid == 0 { return }
        guard entry.st_uid == (try directory.attributes()).st_uid else { throw .notPermitted }
    }
}
