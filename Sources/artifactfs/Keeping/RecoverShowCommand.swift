import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import SystemPackage

/// `artifactfs recover show`
struct RecoverShowCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "show", abstract: "Show all that is known of what was kept back, and how to go on.")

    @OptionGroup var which: KeptArguments
    @Flag(name: .long, help: "Print JSON.")
    var json = false

    func run() throws {
        try reporting {
            let (place, entry) = try which.find()
            if json { print(place.json(entry).description) } else { show(entry, in: place) }
        }
    }

    private func line(_ name: String, _ text: String?) {
        guard let text else { return }
        Terminal.show(name + String(repeating: " ", count: max(1, 10 - name.utf8.count)) + text, indent: 10)
    }

    private func show(_ entry: QuarantineEntry, in place: KeptPlace) {
        let record = entry.record
        line(entry.isRun ? "run" : "artifact", entry.isRun ? entry.record.run?.id : entry.path)
        line("id", entry.id)
        line("kept", KeptPlace.time(of: entry))
        line("why", entry.reason ?? KeptPlace.unknownReason)
        line("rule", entry.rule?.rawValue ?? "unknown")
        line("size", place.size(of: entry))
        line("owner", UserName.of(entry.owner))
        line("writer", writer(record))
        line("directory", record.writer?.cwd)
        line("opened", record.times.opened.map(TimeText.rfc3339))
        line("closed", record.times.closed.map(TimeText.rfc3339))
        line("from", record.origin?.path)
        line("sha256", record.artifact.sha256)
        line("bytes", place.file(of: entry))
        let name = place.argument + " " + place.shortName(of: entry)
        if entry.isRun {
            for (index, path) in entry.artifacts.enumerated() { line(index == 0 ? "with" : "", path) }
        }
        line("publish", "artifactfs recover publish \(name)\(entry.needsReason ? " --despite REASON" : "")")
        line("fetch", "artifactfs recover restore \(name) \(entry.isDirectory ? "DIRECTORY" : "FILE")")
        line("discard", "artifactfs recover discard \(name)")
    }

    private func writer(_ record: ArtifactRecord) -> String? {
        guard let writer = record.writer else { return nil }
        var words: [String] = []
        if let pid = writer.pid { words.append("process \(pid)") }
        if let command = writer.argv?.joined(separator: " ") ?? writer.program { words.append(command) }
        if let uid = writer.uid { words.append("of \(writer.user ?? UserName.of(uid))") }
        switch writer.exit {
        case .status(let status)?: words.append("ended with status \(status)")
        case .signal(let signal)?: words.append("was ended by signal \(signal)")
        case .unknown?: words.append("ended unseen")
        case nil: break
        }
        return words.isEmpty ? nil : words.joined(separator: ", ")
    }
}
