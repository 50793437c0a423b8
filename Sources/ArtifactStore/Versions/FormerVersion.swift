public import ArtifactRecords
internal import Artifacts
internal import Glibc
public import SystemCalls
public import SystemPackage

/// A version of an artifact that has left its name: what is known of it from itself and from the description beside it.
public struct FormerVersion: Sendable {
    /// From 1, in the order in which they were sealed.
    public let number: Int64
    /// Which file or directory it is.
    public let identity: FileIdentity
    /// When it left its name (RFC 3339); empty where that is not known.
    public let time: String
    /// How and why it left, and who did it; nil where the description cannot be read.
    public let left: UnsealedArtifact?
    /// What is known of it; nil where the description cannot be read.
    public let record: ArtifactRecord?
    /// That it was removed to make room; nil while it is there.
    public let removed: VersionRemoval?

    /// Its name where versions are.
    public var name: String { String(number) }
}

/// The former versions of one name, for who looks at them: `.artifactfs/versions/<real path>/`.
public struct VersionReader: Sendable {
    let directory: Directory

    /// The longest description that is read, in bytes.
    private static let longestDescription = 64 << 20

    init(_ directory: Directory) { self.directory = directory }

    /// The versions of an artifact of a store that nobody needs to have open.
    ///
    /// - Parameters:
    ///   - store: the store's path.
    ///   - real: the artifact's real path, from the store.
    /// - Returns: nil when it has none.
    /// - Throws: `EACCES` for who is neither the store's owner nor root.
    public init?(ofStore store: String, real: String) throws(Errno) {
        let root = Directory(owning: try SystemCall.open(SystemCall.currentDirectory, store, O_RDONLY | O_DIRECTORY))
        guard let found = try VersionShelf.open(beneath: root)?.directory(of: real) else { return nil }
        directory = found
    }

    /// Where they are; for people.
    public var path: String {
        (try? SystemCall.path(of: directory.descriptor)).map { String(decoding: $0, as: UTF8.self) } ?? ""
    }

    /// Which name a file is a former version of, by its path.
    ///
    /// - Returns: the real path of the name, from the store; nil of what is none.
    public static func place(of file: String, inStore store: String) -> (real: String, number: Int64)? {
        let shelf = "\(store)/\(StoreLayout.privateDirectory)/\(StoreFormat.versionsDirectory)/"
        guard file.utf8.starts(with: shelf.utf8) else { return nil }
        let parts = file.utf8.dropFirst(shelf.utf8.count).split(separator: UInt8(ascii: "/")).compactMap { String($0) }
        guard parts.count == 2, let number = VersionShelf.number(parts[1]) else { return nil }
        return (EscapedName.decode(parts[0]), number)
    }

    /// Where a former version is, from the store.
    ///
    /// - Parameter real: the real path of the name that it had.
    public static func path(of real: String, number: Int64) -> String {
        "\(StoreLayout.privateDirectory)/\(StoreFormat.versionsDirectory)/\(EscapedName.unique(real))/\(number)"
    }

    /// All, the oldest first; those too that were removed to make room.
    public func all() throws(Errno) -> [FormerVersion] {
        var found: [FormerVersion] = []
        let names = try directory.entries().map(\.name)
        let numbers = Set(names.compactMap { VersionShelf.number($0) ?? VersionShelf.removedNumber($0) })
        for number in numbers.sorted() {
            do throws(Errno) { found.append(try version(number)) } catch {
                guard error == .noSuchFileOrDirectory else { throw error }
            }
        }
        return found
    }

    /// The numbers of those that are there.
    public func numbers() throws(Errno) -> [Int64] {
        try directory.entries().compactMap { VersionShelf.number($0.name) }.sorted()
    }

    /// The numbers of those that were removed to make room.
    public func removedNumbers() throws(Errno) -> [Int64] {
        let names = Set(try directory.entries().map(\.name))
        return names.compactMap { VersionShelf.removedNumber($0) }.filter { !names.contains(String($0)) }.sorted()
    }

    /// One of them.
    ///
    /// - Throws: `ENOENT` when there is none of that number.
    public func version(_ number: Int64) throws(Errno) -> FormerVersion {
        let (found, isRemoved) = try witness(of: number)
        let text = try? bytes(
            of: isRemoved ? removedFile(number) : directory.file(VersionShelf.descriptionName(number)))
        let value = text.flatMap { JSONValue(parsing: $0) }
        return FormerVersion(
            number: number, identity: found.identity, time: value?["time"]?.string ?? "",
            left: value.flatMap { UnsealedArtifact($0) }, record: value?["record"]?.object.map { ArtifactRecord($0) },
            removed: isRemoved ? VersionRemoval(value?["removed"]) : nil)
    }

    /// What has the rights of a version: itself, or what is left of one that was removed to make room.
    ///
    /// - Throws: `ENOENT` when there is none of that number.
    public func witness(of number: Int64) throws(Errno) -> (found: FoundFile, isRemoved: Bool) {
        do throws(Errno) { return (try file(number).look(), false) } catch .noSuchFileOrDirectory {
            return (try removedFile(number).look(), true)
        }
    }

    /// What is left of one that was removed to make room.
    public func removedFile(_ number: Int64) -> RealFile { directory.file(VersionShelf.removedName(number)) }

    /// Its file or directory.
    public func file(_ number: Int64) -> RealFile { directory.file(String(number)) }

    /// Whether there is something that says what it is.
    public func isDescribed(_ number: Int64) -> Bool { directory.file(VersionShelf.descriptionName(number)).exists }

    /// The bytes that say what it is, how and why it left its name, and that it was removed where it was.
    public func description(of number: Int64) throws(Errno) -> [UInt8] {
        let isRemoved = try witness(of: number).isRemoved
        return try bytes(of: isRemoved ? removedFile(number) : directory.file(VersionShelf.descriptionName(number)))
    }

    private func bytes(of file: RealFile) throws(Errno) -> [UInt8] {
        let descriptor = try file.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        return try SystemCall.bytes(descriptor, at: 0, count: Self.longestDescription)
    }
}

/// Where former versions are: `.artifactfs/versions`, a directory for each name that ever had one.
struct VersionShelf {
    let directory: Directory

    /// What is added to a version's name for its description.
    private static let descriptionSuffix = ".json"
    /// What is added to it for what is left of one that was removed to make room.
    private static let removedSuffix = ".removed"

    /// - Parameter root: the store.
    /// - Returns: nil of a store that has none.
    static func open(beneath root: Directory) throws(Errno) -> VersionShelf? {
        do throws(Errno) {
            return VersionShelf(
                directory: try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.versionsDirectory))
        } catch .noSuchFileOrDirectory { return nil }
    }

    /// - Parameter real: a real path, from the store.
    /// - Returns: nil when nothing ever left that name.
    func directory(of real: String) throws(Errno) -> Directory? {
        do throws(Errno) { return try directory.directory(EscapedName.unique(real)) } catch .noSuchFileOrDirectory {
            return nil
        }
    }

    /// The same, made when it is missing.
    func directory(for real: String) throws(Errno) -> Directory {
        try directory.directory(EscapedName.unique(real), orMakeWith: 0o700)
    }

    /// The number of the version that is sealed next under a name: one more than the last that left it; nil where none ever did.
    static func next(of real: String, beneath root: Directory) -> Int64? {
        guard let shelf = try? open(beneath: root), let found = try? shelf.directory(of: real),
            let last = try? last(in: found)
        else { return nil }
        return last.addingReportingOverflow(1).partialValue
    }

    /// The greatest number of a version that is there, or was before it was removed to make room; nil where there is none.
    static func last(in directory: Directory) throws(Errno) -> Int64? {
        try directory.entries().compactMap { number($0.name) ?? removedNumber($0.name) }.max()
    }

    /// The number of a version of which this is what is left; nil of any other name.
    static func removedNumber(_ name: String) -> Int64? {
        name.hasSuffix(removedSuffix) ? number(String(name.dropLast(removedSuffix.count))) : nil
    }

    static func removedName(_ number: Int64) -> String { String(number) + removedSuffix }

    /// A version's number by its name; nil of what is none.
    static func number(_ name: String) -> Int64? {
        guard let number = Int64(name), number > 0, String(number) == name else { return nil }
        return number
    }

    static func descriptionName(_ number: Int64) -> String { String(number) + descriptionSuffix }
}

extension Store {
    /// The former versions of what is, or was, under a real name; nil when there are none.
    ///
    /// - Parameters:
    ///   - name: a real name.
    ///   - directory: its directory, relative to the store.
    public func formerVersions(of name: String, in directory: String) throws(Errno) -> VersionReader? {
        try VersionShelf.open(beneath: root)?.directory(of: directory + "/" + name).map { VersionReader($0) }
    }
}

extension Store {
    /// The artifacts of production that a run published and that have their names still, by their paths on the mount. The ledgers are read whole.
    public func artifacts(ofRun run: String) throws(Errno) -> [String] {
        let ledgers = try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.ledger)
        var needle = Array("\"id\":".utf8)
        JSONValue.write(run, to: &needle)
        var found: [String: SealIntent] = [:]
        try withExtendedLifetime(ledgers) { () throws(Errno) in
            try LedgerReader(directory: ledgers.descriptor).forEachLine { bytes in
                guard LedgerReader.contains(bytes, needle), let line = LedgerLine(parsing: bytes),
                    case .sealed(let intent, _) = line.event, let record = line.record, record.run?.id == run,
                    let path = record.artifact.path
                else { return }
                found[path] = intent
            }
        }
        // What has the name may be another's by now.
        var paths: [String] = []
        for (path, intent) in found.sorted(by: { $0.key < $1.key }) {
            guard let real = try directory(intent.directory).current(),
                let attributes = try? real.file(intent.name).attributes()
            else { continue }
            if UInt64(attributes.st_ino) == intent.inode {
                paths.append(path)
                continue
            }
            // On another file system it was copied.
            let line = try line(
                of: real.file(intent.name), in: intent.directory, attributes,
                place: try? real.file(intent.name).extendedAttribute(Self.placeAttribute))
            if let record = line?.record, record.artifact.sha256 == intent.sha256, record.run?.id == run {
                paths.append(path)
            }
        }
        return paths
    }
}
