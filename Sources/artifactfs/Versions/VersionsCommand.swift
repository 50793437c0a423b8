import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs versions`
struct VersionsCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "versions",
        abstract: "List the versions of an artifact: what it is, and was.",
        discussion: """
            Lists what has the name and what had it before it was superseded or retracted, the newest first, with why and by \
            whom. Former versions are files that everybody reads who could read the artifact: on a mount in .meta/NAME.versions/ \
            beside it, which is found when named. Of one that 'artifactfs gc' has removed it says so, and of one whose file is not there \
            that it is MISSING, as far as this user may read the ledgers.

            EXAMPLE:
              cd /mnt/art/production/base/analysis_sequences
              artifactfs versions chr1.tsv
              diff .meta/chr1.tsv.versions/1 chr1.tsv

            EXIT STATUS: 0 there is one, 1 there is none, or one is missing, 2 it cannot be looked up, 3 not a store, 8 waited in vain.
            """)

    @OptionGroup var artifact: ArtifactArguments
    @Flag(name: .long, help: "Print JSON, an object a line, with whole records.")
    var json = false

    func run() throws {
        try reporting {
            let artifact = try artifact.find()
            guard artifact.isInProduction else {
                throw Failure(.cannotAnswer, "\(artifact.full) is not in production: only what is sealed has versions")
            }
            let versions = try KnownVersions(of: artifact)
            guard !versions.all.isEmpty else {
                throw Failure(.failed, "\(artifact.full) is not there, and nothing that had its name is known")
            }
            if json {
                for version in versions.all.reversed() { print(version.json.description) }
                if versions.hasMissing { throw ExitCode(Status.failed.rawValue) }
                return
            }
            for version in versions.all.reversed() {
                Terminal.show(version.line, indent: 4)
                if let more = version.why { Terminal.show("      " + more, indent: 6) }
            }
            if let place = versions.place { Terminal.show("former versions are in \(place)/") }
            if versions.hasMissing { throw ExitCode(Status.failed.rawValue) }
        }
    }
}

/// The versions of an artifact, as this user may know of them.
struct KnownVersions {
    /// One of them.
    struct KnownVersion {
        /// From 1; nil where nothing says it.
        let number: Int64?
        let record: ArtifactRecord?
        /// How it left its name, and when; nil of the one that has it.
        let left: UnsealedArtifact?
        let time: String?
        /// Where it is to be read.
        let path: String
        /// That it was removed to make room.
        var removed: VersionRemoval?
        /// Whether it should be there, and is not.
        var isMissing = false

        /// For people.
        var line: String {
            let state = left?.unsealing.rawValue ?? (time == nil ? "sealed" : "former")
            let sealed = record?.times.sealed.map { RecordPage.time($0) } ?? "sealed at a time that is not known"
            let size = (record?.artifact.size ?? left?.size).map { ShownText.bytes($0) } ?? ""
            let hash = (record?.artifact.sha256 ?? left?.sha256).map { String($0.prefix(12)) } ?? ""
            return [number.map { "\($0)" } ?? "?", state, sealed, size, hash].filter { !$0.isEmpty }
                .joined(separator: "  ")
        }

        /// Why it is not there any more.
        var why: String? {
            guard let time else { return nil }
            guard let left else { return "how it left is not known, or not this user's to read" }
            let who = UInt32(exactly: left.uid).map(UserName.of) ?? "\(left.uid)"
            let gone =
                removed.map { "; " + VersionRemoval.words(time: $0.time) }
                ?? (isMissing ? "; its file is MISSING: nothing here has removed it, only a backup has it" : "")
            return "\(time.prefix(19))Z by \(who): \(left.reason)\(gone)"
        }

        var json: JSONValue {
            var all: JSONObject = [
                "version": number.map { .integer($0) } ?? .null,
                "state": .string(left?.unsealing.rawValue ?? (time == nil ? "sealed" : "former")),
                "path": .string(path),
            ]
            all.add("left", time.flatMap { $0.isEmpty ? nil : .string($0) })
            if let left {
                all.add("reason", .string(left.reason))
                all.add("uid", .integer(left.uid))
                all.add("command", .string(left.command))
            }
            all.add("removed", removed?.json)
            if isMissing { all["missing"] = .bool(true) }
            all.add("record", record.map { .object($0.json) })
            return .object(all)
        }
    }

    /// The oldest first.
    private(set) var all: [KnownVersion] = []
    /// The directory that has the former ones; nil where there is none.
    private(set) var place: String?

    var hasMissing: Bool { all.contains(where: \.isMissing) }

    init(of artifact: ShownArtifact) throws {
        if let mount = artifact.mount {
            try look(artifact, on: mount)
        } else {
            try look(artifact, in: artifact.store ?? "")
        }
        addMissing(artifact)
        if try artifact.found() != nil, try artifact.state().map({ $0 == "sealed" }) ?? true {
            let record = try artifact.shownRecord() ?? (try? artifact.history())?.sealed
            let number = record?.artifact.version ?? (all.last?.number).map { $0 &+ 1 } ?? 1
            all.append(KnownVersion(number: number, record: record, left: nil, time: nil, path: artifact.full))
        }
    }

    private mutating func look(_ artifact: ShownArtifact, on mount: MountEntry) throws {
        guard let slash = artifact.full.utf8.lastIndex(of: UInt8(ascii: "/")) else { return }
        let name = artifact.full[artifact.full.utf8.index(after: slash)...] + StoreLayout.versionsSuffix
        let directory = "\(artifact.full[..<slash])/\(StoreLayout.recordsDirectory)/\(name)"
        let answer = Patience.find(within: 60_000, on: mount) { () -> [UInt8] in
            // A line each: the number, and what its description says, where this user may read it.
            var lines: [UInt8] = []
            // Of what was removed only that is there.
            let suffix = StoreLayout.recordSuffix
            let names = Paths.names(directory).map { $0.hasSuffix(suffix) ? String($0.dropLast(suffix.count)) : $0 }
            for number in Set(names.compactMap { Int64($0) }) {
                let name = String(number)
                let text = Paths.contents("\(directory)/\(name)\(StoreLayout.recordSuffix)", limit: 64 << 20) ?? []
                lines += Array("\(number) ".utf8) + text.filter { $0 != UInt8(ascii: "\n") } + [UInt8(ascii: "\n")]
            }
            return lines
        }
        guard let answer else { throw mount.silence }
        for line in answer.split(separator: UInt8(ascii: "\n")) {
            guard let blank = line.firstIndex(of: UInt8(ascii: " ")),
                let number = Int64(String(decoding: line[..<blank], as: UTF8.self))
            else { continue }
            add(number, JSONValue(parsing: line[line.index(after: blank)...]), in: directory)
        }
        all.sort { ($0.number ?? 0) < ($1.number ?? 0) }
        if !all.isEmpty { place = directory }
    }

    private mutating func look(_ artifact: ShownArtifact, in store: String) throws {
        let real = Paths.rest(of: artifact.full, in: store)
        let versions: [FormerVersion]
        do throws(Errno) {
            let reader = try VersionReader(ofStore: store, real: real)
            guard let reader else { return }
            versions = try reader.all()
            place = reader.path
        } catch {
            if error == .permissionDenied { throw ShownArtifact.closed(store) }
            throw Failure(.failed, "cannot look into the versions of \(store): \(error)")
        }
        for version in versions {
            all.append(
                KnownVersion(
                    number: version.number, record: version.record, left: version.left, time: version.time,
                    path: "\(place ?? "")/\(version.name)", removed: version.removed))
        }
    }

    /// Those that left the name by the ledgers, where this user reads them, and of which nothing is there.
    private mutating func addMissing(_ artifact: ShownArtifact) {
        guard let history = try? artifact.history() else { return }
        let known = Set(all.compactMap(\.number))
        let times = history.entries.reduce(into: [Int64: String]()) { times, entry in
            if case .unsealed(let left) = entry.line.event { times[left.version] = entry.line.time }
        }
        for (number, left) in history.former where !known.contains(number) {
            all.append(
                KnownVersion(
                    number: number, record: nil, left: left, time: times[number] ?? "",
                    path: "\(place ?? "")/\(number)", removed: history.removed[number],
                    isMissing: history.removed[number] == nil))
        }
        all.sort { ($0.number ?? 0) < ($1.number ?? 0) }
    }

    private mutating func add(_ number: Int64, _ value: JSONValue?, in directory: String) {
        all.append(
            KnownVersion(
                number: number, record: value?["record"]?.object.map { ArtifactRecord($0) },
                left: value.flatMap { UnsealedArtifact($0) }, time: value?["time"]?.string ?? "",
                path: "\(directory)/\(number)", removed: VersionRemoval(value?["removed"])))
    }
}
