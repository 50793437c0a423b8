internal import Glibc
internal import SystemCalls

/// How processes have files open.
extension ProcFile {
    /// How a process has a file.
    enum Opening: Sendable {
        /// Open to read, and not to write.
        case toRead
        /// Open to write.
        case toWrite
        /// Not open, or not any more.
        case none
    }

    /// As proc_pid_fdinfo(5) tells it, which asks no file system.
    ///
    /// - Parameter number: the file's inode number.
    static func opening(of number: UInt64, by process: Int32) -> Opening {
        var found = Opening.none
        for descriptor in SystemCall.numbers(ofProcess: process, "fd", most: mostOpen).reversed() {
            guard let info = SystemCall.openDescriptorInfo(ofProcess: process, descriptor: descriptor) else { continue }
            defer { SystemCall.close(info) }
            let one = withUnsafeTemporaryAllocation(byteCount: 512, alignment: 1) { buffer -> Opening in
                guard let count = try? SystemCall.read(info, into: buffer) else { return .none }
                return opening(
                    of: number, info: UnsafeRawBufferPointer(rebasing: UnsafeRawBufferPointer(buffer)[..<count]))
            }
            switch one {
            case .toRead: return .toRead
            case .toWrite: found = .toWrite
            case .none: break
            }
        }
        return found
    }

    private static let mostOpen = 1024

    /// Whether a process has mapped a file and may not write to it by that (proc_pid_maps(5)). May wait for the process.
    ///
    /// - Parameters:
    ///   - number: the file's inode number.
    ///   - path: its path.
    static func hasMapped(_ number: UInt64, shownAt path: String, _ process: Int32) -> Bool {
        guard let maps = whole(process, "maps", atMost: 1 << 20) else { return false }
        let (number, path) = (Array(String(number).utf8), Array(path.utf8))
        return maps.split(separator: UInt8(ascii: "\n")).contains { line in
            // Addresses, permissions, offset, device, inode number, path.
            let fields = line.split(separator: UInt8(ascii: " "), maxSplits: 5)
            return fields.count == 6 && fields[4].elementsEqual(number) && fields[1].starts(with: "r-".utf8)
                && fields[5].drop { $0 == UInt8(ascii: " ") }.elementsEqual(path)
        }
    }

    /// Reads such a file's text.
    static func opening(of number: UInt64, info: UnsafeRawBufferPointer) -> Opening {
        let text = StatusText(text: info)
        let inode = text.value("ino:\t").flatMap { UInt64(String(decoding: $0, as: UTF8.self)) }
        guard let flags = text.octal("flags:\t"), inode == number else { return .none }
        // What is open as a place only (`O_PATH`) is not read.
        if flags & 0o10_000_000 != 0 { return .none }
        return flags & 3 == 0 ? .toRead : .toWrite
    }
}
