import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs doctor --shared`: what two hosts find out of a store's file system.
struct SharedDoctor {
    let store: String
    /// How long the first one waits, in seconds.
    let wait: Int
    let json: Bool

    func run() throws {
        let signals = ProbeSignals()
        let report: SharedReport
        do throws(SharedProbeFailure) {
            let probe = try SharedProbe(store, isStopped: { signals.haveCome })
            report = try probe.run(
                waitingFor: wait,
                waiting: {
                    say(
                        "waiting up to \(wait) s for the other host: run there 'artifactfs doctor --shared STORE', STORE as it is called there"
                    )
                },
                met: { say("working with \($0); this takes up to two minutes") })
        } catch {
            // It ends by the signal, as it would have done at once.
            if case .stopped = error { signals.unblock() }
            throw Self.failure(error)
        }
        if json { print(JSONValue.object(report.json)) } else { show(report) }
        switch report.facts.verdict {
        case .severalHosts: return
        case .oneHost: throw ExitCode(Status.failed.rawValue)
        case .unknown:
            throw ExitCode((report.facts.isOneMachine ? Status.cannotAnswer : Status.failed).rawValue)
        }
    }

    private func say(_ text: String) { Terminal.complain(text) }

    private static func failure(_ error: SharedProbeFailure) -> Failure {
        guard case .store(let problem) = error else { return Failure(.cannotAnswer, error.description) }
        let failure = Failure(problem)
        return failure.status == .notAStore ? failure : Failure(.cannotAnswer, failure.text)
    }

    private func show(_ report: SharedReport) {
        for line in SharedPage(report).lines { print(line) }
    }
}

/// What was found, for people.
struct SharedPage {
    private let report: SharedReport

    init(_ report: SharedReport) { self.report = report }

    /// Lines of at most 79 characters, but for names of hosts that are longer.
    var lines: [String] {
        var lines: [String] = []
        for host in report.hosts {
            lines.append(Terminal.printable("\(host.name): \(host.fileSystem), as user \(host.user)"))
        }
        lines.append("")
        lines += Self.row("", "", ["what artifactfs does without it"])
        for question in SharedQuestion.allCases {
            let fact = report.facts[question]
            lines += Self.row(
                question.words, Self.answer(fact), Self.broken(question.without, Self.widths.without))
        }
        let details = SharedQuestion.allCases.compactMap { question -> String? in
            let detail = report.facts[question].detail
            return detail.isEmpty ? nil : "\(question.words): \(detail)"
        }
        if !details.isEmpty { lines.append("") }
        for detail in details { lines += Self.hanging(Terminal.printable(detail)) }
        lines.append("")
        return lines + Self.hanging(Terminal.printable(report.facts.verdict.words))
    }

    private static let widths = (question: 32, answer: 10, without: 33)

    private static func row(_ question: String, _ answer: String, _ without: [String]) -> [String] {
        without.enumerated().map { place, text in
            let (first, second) = place == 0 ? (question, answer) : ("", "")
            return padded(first, widths.question) + "  " + padded(second, widths.answer) + "  " + text
        }
    }

    /// Its time, of what took one.
    static func answer(_ fact: SharedFact) -> String {
        guard let milliseconds = fact.milliseconds else { return fact.answer.rawValue }
        let text = milliseconds < 1000 ? "\(milliseconds) ms" : "\(milliseconds / 1000).\(milliseconds % 1000 / 100) s"
        return fact.answer == .yes ? text : "\(fact.answer.rawValue), \(text)"
    }

    private static func padded(_ text: String, _ width: Int) -> String {
        text + String(repeating: " ", count: max(0, width - text.unicodeScalars.count))
    }

    private static func broken(_ text: String, _ width: Int) -> [String] {
        Terminal.wrapped(text, indent: 0, at: width).split(separator: "\n").map(String.init)
    }

    private static func hanging(_ text: String) -> [String] {
        Terminal.wrapped(text, indent: 4, at: 79).split(separator: "\n").map(String.init)
    }
}

/// Signals that end the program are asked for, so that what two hosts have made is cleaned up before.
struct ProbeSignals {
    private var set = sigset_t()

    init() {
        sigemptyset(&set)
        for signal in [SIGINT, SIGTERM, SIGHUP] { sigaddset(&set, signal) }
        pthread_sigmask(SIG_BLOCK, &set, nil)
    }

    /// Whether one waits.
    var haveCome: Bool {
        var pending = sigset_t()
        guard sigpending(&pending) == 0 else { return false }
        return [SIGINT, SIGTERM, SIGHUP].contains { sigismember(&pending, $0) == 1 }
    }

    /// What waits ends the program now.
    func unblock() {
        var set = set
        pthread_sigmask(SIG_UNBLOCK, &set, nil)
    }
}
