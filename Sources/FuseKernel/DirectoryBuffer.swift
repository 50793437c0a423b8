internal import CFuse
internal import Glibc

/// The entries of one directory reply.
public struct DirectoryBuffer: ~Copyable {
    /// Whether each entry carries attributes and counts as a lookup (READDIRPLUS).
    public let wantsAttributes: Bool
    /// Whose entries are added, where there are several file systems on the mount.
    public var space: InodeSpace?
    private let memory: UnsafeMutableRawBufferPointer
    private var used = 0

    /// A reply may always be shorter than the kernel asks for, which is a few pages.
    private static let longest = 1 << 20

    /// A buffer of `size` bytes.
    init(wantsAttributes: Bool, size: Int) {
        self.wantsAttributes = wantsAttributes
        memory = .allocate(byteCount: min(max(size, 1), Self.longest), alignment: 8)
    }

    deinit { memory.deallocate() }

    /// The entries so far, as the kernel reads them. Valid while the buffer lives.
    var bytes: UnsafeRawBufferPointer { UnsafeRawBufferPointer(rebasing: memory[0..<used]) }

    /// Adds a name with its type and number, without a lookup.
    ///
    /// - Parameters:
    ///   - name: NUL-terminated.
    ///   - type: the `S_IFMT` bits.
    ///   - nextOffset: where the entry after this one begins.
    /// - Returns: false when the entry did not fit: stop.
    public mutating func add(name: EntryName, inodeNumber: UInt64, type: UInt32, nextOffset: Int64) -> Bool {
        var attributes = stat()
        attributes.st_ino = ino_t(space?.shown(inodeNumber) ?? inodeNumber)
        attributes.st_mode = type
        if wantsAttributes {
            // Node id 0 tells the kernel that there is no lookup (fs/fuse/readdir.c, `fuse_direntplus_link`).
            var parameters = fuse_entry_param()
            parameters.attr = attributes
            return append { raw, start, size in
                fuse_add_direntry_plus(nil, start, size, name.pointer, &parameters, off_t(nextOffset))
            }
        }
        return append { raw, start, size in
            fuse_add_direntry(nil, start, size, name.pointer, &attributes, off_t(nextOffset))
        }
    }

    /// Adds a name with its attributes (READDIRPLUS).
    ///
    /// - Returns: false when the entry did not fit: stop, and take the lookup back.
    public mutating func add(name: EntryName, entry: Entry, nextOffset: Int64) -> Bool {
        var parameters = Reply.parameters(space?.onMount(entry) ?? entry)
        return append { raw, start, size in
            fuse_add_direntry_plus(nil, start, size, name.pointer, &parameters, off_t(nextOffset))
        }
    }

    /// libfuse's functions return the size that the entry takes, whether or not it fitted. They do not look at the request.
    private mutating func append(
        _ write: (fuse_req_t?, UnsafeMutablePointer<CChar>?, Int) -> Int
    ) -> Bool {
        let room = memory.count - used
        let start = memory.baseAddress?.advanced(by: used).assumingMemoryBound(to: CChar.self)
        let size = write(nil, start, room)
        guard size <= room else { return false }
        used += size
        return true
    }
}
