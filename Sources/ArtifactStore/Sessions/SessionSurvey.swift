internal import ArtifactRecords
public import Artifacts
public import Glibc
internal import SystemCalls
public import SystemPackage

/// What is in a session's real directories.
public struct SessionSurvey: Sendable, Hashable {
    /// Why it cannot be removed by who looks.
    public enum Obstacle: Sendable, Hashable {
        /// A directory, relative to the store, is this user's, and who looks is neither that one nor root.
        case foreign(path: String, owner: UInt32)
        /// A directory cannot be looked into.
        case closed(path: String, Errno)
        /// More directories lie in each other here than are looked at.
        case tooDeep(path: String)
    }

    /// Plain files.
    public internal(set) var files: Int64 = 0
    /// Their sizes added up, each file once, in bytes.
    public internal(set) var bytes: Int64 = 0
    /// When something in it was changed last, in seconds since 1970.
    public internal(set) var changed: Int64 = 0
    /// Whose it is; nil when it is not there.
    public internal(set) var owner: UInt32?
    /// The first that was met.
    public internal(set) var obstacle: Obstacle?

    /// Files with several names that were met.
    private var linked: Set<[UInt64]> = []

    /// Nothing was looked at.
    init() {}

    /// What is in a file or directory that is none of a session.
    ///
    /// - Parameter path: by which errors name it.
    init(of file: RealFile, _ path: String) throws(Errno) {
        let found = try file.attributes()
        (owner, changed) = (found.st_uid, Int64(found.st_mtim.tv_sec))
        guard found.isDirectory else {
            (files, bytes) = (1, Int64(found.st_size))
            return
        }
        guard mayChange(found, path) else { return }
        let directory = try file.directory.directory(file.name)
        try add(directory.descriptor, path, depth: 0)
    }

    private static let user = geteuid()

    mutating func add(_ place: SessionPlace) {
        owner = owner ?? place.found.st_uid
        changed = max(changed, Int64(place.found.st_mtim.tv_sec))
        guard mayChange(place.found, place.path) else { return }
        do throws(Errno) {
            let directory = try place.parent.directory(place.name)
            try add(directory.descriptor, place.path, depth: 0)
        } catch { stop(.closed(path: place.path, error)) }
    }

    private mutating func add(_ directory: FileDescriptor, _ path: String, depth: Int) throws(Errno) {
        guard depth < DirectoryWalk.deepest else { return stop(.tooDeep(path: path)) }
        for name in try DirectoryTree.names(in: directory) {
            let found: stat
            do throws(Errno) {
                found = try SystemCall.attributes(directory, name.bytes)
            } catch .noSuchFileOrDirectory { continue }
            changed = max(changed, Int64(found.st_mtim.tv_sec))
            if found.isRegular {
                if found.st_nlink > 1 {
                    guard linked.insert([UInt64(found.st_dev), UInt64(found.st_ino)]).inserted else { continue }
                }
                files &+= 1
                bytes = bytes.addingReportingOverflow(Int64(found.st_size)).partialValue
            } else if found.isDirectory {
                let inside = path + "/" + name.text
                guard mayChange(found, inside) else { continue }
                let inner: FileDescriptor
                do throws(Errno) { inner = try DirectoryTree.open(name.bytes, in: directory) } catch {
                    stop(.closed(path: inside, error))
                    continue
                }
                defer { SystemCall.close(inner) }
                try add(inner, inside, depth: depth + 1)
            }
        }
    }

    private mutating func mayChange(_ directory: stat, _ path: String) -> Bool {
        if Self.user == 0 || directory.st_uid == Self.user { return true }
        stop(.foreign(path: path, owner: directory.st_uid))
        return false
    }

    private mutating func stop(_ met: Obstacle) { obstacle = obstacle ?? met }
}

extension Store {
    /// Looks through a session's directories in all layers, without following a link.
    public func survey(_ session: SessionName) throws(Errno) -> SessionSurvey {
        var survey = SessionSurvey()
        for place in try SessionPlace.all(of: session.description, beneath: root) { survey.add(place) }
        return survey
    }

    /// Whether a mount has a session, of whichever host, as far as the file system tells.
    public func isLive(_ session: SessionName) -> Bool {
        withExtendedLifetime(root) { SessionMarker.isHeld(session.description, in: root.descriptor) }
    }

    /// Whether a file is there with the bytes that it had.
    ///
    /// - Parameters:
    ///   - path: its real one, relative to the store.
    ///   - sha256: of the bytes; where that is not known, or a directory has the name, it is enough that it is there.
    ///   - time: when it had them, since when a file that was not changed is not read.
    public func holds(_ path: String, sha256: String?, at time: timespec?) throws(Errno) -> Bool {
        let parts = path.split(separator: "/")
        guard let name = parts.last,
            let directory = try RealDirectory.open(parts.dropLast().joined(separator: "/"), beneath: root)
        else { return false }
        let file = directory.file(String(name))
        let found: stat
        do throws(Errno) { found = try file.attributes() } catch {
            guard error != .noSuchFileOrDirectory, error != .notDirectory else { return false }
            throw error
        }
        // What is evicted is there as long as its name says so.
        if found.isSymbolicLink, let mark = try EvictionMark(of: file) { return sha256 == nil || mark.sha256 == sha256 }
        guard found.isRegular, let sha256 else { return found.isRegular || found.isDirectory }
        if let time, (found.st_mtim.tv_sec, found.st_mtim.tv_nsec) < (time.tv_sec, time.tv_nsec) { return true }
        let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        let now = try FileSource(descriptor).sha256()
        SystemCall.forgetContents(of: descriptor)
        return now == sha256
    }
}
