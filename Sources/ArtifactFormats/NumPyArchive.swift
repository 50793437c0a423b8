/// NumPy's `.npz`: a ZIP archive whose members are `.npy` files, stored (`savez`) or deflated (`savez_compressed`).
enum NumPyArchive {
    static func checkQuickly(_ source: some ByteSource) throws(FormatError) {
        try checkSignature(of: source)
        _ = try ZipDirectory(of: source)
    }

    static func facts(of source: some ByteSource) throws(FormatError) -> FormatFacts {
        try checkSignature(of: source)
        let directory = try ZipDirectory(of: source)
        var arrays = 0
        try directory.checkEntries(of: source) { (entry) throws(FormatError) in
            guard entry.name.suffix(4) == Array(".npy".utf8)[...] else { return }
            arrays += 1
            do throws(FormatError) {
                try check(entry, in: source)
            } catch {
                guard case .invalid(let reason) = error else { throw error }
                throw .invalid(reason: "its array \"\(Excerpt.text(entry.name.dropLast(4).prefix(30)))\": \(reason)")
            }
        }
        guard arrays > 0 else { throw .invalid(reason: "it is a ZIP archive without a NumPy array (.npy)") }
        return FormatFacts(details: ["container": "zip", "arrays": String(arrays)])
    }

    private static func checkSignature(of source: some ByteSource) throws(FormatError) {
        let head = try source.head(4)
        // An archive of nothing begins with its end record.
        guard head == [0x50, 0x4B, 3, 4] || head == [0x50, 0x4B, 5, 6] else {
            throw .invalid(reason: "it begins with \"\(Excerpt.text(head))\", an .npz with a ZIP archive's \"PK\"")
        }
    }

    private static func check(_ entry: ZipDirectory.Entry, in source: some ByteSource) throws(FormatError) {
        let data = entry.data
        switch entry.method {
        case 0:
            let member = SliceSource(source, data)
            let header = try NumPyHeader(of: member)
            switch header.data {
            case .raw(let length): try NumPyHeader.compare(length, with: member.count - header.length)
            case .objects: _ = try NumPyFile.checkWhole(member) { _ in }
            }
        case 8:
            guard let count = Int64(exactly: entry.uncompressedSize) else {
                throw .invalid(reason: "it would be longer than any file")
            }
            var inflater = Inflater(source, from: data.lowerBound, to: data.upperBound, name: "its compressed data")
            var scanner = NumPyScanner(count: count)
            var sum = Checksum.CRC32()
            var seen: Int64 = 0
            try inflater.inflate { (chunk) throws(FormatError) in
                seen += Int64(chunk.count)
                guard seen <= count else { throw .invalid(reason: "it is longer than its ZIP directory says") }
                sum.take(chunk)
                try scanner.consume(chunk)
            }
            guard seen == count, sum.value == entry.checksum, try inflater.isAtEnd() else {
                throw .invalid(reason: "its length or check sum is not what the ZIP directory says: it is damaged")
            }
            _ = try scanner.finish()
        default:
            // Only its place can be told.
            break
        }
    }
}
