internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Moving bytes between a file and memory, whole.
enum Transfer {
    private static let isRoot = geteuid() == 0

    /// Reads until the buffer is full or the file ends. The C function is `pread`.
    static func read(
        _ descriptor: FileDescriptor, _ buffer: UnsafeMutableRawBufferPointer, at offset: off_t
    ) throws(Errno) -> Int {
        var done = 0
        while done < buffer.count {
            do throws(Errno) {
                // Past the last offset there is the kernel says EINVAL; the sum wraps on purpose.
                let count = try SystemCall.read(
                    descriptor, at: Int64(offset) &+ Int64(done), into: .init(rebasing: buffer[done...]))
                if count == 0 { break }
                done += count
            } catch {
                if done > 0 { break }
                throw error
            }
        }
        return done
    }

    /// Writes everything, or as much as fits: then fewer bytes than offered is the answer, and the next write gets the error. The C
    /// function is `pwrite`.
    ///
    /// - Parameter caller: a driver of root's writes as this user, so that quotas hold and the disk's reserve stays root's.
    static func write(
        _ bytes: UnsafeRawBufferPointer, _ descriptor: FileDescriptor, at offset: off_t, for caller: Caller
    ) throws(Errno) -> Int {
        let isForAnother = caller.user != 0 && isRoot
        if isForAnother { try SystemCall.act(asUser: caller.user, group: caller.group, furtherGroups: nil) }
        defer { if isForAnother { SystemCall.actForItself(dropsGroups: false) } }
        var done = 0
        while done < bytes.count {
            do throws(Errno) {
                let count = try SystemCall.write(
                    descriptor, at: Int64(offset) &+ Int64(done), .init(rebasing: bytes[done...]))
                if count == 0 { break }
                done += count
            } catch {
                if done > 0 { break }
                throw error
            }
        }
        return done
    }
}

/// A buffer for reads, one a thread and kept: an allocation of this size would be mapped and cleared by the kernel each time. It is
/// shorter than asked for only when there is no memory.
enum TransferBuffer {
    private static let key: pthread_key_t = {
        var key = pthread_key_t()
        pthread_key_create(&key) { free($0) }
        return key
    }()
    private static let capacity = 1 << 20

    static func withBuffer(_ size: Int, _ body: (UnsafeMutableRawBufferPointer) -> Void) {
        if size > capacity {
            let memory = aligned_alloc(4096, size)
            defer { free(memory) }
            return body(UnsafeMutableRawBufferPointer(start: memory, count: memory == nil ? 0 : size))
        }
        var memory = pthread_getspecific(key)
        if memory == nil {
            memory = aligned_alloc(4096, capacity)
            pthread_setspecific(key, memory)
        }
        body(UnsafeMutableRawBufferPointer(start: memory, count: memory == nil ? 0 : max(0, size)))
    }
}
