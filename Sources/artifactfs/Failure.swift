import ArgumentParser
import ArtifactStore
import Glibc
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
    case usage = 64
}

/// Something that a person must be told.
struct Failure: Error {
    let status: Status
    let text: String

    init(_ status: Status, _ text: String) {
        self.status = status
        self.text = text
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

extension ParsableCommand {
    /// Runs a command's work; a failure is one sentence on standard error and the documented exit status.
    func reporting(_ body: () throws -> Void) throws {
        do {
            try body()
        } catch let failure as Failure {
            Terminal.complain(failure.text)
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
        let line = Array(("artifactfs: " + printable(text) + "\n").utf8)
        _ = write(2, line, line.count)
    }

    /// Text in which nothing can move the cursor or end the line.
    static func printable(_ text: String) -> String {
        var result = ""
        for scalar in text.unicodeScalars {
            switch scalar.value {
            case 0x20..<0x7f, 0xa0...: result.unicodeScalars.append(scalar)
            case 0x0a: result += "\\n"
            case 0x09: result += "\\t"
            default:
                let digits = String(scalar.value, radix: 16)
                result += "\\x" + (digits.utf8.count < 2 ? "0" : "") + digits
            }
        }
        return result
    }
}
