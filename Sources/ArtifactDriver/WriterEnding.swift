internal import Glibc

/// How the process that closes a file is doing at that moment.
enum WriterEnding: Sendable, Hashable {
    /// It called `close`, or its end could not be seen.
    case running
    /// It is exiting with status 0.
    case succeeded
    /// It is exiting with a failure status.
    case failed(status: Int32)
    /// A signal is ending it.
    case killed(signal: Int32)

    /// Why nothing is published, or nil when there is no reason.
    var reason: String? {
        switch self {
        case .running, .succeeded: nil
        case .failed(let status): "the writer ended with status \(status) while it held the file open"
        case .killed(let signal): "the writer was killed by signal \(signal) while it held the file open"
        }
    }

    /// Reads a thread's `/proc/<pid>/stat` (proc_pid_stat(5)): field 9 has the flags, field 52 the exit code.
    ///
    /// The kernel sends a FLUSH for each descriptor that an exiting task closes and the task waits for the reply, so it is still
    /// there. `PF_SIGNALED` alone says nothing: threads that an `exit_group(0)` ends have it too (kernel/signal.c,
    /// `get_signal`), so the exit code decides. Tried on kernel 6.18: SIGKILL reads 9, `exit(3)` reads 3 << 8.
    ///
    /// A task that closes in `execve` (close-on-exec) holds a lock that reading `stat` waits for, while it waits for this very
    /// reply: then the mount hangs, and every ps(1) with it (seen on kernel 6.18, `do_task_stat`). `statm` waits for nothing, and
    /// shows zeros once a task has given up its memory, which `do_exit` does before it closes files; so it is asked first.
    static func of(thread: Int32) -> WriterEnding {
        guard thread > 0 else { return .running }
        return withUnsafeTemporaryAllocation(byteCount: 1024, alignment: 1) { buffer in
            guard let memory = ProcFile.read(thread, "statm", into: buffer), memory.starts(with: "0 0 ".utf8),
                let line = ProcFile.read(thread, "stat", into: buffer)
            else { return .running }
            return parse(line)
        }
    }

    /// The verdict of a stat line.
    static func parse(_ line: UnsafeRawBufferPointer) -> WriterEnding {
        // The second field is the command in parentheses and may hold anything, parentheses too: fields count from the last one.
        guard let close = line.lastIndex(of: UInt8(ascii: ")")) else { return .running }
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
        let signal = Int32(code & 0x7f)
        if signal != 0 { return .killed(signal: signal) }
        let status = Int32((code >> 8) & 0xff)
        return status == 0 ? .succeeded : .failed(status: status)
    }
}

/// Small files of `/proc`.
enum ProcFile {
    /// Reads `/proc/<pid>/<name>`; nil when it is not there.
    static func read(
        _ process: Int32, _ name: StaticString, into buffer: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        withUnsafeTemporaryAllocation(of: CChar.self, capacity: 64) { path -> UnsafeRawBufferPointer? in
            guard let start = path.baseAddress else { return nil }
            var end = append("/proc/", to: start)
            end = append(process, to: end)
            end = append("/", to: end)
            end = name.withUTF8Buffer { text in
                for (offset, byte) in text.enumerated() where offset < 24 { end[offset] = CChar(bitPattern: byte) }
                return end + min(text.count, 24)
            }
            end.pointee = 0
            let descriptor = Glibc.open(start, O_RDONLY | O_CLOEXEC)
            guard descriptor >= 0 else { return nil }
            defer { Glibc.close(descriptor) }
            let count = Glibc.read(descriptor, buffer.baseAddress, buffer.count)
            return count > 0 ? UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[0..<count]) : nil
        }
    }

    private static func append(_ text: StaticString, to end: UnsafeMutablePointer<CChar>) -> UnsafeMutablePointer<CChar>
    {
        text.withUTF8Buffer { bytes in
            for (offset, byte) in bytes.enumerated() { end[offset] = CChar(bitPattern: byte) }
            return end + bytes.count
        }
    }

    /// At most 11 characters.
    private static func append(_ number: Int32, to end: UnsafeMutablePointer<CChar>) -> UnsafeMutablePointer<CChar> {
        var divisor: Int32 = 1
        while number / divisor >= 10 { divisor *= 10 }
        var end = end
        while divisor > 0 {
            end.pointee = CChar(48 + number / divisor % 10)
            end += 1
            divisor /= 10
        }
        return end
    }

    /// The name of the program that a thread runs, as `/proc/<pid>/comm` has it; empty when it is gone.
    static func program(ofThread thread: Int32) -> String {
        guard thread > 0 else { return "" }
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            read(thread, "comm", into: buffer).map { String(decoding: $0.dropLast(), as: UTF8.self) } ?? ""
        }
    }

    /// The process (thread group) of a thread; nil when it is gone.
    static func processID(ofThread thread: Int32) -> Int32? {
        guard thread > 0 else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { buffer -> Int32? in
            guard let text = read(thread, "status", into: buffer) else { return nil }
            let key = Array("\nTgid:\t".utf8)
            guard text.count > key.count else { return nil }
            for start in 0..<(text.count - key.count) where text[start] == key[0] {
                guard text[start..<(start + key.count)].elementsEqual(key) else { continue }
                var value: Int32 = 0
                for byte in text[(start + key.count)...] {
                    guard (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) else { break }
                    value = value &* 10 &+ Int32(byte - UInt8(ascii: "0"))
                }
                return value
            }
            return nil
        }
    }

    /// Whether two threads belong to one process.
    static func isSameProcess(_ one: Int32, _ other: Int32) -> Bool {
        if one == other { return true }
        guard let first = processID(ofThread: one), let second = processID(ofThread: other) else { return false }
        return first == second
    }
}
