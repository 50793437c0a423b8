import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// Where what was kept back is looked for: on a mount, as its user, or in a store's own directory, for who may.
struct KeptPlace {
    /// The mount; nil for a store's directory.
    let mount: MountEntry?
    /// The mount point, or the store's directory: both have `.artifactfs/quarantine`.
    let path: String
    /// What the argument names on the mount, from the mount point; empty for the mount itself.
    let rest: String

    /// What is said where nothing is known.
    static let unknownReason = "why is not known: its reason is missing or cannot be read"

    init(_ argument: String) throws {
        let full = try Paths.resolvedDirectory(of: argument)
        if let found = MountEntry.holding(full), found.isArtifacts {
            mount = found
            path = found.mountPoint
            rest = Paths.rest(of: full, in: found.mountPoint)
            // Whether it answers at all.
            _ = try MountStatus.of(found)
            return
        }
        guard let real = try Paths.resolved(full) else {
            throw Failure(.cannotAnswer, "\(full) is not there; name a mount, a path on one, or a store's directory")
        }
        guard (try? SystemCall.attributes(SystemCall.currentDirectory, real + "/.artifactfs"))?.isDirectory == true
        else {
            throw Failure(
                .notAStore,
                "\(real) is neither on a mount of artifactfs nor a store's directory; 'artifactfs status' lists the mounts"
            )
        }
        (mount, path, rest) = (nil, real, "")
    }

    /// The place as it is named in a command.
    var argument: String { Shell.quoted(path) }

    /// - Returns: nil for a store that never kept anything back.
    private func reader() throws -> QuarantineReader? {
        do throws(Errno) { return try QuarantineReader(ofStore: path) } catch {
            switch error {
            case .noSuchFileOrDirectory where mount == nil: return nil
            case .noSuchFileOrDirectory:
                throw Failure(
                    .cannotAnswer,
                    "the mount at \(path) does not show what was kept back: its driver is of another version; mount it anew"
                )
            case .permissionDenied:
                throw Failure(
                    .failed,
                    Failure.whoMay(lookInto: "\(path)/.artifactfs")
                        + "; or name a mount of the store, where every user sees their own"
                )
            default: throw Failure(.failed, "cannot look into the quarantine of \(path): \(error)")
            }
        }
    }

    /// All that this user may see, the oldest first.
    func entries() throws -> [QuarantineEntry] {
        guard let reader = try reader() else { return [] }
        do throws(Errno) { return try reader.entries() } catch {
            throw Failure(.failed, "cannot look into the quarantine of \(path): \(error)")
        }
    }

    /// Whether an entry is of what the argument names.
    func holds(_ entry: QuarantineEntry) -> Bool {
        rest.isEmpty || entry.path == rest || entry.path.hasPrefix(rest + "/")
            || entry.artifacts.contains { $0 == rest || $0.hasPrefix(rest + "/") }
            || StoreLayout.quarantineDirectory + "/" + entry.id == rest || StoreLayout.quarantineDirectory == rest
            || StoreLayout.privateDirectory == rest
    }

    /// The entry that is meant.
    ///
    /// - Parameter name: an id, its beginning, or a path; nil for what the argument names.
    func find(_ name: String?) throws -> QuarantineEntry {
        let entries = try entries()
        guard let name = name ?? (rest.isEmpty ? nil : rest) else {
            throw Failure(
                .cannotAnswer, "which of them? 'artifactfs recover list \(argument)' lists what was kept back")
        }
        // From the mount point, or from the directory on it that is the place.
        var key = relative(name)
        if !rest.isEmpty, name != rest, entries.contains(where: { $0.path == rest + "/" + key }) {
            key = rest + "/" + key
        }
        let id = key.split(separator: "/").last.map(String.init) ?? key
        if let entry = entries.first(where: { $0.id == id }) { return entry }
        // Names are bytes: two spellings that look the same are two.
        let same = entries.filter { $0.path.utf8.elementsEqual(key.utf8) }
        if let newest = same.max(by: { ($0.time, $0.id) < ($1.time, $1.id) }) {
            if same.count > 1 {
                Terminal.complain("\(key) was kept back \(same.count) times; this is the newest, \(newest.id)")
            }
            return newest
        }
        // One of them does not go without the others.
        if let entry = entries.last(where: { $0.has(key) }) {
            throw Failure(
                .cannotAnswer,
                "\(key) was kept back with the others of its run; name that: \(shortName(of: entry))")
        }
        let begun = key.contains("/") ? [] : entries.filter { $0.id.hasPrefix(key) }
        guard let entry = begun.first else {
            throw Failure(
                .cannotAnswer,
                "nothing that was kept back is called \(name); 'artifactfs recover list \(argument)' lists what there is"
            )
        }
        guard begun.count == 1 else {
            let names = begun.prefix(5).map(\.id).joined(separator: ", ")
            throw Failure(
                .cannotAnswer,
                "\(name) may be any of \(begun.count): \(names)\(begun.count > 5 ? ", ..." : ""); give more of the name"
            )
        }
        return entry
    }

    /// A path from the mount point, whichever way it was given.
    func relative(_ name: String) -> String {
        var name = name
        if name.utf8.starts(with: (path + "/").utf8) { name = Paths.rest(of: name, in: path) }
        while name.hasPrefix("./") { name.removeFirst(2) }
        while name.hasPrefix("/") { name.removeFirst() }
        return name
    }

    /// The path of an entry's bytes.
    func file(of entry: QuarantineEntry) -> String { path + "/" + StoreLayout.quarantineDirectory + "/" + entry.id }

    /// The beginning of an entry's name by which it is told from the others that this user sees.
    func shortName(of entry: QuarantineEntry) -> String {
        let ids = ((try? entries()) ?? [entry]).map(\.id)
        return zip(ids, Self.shortNames(of: ids)).first { $0.0 == entry.id }?.1 ?? entry.id
    }

    /// When it was kept back, for people: to the second.
    static func time(of entry: QuarantineEntry) -> String {
        entry.time.utf8.count >= 20 ? String(entry.time.prefix(19)) + "Z" : "a time that is not known"
    }

    /// How much an entry has; nil where it cannot be looked at.
    func extent(of entry: QuarantineEntry) -> (files: Int64, bytes: Int64)? {
        entry.isDirectory ? try? reader()?.extent(of: entry) : (1, entry.size)
    }

    /// The same for people.
    func size(of entry: QuarantineEntry) -> String {
        guard let extent = extent(of: entry) else { return "a directory" }
        let size = ShownText.bytes(extent.bytes)
        guard entry.isDirectory else { return size }
        return "\(size) in \(extent.files) \(extent.files == 1 ? "file" : "files")"
    }

    /// Opens an entry to read.
    func open(_ entry: QuarantineEntry) throws -> FileDescriptor {
        do throws(Errno) {
            guard let reader = try? reader() else { throw Errno.noSuchFileOrDirectory }
            return try reader.file(entry).open(O_RDONLY | O_NONBLOCK, seen: entry.identity)
        } catch {
            throw Failure(.failed, "cannot read \(file(of: entry)): \(error)")
        }
    }

    /// All that is known of an entry.
    func json(_ entry: QuarantineEntry) -> JSONValue {
        let fields: JSONObject = [
            "id": .string(entry.id), "path": .string(entry.path), "uid": .integer(Int64(entry.owner)),
            "user": UserName.known(entry.owner).map { .string($0) } ?? .null,
            "time": entry.time.isEmpty ? .null : .string(entry.time),
            "kind": .string(entry.isDirectory ? "directory" : "file"),
            "size": extent(of: entry).map { .integer($0.bytes) } ?? .null,
            "files": extent(of: entry).map { .integer($0.files) } ?? .null,
            "rule": entry.rule.map { .string($0.rawValue) } ?? .null,
            "reason": entry.reason.map { .string($0) } ?? .null, "needs_reason": .bool(entry.needsReason),
            "file": .string(file(of: entry)), "record": .object(entry.record.json),
        ]
        return .object(fields)
    }

    /// The beginnings of names by which each is told from the others; the time in them at least.
    static func shortNames(of ids: [String]) -> [String] {
        let times = ids.map { id in String(id.prefix { $0 != "-" }) }
        var counts: [String: Int] = [:]
        for time in times { counts[time, default: 0] += 1 }
        return zip(ids, times).map { id, time in
            counts[time] == 1 && !ids.contains { $0 != id && $0.hasPrefix(time) } ? time : id
        }
    }
}

/// Users, for people.
enum UserName {
    /// The name of a user; nil when none has the number.
    static func known(_ user: UInt32) -> String? {
        guard let entry = getpwuid(user), let name = entry.pointee.pw_name else { return nil }
        return String(cString: name)
    }

    static func of(_ user: UInt32) -> String { known(user) ?? "user \(user)" }
}

/// Words for a shell.
enum Shell {
    /// A word that a shell takes as it is.
    static func quoted(_ word: String) -> String { ShellWord.quoted(word) }
}
