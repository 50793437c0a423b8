import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemPackage

/// `artifactfs history`
struct HistoryCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "history",
        abstract: "List what happened to an artifact, and what was refused.",
        discussion: """
            Lists every event that the store's ledgers have of a path, the oldest first: sealed, kept back, recovered, promoted \
            from there, superseded, retracted, attributes set, operations refused. Of what is refused very often the ledger has the first ones only.

            The ledgers are the store owner's and root's.

            EXAMPLE:
              artifactfs history /mnt/art/production/base/analysis_sequences/chr1.tsv

            EXIT STATUS: 0 there are events, 1 nothing is known of it, 2 it cannot be looked up, 3 not a store, 8 waited in vain.
            """)

    @OptionGroup var artifact: ArtifactArguments
    @Flag(name: .long, help: "Print the ledgers' lines, one JSON object a line.")
    var json = false

    func run() throws {
        try reporting {
            let artifact = try artifact.find()
            let history = try artifact.history()
            guard !history.entries.isEmpty else {
                throw Failure(.failed, "no ledger of the store tells of \(artifact.path)")
            }
            for entry in history.entries {
                if json { print(entry.json) } else { Self.show(entry, of: history.path) }
            }
        }
    }

    private static func show(_ entry: PathHistory.Entry, of path: String) {
        let event = event(entry, of: path)
        let what = event.what + String(repeating: " ", count: max(1, 15 - event.what.utf8.count))
        Terminal.show("\(event.time)  \(what)\(event.words)", indent: 22)
    }

    /// When something happened, what, and more words on it.
    static func event(_ entry: PathHistory.Entry, of path: String) -> (time: String, what: String, words: String) {
        let time = entry.line.time.utf8.count >= 20 ? String(entry.line.time.prefix(19)) + "Z" : "time not known"
        let (what, words) = words(for: entry.line, of: path)
        return (time, what, words.filter { !$0.isEmpty }.joined(separator: ", "))
    }

    private static func words(for line: LedgerLine, of path: String) -> (what: String, words: [String]) {
        switch line.event {
        case .sealIntent, .sealed:
            guard let record = line.record else { return (line.event.name, []) }
            let isSource = record.artifact.path.map { !$0.utf8.elementsEqual(path.utf8) } ?? false
            let who = by(record)
            if isSource { return ("promoted", ["to \(record.artifact.path ?? "?")", who]) }
            let size = record.artifact.size.map { ShownText.bytes($0) } ?? ""
            let origin = record.origin?.path.map { "from \($0)" } ?? ""
            if case .sealIntent = line.event { return ("seal-intent", [size, who, origin]) }
            if let adopted = record.adopted {
                return ("adopted", [size, by(adopted.uid.map(Int64.init), nil), "it was there already"])
            }
            let what = record.recovered != nil ? "recovered" : record.origin != nil ? "promoted" : "sealed"
            return (what, [size, who, origin, record.recovered?.reason.map { "kept back before: \($0)" } ?? ""])
        case .quarantined(let file, let id):
            return ("quarantined", [file.reason, line.record.map(by) ?? "", "as \(id)"])
        case .promotionIntent(let intent): return (line.event.name, ["to \(intent.path)", "from \(intent.from)"])
        case .restored(let file), .sealAbandoned(let file): return (line.event.name, [file.reason])
        case .discarded(let left): return ("discarded", [by(left.uid, left.command), "it was \(left.quarantined)"])
        case .takenOut(let left): return ("taken-out", [by(left.uid, left.command), left.to.map { "to \($0)" } ?? ""])
        case .removedEmpty(let file), .removedTransient(let file):
            return (line.event.name, [by(file.uid, file.command), file.detail ?? ""])
        case .unsealed(let artifact):
            return (
                line.event.name,
                ["version \(artifact.version)", by(artifact.uid, artifact.command), artifact.reason]
            )
        case .unsealIntent(let artifact), .unsealAbandoned(let artifact):
            return (line.event.name, ["\(artifact.unsealing.command), version \(artifact.version)", artifact.reason])
        case .versionRemoved(let version), .versionKept(let version):
            return (
                line.event.name,
                ["version \(version.version)", by(version.uid, version.command), version.reason]
            )
        case .evicted(let artifact), .recalled(let artifact):
            return (
                line.event.name,
                [
                    ShownText.bytes(artifact.size), by(artifact.uid, artifact.command),
                    "\(line.event.name == "evicted" ? "to" : "from") the mirror '\(artifact.mirror)'",
                ]
            )
        case .attributesSet(let change):
            let mode = change.mode.map { "mode \($0)" } ?? ""
            let modified = change.modified.map { "modified \($0)" } ?? ""
            return ("attributes-set", [mode, modified, by(change.uid, change.command)])
        case .sessionRemoved(let session):
            let size = "\(ShownText.bytes(session.bytes)) in \(session.files) \(session.files == 1 ? "file" : "files")"
            return (
                line.event.name,
                ["session \(session.session), \(size)", session.reason, by(session.uid, session.command)]
            )
        case .attested(let artifact):
            let version = artifact.version.map { "version \($0)" } ?? ""
            return (
                "attested",
                [version, "with the key \(artifact.key.prefix(16))", by(artifact.uid, artifact.command)]
            )
        case .mirrored(let mirrored):
            return (
                "mirrored",
                [words(for: mirrored.objects(of: path), of: mirrored), by(mirrored.uid, mirrored.command)]
            )
        case .denied(let denied):
            return (
                "denied", ["\(denied.operation): \(denied.errno), rule \(denied.rule)", by(denied.uid, denied.command)]
            )
        default: return (line.event.name, [])
        }
    }

    /// Where a mirror has an artifact: the object, or how many of one that is a directory.
    static func words(
        for objects: [LedgerEvent.MirroredObjects.MirroredObject], of mirrored: LedgerEvent.MirroredObjects
    ) -> String {
        let files = objects.filter { $0.key.hasSuffix("/" + $0.sha256) }
        var words = files.map { one in
            (one.version.map { "version \($0) " } ?? "") + "to \(mirrored.url)\(one.key)"
                + (one.objectVersion.map { ", as its version \($0)" } ?? "")
        }
        let parts = objects.filter { !$0.key.hasSuffix("/" + $0.sha256) }
        if let first = parts.first {
            // What all have in common: the artifact's own key.
            let common = parts.reduce(first.key.split(separator: "/").dropLast()) { common, object in
                zip(common, object.key.split(separator: "/")).prefix { $0 == $1 }.map(\.0)[...]
            }
            let number = first.version.map { "version \($0) " } ?? ""
            let count = parts.count == 1 ? "1 object" : "\(parts.count) objects"
            words.append("\(number)\(count) to \(mirrored.url)\(common.joined(separator: "/"))/")
        }
        return words.joined(separator: "; ")
    }

    private static func by(_ record: ArtifactRecord) -> String {
        guard let writer = record.writer else { return "" }
        let command = writer.argv?.map { Shell.quoted($0) }.joined(separator: " ") ?? writer.program ?? ""
        return by(writer.uid.map(Int64.init), command, user: writer.user)
    }

    private static func by(_ uid: Int64?, _ command: String?, user: String? = nil) -> String {
        let user = user ?? uid.flatMap { UInt32(exactly: $0) }.map { UserName.of($0) }
        guard let user else { return "" }
        return "by \(user)" + (command.flatMap { $0.isEmpty ? nil : " (\(RecordPage.shortened($0)))" } ?? "")
    }
}
