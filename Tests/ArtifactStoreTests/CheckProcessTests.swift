import ArtifactFormats
import ArtifactRecords
import Glibc
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// A check that dies is a refusal and nothing else. The processes here are shells that do what a check with a fault would do.
@Suite struct CheckProcessTests {
    /// A pickle, which is checked in a process.
    private static let pickle = "N."

    private func publish(_ command: [String], _ text: String = pickle, check: FormatCheck = .pickle) throws -> (
        PublishOutcome, TemporaryStore
    ) {
        let place = try TemporaryStore()
        let store = try place.open()
        store.checks.start(by: command)
        let staged = try TemporaryStore.stage(store, text)
        let outcome = store.publish(TemporaryStore.request(store, staged, name: "gene_manifest.pkl", check: check))
        store.close()
        return (outcome, place)
    }

    @Test(arguments: [
        ("kill -ILL $$", "signal 4"), ("kill -SEGV $$", "signal 11"), ("exit 0", "status 0"), ("exit 3", "status 3"),
        ("echo nothing that a check says >&0; exec sleep 60", "without an answer"),
        ("printf '\\377\\377\\377\\377\\377\\377\\377\\177' >&0; exec sleep 60", "without an answer"),
        ("printf '\\2\\0\\0\\0\\0\\0\\0\\0{}' >&0; exec sleep 60", "without an answer"),
        ("printf '\\7\\0\\0\\0\\0\\0\\0\\0[[[' >&0; exit 1", "status 1"),
    ])
    func aProcessThatDies(script: String, words: String) throws {
        let (outcome, place) = try publish(["/bin/sh", "-c", script])
        guard case .quarantined(let reason, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(reason.contains("its check ends the process that it runs in (\(words))"), "\(reason)")
        #expect(try place.quarantined() == [Self.pickle], "the bytes are kept")
    }

    /// What is no structure is checked where it is asked for: no process is needed for a table.
    @Test func aTableNeedsNone() throws {
        let (outcome, _) = try publish(["/bin/sh", "-c", "kill -ILL $$"], table, check: .tsv)
        guard case .sealed = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }

    /// Without a process to be had the driver checks by itself.
    @Test(arguments: [[], ["/nonexistent/program"]]) func noProcessToBeHad(command: [String]) throws {
        guard case .sealed = try publish(command).0 else {
            Issue.record("not sealed")
            return
        }
        guard case .quarantined(let reason, _) = try publish(command, "N").0 else {
            Issue.record("sealed")
            return
        }
        #expect(reason.contains("STOP"))
    }

    // MARK: - Quick checks

    private func quickAnswer(
        _ command: [String], _ text: String = pickle, _ check: FormatCheck = .pickle, within time: Int64 = 60_000
    ) throws -> QuickAnswer? {
        let directory = try TemporaryDirectory()
        try write(text, to: directory.path + "/file")
        let file = try FileDescriptor.open(directory.path + "/file", .readOnly)
        defer { try? file.close() }
        let checks = CheckProcesses()
        checks.start(by: command)
        defer { checks.end() }
        return checks.quickAnswer(of: check, file, within: time)
    }

    @Test func aQuickCheckThatDies() throws {
        let answer = try quickAnswer(["/bin/sh", "-c", "kill -ILL $$"])
        #expect(
            answer
                == .refused(
                    "its check ends the process that it runs in (signal 4): its content is damaged in an uncommon way"))
        #expect(try quickAnswer(["/bin/sh", "-c", "kill -ILL $$"], table, .tsv) == nil, "a table needs none")
        #expect(try quickAnswer([]) == nil && quickAnswer(["/nonexistent/program"]) == nil, "the driver does it")
    }

    /// Who waits for a `close` does not wait for ever: nothing is known, and the process is gone.
    @Test func aQuickCheckThatHangs() throws {
        let directory = try TemporaryDirectory()
        let script = "echo $$ >> '\(directory.path)/pids'; exec sleep 1000"
        #expect(try quickAnswer(["/bin/sh", "-c", script], within: 500) == .unknown)
        // Under load it may not even have begun.
        for line in ((try? contents(directory.path + "/pids")) ?? "").split(separator: "\n") {
            #expect(!exists("/proc/\(line)"), "\(line)")
        }
    }

    /// A real one answers what the check says.
    @Test(arguments: FormatCheck.allCases.filter(\.isIntricate)) func aQuickCheckThatAnswers(check: FormatCheck) throws
    {
        let directory = try TemporaryDirectory()
        for text in [Self.pickle, "N", "PAR1PAR1", "PK", String(repeating: "x", count: 100_000)] {
            try write(text, to: directory.path + "/file")
            let file = try FileDescriptor.open(directory.path + "/file", .readOnly)
            defer { try? file.close() }
            let expected = CheckAnswer(ofAQuick: check, file)
            let sent = JSONValue(parsing: expected.json.description.utf8).flatMap { CheckAnswer($0) }
            #expect(sent == expected)
            #expect(CheckService.place(of: check).map { $0 < CheckService.quick } == true)
        }
    }

    // MARK: - What was checked before

    /// Publishes a checkpoint of which it is known what a check found, with checks that die.
    private func publish(_ text: String, known: String, check: FormatCheck = .pickle) throws -> PublishOutcome {
        let place = try TemporaryStore()
        let store = try place.open()
        defer { store.close() }
        let other = try FileDescriptor.open(
            place.path + "/known", .readWrite, options: [.create], permissions: .init(rawValue: 0o600))
        defer { try? other.close() }
        try SystemCall.write(other, Array(known.utf8))
        let checks = CheckProcesses()
        guard case .passed(let contents) = checks.contents(of: .pickle, other) else {
            throw Errno.invalidArgument
        }
        store.checks.start(by: ["/bin/sh", "-c", "kill -ILL $$"])
        let staged = try TemporaryStore.stage(store, text)
        var request = TemporaryStore.request(store, staged, name: "gene_manifest.pkl", check: .pickle)
        request.checked = contents
        request.check = check
        return store.publish(request)
    }

    /// The same bytes are not checked again; others of the same length are, whatever was said of them before.
    @Test func theSameBytesAreNotCheckedAgain() throws {
        let outcome = try publish("K\u{1}.", known: "K\u{1}.")
        guard case .sealed(let sha256, let size, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        #expect(size == 3 && sha256.utf8.count == 64)
        guard case .quarantined = try publish("K\u{1}.", known: "K\u{1}.", check: .parquet) else {
            Issue.record("the check of another format does not count")
            return
        }
        for other in ["K\u{2}.", "N.", "K\u{1}0N."] {
            guard case .quarantined = try publish(other, known: "K\u{1}.") else {
                Issue.record("\(other) was not checked")
                return
            }
        }
    }

    @Test func aWholeCheckThatSomebodyWaitsFor() throws {
        let directory = try TemporaryDirectory()
        try write("N.", to: directory.path + "/file")
        let file = try FileDescriptor.open(directory.path + "/file", .readOnly)
        defer { try? file.close() }
        let checks = CheckProcesses()
        defer { checks.end() }
        checks.start(by: ["/bin/sh", "-c", "exec sleep 1000"])
        guard case .unknown = checks.contents(of: .pickle, file, within: 300) else {
            Issue.record("it is not known")
            return
        }
        checks.start(by: ["/bin/sh", "-c", "kill -ILL $$"])
        guard case .refused = checks.contents(of: .pickle, file) else {
            Issue.record("it is refused")
            return
        }
    }

    @Test func answersComeBackAsTheyWere() throws {
        let facts = FormatFacts(
            rows: .max, columns: [.init(name: "a\"\u{0}\u{85}é", type: "INT64"), .init(name: "", type: nil)],
            details: ["created_by": "x\n", "row_groups": "2"])
        let answers: [CheckAnswer] = [
            .passed(sha256: String(repeating: "a", count: 64), facts: facts, hashed: .max),
            .passed(sha256: String(repeating: "b", count: 64), facts: FormatFacts(), hashed: 0), .refused("no\u{1B}"),
            .unreadable(.ioError),
        ]
        for answer in answers {
            let text = answer.json.description
            #expect(JSONValue(parsing: text.utf8).flatMap { CheckAnswer($0) } == answer, "\(text)")
        }
        for text in [
            "{}", "[]", "1", "{\"errno\":0}", "{\"errno\":-1}", "{\"errno\":9223372036854775807}", "{\"sha256\":\"a\"}",
        ] {
            #expect(JSONValue(parsing: text.utf8).flatMap { CheckAnswer($0) } == nil, "\(text)")
        }
    }
}
