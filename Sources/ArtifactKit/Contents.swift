internal import ArtifactStore
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What a program saves: bytes in memory, or a file to be copied.
enum Contents {
    case bytes([UInt8])
    case file(String)

    /// How much of a file is in memory at a time.
    private static let chunk = 1 << 20

    /// Writes all of it at the descriptor's offset.
    ///
    /// - Parameter path: the target, for errors.
    /// - Throws: `system` with the path of the side that failed.
    func write(to target: FileDescriptor, path: String) throws(ArtifactError) {
        switch self {
        case .bytes(let bytes):
            try naming(path) { () throws(Errno) in try SystemCall.write(target, bytes) }
        case .file(let origin):
            let source = try naming(origin) { () throws(Errno) in
                try SystemCall.open(FileDescriptor(rawValue: AT_FDCWD), origin, O_RDONLY)
            }
            defer { SystemCall.close(source) }
            var offset: Int64 = 0
            while true {
                let bytes = try naming(origin) { () throws(Errno) in
                    try SystemCall.bytes(source, at: offset, count: Self.chunk)
                }
                if bytes.isEmpty { return }
                try naming(path) { () throws(Errno) in try SystemCall.write(target, bytes) }
                offset += Int64(bytes.count)
            }
        }
    }
}

/// Runs system calls and gives their errors the path that they are about.
func naming<Value>(_ path: String, _ body: () throws(Errno) -> Value) throws(ArtifactError) -> Value {
    do throws(Errno) { return try body() } catch { throw .system(error, path: path) }
}

extension Directory {
    /// Makes or replaces a file whole: readers see the old bytes or the new, never a part.
    ///
    /// - Parameter path: the file, for errors.
    func replace(_ name: String, with contents: Contents, path: String) throws(ArtifactError) {
        // A transient name: should a crash leave it, it is not taken for an artifact.
        let temporary = file(".artifactkit-\(UInt64.random(in: 0...UInt64.max)).tmp")
        let opened = try naming(path) { () throws(Errno) in
            try temporary.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o666)
        }
        var isLeft = true
        defer {
            SystemCall.close(opened)
            if isLeft { try? temporary.unlink() }
        }
        try contents.write(to: opened, path: path)
        try naming(path) { () throws(Errno) in
            try SystemCall.sync(opened)
            try temporary.rename(to: file(name))
            isLeft = false
            try SystemCall.sync(descriptor)
        }
    }
}
