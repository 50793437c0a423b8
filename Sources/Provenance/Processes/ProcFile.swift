internal import Artifacts
package import Glibc
internal import Synchronization
internal import SystemCalls
internal import SystemPackage

/// `/proc` files of the threads that closed files last, kept open: to read one again takes a fifth of the time that opening,
/// reading and closing take, and a program that writes many files is asked about at each.
///
/// An open file belongs to its thread and not to the thread's number: once the thread is gone, reading it fails (ESRCH), whoever has
/// the number then.
package final class WriterFiles: Sendable {
    private struct Kept {
        let thread: Int32
        /// `statm`
        let memory: FileDescriptor
        /// `comm`
        let program: FileDescriptor?

        func close() {
            SystemCall.close(memory)
            if let program { SystemCall.close(program) }
        }
    }

    private static let most = 8
    /// The last one that was looked for comes last. A leaf in the order of locks; what is read under it is made in memory.
    private let kept = Lock<[Kept]>([])

    package init() {}

    deinit { kept.withLock { $0.forEach { $0.close() } } }

    /// - Parameter seesCode: whether the exit code of that thread's process is shown to us.
    package func look(at thread: Int32, seesCode: Bool = true) -> ProcessSight {
        guard thread > 0 else { return ProcessSight() }
        return withUnsafeTemporaryAllocation(byteCount: 256, alignment: 1) { buffer -> ProcessSight in
            let (isThere, count, program) = kept.withLock { kept -> (Bool, Int, String) in
                if let index = kept.lastIndex(where: { $0.thread == thread }) {
                    let count = Self.read(kept[index].memory, into: buffer)
                    if count > 0 { return (true, count, Self.program(kept[index].program)) }
                    kept.remove(at: index).close()
                }
                guard let fresh = Self.open(thread) else { return (false, 0, "") }
                if kept.count >= Self.most { kept.removeFirst().close() }
                kept.append(fresh)
                return (true, Self.read(fresh.memory, into: buffer), Self.program(fresh.program))
            }
            guard isThere, count > 0 else { return ProcessSight() }
            let memory = UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count])
            return ProcessSight(ending: .of(thread: thread, memory: memory, seesCode: seesCode), program: program)
        }
    }

    private static func open(_ thread: Int32) -> Kept? {
        guard let memory = SystemCall.openProcFile(thread, "statm") else { return nil }
        return Kept(thread: thread, memory: memory, program: SystemCall.openProcFile(thread, "comm"))
    }

    /// From the file's beginning; nothing when it cannot be read.
    private static func read(_ file: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer) -> Int {
        (try? SystemCall.read(file, at: 0, into: buffer)) ?? 0
    }

    private static func program(_ file: FileDescriptor?) -> String {
        guard let file else { return "" }
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            let count = read(file, into: buffer)
            return count > 1 ? String(decoding: buffer[..<(count - 1)], as: UTF8.self) : ""
        }
    }
}

/// Small files of `/proc`.
package enum ProcFile {
    /// Reads `/proc/<pid>/<name>`; nil when it is not there.
    package static func read(
        _ process: Int32, _ name: StaticString, into buffer: UnsafeMutableRawBufferPointer
    ) -> UnsafeRawBufferPointer? {
        guard let descriptor = SystemCall.openProcFile(process, name) else { return nil }
        defer { SystemCall.close(descriptor) }
        guard let count = try? SystemCall.read(descriptor, into: buffer) else { return nil }
        return count > 0 ? UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[0..<count]) : nil
    }

    /// The name of the program that a thread runs, as `/proc/<pid>/comm` has it; empty when it is gone.
    package static func program(ofThread thread: Int32) -> String {
        guard thread > 0 else { return "" }
        return withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
            read(thread, "comm", into: buffer).map { String(decoding: $0.dropLast(), as: UTF8.self) } ?? ""
        }
    }

    /// The process (thread group) of a thread; nil when it is gone.
    package static func processID(ofThread thread: Int32) -> Int32? {
        guard thread > 0 else { return nil }
        return withStatus(of: thread, atMost: 512, \.process)
    }

    /// The further groups of a thread, as `/proc/<pid>/status` has them (proc_pid_status(5)); nil when it is gone.
    package static func groups(ofThread thread: Int32) -> [gid_t]? {
        guard thread > 0 else { return nil }
        // 65,536 groups at most (NGROUPS_MAX), of up to 10 digits.
        return whole(thread, "status", atMost: 1 << 20).flatMap(groups)
    }

    /// The rights with which a process reads files: its file system ids and groups; nil when it is gone.
    static func rights(of process: Int32) -> UserRights? {
        whole(process, "status", atMost: 1 << 20).flatMap(rights)
    }

    /// The same in the text of that file; nil when it is not whole.
    static func rights(inStatus text: [UInt8]) -> UserRights? { text.withUnsafeBytes { StatusText(text: $0).rights } }

    /// The numbers of the line `Groups:`; nil when there is no such line, or something else is in it.
    package static func groups(inStatus text: [UInt8]) -> [gid_t]? {
        text.withUnsafeBytes { StatusText(text: $0).groups }
    }

    /// How many bytes a process has written so far, to whatever it was (proc_pid_io(5), `wchar`); nil when that is not shown.
    package static func bytesWritten(byThread thread: Int32) -> UInt64? {
        guard let process = processID(ofThread: thread) else { return nil }
        return withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { buffer -> UInt64? in
            guard let text = read(process, "io", into: buffer) else { return nil }
            let key = Array("wchar: ".utf8)
            guard let line = text.split(separator: UInt8(ascii: "\n")).first(where: { $0.starts(with: key) }) else {
                return nil
            }
            return UInt64(String(decoding: line.dropFirst(key.count), as: UTF8.self))
        }
    }
}
