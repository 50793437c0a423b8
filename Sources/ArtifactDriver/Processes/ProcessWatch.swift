internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A process that is seen to live or to have ended, whatever takes its number then (pidfd_open(2)).
final class ProcessWatch: Sendable {
    private let process: Int32
    private let seesCode: Bool
    private let descriptor: FileDescriptor

    /// Nil when it is gone already, or in another pid namespace.
    ///
    /// - Parameter seesCode: whether the exit code of that process is shown to us.
    init?(ofThread thread: Int32, seesCode: Bool) {
        guard let process = ProcFile.processID(ofThread: thread),
            let descriptor = try? SystemCall.openProcess(process)
        else { return nil }
        self.process = process
        self.seesCode = seesCode
        self.descriptor = descriptor
    }

    deinit { SystemCall.close(descriptor) }

    /// How it is doing. The kernel keeps the exit code of a process that is gone for who has a pidfd (linux/pidfd.h, `PIDFD_INFO_EXIT`,
    /// kernel 6.15; tried on 6.18); of one that nobody has waited for it stands in `/proc`.
    var ending: WriterEnding {
        var ended = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        // It may be about to end, with its files closed already.
        guard poll(&ended, 1, 0) > 0 else { return WriterFiles().look(at: process, seesCode: seesCode).ending }
        if let code = SystemCall.exitCode(descriptor) {
            return WriterEnding(exitCode: UInt64(UInt32(bitPattern: code)))
        }
        return withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer in
            guard seesCode, let line = ProcFile.read(process, "stat", into: buffer) else { return .unknown }
            let found = WriterEnding.parse(line)
            return found == .running ? .unknown : found
        }
    }
}
