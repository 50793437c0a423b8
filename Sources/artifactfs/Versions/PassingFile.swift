import Glibc
import SystemCalls
import SystemPackage

/// A file that is there for this process only, and goes with it however it ends: another process, which no signal of a terminal reaches, waits for that
/// end and removes it then.
final class PassingFile {
    let path: String
    /// Closed when this process ends.
    private let lifeline: FileDescriptor?

    /// The file is not made by this. Only while the program has one thread.
    init(at path: String) {
        self.path = path
        fflush(nil)
        guard let ends = try? SystemCall.makePipe() else {
            lifeline = nil
            return
        }
        let child = (try? SystemCall.fork()) ?? -1
        if child == 0 { Self.wait(at: ends.reading, for: path) }
        SystemCall.close(ends.reading)
        lifeline = ends.writing
    }

    private static func wait(at end: FileDescriptor, for path: String) -> Never {
        setsid()
        // Whoever waits for the end of this program's output must not wait for this process.
        if let nothing = try? SystemCall.open(SystemCall.currentDirectory, "/dev/null", O_RDWR) {
            for descriptor in 0...2 as ClosedRange<Int32> {
                SystemCall.duplicate(nothing, to: FileDescriptor(rawValue: descriptor))
            }
        }
        for descriptor in Paths.descriptors() where descriptor > 2 && descriptor != end.rawValue {
            SystemCall.close(FileDescriptor(rawValue: descriptor))
        }
        // Nothing is ever written: what comes is the end.
        _ = try? SystemCall.bytes(end, atMost: 1)
        try? SystemCall.unlink(SystemCall.currentDirectory, path)
        _exit(0)
    }

    deinit {
        try? SystemCall.unlink(SystemCall.currentDirectory, path)
        if let lifeline { SystemCall.close(lifeline) }
    }
}
