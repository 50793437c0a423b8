import ArgumentParser
import Glibc

/// `artifactfs-bench make-files`: a program that makes many files and ends, as pipelines have them. Production publishes what a program
/// made when that has ended well, so that the time until all is published is that of a program with an end.
struct MakeCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "make-files", abstract: "Create, write 4 KiB, close: each path of a list.", shouldDisplay: false)

    @Argument(help: "A file of paths, one a line.", completion: .file())
    var list: String

    func run() throws {
        let paths = try TextFile.read(list).split(separator: "\n").map(String.init)
        let names = PathTable(count: paths.count) { paths[$0] }
        let buffers = Buffers()
        _ = try Loops.create(names.all, buffers.content)
    }

    /// Has another process of this program make files.
    static func makeInAnotherProcess(_ paths: [String]) throws(BenchFailure) {
        var template = Array("/tmp/artifactfs-bench-XXXXXX".utf8CString)
        let file = mkstemp(&template)
        guard file >= 0 else { throw BenchFailure.call("make", "a list of paths") }
        close(file)
        let list = String(decoding: template.dropLast().map { UInt8(bitPattern: $0) }, as: UTF8.self)
        defer { unlink(list) }
        try TextFile.write(paths.joined(separator: "\n"), to: list)
        _ = try Tool.run(["/proc/self/exe", "make-files", list])
    }
}
