import ArtifactRecords
import Artifacts
import Glibc

/// A record as a page for people, which fits 80 columns. What is not known is said to be so.
struct RecordPage {
    /// Where the texts begin.
    private static let indent = 12
    private static let width = 80
    /// A command line that takes more lines than this ends with a word on the rest.
    private static let mostCommandLines = 12
    private static let unknown = "not known"

    /// A name, and what is known by it; further lines of the same have no name.
    private enum Entry {
        case text(String, String)
        case command([String])
    }

    private var entries: [Entry] = []

    /// Names, and what is known by each; further facts of the same name have none.
    var facts: [(name: String, text: String)] {
        entries.map { entry in
            switch entry {
            case .text(let name, let text): (name, text)
            case .command(let words): ("command", words.joined(separator: " "))
            }
        }
    }

    /// For a terminal.
    var text: String {
        entries.map { entry in
            switch entry {
            case .text(let name, let text): Self.line(name, text)
            case .command(let words): Self.command(words)
            }
        }.joined()
    }

    /// - Parameters:
    ///   - state: what the artifact is now, in words.
    ///   - showsPossible: whether inputs are listed that are a guess.
    ///   - proved: when 'artifactfs verify' found it to be what was sealed, in nanoseconds since 1970; nil where that is not known.
    ///   - keys: the names of the keys that have signed it.
    ///   - mirrored: where mirrors have it, in words.
    init(
        _ record: ArtifactRecord, state: String, showsPossible: Bool, proved: Int64? = nil, keys: [String] = [],
        mirrored: [String] = []
    ) {
        what(record.artifact, state)
        if let proved {
            let time = timespec(tv_sec: Int(proved / 1_000_000_000), tv_nsec: 0)
            line("proved", "\(Self.time(time)), to be what was sealed")
        }
        if !keys.isEmpty {
            let names = keys.map { String($0.prefix(16)) }.joined(separator: ", ")
            line("signed", "with \(keys.count == 1 ? "the key" : "\(keys.count) keys:") \(names)")
        }
        for (place, words) in mirrored.enumerated() { line(place == 0 ? "mirrored" : "", words) }
        when(record.times)
        who(record)
        job(record.job)
        code(record.code)
        inputs(record, showsPossible)
        line(
            "run", record.run.map { Self.list([$0.id, $0.experiment.map { "of experiment \($0)" }]) } ?? Self.unknown)
        origin(record.origin)
        recovered(record.recovered)
        if let adopted = record.adopted {
            let who = adopted.uid.map { "by \(UserName.of($0))" } ?? "by nobody knows whom"
            let when = adopted.modified.map { ", last changed \(String($0.prefix(19)))Z" } ?? ""
            line("adopted", "\(who): the file was there already\(when), and who made it is not known")
        }
        for (index, member) in record.attributes.sorted.enumerated() {
            let text = member.value.string ?? member.value.description
            line(index == 0 ? "attributes" : "", "\(member.key): \(text)")
        }
    }

    private mutating func what(_ artifact: ArtifactRecord.Artifact, _ state: String) {
        line("artifact", artifact.path ?? Self.unknown)
        line(
            "",
            Self.list([
                artifact.type.map { "of type \($0)" }, artifact.kind == .directory ? "a directory" : nil,
                artifact.layer.map { "layer \($0.rawValue)" }, artifact.key.map { "key \($0)" },
                artifact.format.map { "format \($0)" },
            ]))
        line("state", Self.list([state, artifact.version.map { "version \($0)" }]))
        let bytes = artifact.size.map { ShownText.bytes($0) + ($0 >= 1024 ? " (\($0) bytes)" : "") }
        line("size", bytes ?? Self.unknown)
        content(artifact)
        line("sha256", artifact.sha256 ?? Self.unknown)
    }

    private mutating func content(_ artifact: ArtifactRecord.Artifact) {
        var record = ArtifactRecord()
        record.artifact.content = artifact.content
        var words: [String] = []
        for member in (record.json["artifact"]?["content"]?.object ?? [:]).sorted {
            switch (member.key, member.value) {
            case ("rows", .integer(let rows)): words.insert("\(rows) \(rows == 1 ? "row" : "rows")", at: 0)
            case ("columns", .array(let columns)):
                let names = columns.prefix(12).map { $0["name"]?.string ?? "?" }.joined(separator: ", ")
                words.append("\(columns.count) columns (\(names)\(columns.count > 12 ? ", ..." : ""))")
            default: words.append("\(member.key) \(member.value.string ?? member.value.description)")
            }
        }
        line("content", Self.list(words))
    }

    private mutating func when(_ times: ArtifactRecord.Times) {
        func text(_ time: timespec?) -> String { time.map(Self.time) ?? Self.unknown }
        line("opened", text(times.opened))
        line("closed", text(times.closed))
        line("sealed", text(times.sealed))
    }

    private mutating func who(_ record: ArtifactRecord) {
        let writer = record.writer ?? .init()
        let user = writer.uid.map { "\(writer.user ?? UserName.known($0).map { "\($0) here" } ?? "user") (\($0))" }
        line("user", user ?? writer.user ?? Self.unknown)
        line("host", writer.host ?? Self.unknown)
        let started = writer.started.map { "started \(Self.time($0))" }
        line("process", writer.pid == nil ? Self.unknown : Self.list([writer.pid.map(String.init), started]))
        line("program", writer.program ?? Self.unknown)
        if let argv = writer.argv {
            command(argv.map { Shell.quoted($0) })
        } else {
            command((record.unknown["command"]?.string ?? Self.unknown).split(separator: " ").map(String.init))
        }
        line("directory", writer.cwd ?? Self.unknown)
        line("exit", Self.words(for: writer.exit))
        let environment = writer.environment.sorted.map { "\($0.key)=\($0.value.string ?? $0.value.description)" }
        for (index, variable) in environment.enumerated() { line(index == 0 ? "environment" : "", variable) }
    }

    private static func words(for exit: ArtifactRecord.Exit?) -> String {
        switch exit {
        case .status(let status)?: "with status \(status)"
        case .signal(let signal)?: "by signal \(signal)"
        case .unknown?: "it could not be seen how"
        case nil: "\(unknown); it may have run on"
        }
    }

    private mutating func job(_ job: ArtifactRecord.WriterJob?) {
        guard let job else { return line("job", Self.unknown) }
        line("job", Self.list([job.kind, job.id]))
        for process in job.processes {
            let command = process.argv?.map { Shell.quoted($0) }.joined(separator: " ") ?? process.program
            line("", Self.list(["in process \(process.pid.map(String.init) ?? "?")", command.map(Self.shortened)]))
        }
    }

    private mutating func code(_ all: [ArtifactRecord.Code]) {
        if all.isEmpty { line("code", Self.unknown) }
        for (index, code) in all.enumerated() {
            line(
                index == 0 ? "code" : "",
                Self.list([
                    code.path, code.role.map { "found by the \($0 == "cwd" ? "working directory" : $0)" },
                ]))
            line("", "commit \(code.commit ?? Self.unknown)")
            let dirty = code.dirty.map { $0 ? "with changes that are in no commit" : "without changes" }
            line(
                "",
                Self.list([
                    code.branch.map { "branch \($0)" } ?? "no branch known", dirty ?? "changes: not looked for",
                ]))
            line("", code.remote.map { "remote \($0)" })
            line("", code.script.map { "script \($0)" })
            line("  sha256", code.script == nil ? nil : code.sha256)
        }
    }

    private mutating func inputs(_ record: ArtifactRecord, _ showsPossible: Bool) {
        let shown = record.inputs.filter { showsPossible || $0.how != .job }
        let guesses = record.inputs.count - shown.count
        if shown.isEmpty { line("inputs", Self.unknown) }
        for (index, input) in shown.enumerated() {
            line(
                index == 0 ? "inputs" : "",
                input.path ?? "?")
            line("", Self.list([input.version.map { "version \($0)" }, Self.words(for: input.how)]))
            line("  sha256", input.sha256)
        }
        if record.inputsLeftOut > 0 {
            line("", "and \(record.inputsLeftOut) more, opened before these, that are not told")
        }
        if guesses > 0 { line("", "\(guesses) more \(guesses == 1 ? "is" : "are") possible: --possible") }
        outside(record, showsPossible)
    }

    /// What is not in the store.
    private mutating func outside(_ record: ArtifactRecord, _ showsPossible: Bool) {
        let shown = record.outside.filter { showsPossible || $0.how != .job }
        for (index, input) in shown.enumerated() {
            line(index == 0 ? "outside" : "", input.path ?? "?")
            line(
                "",
                Self.list([
                    input.size.map { ShownText.bytes($0) }, input.modified.map { "changed \(Self.shortTime($0))" },
                ]))
            line("", input.how.map { Self.words(for: $0) })
            line("  sha256", input.sha256)
        }
        if record.outsideLeftOut > 0 {
            line("", "and \(record.outsideLeftOut) more, opened before these, that are not told")
        }
        let guesses = record.outside.count - shown.count
        if guesses > 0 { line("", "\(guesses) more \(guesses == 1 ? "is" : "are") possible: --possible") }
        let label = shown.isEmpty && record.outsideLeftOut == 0 && guesses == 0 ? "outside" : ""
        let place = record.outsideBelow.isEmpty ? "" : " below \(record.outsideBelow.joined(separator: ", "))"
        switch record.outsideSeen {
        case .yes?: line(label, label.isEmpty ? nil : "nothing was seen to be read\(place)")
        case .partly?: line(label, "some may be missing: not all that was opened\(place) could be followed")
        case .no?, nil: line(label, "not looked at: whether files outside of the store were read is not known")
        }
    }

    private static func words(for how: ArtifactRecord.How?) -> String {
        switch how {
        case .process?: "process: the writer opened it"
        case .ancestor?: "ancestor: a process that the writer comes from opened it"
        case .pipe?: "pipe: a process joined to the writer by pipes opened it"
        case .declared?: "declared: somebody said so"
        case .job?: "job: another process of the job opened it, perhaps for this"
        case nil: "how is \(unknown)"
        }
    }

    private mutating func origin(_ origin: ArtifactRecord.PromotionOrigin?) {
        guard let origin else { return }
        line("promoted", "from \(origin.path ?? origin.session ?? origin.test ?? Self.unknown)")
        line("  sha256", origin.sha256)
        line("", origin.check.map { "checked as \($0)" })
        guard let promoter = origin.promoter else { return }
        let user = promoter.uid.map { UserName.of($0) } ?? promoter.user
        let words = (promoter.argv.map { $0.map { Shell.quoted($0) }.joined(separator: " ") } ?? promoter.program)
        line("", "by \(user ?? Self.unknown)" + (words.map { ": \(Self.shortened($0))" } ?? ""))
    }

    private mutating func recovered(_ recovered: ArtifactRecord.RecoveredFrom?) {
        guard let recovered else { return }
        line(
            "recovered",
            "from quarantine" + (recovered.uid.map { " by \(UserName.of($0))" } ?? "")
                + (recovered.id.map { ", where it was \($0)" } ?? ""))
        line(
            "", "kept back: " + Self.list([recovered.rule.map { "rule \($0)" }, recovered.reason ?? Self.unknown]))
        line("", recovered.despite.map { "despite: \($0)" })
    }

    // MARK: - Lines

    /// To the second, as people read it; the record has all digits.
    static func time(_ time: timespec) -> String { String(TimeText.rfc3339(time).prefix(19)) + "Z" }

    /// A time of a record, which is text, likewise.
    private static func shortTime(_ text: String) -> String { text.utf8.count == 30 ? text.prefix(19) + "Z" : text }

    private static func list(_ words: [String?]) -> String { words.compactMap { $0 }.joined(separator: ", ") }

    /// A few words of a command line.
    static func shortened(_ command: String) -> String {
        command.unicodeScalars.count <= 200 ? command : String(command.prefix(197)) + "..."
    }

    private mutating func line(_ name: String, _ text: String?) {
        guard let text, !text.isEmpty else { return }
        entries.append(.text(name, text))
    }

    private mutating func command(_ words: [String]) { entries.append(.command(words)) }

    private static func line(_ name: String, _ text: String) -> String {
        let label = name + String(repeating: " ", count: max(1, indent - name.utf8.count))
        return Terminal.wrapped(label + Terminal.printable(text), indent: indent, at: width) + "\n"
    }

    /// A command line, folded between its words as a shell's is; a word longer than a line is folded too.
    private static func command(_ words: [String]) -> String {
        let room = width - indent - 2
        var lines: [[Unicode.Scalar]] = []
        var current: [Unicode.Scalar] = []
        // Of a word longer than a line, such as a script, its own words.
        let parts = words.map(Terminal.printable).flatMap {
            $0.unicodeScalars.count > room ? $0.split(separator: " ").map(String.init) : [$0]
        }
        for word in parts.map({ Array($0.unicodeScalars) }) {
            if !current.isEmpty, current.count + 1 + word.count > room {
                lines.append(current)
                current = Array("  ".unicodeScalars)
            } else if !current.isEmpty {
                current.append(" ")
            }
            current += word
            while current.count > room {
                lines.append(Array(current.prefix(room)))
                current = Array("  ".unicodeScalars) + current.dropFirst(room)
            }
        }
        if !current.isEmpty { lines.append(current) }
        let rest = lines.dropFirst(mostCommandLines).reduce(0) { $0 + $1.count }
        var text = ""
        for (index, scalars) in lines.prefix(mostCommandLines).enumerated() {
            let isLast = index == lines.count - 1
            text += index == 0 ? "command     " : String(repeating: " ", count: indent)
            text += String(String.UnicodeScalarView(scalars)) + (isLast ? "" : " \\") + "\n"
        }
        return rest > 0 ? text + line("", "... and \(rest) characters more: --json has all") : text
    }
}
