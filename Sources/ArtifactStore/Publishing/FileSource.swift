internal import ArtifactFormats
internal import ArtifactRecords
internal import Glibc
package import SystemPackage
internal import SystemCalls

/// An open file as the checks read it, by one thread. Holes are not read: they would fill the page cache with zeros.
package struct FileSource: ByteSource {
    let descriptor: FileDescriptor
    package let count: Int64
    private let holes: Holes?

    /// A file as long as it is now.
    package init(_ descriptor: FileDescriptor) throws(Errno) {
        self.init(descriptor: descriptor, count: Int64(try SystemCall.attributes(descriptor).st_size))
    }

    init(descriptor: FileDescriptor, count: Int64) {
        self.descriptor = descriptor
        self.count = count
        holes = count >= Holes.worthLooking ? Holes(of: descriptor) : nil
    }

    package func read(at offset: Int64, into buffer: UnsafeMutableRawBufferPointer) throws(Errno) -> Int {
        guard let holes, !buffer.isEmpty else { return try SystemCall.read(descriptor, at: offset, into: buffer) }
        let (end, isHole) = try holes.extent(at: offset)
        let length = min(buffer.count, Int(clamping: max(0, end - offset)))
        // Nothing is known of what lies there: the file ends, or the system says no.
        guard length > 0 else { return try SystemCall.read(descriptor, at: offset, into: buffer) }
        let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<length])
        guard isHole else { return try SystemCall.read(descriptor, at: offset, into: part) }
        part.initializeMemory(as: UInt8.self, repeating: 0)
        return length
    }

    /// The SHA-256 of the whole file.
    func sha256() throws(Errno) -> String {
        var hash = try SHA256()
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        var offset: Int64 = 0
        while true {
            let got = try read(at: offset, into: buffer)
            if got == 0 { return try hash.finish() }
            hash.update(UnsafeRawBufferPointer(rebasing: buffer[..<got]))
            offset += Int64(got)
        }
    }
}

/// Where a sparse file's holes are (lseek(2), `SEEK_DATA`), asked for as far as the file is read.
final class Holes {
    /// What a smaller file has of holes is read in no time.
    static let worthLooking: Int64 = 4 << 20

    /// ext4, XFS, btrfs, tmpfs, F2FS: they know of what is not on disk yet. Others have told of holes where there was data
    /// (OpenZFS, issue 15526), or cannot tell; of those every byte is read.
    private static let trusted: Set<Int> = [0xef53, 0x5846_5342, 0x9123_683e, 0x0102_1994, 0xf2f5_2010]

    private let descriptor: FileDescriptor
    /// What is known of: from `start` to `end` it is all hole, or all data.
    private var start: Int64 = 0
    private var end: Int64 = 0
    private var isHole = false

    /// Nil when the file has no holes worth knowing, or the file system is not trusted to tell.
    init?(of descriptor: FileDescriptor) {
        guard let found = try? SystemCall.attributes(descriptor), Int64(found.st_blocks) < Int64(found.st_size) / 512,
            Self.trusted.contains(FileSystemKind.number(of: descriptor))
        else { return nil }
        self.descriptor = descriptor
    }

    /// Whether there is a hole at an offset, and where that or the data there ends. Ends at the offset when nothing is known.
    func extent(at offset: Int64) throws(Errno) -> (end: Int64, isHole: Bool) {
        if offset >= start, offset < end { return (end, isHole) }
        do throws(Errno) {
            let data = try SystemCall.data(in: descriptor, from: offset)
            if data == offset {
                let hole = (try? SystemCall.hole(in: descriptor, from: offset)) ?? offset
                (start, end, isHole) = (offset, max(offset, hole), false)
            } else if data > offset {
                (start, end, isHole) = (offset, data, true)
            } else {
                (start, end, isHole) = (offset, offset, false)
            }
        } catch .noSuchAddressOrDevice {
            // Nothing but a hole to the end, wherever that is by now; beyond it there is nothing.
            let size = Int64(try SystemCall.attributes(descriptor).st_size)
            (start, end, isHole) = (offset, max(offset, size), true)
        } catch {
            (start, end, isHole) = (offset, offset, false)
        }
        return (end, isHole)
    }
}

extension RealFile {
    /// The SHA-256 of a plain file's bytes as they are.
    func sha256() throws(Errno) -> String {
        let descriptor = try open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(descriptor) }
        return try FileSource(descriptor).sha256()
    }
}
