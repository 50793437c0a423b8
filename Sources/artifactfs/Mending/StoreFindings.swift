import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls
import SystemPackage

/// Something in a store that is not as it should be.
struct StoreFinding {
    enum Trouble: String, CaseIterable {
        case stray, unrecorded, gone, lostVersion = "lost-version", writable, resized, left, brokenLink = "broken-link"
        case lostPlace = "lost-place"

        var one: String {
            switch self {
            case .stray: "1 file has a name that no type of the schema claims, and is shown on no mount"
            case .unrecorded: "1 artifact has no record"
            case .gone: "1 artifact was sealed, and its file is not there any more"
            case .lostVersion: "1 former version has no file any more, and nothing here has removed it"
            case .writable: "1 sealed artifact can be written to"
            case .resized: "1 artifact is not as large as it was sealed"
            case .left:
                "1 driver has left what was being written: it was killed, or there were temporary files when it ended"
            case .brokenLink: "1 link in a session leads nowhere"
            case .lostPlace: "1 evicted artifact has lost its place in .artifactfs, with its attributes"
            }
        }

        var several: String {
            switch self {
            case .stray: "files have names that no type of the schema claims, and are shown on no mount"
            case .unrecorded: "artifacts have no record"
            case .gone: "artifacts were sealed, and their files are not there any more"
            case .lostVersion: "former versions have no files any more, and nothing here has removed them"
            case .writable: "sealed artifacts can be written to"
            case .resized: "artifacts are not as large as they were sealed"
            case .left:
                "drivers have left what was being written: they were killed, or there were temporary files when they ended"
            case .brokenLink: "links in sessions lead nowhere"
            case .lostPlace: "evicted artifacts have lost their places in .artifactfs, with their attributes"
            }
        }
    }

    let trouble: Trouble
    let path: String
    /// What mends it: a command, or what to do.
    let remedy: String

    var json: JSONObject {
        ["trouble": .string(trouble.rawValue), "path": .string(path), "remedy": .string(remedy)]
    }
}

/// All that is found in a store.
struct StoreFindings {
    private(set) var all: [StoreFinding] = []
    private let path: String

    init(_ path: String) throws {
        self.path = path
        let store = try ShownArtifact.openStore(path)
        let files: [ExistingFile]
        do throws(Errno) { files = try store.existing() } catch {
            throw Failure(.failed, "cannot look into \(path): \(error)")
        }
        let lines = Strays(files, store.schema).suggestions
        for file in files {
            if case .stray = file.meaning {
                let line =
                    lines.count == 1
                    ? lines[0] : "a line for schema.yaml: artifactfs adopt --dry-run \(Shell.quoted(path))"
                add(.stray, file.path, line)
            }
        }
        let absent = AbsentArtifacts(of: path)
        lookAtRecords(files, try Self.sealed(path), absent)
        try lookAtVersions(store.schema, absent)
        for name in (try? store.endedMounts()) ?? [] {
            add(
                .left, "\(StoreLayout.privateDirectory)/staging/\(name)",
                "mount the store, which settles it, temporary files once they are old: artifactfs mount \(Shell.quoted(path)) MOUNTPOINT"
            )
        }
        for layer in Layer.allCases {
            let sessions = "\(path)/\(layer.directoryName)/\(StoreLayout.sessionsDirectory)"
            for name in Paths.names(sessions).sorted() where SessionName(name) != nil {
                lookAtLinks(sessions + "/" + name, 0)
            }
        }
    }

    private mutating func add(_ trouble: StoreFinding.Trouble, _ path: String, _ remedy: String) {
        all.append(StoreFinding(trouble: trouble, path: path, remedy: remedy))
    }

    /// What has a record, by its path on the mount, with its size and SHA-256.
    private static func sealed(_ path: String) throws -> [String: (size: Int64?, sha256: String)] {
        guard hasLedgers(path) else { return [:] }
        var known: [String: (size: Int64?, sha256: String)] = [:]
        let sealed = Query.Value.text(ArtifactRecord.State.sealed.rawValue)
        try StorePlace(mount: nil, store: path).asking { catalog in
            try catalog.find(
                .field(Field(.state), .compare(.equal, sealed)), .artifacts,
                columns: [Field(.path), Field(.size), Field(.sha256)]
            ) { row in
                let size: Int64? = if case .integer(let size) = row[1] { size } else { nil }
                known[row[0].text] = (size, row[2].text)
                return true
            }
        }
        return known
    }

    private mutating func lookAtRecords(
        _ files: [ExistingFile], _ sealed: [String: (size: Int64?, sha256: String)], _ absent: AbsentArtifacts
    ) {
        var seen: Set<String> = []
        for file in files {
            guard let shown = file.shownPath else { continue }
            seen.insert(shown)
            guard let (size, _) = sealed[shown] else {
                add(.unrecorded, file.path, "artifactfs adopt \(Shell.quoted(path))")
                continue
            }
            guard file.attributes.isRegular else { continue }
            if file.evictedTo != nil, !isThere(EvictionMark.place(ofReal: file.path)) {
                add(
                    .lostPlace, file.path,
                    "artifactfs mirror recall --store \(Shell.quoted(path)) \(Shell.quoted(shown))")
            }
            if file.attributes.permissions & 0o222 != 0 {
                add(.writable, file.path, "chmod a-w \(Shell.quoted(path + "/" + file.path))")
            }
            if let size, size != Int64(file.attributes.st_size) {
                add(.resized, file.path, "artifactfs history --store \(Shell.quoted(path)) \(Shell.quoted(shown))")
            }
        }
        for (shown, one) in sealed.sorted(by: { $0.key < $1.key }) where !seen.contains(shown) {
            if absent.has(shown, sha256: one.sha256) { continue }
            add(.gone, shown, "artifactfs history --store \(Shell.quoted(path)) \(Shell.quoted(shown))")
        }
    }

    /// Former versions whose files are gone, around the store.
    private mutating func lookAtVersions(_ schema: ArtifactSchema, _ absent: AbsentArtifacts) throws {
        guard Self.hasLedgers(path) else { return }
        let former = Query.field(Field(.state), .oneOf(Unsealing.allCases.map { .text($0.rawValue) }))
        var missing: [(path: String, number: Int64)] = []
        try StorePlace(mount: nil, store: path).asking { catalog in
            missing = []
            try catalog.find(
                former, .artifacts,
                columns: [Field(.path), Field(.version), Field(.removed), Field(.sha256)]
            ) { row in
                guard case .integer(let number) = row[1], row[2] == .unknown,
                    !absent.has("\(row[0].text)@\(number)", sha256: row[3].text)
                else { return true }
                let real = VersionReader.path(of: schema.realPath(ofShown: row[0].text), number: number)
                if (try? SystemCall.attributes(SystemCall.currentDirectory, path + "/" + real)) == nil {
                    missing.append((row[0].text, number))
                }
                return true
            }
        }
        for (shown, number) in missing.sorted(by: { $0 < $1 }) {
            let real = VersionReader.path(of: schema.realPath(ofShown: shown), number: number)
            add(.lostVersion, "\(shown)@\(number)", "bring it back from a backup to \(Shell.quoted(path + "/" + real))")
        }
    }

    private func isThere(_ place: String) -> Bool {
        (try? SystemCall.attributes(SystemCall.currentDirectory, path + "/" + place)) != nil
    }

    private static func hasLedgers(_ path: String) -> Bool {
        Paths.names(path + "/" + StoreLayout.privateDirectory + "/ledger").contains { $0.hasSuffix(".jsonl") }
    }

    private mutating func lookAtLinks(_ directory: String, _ depth: Int) {
        guard depth < 32 else { return }
        for name in Paths.names(directory).sorted() {
            let full = directory + "/" + name
            guard let found = try? SystemCall.attributes(SystemCall.currentDirectory, full) else { continue }
            if found.isDirectory { lookAtLinks(full, depth + 1) }
            // What leads out of the session is not followed, and not shown.
            guard found.isSymbolicLink, let target = Paths.link(full), !target.contains("/"),
                (try? SystemCall.attributes(SystemCall.currentDirectory, directory + "/" + target)) == nil
            else { continue }
            add(.brokenLink, String(full.dropFirst(path.count + 1)), "rm \(Shell.quoted(full))")
        }
    }
}
