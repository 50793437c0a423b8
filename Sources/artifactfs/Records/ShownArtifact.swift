import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// An artifact, or any other file, that somebody asks about.
struct ShownArtifact {
    /// The mount that it is on; nil in a store's directory.
    let mount: MountEntry?
    /// The store's directory; nil where the mount does not say.
    let store: String?
    /// Its path on the mount, from the mount point. What is in a directory that is an artifact is that artifact.
    let path: String
    /// Where it is.
    let full: String
    /// In which directory of the tree.
    let location: TreeLocation
    /// Whether something in it was named, and not itself.
    var isPart = false

    /// - Parameter store: the store's directory, when the path is one on its mount, from the mount point, or one in the store.
    static func find(_ argument: String, store: String?) throws -> ShownArtifact {
        if let store {
            guard let real = try Paths.resolved(try Paths.absolute(store)) else {
                throw Failure(.notAStore, "\(store) is not there")
            }
            return try find(argument, inStore: real)
        }
        // Links are followed: `latest`, `development/current`.
        let named = try Paths.resolvedDirectory(of: argument)
        let full = try Paths.resolved(named) ?? named
        if let mount = MountEntry.holding(full), mount.isArtifacts {
            let status = try MountStatus.of(mount)
            let schema = try Self.schema(mount.mountPoint + "/" + StoreLayout.privateDirectory + "/schema.yaml")
            let rest = Paths.rest(of: full, in: mount.mountPoint)
            let (path, location) = whole(rest, schema)
            return ShownArtifact(
                mount: mount, store: status.string("store"), path: path, full: mount.mountPoint + "/" + path,
                location: location, isPart: path != rest)
        }
        guard let found = Self.store(holding: full) else {
            throw Failure(
                .cannotAnswer,
                "\(full) is neither on a mount of artifactfs nor in a store; 'artifactfs status' lists the mounts")
        }
        return try find(full, inStore: found)
    }

    /// Several. On a mount its driver is asked once for all of their links.
    static func find(_ arguments: [String], store: String?) throws -> [ShownArtifact] {
        guard arguments.count > 8, store == nil, let first = arguments.first,
            let mount = try find(first, store: nil).mount
        else { return try arguments.map { try find($0, store: store) } }
        let status = try MountStatus.of(mount)
        let schema = try Self.schema(mount.mountPoint + "/" + StoreLayout.privateDirectory + "/schema.yaml")
        let paths = try arguments.map { try Paths.absolute($0) }
        let answer = Patience.find(within: 60_000, on: mount) { () -> [UInt8] in
            Array(paths.map(Self.real).joined(separator: [0]))
        }
        guard let answer else { throw mount.silence }
        let found = answer.split(separator: 0, omittingEmptySubsequences: false)
        return try zip(arguments, found).map { argument, bytes in
            let full = try Paths.text(Array(bytes))
            guard full.utf8.starts(with: (mount.mountPoint + "/").utf8) else { return try find(argument, store: nil) }
            let rest = Paths.rest(of: full, in: mount.mountPoint)
            let (path, location) = whole(rest, schema)
            return ShownArtifact(
                mount: mount, store: status.string("store"), path: path, full: mount.mountPoint + "/" + path,
                location: location, isPart: path != rest)
        }
    }

    /// A path with its links resolved; what is not there has its directory's resolved.
    private static func real(_ path: String) -> [UInt8] {
        func resolved(_ path: String) -> [UInt8]? {
            guard let real = realpath(path, nil) else { return nil }
            defer { free(real) }
            return UnsafeBufferPointer(start: real, count: strlen(real)).map { UInt8(bitPattern: $0) }
        }
        if let all = resolved(path) { return all }
        guard let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")), slash > path.utf8.startIndex,
            let parent = resolved(String(path[..<slash]))
        else { return Array(path.utf8) }
        return parent + Array(path[slash...].utf8)
    }

    private static func find(_ argument: String, inStore store: String) throws -> ShownArtifact {
        let schema = try openStore(store).schema
        var rest = argument
        if rest.utf8.starts(with: (store + "/").utf8) { rest = Paths.rest(of: rest, in: store) }
        while rest.hasPrefix("./") { rest.removeFirst(2) }
        while rest.hasPrefix("/") { rest.removeFirst() }
        let isReal = Layer.allCases.contains { rest.utf8.starts(with: ($0.directoryName + "/").utf8) }
        let shown = isReal ? schema.shownPath(ofReal: rest) : rest
        guard let shown else {
            throw Failure(.cannotAnswer, "\(store)/\(rest) is no artifact: no type of the schema has this name")
        }
        let (path, directory) = whole(shown, schema)
        return ShownArtifact(
            mount: nil, store: store, path: path, full: store + "/" + schema.realPath(ofShown: path),
            location: directory, isPart: path != shown)
    }

    /// The artifact that a path is, or is in.
    private static func whole(_ path: String, _ schema: ArtifactSchema) -> (path: String, location: TreeLocation) {
        let (location, rest) = schema.locate(path)
        guard case .typed = location, rest.count > 1 else { return (path, location) }
        let parts = path.utf8.split(separator: UInt8(ascii: "/")).compactMap { String($0) }
        return (parts.dropLast(rest.count - 1).joined(separator: "/"), location)
    }

    static func schema(_ file: String) throws -> ArtifactSchema {
        guard let text = Paths.contents(file),
            let schema = try? SchemaFile.parse(String(decoding: text, as: UTF8.self), file: file)
        else { throw Failure(.cannotAnswer, "\(file) cannot be read") }
        return schema
    }

    /// The store that a real path is in.
    private static func store(holding path: String) -> String? {
        var directory = path
        while let slash = directory.utf8.lastIndex(of: UInt8(ascii: "/")), slash > directory.utf8.startIndex {
            directory = String(directory[..<slash])
            let own = directory + "/" + StoreLayout.privateDirectory
            if (try? SystemCall.attributes(SystemCall.currentDirectory, own))?.isDirectory == true { return directory }
        }
        return nil
    }

    static func openStore(_ path: String) throws -> Store {
        do throws(StoreError) { return try Store(at: path, readOnly: true, durability: .synced) } catch {
            if case .unreadableSchema = error { throw closed(path) }
            throw Failure(error)
        }
    }

    static func closed(_ store: String) -> Failure {
        Failure(.cannotAnswer, Failure.whoMay(lookInto: "\(store)/\(StoreLayout.privateDirectory)"))
    }

    /// All that the ledgers say of it.
    func history() throws -> PathHistory {
        guard let store else {
            throw Failure(.cannotAnswer, "the mount at \(mount?.mountPoint ?? "?") does not say where its store is")
        }
        let found = try Self.openStore(store)
        do throws(Errno) { return try found.history(of: path) } catch {
            switch error {
            case .permissionDenied: throw Self.closed(store)
            case .noSuchFileOrDirectory: throw Failure(.failed, "nothing is known of \(path): \(store) has no ledger")
            default: throw Failure(.failed, "cannot read the ledger of \(store): \(error)")
            }
        }
    }

    /// What is there now; nil when nothing is.
    func found() throws -> stat? {
        let answer = Patience.find(on: mount) { () -> [UInt8] in
            do throws(Errno) {
                var found = try SystemCall.attributes(SystemCall.currentDirectory, full)
                return withUnsafeBytes(of: &found) { Array($0) }
            } catch { return [UInt8(truncatingIfNeeded: error.rawValue)] }
        }
        guard let answer else { throw MountEntry.silence(on: full) }
        guard answer.count == MemoryLayout<stat>.size else {
            guard Int32(answer.first ?? 0) == EACCES else { return nil }
            throw Failure(.cannotAnswer, "\(full) is not this user's to look at")
        }
        var found = stat()
        withUnsafeMutableBytes(of: &found) { $0.copyBytes(from: answer) }
        return found
    }

    /// The record that the mount shows; nil where none is shown to this user.
    func shownRecord() throws -> ArtifactRecord? {
        guard let mount, let slash = full.utf8.lastIndex(of: UInt8(ascii: "/")) else { return nil }
        let name = full[full.utf8.index(after: slash)...] + StoreLayout.recordSuffix
        let file = "\(full[..<slash])/\(StoreLayout.recordsDirectory)/\(name)"
        guard let text = Patience.find(on: mount, { Paths.contents(file, limit: 64 << 20) ?? [] }) else {
            throw mount.silence
        }
        return JSONValue(parsing: text)?.object.map { ArtifactRecord($0) }
    }

    /// What of it this user has in quarantine, the newest; nil where no mount shows any.
    func keptBack() throws -> QuarantineEntry? {
        guard mount != nil else { return nil }
        return try KeptPlace(full).entries().last { $0.has(path) }
    }

    /// What the driver says of its state; nil where no driver is asked, and of what has none.
    func state() throws -> String? {
        guard let mount else { return nil }
        let answer = Patience.find(on: mount) {
            (try? SystemCall.extendedAttribute(ArtifactAttribute.state, ofPath: full)) ?? []
        }
        guard let answer else { throw mount.silence }
        return answer.isEmpty ? nil : String(decoding: answer, as: UTF8.self)
    }

    /// The mirror that has its bytes; nil where they are here, and where no driver is asked.
    func evictedTo() throws -> String? {
        guard let mount else { return nil }
        let answer = Patience.find(on: mount) {
            (try? SystemCall.extendedAttribute(ArtifactAttribute.evicted, ofPath: full)) ?? []
        }
        guard let answer else { throw mount.silence }
        return answer.isEmpty ? nil : String(decoding: answer, as: UTF8.self)
    }

    /// Whether it is in production, where records are.
    var isInProduction: Bool { location.hasRecords }
}
