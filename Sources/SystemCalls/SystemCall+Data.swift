internal import CLinux
internal import Glibc
package import SystemPackage

/// What is in files.
extension SystemCall {
    // MARK: - Reading

    /// pread(2), once.
    package static func read(
        _ descriptor: FileDescriptor, at offset: Int64, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Int {
        try retry(.read, descriptor) { pread(descriptor.rawValue, buffer.baseAddress, buffer.count, off_t(offset)) }
    }

    /// read(2), once, of what has no offsets: a pipe, a socket.
    package static func read(
        _ descriptor: FileDescriptor, into buffer: UnsafeMutableRawBufferPointer
    ) throws(Errno) -> Int {
        try retry(.read, descriptor) { Glibc.read(descriptor.rawValue, buffer.baseAddress, buffer.count) }
    }

    /// read(2), once: what comes, at most so many bytes. None at the end.
    package static func bytes(_ descriptor: FileDescriptor, atMost count: Int) throws(Errno) -> [UInt8] {
        try withUnsafeTemporaryAllocation(byteCount: max(count, 1), alignment: 16) { buffer throws(Errno) in
            let got = try read(descriptor, into: buffer)
            return [UInt8](buffer[..<got])
        }
    }

    /// pread(2) until `count` bytes are read or the file ends.
    package static func bytes(
        _ descriptor: FileDescriptor, at offset: Int64, count: Int
    ) throws(Errno) -> [UInt8] {
        // Swift's own allocation would end the process where there is no room, and a file's size may be any number.
        guard let base = malloc(max(count, 1)) else { throw .noMemory }
        defer { free(base) }
        let buffer = UnsafeMutableRawBufferPointer(start: base, count: max(count, 0))
        var filled = 0
        while filled < count {
            // Past the last offset there is (the kernel says EINVAL to it): on purpose no trap.
            let got = try read(
                descriptor, at: offset &+ Int64(filled), into: .init(rebasing: buffer[filled..<count]))
            if got == 0 { break }
            filled += got
        }
        return [UInt8](buffer[..<filled])
    }

    /// lseek(2).
    ///
    /// - Parameter whence: `SEEK_SET`, `SEEK_CUR`, `SEEK_END`, `SEEK_DATA` or `SEEK_HOLE`.
    package static func seek(_ descriptor: FileDescriptor, _ offset: Int64, _ whence: Int32) throws(Errno) -> Int64 {
        Int64(try retry(.seek, descriptor) { lseek(descriptor.rawValue, off_t(offset), whence) })
    }

    /// `SEEK_DATA`.
    package static let seekData = Int32(CLINUX_SEEK_DATA)
    /// `SEEK_HOLE`.
    package static let seekHole = Int32(CLINUX_SEEK_HOLE)

    /// Where data begins from an offset on: lseek(2) with `SEEK_DATA`.
    ///
    /// - Throws: `ENXIO` when there is none.
    package static func data(in descriptor: FileDescriptor, from offset: Int64) throws(Errno) -> Int64 {
        try seek(descriptor, offset, seekData)
    }

    /// Where a hole begins from an offset on, which the end of the file is too: lseek(2) with `SEEK_HOLE`.
    package static func hole(in descriptor: FileDescriptor, from offset: Int64) throws(Errno) -> Int64 {
        try seek(descriptor, offset, seekHole)
    }

    // MARK: - Writing

    /// write(2) until everything is written.
    package static func write(_ descriptor: FileDescriptor, _ bytes: [UInt8]) throws(Errno) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let written = try retry(.write, descriptor) {
                rest.withUnsafeBytes { Glibc.write(descriptor.rawValue, $0.baseAddress, $0.count) }
            }
            guard written > 0 else { throw .ioError }
            rest = rest.dropFirst(written)
        }
    }

    /// write(2), once.
    package static func write(_ descriptor: FileDescriptor, _ bytes: UnsafeRawBufferPointer) throws(Errno) -> Int {
        try retry(.write, descriptor) { Glibc.write(descriptor.rawValue, bytes.baseAddress, bytes.count) }
    }

    /// pwrite(2), once.
    package static func write(
        _ descriptor: FileDescriptor, at offset: Int64, _ bytes: UnsafeRawBufferPointer
    ) throws(Errno) -> Int {
        try retry(.write, descriptor) { pwrite(descriptor.rawValue, bytes.baseAddress, bytes.count, off_t(offset)) }
    }

    /// Writes all of it from an offset on.
    package static func write(_ descriptor: FileDescriptor, at offset: Int64, _ bytes: [UInt8]) throws(Errno) {
        var done = 0
        while done < bytes.count {
            let written = try retry(.write, descriptor) {
                bytes[done...].withUnsafeBytes {
                    pwrite(descriptor.rawValue, $0.baseAddress, $0.count, off_t(offset &+ Int64(done)))
                }
            }
            guard written > 0 else { throw .ioError }
            done += written
        }
    }

    /// ftruncate(2).
    package static func truncate(_ descriptor: FileDescriptor, to length: Int64) throws(Errno) {
        try retry(.truncate, descriptor) { ftruncate(descriptor.rawValue, off_t(length)) }
    }

    /// truncate(2) of the file that a descriptor names, `O_PATH` ones above all.
    package static func truncate(ofPath descriptor: FileDescriptor, to length: Int64) throws(Errno) {
        try withPath(of: descriptor) { path throws(Errno) in
            _ = try retry(.truncate, descriptor) { Glibc.truncate(path, off_t(length)) }
        }
    }

    /// fallocate(2).
    package static func allocate(
        _ descriptor: FileDescriptor, mode: Int32, offset: Int64, length: Int64
    ) throws(Errno) {
        try retry(.allocate, descriptor) {
            clinux_fallocate(descriptor.rawValue, mode, off_t(offset), off_t(length))
        }
    }

    /// copy_file_range(2), once.
    ///
    /// - Parameters:
    ///   - offset: where it reads.
    ///   - position: where it writes; nil for where the descriptor is.
    package static func copyRange(
        _ source: FileDescriptor, from offset: Int64, to target: FileDescriptor, at position: Int64?, count: Int
    ) throws(Errno) -> Int {
        try retry(.copyRange, target) {
            // A call that was interrupted has changed none of them.
            var from = off_t(offset)
            guard let position else {
                return clinux_copy_file_range(source.rawValue, &from, target.rawValue, nil, count, 0)
            }
            var to = off_t(position)
            return clinux_copy_file_range(source.rawValue, &from, target.rawValue, &to, count, 0)
        }
    }

    // MARK: - To disk

    /// fsync(2).
    package static func sync(_ descriptor: FileDescriptor) throws(Errno) {
        try retry(.sync, descriptor) { fsync(descriptor.rawValue) }
    }

    /// All that is on the file system of a file or directory (syncfs(2)).
    package static func syncFileSystem(_ descriptor: FileDescriptor) throws(Errno) {
        try retry(.sync, descriptor) { clinux_syncfs(descriptor.rawValue) }
    }

    /// fdatasync(2).
    package static func syncData(_ descriptor: FileDescriptor) throws(Errno) {
        try retry(.sync, descriptor) { fdatasync(descriptor.rawValue) }
    }

    /// sync_file_range(2): begins to write what a file has in memory.
    package static func beginSync(_ descriptor: FileDescriptor) { _ = clinux_begin_sync(descriptor.rawValue) }

    /// What was read of a file need not be kept in memory (posix_fadvise(2), `POSIX_FADV_DONTNEED`).
    package static func forgetContents(of descriptor: FileDescriptor) {
        posix_fadvise(descriptor.rawValue, 0, 0, POSIX_FADV_DONTNEED)
    }
}
