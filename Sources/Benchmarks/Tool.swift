import Glibc

/// A program of the system, run to its end.
enum Tool {
    /// Runs a program and takes what it writes to standard output; standard error is the benchmark's own.
    ///
    /// - Returns: the seconds from its start to its end, and its output.
    /// - Throws: `BenchFailure` when it cannot be started or ends with another status than 0.
    static func run(_ arguments: [String]) throws(BenchFailure) -> (seconds: Double, output: String) {
        var ends: [Int32] = [-1, -1]
        guard pipe(&ends) == 0 else { throw BenchFailure.call("make", "a pipe") }
        defer { close(ends[0]) }
        var actions = posix_spawn_file_actions_t()
        posix_spawn_file_actions_init(&actions)
        defer { posix_spawn_file_actions_destroy(&actions) }
        posix_spawn_file_actions_adddup2(&actions, ends[1], 1)
        posix_spawn_file_actions_addclose(&actions, ends[0])
        posix_spawn_file_actions_addclose(&actions, ends[1])
        var pointers = arguments.map { strdup($0) } + [nil]
        defer { for pointer in pointers { free(pointer) } }
        var process: pid_t = 0
        let start = Stopwatch.now()
        let code = posix_spawnp(&process, arguments[0], &actions, nil, &pointers, environ)
        close(ends[1])
        guard code == 0 else { throw BenchFailure("cannot run \(arguments[0]): \(String(cString: strerror(code)))") }
        var output: [UInt8] = []
        var piece = [UInt8](repeating: 0, count: 65_536)
        while true {
            let count = read(ends[0], &piece, piece.count)
            if count > 0 {
                output.append(contentsOf: piece.prefix(count))
            } else if count == 0 || errno != EINTR {
                break
            }
        }
        var status: Int32 = 0
        while waitpid(process, &status, 0) < 0 && errno == EINTR {}
        let seconds = Stopwatch.now() - start
        guard status == 0 else {
            throw BenchFailure("'\(arguments.prefix(3).joined(separator: " ")) ...' ended with wait status \(status)")
        }
        return (seconds, String(decoding: output, as: UTF8.self))
    }
}
