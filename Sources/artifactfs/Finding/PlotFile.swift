import Glibc
import SystemCalls
import SystemPackage

/// A drawing in a file.
enum PlotFile {
    /// Writes SVG, or what rsvg-convert (librsvg) makes of it.
    static func write(_ svg: String, to path: String) throws {
        let isImage = path.lowercased().hasSuffix(".png")
        guard isImage || path.lowercased().hasSuffix(".svg") else {
            throw Failure(.usage, "--plot \(path): it is drawn as FILE.svg or FILE.png")
        }
        let drawn = isImage ? path + ".svg" : path
        do throws(Errno) {
            let file = try SystemCall.open(SystemCall.currentDirectory, drawn, O_WRONLY | O_CREAT | O_TRUNC, 0o666)
            defer { SystemCall.close(file) }
            try SystemCall.write(file, Array(svg.utf8))
        } catch { throw Failure(.failed, "cannot write \(drawn): \(error)") }
        guard isImage else { return }
        defer { unlink(drawn) }
        var process: pid_t = 0
        let words: [String] = ["rsvg-convert", "--zoom", "2", "--output", path, drawn]
        var arguments: [UnsafeMutablePointer<CChar>?] = words.map { strdup($0) } + [nil]
        defer { for argument in arguments { free(argument) } }
        let status = posix_spawnp(&process, "rsvg-convert", nil, nil, &arguments, environ)
        guard status == 0 else {
            throw Failure(
                .failed,
                "cannot draw \(path): there is no rsvg-convert (package librsvg2-bin); --plot FILE.svg needs nothing")
        }
        guard (try? SystemCall.wait(for: process)) == 0 else {
            throw Failure(.failed, "rsvg-convert could not draw \(path)")
        }
    }
}
