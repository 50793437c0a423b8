internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Reads files of one repository, and takes down which they were: as long as they are the same, so is what was found.
struct RepositoryReader {
    let place: RepositoryPlace
    let walk: PathWalk

    /// A file that was read, or that was not there.
    struct Read: Sendable {
        let part: RepositoryPlace.Part
        let name: [UInt8]
        /// Nil when it was not there.
        let stamp: FileStamp?
    }

    /// What was read so far.
    private(set) var read: [Read] = []
    /// Whether what was found may be remembered: not when a link led elsewhere, or a file was changed just now.
    var mayBeKept = true

    init(_ place: RepositoryPlace, _ walk: PathWalk) {
        self.place = place
        self.walk = walk
    }

    /// What a name is, itself when it is a symbolic link.
    ///
    /// - Returns: nil when there is no such file.
    mutating func look(_ part: RepositoryPlace.Part, _ name: [UInt8]) throws(Errno) -> stat? {
        let found = try place.directory(part).attributes(of: name)
        let stamp = found.map { FileStamp($0) }
        if stamp?.isFresh == true { mayBeKept = false }
        read.append(Read(part: part, name: name, stamp: stamp))
        return found
    }

    /// Runs with a file held; nil when there is none, or a directory.
    mutating func withFile<Result>(
        _ part: RepositoryPlace.Part, _ name: [UInt8], _ body: (HeldFile) throws(Errno) -> Result
    ) throws(Errno) -> Result? {
        guard let found = try look(part, name), !found.isDirectory else { return nil }
        let target = try walk.follow(name, from: place.directory(part))
        if target.followedLink { mayBeKept = false }
        return try body(target.file)
    }

    /// What is in a file; nil when there is none, or a directory.
    mutating func contents(
        _ part: RepositoryPlace.Part, _ name: [UInt8], limit: Int
    ) throws(Errno) -> [UInt8]? {
        try withFile(part, name) { file throws(Errno) in try file.contents(limit: limit).bytes }
    }

    /// Whether all files are what they were.
    static func areUnchanged(_ read: [Read], in place: RepositoryPlace) throws(Errno) -> Bool {
        for file in read {
            let found = try place.directory(file.part).attributes(of: file.name)
            guard found.map({ FileStamp($0) }) == file.stamp else { return false }
        }
        return true
    }
}
