internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The file `packed-refs`: a line a ref, `<id> <name>`, with `^<id>` below an annotated tag (git-pack-refs(1)).
enum PackedRefs {
    /// The longest file that is read, in bytes: about half a million refs.
    static let limit = 32 << 20
    private static let piece = 1 << 16

    /// Looks for a ref.
    ///
    /// - Returns: nil when it is not among them.
    /// - Throws: `EFBIG` for a file that is too long, `EINVAL` for a line that is none.
    static func find(
        _ name: [UInt8], in file: FileDescriptor, _ attributes: stat, _ format: ObjectFormat
    ) throws(Errno) -> ObjectID? {
        guard attributes.st_size >= 0, attributes.st_size <= limit else { throw .fileTooLarge }
        var offset: Int64 = 0
        // The beginning of a line whose end was not read.
        var rest: [UInt8] = []
        while offset <= limit {
            let read = try SystemCall.bytes(file, at: offset, count: piece)
            if read.isEmpty {
                // git does not write a last line without an end, and does not read it.
                guard rest.isEmpty else { throw .invalidArgument }
                return nil
            }
            offset += Int64(read.count)
            let bytes = rest + read
            var start = 0
            while let end = bytes[start...].firstIndex(of: 0x0A) {
                if let id = try found(bytes[start..<end], name, format) { return id }
                start = end + 1
            }
            rest = Array(bytes[start...])
            guard rest.count <= 2 * RefName.limit else { throw .invalidArgument }
        }
        throw .fileTooLarge
    }

    private static func found(
        _ line: ArraySlice<UInt8>, _ name: [UInt8], _ format: ObjectFormat
    ) throws(Errno) -> ObjectID? {
        let digits = format.length * 2
        guard line.count == digits + 1 + name.count, line[line.startIndex + digits] == 0x20,
            line.suffix(name.count).elementsEqual(name)
        else { return nil }
        guard let id = ObjectID(hexadecimal: line.prefix(digits), format) else { throw .invalidArgument }
        return id
    }
}
