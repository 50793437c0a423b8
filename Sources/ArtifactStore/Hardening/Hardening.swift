internal import ArtifactRecords
internal import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// Whether what is sealed becomes immutable for everybody (SEMANTICS 2.11), where it cannot, and what was not done.
public final class Hardening: Sendable {
    /// A part of the store in which sealed files do not become immutable.
    public struct SoftPlace: Sendable, Hashable {
        /// Where, relative to the store.
        public let place: String
        /// What the file system there is called.
        public let fileSystem: String
        /// Why, a part of a sentence.
        public let reason: String
    }

    /// How often it failed where it can be done, and why the last time.
    public struct SoftArtifacts: Sendable {
        /// So many sealed files and directories do not have the flag.
        public var count = 0
        /// The last one and why, for people.
        public var last: String?
    }

    /// Whether what is sealed is to become immutable.
    public let isAsked: Bool
    /// What was tried when the store was opened and refused.
    public let obstacles: [SoftPlace]
    /// Of how many parts they are.
    private let parts: Int
    /// Nil where it is done, by file system. A leaf.
    private let answers = Lock<[dev_t: Errno?]>([:])
    /// A leaf.
    private let failed = Lock(SoftArtifacts())

    /// Tries it in each of the store's parts.
    ///
    /// - Parameter parts: directories by their names, of which each may be on a file system of its own.
    init(isAsked: Bool, parts: [(place: String, directory: Directory)]) {
        self.isAsked = isAsked
        var found: [SoftPlace] = []
        if isAsked {
            for (place, directory) in parts {
                guard let error = Self.answer(in: directory, answers) else { continue }
                found.append(
                    SoftPlace(
                        place: place, fileSystem: FileSystemKind.name(of: directory.descriptor),
                        reason: Self.reason(error)))
            }
        }
        obstacles = found
        self.parts = parts.count
    }

    /// Whether it is done, where not, and why, as a sentence without its point; nil where nobody asked.
    public var words: String? {
        guard isAsked else { return nil }
        var groups: [(what: String, places: [String])] = []
        for obstacle in obstacles {
            let what = "\(obstacle.fileSystem): \(obstacle.reason)"
            if let index = groups.firstIndex(where: { $0.what == what }) {
                groups[index].places.append(obstacle.place)
            } else {
                groups.append((what, [obstacle.place]))
            }
        }
        let all = groups.map { "in \($0.places.joined(separator: " and ")), on \($0.what)" }
        if all.isEmpty { return "what is sealed becomes immutable" }
        return
            (obstacles.count == parts
            ? "what is sealed does NOT become immutable " : "what is sealed becomes immutable, but NOT ")
            + all.joined(separator: ", nor ")
    }

    /// What failed since the store was opened.
    public var failures: SoftArtifacts { failed.withLock { $0 } }

    /// Whether what is sealed in a directory becomes immutable.
    func isDone(in directory: RealDirectory) -> Bool {
        guard isAsked, let real = try? directory.nearestExisting() else { return false }
        return obstacle(in: real) == nil
    }

    /// Why this process cannot give and take the flag on a directory's file system; it was tried there.
    func obstacle(in directory: Directory) -> Errno? { Self.answer(in: directory, answers) }

    func note(_ error: Errno, _ file: String) {
        failed.withLock { failed in
            failed.count = failed.count.addingReportingOverflow(1).partialValue
            failed.last = "\(file): \(error)"
        }
    }

    private static func answer(in directory: Directory, _ answers: borrowing Lock<[dev_t: Errno?]>) -> Errno? {
        guard let device = try? SystemCall.attributes(directory.descriptor).st_dev else { return .ioError }
        if let known = answers.withLock({ $0[device] }) { return known }
        var found: Errno?
        do throws(Errno) { try attempt(in: directory) } catch { found = error }
        answers.withLock { $0[device] = .some(found) }
        return found
    }

    /// Gives the flag to a file that has no name, and takes it again.
    private static func attempt(in directory: Directory) throws(Errno) {
        let file: FileDescriptor
        do throws(Errno) {
            file = try SystemCall.open(directory.descriptor, ".", O_RDWR | SystemCall.unnamedFile, 0o600)
        } catch {
            guard ImmutableFlag.isUnknown(error) || error == .isDirectory else { throw error }
            let named = directory.file(".artifactfs-flag-\(getpid())-\(Clock.monotonic())")
            file = try named.open(O_RDWR | O_CREAT | O_EXCL, mode: 0o600)
            do throws(Errno) { try named.unlink() } catch {
                SystemCall.close(file)
                throw error
            }
        }
        defer { SystemCall.close(file) }
        try ImmutableFlag.set(true, on: file)
        defer { try? ImmutableFlag.set(false, on: file) }
        guard try ImmutableFlag.isSet(on: file) else { throw .notSupported }
    }

    static func reason(_ error: Errno) -> String {
        switch error {
        case _ where ImmutableFlag.isUnknown(error): "it knows no such flag (\(error))"
        case .notPermitted, .permissionDenied: "that takes root's right CAP_LINUX_IMMUTABLE (\(error))"
        default: "it was tried and failed (\(error))"
        }
    }
}
