internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Small files of the store's own that are there whole, or as they were.
enum WholeFile {
    /// Writes a file under another name, brings it to disk, and gives it its name.
    ///
    /// - Parameters:
    ///   - replacing: whether what has the name is replaced; else `EEXIST`.
    ///   - isAlone: whether nobody else writes it now: then what one left who was killed is written over.
    ///   - preparing: what is done with it before it has its name.
    ///   - isSynced: whether it is waited for the disk; else who writes many does it for all.
    static func write(
        _ bytes: [UInt8], to file: RealFile, replacing: Bool = true, isAlone: Bool = false, isSynced: Bool = true,
        preparing: (FileDescriptor) throws(Errno) -> Void = { _ in }
    ) throws(Errno) {
        let time = Clock.now()
        let mark = isAlone ? "new" : "\(getpid())-\(time.tv_sec)-\(time.tv_nsec)"
        let new = file.directory.file(".\(file.name)-\(mark)")
        let descriptor = try new.open(O_WRONLY | O_CREAT | (isAlone ? O_TRUNC : O_EXCL), mode: 0o600)
        defer { SystemCall.close(descriptor) }
        do throws(Errno) {
            try SystemCall.write(descriptor, bytes)
            try preparing(descriptor)
            if isSynced { try SystemCall.sync(descriptor) }
            try new.rename(to: file, flags: replacing ? 0 : SystemCall.noReplace)
            if isSynced { try SystemCall.sync(file.directory.descriptor) }
        } catch {
            try? new.unlink()
            throw error
        }
    }
}
