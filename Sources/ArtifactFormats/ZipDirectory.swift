/// The directory at the end of a ZIP archive (APPNOTE.TXT, sections 4.3.12 to 4.3.16), ZIP64 included: what `torch.save` and Keras write.
struct ZipDirectory {
    /// How many entries the end record promises.
    let entries: Int64
    /// Where the directory begins and ends in the file.
    private let start: Int64
    private let end: Int64

    /// What is known of a member once its place has been checked.
    struct Entry {
        let name: [UInt8]
        /// Its bytes as they stand in the file.
        let data: Range<Int64>
        /// 0 is stored, 8 is deflated.
        let method: UInt64
        let uncompressedSize: UInt64
        let checksum: UInt32
    }

    /// Finds the end record, which must be the last thing in the file, and checks that the directory fits.
    init(of source: some ByteSource) throws(FormatError) {
        // 22 bytes, then a comment of at most 65,535 whose length the record knows.
        let tail = try source.tail(22 + 65_535)
        var found: Int?
        var index = tail.count - 22
        while index >= 0 {
            if tail[index...].starts(with: [0x50, 0x4B, 0x05, 0x06]),
                index + 22 + Int(Self.number(tail, index + 20, 2)) == tail.count
            {
                found = index
                break
            }
            index -= 1
        }
        guard let record = found else {
            throw .invalid(reason: "it begins as a ZIP archive but has no end record: it is cut short")
        }
        let recordOffset = source.count - Int64(tail.count) + Int64(record)
        var entries = Self.number(tail, record + 10, 2)
        var size = Self.number(tail, record + 12, 4)
        var offset = Self.number(tail, record + 16, 4)
        var limit = recordOffset
        if entries == 0xFFFF || size == 0xFFFF_FFFF || offset == 0xFFFF_FFFF, recordOffset >= 20 {
            let locator = try source.bytes(at: recordOffset - 20, length: 20)
            if locator.starts(with: [0x50, 0x4B, 0x06, 0x07]) {
                guard let at = Int64(exactly: Self.number(locator, 8, 8)), at <= recordOffset - 20 - 56 else {
                    throw Self.notFitting
                }
                let large = try source.bytes(at: at, length: 56)
                guard large.starts(with: [0x50, 0x4B, 0x06, 0x06]) else {
                    throw .invalid(reason: "its ZIP64 end record is not where its locator says")
                }
                entries = Self.number(large, 32, 8)
                size = Self.number(large, 40, 8)
                offset = Self.number(large, 48, 8)
                limit = at
            }
        }
        // Each entry takes at least 46 bytes of the directory.
        guard offset <= UInt64(limit), size <= UInt64(limit) - offset, entries <= size / 46 else {
            throw Self.notFitting
        }
        self.entries = Int64(entries)
        start = Int64(offset)
        end = Int64(offset + size)
    }

    /// Checks that every entry's header and data lie before the directory. `each` gets them.
    func checkEntries(
        of source: some ByteSource, each: (Entry) throws(FormatError) -> Void = { _ in }
    ) throws(FormatError) {
        var reader = ByteReader(source, from: start, to: end, name: "its ZIP directory")
        for entry in 0..<entries {
            let header = try reader.bytes(46, limit: 46)
            guard header.starts(with: [0x50, 0x4B, 0x01, 0x02]) else {
                throw .invalid(reason: "entry \(entry + 1) of its ZIP directory is damaged")
            }
            let name = try reader.bytes(Int64(Self.number(header, 28, 2)), limit: 65_535)
            let extra = try reader.bytes(Int64(Self.number(header, 30, 2)), limit: 65_535)
            try reader.skip(Int64(Self.number(header, 32, 2)))
            var wide = WideNumbers(extra)
            // The ZIP64 field holds, in this order, those of the numbers that do not fit the header.
            let uncompressed = wide.value(Self.number(header, 24, 4))
            let size = wide.value(Self.number(header, 20, 4))
            let offset = wide.value(Self.number(header, 42, 4))
            let data = try place(offset: offset, size: size, of: name, in: source)
            try each(
                Entry(
                    name: name, data: data, method: Self.number(header, 10, 2), uncompressedSize: uncompressed,
                    checksum: UInt32(truncatingIfNeeded: Self.number(header, 16, 4))))
        }
    }

    /// Where a member's data lie.
    private func place(
        offset: UInt64, size: UInt64, of name: [UInt8], in source: some ByteSource
    ) throws(FormatError) -> Range<Int64> {
        let outside = FormatError.invalid(
            reason: "the data of \"\(Excerpt.text(name))\" in it lies outside the file, or over its directory")
        guard start >= 30, offset <= UInt64(start - 30) else { throw outside }
        let local = try source.bytes(at: Int64(offset), length: 30)
        guard local.starts(with: [0x50, 0x4B, 0x03, 0x04]) else {
            throw .invalid(reason: "\"\(Excerpt.text(name))\" in it is not where its ZIP directory says")
        }
        let before = offset + 30 + Self.number(local, 26, 2) + Self.number(local, 28, 2)
        guard before <= UInt64(start), size <= UInt64(start) - before else { throw outside }
        return Int64(before)..<Int64(before + size)
    }

    private static let notFitting = FormatError.invalid(
        reason: "its ZIP directory does not fit the file: it is damaged or cut short")

    /// A little-endian number out of a record whose length the caller has checked.
    static func number(_ bytes: [UInt8], _ at: Int, _ size: Int) -> UInt64 {
        var value: UInt64 = 0
        for place in 0..<size where at + place < bytes.count {
            value |= UInt64(bytes[at + place]) << UInt64(8 * place)
        }
        return value
    }
}

/// The numbers of a ZIP64 extra field, taken in order for header fields that say 0xFFFFFFFF.
private struct WideNumbers {
    private var numbers: ArraySlice<UInt64> = []

    init(_ extra: [UInt8]) {
        var index = 0
        while index + 4 <= extra.count {
            let length = Int(ZipDirectory.number(extra, index + 2, 2))
            guard index + 4 + length <= extra.count else { return }
            if ZipDirectory.number(extra, index, 2) == 1 {
                numbers =
                    stride(from: index + 4, to: index + 4 + length - 7, by: 8)
                    .map { ZipDirectory.number(extra, $0, 8) }[...]
                return
            }
            index += 4 + length
        }
    }

    mutating func value(_ field: UInt64) -> UInt64 {
        field == 0xFFFF_FFFF ? numbers.popFirst() ?? field : field
    }
}
