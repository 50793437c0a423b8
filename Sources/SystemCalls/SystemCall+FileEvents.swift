internal import CLinux
internal import Glibc
package import SystemPackage

/// What processes open, wherever it is: fanotify(7). Root's programs only.
extension SystemCall {
    /// What a process did with a file. Its descriptors are to be closed (``close()``).
    package struct FileEvent: Sendable {
        /// What was done since it was read last, in any order.
        package struct Deeds: OptionSet, Sendable {
            package let rawValue: UInt32

            /// `rawValue` as clinux.h has it.
            package init(rawValue: UInt32) { self.rawValue = rawValue }

            /// It was opened, to read, to write or to be run.
            package static let opened = Deeds(rawValue: 1)
            /// What was open to read only is closed.
            package static let closed = Deeds(rawValue: 2)
            /// It was opened to be run.
            package static let run = Deeds(rawValue: 4)
            /// Some events were lost, because they were not read in time.
            package static let lost = Deeds(rawValue: 8)
        }

        package let deeds: Deeds
        /// The process; 0 of one in another pid namespace.
        package let process: Int32
        /// The process itself; nil where it is gone.
        package let processFile: FileDescriptor?
        /// The file itself, where there is no handle.
        package let file: FileDescriptor?
        /// The file system, as ``SystemCall/fileSystemID(_:)`` has it.
        package let fileSystem: UInt64
        /// Handles of the directory in which it was opened and of the file; empty where there is none.
        package let directory: [UInt8]
        package let handle: [UInt8]

        /// Those that were read (fanotify(7), "Reading fanotify events").
        package static func all(in bytes: [UInt8]) -> [FileEvent] {
            var found: [FileEvent] = []
            var offset = 0
            var event = clinux_file_event()
            func part(_ start: UInt32, _ length: UInt32) -> [UInt8] {
                Array(bytes.dropFirst(Int(start)).prefix(Int(length)))
            }
            while true {
                offset = bytes.withUnsafeBytes { clinux_file_events_next($0.baseAddress, $0.count, offset, &event) }
                guard offset > 0 else { return found }
                found.append(
                    FileEvent(
                        deeds: Deeds(rawValue: event.what), process: event.process,
                        processFile: event.process_file >= 0 ? FileDescriptor(rawValue: event.process_file) : nil,
                        file: event.file >= 0 ? FileDescriptor(rawValue: event.file) : nil,
                        fileSystem: event.file_system, directory: part(event.directory, event.directory_length),
                        handle: part(event.handle, event.handle_length)))
            }
        }

        /// Gives up its descriptors.
        package func close() {
            if let processFile { SystemCall.close(processFile) }
            if let file { SystemCall.close(file) }
        }
    }

    /// What is asked for of a path.
    package enum WatchedPlace: Int32, Sendable {
        /// All that is opened on its file system.
        case fileSystem = 0
        /// What is run from its file system.
        case programs = 1
        /// All that is opened through its mount.
        case mount = 2
        /// What is run from its file system no more.
        case noPrograms = 3
    }

    /// Something that tells of what processes open (fanotify_init(2)); read it without waiting.
    ///
    /// - Parameter byHandles: whether files are told by handles, for which nothing is opened.
    /// - Throws: `EPERM` without CAP_SYS_ADMIN, `EINVAL` or `ENOSYS` where the kernel has it not (5.15 for what is asked of it).
    package static func openFileEvents(byHandles: Bool) throws(Errno) -> FileDescriptor {
        FileDescriptor(rawValue: try retry(.descriptor) { clinux_file_events_open(byHandles ? 1 : 0) })
    }

    /// Asks for more (fanotify_mark(2)).
    ///
    /// - Throws: `ENODEV`, `EOPNOTSUPP` or `EXDEV` where a file system has no handles.
    package static func watch(
        _ events: FileDescriptor, _ path: UnsafePointer<CChar>, _ what: WatchedPlace
    ) throws(Errno) {
        try retry(.descriptor, path) { clinux_file_events_watch(events.rawValue, path, what.rawValue) }
    }

    /// The events that are there, as many as a small buffer holds; none when there are none.
    ///
    /// - Throws: what the kernel says of a file that it could not open.
    package static func nextFileEvents(_ events: FileDescriptor) throws(Errno) -> [FileEvent] {
        let bytes: [UInt8]
        do throws(Errno) { bytes = try SystemCall.bytes(events, atMost: 4096) } catch .wouldBlock { return [] }
        return FileEvent.all(in: bytes)
    }

    /// How many events are to be read; negative where that is not told.
    package static func countFileEvents(_ events: FileDescriptor) -> Int { Int(clinux_queued(events.rawValue)) }

    /// Waits without an end until there are events, somebody has signalled `wake`, or something was mounted or unmounted.
    ///
    /// - Parameter mounts: `/proc/self/mountinfo`
    /// - Returns: whether mounts have changed.
    package static func waitForFileEvents(
        _ one: FileDescriptor, _ other: FileDescriptor?, wake: FileDescriptor, mounts: FileDescriptor
    ) -> Bool {
        let ready = try? retry(.descriptor) {
            clinux_file_events_wait(one.rawValue, other?.rawValue ?? -1, wake.rawValue, mounts.rawValue)
        }
        guard let ready else { return false }
        return ready & 8 != 0
    }

    /// A file by its handle (open_by_handle_at(2)), `O_PATH`.
    ///
    /// - Parameter mount: anything on its file system, open.
    package static func open(handle: [UInt8], on mount: FileDescriptor) throws(Errno) -> FileDescriptor {
        FileDescriptor(
            rawValue: try retry(.open) {
                handle.withUnsafeBytes { clinux_open_handle(mount.rawValue, $0.baseAddress, $0.count) }
            })
    }

    /// What names a file system where handles are told (statfs(2), `f_fsid`).
    package static func fileSystemID(_ file: FileDescriptor) throws(Errno) -> UInt64 {
        var id: UInt64 = 0
        try retry(.attributes, file) { clinux_filesystem_id(file.rawValue, &id) }
        return id
    }
}

extension SystemCall {
    /// What is known here of an open file: a file system that is a process, or a server's, is not asked (statx(2), `AT_STATX_DONT_SYNC`).
    package static func lookAtKnown(_ file: FileDescriptor) throws(Errno) -> FoundFile {
        var attributes = stat()
        var born: Int64 = 0
        let flags = Int32(CLINUX_AT_EMPTY_PATH | CLINUX_AT_STATX_DONT_SYNC)
        try retry(.attributes, file) { clinux_stat_at(file.rawValue, "", flags, &attributes, &born) }
        return FoundFile(attributes: attributes, identity: FileIdentity(attributes, born: born))
    }
}
