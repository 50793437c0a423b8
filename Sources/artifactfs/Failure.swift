import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Glibc
import SystemCalls
import SystemPackage

/// The exit statuses; `artifactfs --help` and artifactfs(1) list the same.
enum Status: Int32 {
    case failed = 1
    case cannotAnswer = 2
    case notAStore = 3
    case mountPoint = 4
    case noFUSE = 5
    case busy = 6
    case schema = 7
    /// Waited in vain, or it is not known whether it was done.
    case silent = 8
    /// Published, and not signed as the store's schema wants it.
    case unsigned = 9
    case usage = 64
}

/// Something that a person must be told.
struct Failure: Error {
    let status: Status
    let text: String
    /// A text in which a place is at fault, in characters.
    var excerpt: (text: String, place: Int, length: Int)?

    init(_ status: Status, _ text: String, excerpt: (text: String, place: Int, length: Int)? = nil) {
        self.status = status
        self.text = text
        self.excerpt = excerpt
    }

    init(_ error: StoreError) {
        text = error.description
        switch error {
        case .notAStore, .format: status = .notAStore
        case .schema: status = .schema
        case .inUse: status = .busy
        case .notFound: status = .cannotAnswer
        case .system(_, _, let errno): status = errno == .noSuchFileOrDirectory ? .notAStore : .failed
        case .unreadableSchema, .readOnly: status = .failed
        }
    }
}

extension Failure {
    /// Why this user may not look into a store's own directory, in words.
    ///
    /// - Parameter own: that directory.
    static func whoMay(lookInto own: String) -> String {
        guard geteuid() == 0 else { return "\(own) is its owner's and root's" }
        let owner = try? SystemCall.attributes(SystemCall.currentDirectory, own).st_uid
        return
            "\(own) is its owner's alone: the server of its file system does not take root for root (root squash); run it as "
            + (owner.map { $0 == 0 ? "root on the server" : "its owner, 'setpriv --reuid \($0) --clear-groups'" }
                ?? "its owner")
    }
}

extension ParsableCommand {
    /// Runs a command's work; a failure is one sentence on standard error and the documented exit status.
    func reporting(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let failure as Failure {
            Terminal.complain(failure.text)
            if let (text, place, length) = failure.excerpt { Terminal.point(text, place, length) }
            throw ExitCode(failure.status.rawValue)
        } catch let error as StoreError {
            let failure = Failure(error)
            Terminal.complain(failure.text)
            throw ExitCode(failure.status.rawValue)
        }
    }
}

/// What people see.
enum Terminal {
    /// A line on standard error, after the program's name. Control characters of paths and names are shown escaped.
    static func complain(_ text: String) {
        let line = Array((wrapped("artifactfs: " + printable(text), indent: 4, at: width(2)) + "\n").utf8)
        try? SystemCall.write(FileDescriptor(rawValue: 2), line)
    }

    /// Shows on standard error what is at fault in a text of one line; of a long one what is around it.
    ///
    /// - Parameters:
    ///   - place: in characters (Unicode scalars).
    ///   - length: of what is at fault.
    static func point(_ text: String, _ place: Int, _ length: Int) {
        let scalars = Array(text.unicodeScalars)
        let first = max(0, place - 40)
        let part = scalars[min(first, scalars.count)..<min(scalars.count, first + 70)]
        // A character each, so that the marks stand below what they mean.
        let shown = part.map { scalar -> Character in
            switch scalar.properties.generalCategory {
            case .control, .format, .lineSeparator, .paragraphSeparator, .nonspacingMark, .enclosingMark: "?"
            default: Character(scalar)
            }
        }
        let marks =
            String(repeating: " ", count: place - first) + String(repeating: "^", count: min(30, max(1, length)))
        try? SystemCall.write(FileDescriptor(rawValue: 2), Array("    \(String(shown))\n    \(marks)\n".utf8))
    }

    /// A line on standard output. Where a terminal would break it in the middle of a word, it is broken between words.
    ///
    /// - Parameter indent: how far its further lines are moved to the right.
    static func show(_ text: String, indent: Int = 4) {
        print(wrapped(printable(text), indent: indent, at: width(1)))
    }

    /// Ends the program: with a failure when what it has printed could not be written, as a list that is cut does not look whole. Who reads no
    /// more ends it by SIGPIPE.
    ///
    /// Handlers of exit(3) are not run. Libraries take down there what the program's other threads are using: a driver whose thread looked
    /// into a git repository while libcrypto was taken down ended with SIGSEGV after everything was published.
    static func end(_ status: Int32) -> Never {
        do throws(Errno) { try SystemCall.flushOutput() } catch {
            // What was closed from the beginning nobody wants to read.
            if error != .brokenPipe, error != .badFileDescriptor {
                complain("cannot write to the standard output: \(error)")
                _exit(Status.failed.rawValue)
            }
        }
        _exit(status)
    }

    /// How wide the terminal of the standard output is; 80 of what is none.
    static var columns: Int { width(1) ?? 80 }

    /// How wide a terminal is; nil for what is no terminal, whose lines stay whole for programs.
    private static func width(_ descriptor: Int32) -> Int? {
        guard isatty(descriptor) != 0 else { return nil }
        let columns = SystemCall.terminalColumns(FileDescriptor(rawValue: descriptor))
        return columns >= 40 ? columns : 80
    }

    /// Lines that end between words. A word longer than a line, such as a path, stays whole on a line of its own: it can be copied.
    static func wrapped(_ text: String, indent: Int, at width: Int?) -> String {
        guard let width, text.unicodeScalars.count > width else { return text }
        var lines: [String] = []
        var line = ""
        var isEmpty = true
        for word in text.split(separator: " ", omittingEmptySubsequences: false) {
            if !isEmpty, line.unicodeScalars.count + 1 + word.unicodeScalars.count > width, !word.isEmpty {
                lines.append(line)
                line = String(repeating: " ", count: indent) + word
            } else {
                line += (isEmpty ? "" : " ") + word
            }
            isEmpty = false
        }
        return (lines + [line]).joined(separator: "\n")
    }

    /// Text in which nothing can move the cursor or end the line.
    static func printable(_ text: String) -> String { ShownText.printable(text) }
}
