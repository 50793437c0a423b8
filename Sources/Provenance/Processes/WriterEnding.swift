package import Artifacts

extension WriterEnding {
    /// Reads a thread's `/proc/<pid>/stat` (proc_pid_stat(5)): field 9 has the flags, field 52 the exit code.
    ///
    /// The kernel sends a FLUSH for each descriptor that an exiting task closes and the task waits for the reply, so it is still
    /// there. `PF_SIGNALED` alone says nothing: threads that an `exit_group(0)` ends have it too (kernel/signal.c,
    /// `get_signal`), so the exit code decides. Tried on kernel 6.18: SIGKILL reads 9, `exit(3)` reads 3 << 8.
    ///
    /// A task that closes in `execve` (close-on-exec) holds a lock that reading `stat` waits for, while it waits for this very
    /// reply: then the mount hangs, and every ps(1) with it (seen on kernel 6.18, `do_task_stat`). `statm` waits for nothing, and
    /// shows zeros once a task has given up its memory, which `do_exit` does before it closes files; so it is asked first.
    ///
    /// - Parameters:
    ///   - memory: the thread's `statm`.
    ///   - seesCode: whether the exit code is shown; to whom it is not, the kernel shows 0 (fs/proc/array.c, `do_task_stat`).
    package static func of(thread: Int32, memory: UnsafeRawBufferPointer, seesCode: Bool) -> WriterEnding {
        guard memory.starts(with: "0 0 ".utf8) else { return .running }
        guard seesCode else { return .unknown }
        return withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer in
            ProcFile.read(thread, "stat", into: buffer).map(parse) ?? .unknown
        }
    }

    /// The verdict of a stat line.
    package static func parse(_ line: UnsafeRawBufferPointer) -> WriterEnding {
        // The second field is the command in parentheses and may hold anything, parentheses too: fields count from the last one.
        guard let close = line.lastIndex(of: UInt8(ascii: ")")) else { return .unknown }
        var field = 2
        var value: UInt64 = 0
        var flags: UInt64 = 0
        var code: UInt64 = 0
        for byte in line[(close + 1)...] {
            switch byte {
            case UInt8(ascii: " "), UInt8(ascii: "\n"):
                if field == 9 { flags = value }
                if field == 52 { code = value }
                field += 1
                value = 0
            case UInt8(ascii: "0")...UInt8(ascii: "9"): value = value &* 10 &+ UInt64(byte - UInt8(ascii: "0"))
            default: break
            }
        }
        if field == 52 { code = value }
        let exiting: UInt64 = 0x4  // PF_EXITING, include/linux/sched.h
        guard flags & exiting != 0 else { return .running }
        return WriterEnding(exitCode: code)
    }
}
