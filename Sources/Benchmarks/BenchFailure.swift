import Glibc

/// A benchmark that could not run, or did not do the work it is credited with: a sentence for people.
struct BenchFailure: Error, CustomStringConvertible {
    let description: String

    init(_ description: String) { self.description = description }

    /// A system call that failed just now: what was being done, to which file, and what the system said.
    static func call(_ what: String, _ path: String) -> BenchFailure {
        let code = errno
        return BenchFailure("cannot \(what) \(path): \(String(cString: strerror(code)))")
    }

    /// The same for a path that is a C string already.
    static func call(_ what: String, _ path: UnsafePointer<CChar>) -> BenchFailure {
        let code = errno
        return BenchFailure("cannot \(what) \(String(cString: path)): \(String(cString: strerror(code)))")
    }

    /// Writes a line to standard error.
    static func say(_ text: String) {
        let line = Array("artifactfs-bench: \(text)\n".utf8)
        _ = line.withUnsafeBytes { write(2, $0.baseAddress, $0.count) }
    }
}
