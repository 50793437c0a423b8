/// HDF5, which is also `.h5` of Keras and h5ad of AnnData: the superblock ("HDF5 File Format Specification", version 3.0, section II.A),
/// versions 0 to 3.
///
/// Only the superblock is read. It says where the file ends, and the library refuses to open one that is shorter ("truncated file").
enum HDF5File {
    static let signature: [UInt8] = [0x89, 0x48, 0x44, 0x46, 0x0D, 0x0A, 0x1A, 0x0A]

    /// Finds the superblock and holds the end that it tells against the file.
    ///
    /// - Returns: the superblock's version.
    @discardableResult
    static func check(_ source: some ByteSource) throws(FormatError) -> UInt8 {
        let place = try superblock(of: source)
        // The longest that is looked at: four addresses of 32 bytes, after at most 28.
        let block = try source.bytes(at: place, length: Int(min(source.count - place, 28 + 4 * 32)))
        guard let version = block.dropFirst(8).first, block.count >= 14 else { throw cutShort }
        let (sizes, first): (Int, Int)
        switch version {
        case 0: (sizes, first) = (13, 24)
        case 1: (sizes, first) = (13, 28)
        case 2, 3: (sizes, first) = (9, 12)
        default: throw .invalid(reason: "its HDF5 superblock has version \(version), which is not one of 0 to 3")
        }
        let size = Int(block[sizes])
        guard [2, 4, 8, 16, 32].contains(size) else {
            throw .invalid(reason: "its HDF5 superblock has addresses of \(size) bytes")
        }
        // The base, another address, the end, and in each version a fourth.
        guard block.count >= first + 4 * size else { throw cutShort }
        // Set while a program has the file open to write, and when such a program was killed: the library opens it no more.
        if version == 3, block[11] & 1 != 0 {
            throw .invalid(
                reason: "the program that wrote it has not closed it: its HDF5 superblock is marked as open to write")
        }
        guard let base = address(block, first, size), let told = address(block, first + 2 * size, size) else {
            throw .invalid(reason: "its HDF5 superblock has an address that no file has")
        }
        // A superblock that was moved, by a user block that was put in front or taken away, takes the file's end along.
        let (moved, overflow) = told.addingReportingOverflow(place)
        let end = overflow ? .max : moved - base
        guard end > place else {
            throw .invalid(reason: "the end that its HDF5 superblock tells is before the superblock")
        }
        guard end <= source.count else {
            throw .invalid(
                reason: "its HDF5 superblock tells of \(end) bytes, the file has \(source.count): it is cut short")
        }
        return version
    }

    private static let cutShort = FormatError.invalid(reason: "its HDF5 superblock is cut short")

    /// At 0, 512, 1024, and every doubling: before it is the program's own (a user block).
    private static func superblock(of source: some ByteSource) throws(FormatError) -> Int64 {
        var place: Int64 = 0
        while place <= source.count - Int64(signature.count) {
            if try source.bytes(at: place, length: signature.count) == signature { return place }
            let (next, overflow) = place == 0 ? (512, false) : place.multipliedReportingOverflow(by: 2)
            guard !overflow else { break }
            place = next
        }
        throw .invalid(
            reason: "it has no HDF5 signature at its beginning, but \"\(Excerpt.text(try source.head(8)))\"")
    }

    /// An address; nil for one that is larger than any file, as "undefined" is, in which all bits are set.
    private static func address(_ bytes: [UInt8], _ at: Int, _ size: Int) -> Int64? {
        for place in stride(from: 8, to: size, by: 1) where bytes[at + place] != 0 { return nil }
        return Int64(exactly: ZipDirectory.number(bytes, at, min(size, 8)))
    }
}
