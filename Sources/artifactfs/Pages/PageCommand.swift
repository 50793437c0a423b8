import ArgumentParser
import ArtifactRecords
import ArtifactWeb
import Glibc
import SystemCalls
import SystemPackage

/// Makes one page; for `artifactfs serve` only, which starts a process for each: whatever a store, a mount or a file does to it, it is that
/// process only, and it has one thread when it asks mounts.
struct PageCommand: ParsableCommand {
    static let name = "page"
    static let configuration = CommandConfiguration(commandName: name, shouldDisplay: false)

    @OptionGroup var store: StoreArguments
    @Argument var target: String

    func run() throws {
        try reporting {
            guard let target = PageTarget(parsing: target) else { throw Failure(.usage, "that is no target of a page") }
            let page: MadePage
            do { page = try PageMaker(try store.place()).make(target) } catch let failure as Failure {
                // The store is gone, or its driver does not answer: who looks at the page is told.
                let frame = PageFrame("Trouble", in: nil, FoundView.QueryProblem(failure).markup)
                page = MadePage(status: 503, html: frame.served(store: store.store ?? "", date: PageMaker.now))
            }
            let head: JSONValue = .object(["status": .integer(Int64(page.status)), "type": .string(page.type)])
            do throws(Errno) {
                try SystemCall.write(
                    FileDescriptor(rawValue: 1), Array(head.description.utf8) + [UInt8(ascii: "\n")] + page.body)
            } catch { throw Failure(.failed, "cannot write the page: \(error)") }
        }
    }

    /// What such a process has written; nil of what is no page.
    static func page(_ bytes: [UInt8]) -> MadePage? {
        guard let end = bytes.firstIndex(of: UInt8(ascii: "\n")), let head = JSONValue(parsing: bytes[..<end]),
            let status = head["status"]?.integer.flatMap({ Int(exactly: $0) }), let type = head["type"]?.string
        else { return nil }
        return MadePage(status: status, type: type, body: Array(bytes[(end + 1)...]))
    }
}
