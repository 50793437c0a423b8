internal import CLinux
internal import Glibc
package import SystemPackage

/// Descriptors that are no files of a directory, and what they do besides reading and writing.
extension SystemCall {
    // MARK: - Making them

    /// eventfd(2), close-on-exec and non-blocking.
    package static func makeEvent() throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retry(.descriptor) { clinux_eventfd() })
    }

    /// Makes an eventfd readable. It may be called by a signal handler (signal-safety(7)).
    package static func signal(_ event: FileDescriptor) {
        var one: UInt64 = 1
        _ = Glibc.write(event.rawValue, &one, 8)
    }

    /// memfd_create(2), close-on-exec: a regular file in memory.
    package static func makeMemoryFile(named name: UnsafePointer<CChar>) throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retry(.descriptor) { clinux_memfd(name) })
    }

    /// inotify_init1(2), close-on-exec and non-blocking.
    package static func makeWatcher() throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retry(.descriptor) { clinux_inotify() })
    }

    /// inotify_add_watch(2) on an open directory, for whatever happens to the names in it and to the files that have them.
    package static func watch(_ directory: FileDescriptor, by watcher: FileDescriptor) throws(Errno) -> Int32 {
        try retry(.descriptor, directory) { clinux_inotify_watch(watcher.rawValue, directory.rawValue) }
    }

    /// inotify_rm_watch(2).
    package static func endWatch(_ number: Int32, by watcher: FileDescriptor) {
        clinux_inotify_unwatch(watcher.rawValue, number)
    }

    /// pipe2(2), close-on-exec.
    package static func makePipe() throws(Errno) -> (reading: FileDescriptor, writing: FileDescriptor) {
        var ends: [Int32] = [-1, -1]
        try retry(.descriptor) { clinux_pipe(&ends) }
        return (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
    }

    /// Another descriptor of the same open file, close-on-exec and none of the standard ones.
    package static func duplicate(_ descriptor: FileDescriptor) throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try control(descriptor, F_DUPFD_CLOEXEC, 3))
    }

    /// Closes a second descriptor of an open file, which makes a network's file system send what was written, and say whether its server has taken it
    /// (close(2)): it says so to who wrote only, once.
    package static func flushByClosing(_ descriptor: FileDescriptor) throws(Errno) {
        let second = try duplicate(descriptor)
        // The descriptor is gone, whatever this answers.
        guard Glibc.close(second.rawValue) != 0, errno != EINTR else { return }
        throw Errno(rawValue: errno)
    }

    /// dup2(2): the second is the first's open file from now on, also in programs that are started.
    package static func duplicate(_ descriptor: FileDescriptor, to other: FileDescriptor) {
        _ = try? retry(.descriptor) { dup2(descriptor.rawValue, other.rawValue) }
    }

    // MARK: - Their flags

    /// fcntl(2) with a number.
    @discardableResult
    package static func control(
        _ descriptor: FileDescriptor, _ command: Int32, _ argument: Int32
    ) throws(Errno) -> Int32 {
        try retry(.descriptor, descriptor) { clinux_fcntl_int(descriptor.rawValue, command, argument) }
    }

    /// Keeps a descriptor from programs that are started.
    package static func closeOnExecution(_ descriptor: FileDescriptor) {
        _ = clinux_fcntl_int(descriptor.rawValue, F_SETFD, FD_CLOEXEC)
    }

    /// Gives a descriptor to programs that are started.
    package static func keepOpenOnExecution(_ descriptor: FileDescriptor) throws(Errno) {
        try control(descriptor, F_SETFD, 0)
    }

    /// Reading and writing answer `EAGAIN` from now on instead of waiting. Other flags stay.
    package static func setNonBlocking(_ descriptor: FileDescriptor) {
        _ = clinux_fcntl_int(
            descriptor.rawValue, F_SETFL, clinux_fcntl_int(descriptor.rawValue, F_GETFL, 0) | O_NONBLOCK)
    }

    /// ioctl(2) with a pointer.
    package static func control(
        _ descriptor: FileDescriptor, request: UInt, _ argument: UnsafeMutableRawPointer
    ) throws(Errno) -> Int32 {
        try retry(.device, descriptor) { clinux_ioctl_pointer(descriptor.rawValue, request, argument) }
    }

    /// Waits until there is something to be read, or until the end: poll(2).
    ///
    /// - Parameter milliseconds: how long it may take, asked again after a signal; negative is none.
    /// - Returns: whether there is something, an end or an error too.
    package static func waitToRead(
        _ descriptor: FileDescriptor, milliseconds: () -> Int64
    ) throws(Errno) -> Bool {
        var request = pollfd(fd: descriptor.rawValue, events: Int16(POLLIN), revents: 0)
        return try retry(.descriptor, descriptor) { poll(&request, 1, Int32(clamping: max(0, milliseconds()))) } > 0
    }

    /// How many columns a terminal has; 0 when it does not say, or is none.
    package static func terminalColumns(_ descriptor: FileDescriptor) -> Int {
        Int(clinux_terminal_columns(descriptor.rawValue))
    }

    // MARK: - Sockets

    /// A pair of connected sockets (socketpair(2)), close-on-exec.
    package static func makeSockets() throws(Errno) -> (FileDescriptor, FileDescriptor) {
        var ends: [Int32] = [-1, -1]
        try retry(.descriptor) { clinux_socketpair(&ends) }
        return (FileDescriptor(rawValue: ends[0]), FileDescriptor(rawValue: ends[1]))
    }

    /// Sends a byte together with an open file (`SCM_RIGHTS`, unix(7)). Never SIGPIPE.
    package static func send(
        _ byte: UInt8, with file: FileDescriptor, to socket: FileDescriptor
    ) throws(Errno) {
        var byte = byte
        let sent = try retry(.descriptor) { clinux_send_descriptor(socket.rawValue, file.rawValue, &byte, 1) }
        guard sent == 1 else { throw .ioError }
    }

    /// Receives what ``send(_:with:to:)`` sent, close-on-exec.
    ///
    /// - Returns: nil when there is nothing more to come; without a file when none came along.
    package static func receive(from socket: FileDescriptor) throws(Errno) -> (byte: UInt8, file: FileDescriptor?)? {
        var byte: UInt8 = 0
        var file: Int32 = -1
        let count = try retry(.descriptor) { clinux_receive_descriptor(socket.rawValue, &file, &byte, 1) }
        return count == 1 ? (byte, file >= 0 ? FileDescriptor(rawValue: file) : nil) : nil
    }

    /// send(2) until everything is sent. Never SIGPIPE.
    package static func send(_ bytes: [UInt8], to socket: FileDescriptor) throws(Errno) {
        var rest = bytes[...]
        while !rest.isEmpty {
            let sent = try retry(.descriptor) {
                rest.withUnsafeBytes { clinux_send(socket.rawValue, $0.baseAddress, $0.count) }
            }
            guard sent > 0 else { throw .ioError }
            rest = rest.dropFirst(sent)
        }
    }

    // MARK: - Log and memory

    /// One line to syslog(3), as text: never a format.
    package static func log(priority: Int32, _ text: UnsafePointer<CChar>) { clinux_syslog(priority, text) }

    /// Writes what the C library still has of the standard output.
    ///
    /// - Throws: also when something could not be written before.
    package static func flushOutput() throws(Errno) {
        if clinux_flush_output() != 0 { throw Errno(rawValue: errno) }
    }

    /// Whether bytes are in others (memmem(3)).
    package static func contains(_ hay: UnsafeRawBufferPointer, _ needle: UnsafeRawBufferPointer) -> Bool {
        place(of: needle, in: hay) != nil
    }

    /// Where bytes are in others for the first time.
    package static func place(of needle: UnsafeRawBufferPointer, in hay: UnsafeRawBufferPointer) -> Int? {
        guard let start = hay.baseAddress, let sought = needle.baseAddress else { return nil }
        return clinux_memmem(start, hay.count, sought, needle.count).map { $0 - start }
    }

    /// The same of a text that is known.
    package static func contains(_ hay: UnsafeRawBufferPointer, _ needle: StaticString) -> Bool {
        contains(hay, UnsafeRawBufferPointer(start: needle.utf8Start, count: needle.utf8CodeUnitCount))
    }
}
