import Glibc
import TestSupport
import Testing

/// A real server of S3's interface, and a proxy before it that does what a test wants (Mirror/server.py). It ends with this object.
final class BucketServer {
    /// A Python that has boto3 and moto.
    static let python = environmentValue("ARTIFACTFS_TEST_BUCKETS") ?? "python3"

    /// Where it keeps what it is told and what it was asked.
    let files: TemporaryDirectory
    let process: Child
    /// The server's address, and the proxy's.
    let direct, proxied: String

    /// - Parameter words: further words for the program that starts it.
    init(_ words: [String]) throws {
        files = try TemporaryDirectory()
        let script = #filePath.split(separator: "/").dropLast().map { "/" + $0 }.joined() + "/Mirror/server.py"
        process = try Child([Self.python, script, files.path] + words)
        let (server, ports) = (process, files.path + "/ports")
        let isThere = eventually(within: 60) { !server.isRunning || access(ports, F_OK) == 0 }
        try #require(isThere && server.isRunning, "\(server.output) \(server.errors)")
        let numbers = try contents(ports).split(separator: " ")
        (direct, proxied) = ("http://127.0.0.1:\(numbers[0])", "http://127.0.0.1:\(numbers[1])")
    }
}
