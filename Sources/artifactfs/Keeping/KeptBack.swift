import ArtifactRecords
import ArtifactStore
import Glibc
import SystemCalls
import SystemPackage

/// What a store has in quarantine, and what one mount left unpublished. Read from the store's own directory, which only its owner and root
/// may, or from a mount, where users see their own.
struct KeptBack {
    /// A file whose bytes were not published.
    struct File {
        /// On the mount.
        let path: String
        let reason: String
        /// In `.artifactfs/quarantine`.
        let name: String
    }

    /// The store's directory, or the mount point.
    let store: String
    /// All of the store.
    let files: Int
    let bytes: Int64
    /// Whether there are more bytes: of large directories not all is looked at.
    let isMore: Bool
    /// Of the mount that was asked for, in order of time.
    var ofMount: [File] = []
    /// How many it left in staging, for the next mount to look through.
    var staged = 0
    /// Of the same mount, the artifacts that nothing was written to.
    var empty: [File] = []
    /// How many it left there that are whole.
    var finished = 0

    var directory: String { store + "/.artifactfs/quarantine" }

    /// Which mount: its process as it knows itself, and when it began.
    struct MountID {
        let process: Int64
        let began: Int64

        init?(_ status: MountStatus) {
            guard let process = status.integer("pid"), let up = status.integer("uptime_seconds") else { return nil }
            self.process = process
            began = Int64(Clock.now().tv_sec) &- up
        }

        /// Whether a mount's name in staging and ledger is this mount's: `20260215T143022.123Z-<host>-<pid>-<n>` (DiskFormat).
        func isName(_ name: String) -> Bool {
            let parts = name.split(separator: "-")
            guard parts.count >= 4, parts[parts.count - 2] == String(process) else { return false }
            return (-5...5).contains { name.hasPrefix(Self.second(began &+ $0) ?? "?") }
        }

        /// Where names that begin with a time begin to be this mount's.
        var earliest: String { Self.second(began &- 5) ?? "" }

        private static func second(_ seconds: Int64) -> String? {
            var (seconds, broken) = (time_t(seconds), tm())
            guard gmtime_r(&seconds, &broken) != nil else { return nil }
            var text = [CChar](repeating: 0, count: 32)
            let count = strftime(&text, text.count, "%Y%m%dT%H%M%S", &broken)
            return String(decoding: text[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
        }
    }

    /// Looks into a store.
    ///
    /// - Returns: nil when the store cannot be looked into.
    static func read(_ store: String, of mount: MountID? = nil) -> KeptBack? {
        let found = Patience.find { Array((look(store, mount)?.description ?? "").utf8) }
        guard let found, let value = JSONValue(parsing: found), let files = value["files"]?.integer else { return nil }
        var result = KeptBack(
            store: store, files: Int(clamping: files), bytes: value["bytes"]?.integer ?? 0,
            isMore: value["is_more"] == .bool(true))
        result.staged = Int(clamping: value["staged"]?.integer ?? 0)
        result.finished = Int(clamping: value["finished"]?.integer ?? 0)
        result.ofMount = Self.files(value["of_mount"])
        result.empty = Self.files(value["empty"])
        return result
    }

    private static func files(_ value: JSONValue?) -> [File] {
        guard case .array(let all)? = value else { return [] }
        return all.map {
            File(
                path: $0["path"]?.string ?? "?", reason: $0["reason"]?.string ?? "?", name: $0["name"]?.string ?? "?")
        }
    }

    /// How much of a ledger's end is read, in bytes: a mount that has just ended is there.
    private static let ledgerEnd: Int64 = 4 << 20

    /// The artifacts of a mount that nothing was written to, from the ledgers' ends.
    private static func empty(in ledgers: String, of mount: MountID) -> [JSONValue] {
        let needle = "\"event\":\"removed-empty\""
        return Paths.names(ledgers).filter { LedgerFiles.understand($0) != nil }.sorted().flatMap { name in
            (Paths.end(of: ledgers + "/" + name, limit: Int(ledgerEnd)) ?? []).split(separator: UInt8(ascii: "\n"))
                .compactMap { line -> JSONValue? in
                    guard String(decoding: line.prefix(400), as: UTF8.self).contains(needle),
                        let value = JSONValue(parsing: Array(line)), mount.isName(value["mount"]?.string ?? "")
                    else { return nil }
                    let program = value["command"]?.string.map { " (\($0))" } ?? ""
                    let fields: JSONObject = [
                        "path": .string(value["path"]?.string ?? "?"), "name": .string(""),
                        "reason": .string((value["detail"]?.string ?? "nothing was written to it") + program),
                    ]
                    return .object(fields)
                }
        }
    }

    private static func look(_ store: String, _ mount: MountID?) -> JSONValue? {
        let own = store + "/.artifactfs/"
        guard (try? SystemCall.checkAccess(atPath: own + "quarantine", R_OK | X_OK)) != nil else { return nil }
        let suffix = ".reason.json"
        var (files, bytes) = (Int64(0), Int64(0))
        var (left, isMore) = (mostNames, false)
        var ofMount: [JSONValue] = []
        for name in Paths.names(own + "quarantine").sorted() where !name.hasSuffix(suffix) {
            guard let info = try? SystemCall.attributes(SystemCall.currentDirectory, own + "quarantine/" + name)
            else { continue }
            files += 1
            var size = Int64(info.st_size)
            if info.isDirectory {
                let extent = Self.extent(own + "quarantine/" + name, most: left)
                size = extent?.bytes ?? 0
                left -= Int(clamping: extent?.files ?? 0)
                if extent?.isWhole != true { isMore = true }
            }
            bytes = bytes.addingReportingOverflow(size).partialValue
            guard let mount, name >= mount.earliest,
                let text = Paths.contents(own + "quarantine/" + name + suffix, limit: 1 << 20),
                let reason = JSONValue(parsing: text), mount.isName(reason["mount"]?.string ?? "")
            else { continue }
            let fields: JSONObject = [
                "path": .string(reason["record"]?.object.flatMap { ArtifactRecord($0).artifact.path } ?? "?"),
                "name": .string(name),
                "reason": .string(reason["reason"]?.string ?? "?"),
            ]
            ofMount.append(.object(fields))
        }
        var (staged, finished) = (Int64(0), Int64(0))
        if let mount {
            for name in Paths.names(own + "staging") where mount.isName(name) {
                let names = Paths.names(own + "staging/" + name)
                staged += Int64(names.count { $0.hasPrefix("a-") })
                finished += Int64(names.count { $0.hasPrefix("f-") })
            }
        }
        let fields: JSONObject = [
            "files": .integer(files), "bytes": .integer(bytes), "is_more": .bool(isMore), "of_mount": .array(ofMount),
            "staged": .integer(staged), "finished": .integer(finished),
            "empty": .array(mount.map { empty(in: own + "ledger", of: $0) } ?? []),
        ]
        return .object(fields)
    }

    /// How many names in directories are looked at, so that an answer comes soon.
    private static let mostNames = 20_000

    /// How much is in a directory; nil where that may not be looked at.
    private static func extent(_ path: String, most: Int) -> DirectoryTree.Extent? {
        guard
            let directory = try? SystemCall.open(
                SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        else { return nil }
        defer { SystemCall.close(directory) }
        return try? DirectoryTree.extent(of: directory, most: most)
    }
}
