import Glibc
import SystemCalls
import SystemPackage

/// What is in a store, by paths from it that are bytes. No symbolic link is followed, anywhere: a store has none.
final class StoreRoot: Sendable {
    private let root: FileDescriptor

    init(_ store: String) throws {
        do throws(Errno) {
            root = try SystemCall.open(SystemCall.currentDirectory, store, O_RDONLY | O_DIRECTORY)
        } catch { throw Failure(.failed, "\(store) cannot be opened: \(error)") }
    }

    deinit { SystemCall.close(root) }

    /// Nobody makes it wait (a fifo, a lease).
    func open(_ path: [UInt8], _ flags: Int32) throws(Errno) -> FileDescriptor {
        // openat2 takes nothing beside O_PATH that means nothing there.
        let flags = flags | O_NOFOLLOW | O_CLOEXEC | (flags & SystemCall.pathOnly == 0 ? O_NONBLOCK : 0)
        do throws(Errno) { return try SystemCall.openBeneath(root, Self.text(path), flags) } catch {
            guard error == .noFunction || error == .notPermitted else { throw error }
        }
        // A kernel without openat2: a directory after the other.
        let parts = path.split(separator: UInt8(ascii: "/"))
        guard let name = parts.last else { throw .noSuchFileOrDirectory }
        var directory = try SystemCall.open(root, ".", O_RDONLY | O_DIRECTORY)
        for part in parts.dropLast() {
            defer { SystemCall.close(directory) }
            directory = try SystemCall.open(directory, Self.text(Array(part)), O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        }
        defer { SystemCall.close(directory) }
        return try SystemCall.open(directory, Self.text(Array(name)), flags)
    }

    func attributes(_ path: [UInt8]) throws(Errno) -> stat {
        let file = try open(path, SystemCall.pathOnly)
        defer { SystemCall.close(file) }
        return try SystemCall.attributes(file)
    }

    /// Where a symbolic link leads to.
    func target(_ path: [UInt8]) throws(Errno) -> [UInt8] {
        let link = try open(path, SystemCall.pathOnly)
        defer { SystemCall.close(link) }
        return try SystemCall.linkTarget(link)
    }

    /// The names in a directory, in the order of their bytes.
    func names(_ path: [UInt8]) throws(Errno) -> [[UInt8]] {
        let directory = try open(path, O_RDONLY | O_DIRECTORY)
        defer { SystemCall.close(directory) }
        var all: [[UInt8]] = []
        try SystemCall.forEachName(in: directory) { name, _, _ in
            let bytes = UnsafeBufferPointer(start: name, count: strlen(name)).map { UInt8(bitPattern: $0) }
            if bytes != [UInt8(ascii: ".")], bytes != [UInt8(ascii: "."), UInt8(ascii: ".")] { all.append(bytes) }
        }
        return all.sorted { $0.lexicographicallyPrecedes($1) }
    }

    /// All of a file.
    func bytes(of path: [UInt8]) throws(Errno) -> [UInt8] {
        let file = try open(path, O_RDONLY)
        defer { SystemCall.close(file) }
        return try SystemCall.bytes(file, at: 0, count: Int(clamping: Int64(try SystemCall.attributes(file).st_size)))
    }

    /// The attributes that a copy keeps: the inode's own mark is none of them.
    func userAttributes(_ path: [UInt8]) throws(Errno) -> [String: [UInt8]] {
        let file = try open(path, O_RDONLY)
        defer { SystemCall.close(file) }
        let names: [UInt8]
        do throws(Errno) {
            names = try SystemCall.withPath(of: file) { path throws(Errno) in
                try SystemCall.extendedAttributeNames(ofPath: path)
            }
        } catch .notSupported { return [:] }
        var all: [String: [UInt8]] = [:]
        for bytes in names.split(separator: 0) {
            guard let name = String(validating: bytes, as: UTF8.self), name.hasPrefix("user."),
                name != "user.artifact.immutable"
            else { continue }
            if let value = try? SystemCall.extendedAttribute(name, of: file) { all[name] = value }
        }
        return all
    }

    private static func text(_ path: [UInt8]) -> [CChar] { (path + [0]).map { CChar(bitPattern: $0) } }
}
