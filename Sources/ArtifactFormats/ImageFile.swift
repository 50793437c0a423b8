/// Pictures and documents: their signature and their end marker.
enum ImageFile {
    /// PNG (W3C PNG specification, sections 5.2 and 11.2): the signature, IHDR first, IEND last.
    static func checkPNG(_ source: some ByteSource) throws(FormatError) {
        let head = try source.head(16)
        guard head.starts(with: [0x89, 0x50, 0x4E, 0x47, 0x0D, 0x0A, 0x1A, 0x0A]) else {
            throw .invalid(
                reason: "it does not begin with the PNG signature, but with \"\(Excerpt.text(head.prefix(8)))\"")
        }
        guard head.dropFirst(8).elementsEqual([0, 0, 0, 13, 0x49, 0x48, 0x44, 0x52]) else {
            throw .invalid(reason: "its first PNG chunk is not IHDR")
        }
        // Signature 8, IHDR 25, IEND 12 bytes; the last 12 are the same in every PNG.
        let end: [UInt8] = [0, 0, 0, 0, 0x49, 0x45, 0x4E, 0x44, 0xAE, 0x42, 0x60, 0x82]
        guard source.count >= 45, try source.tail(12) == end else {
            throw .invalid(reason: "it does not end with the PNG chunk IEND, so it may be cut short")
        }
    }

    /// PDF (ISO 32000-1, annex H, notes 13 and 18: readers look in the first and in the last 1024 bytes).
    static func checkPDF(_ source: some ByteSource) throws(FormatError) {
        guard contains(try source.head(1024), "%PDF-") else {
            throw .invalid(reason: "it has no %PDF- in its first 1024 bytes")
        }
        guard contains(try source.tail(1024), "%%EOF") else {
            throw .invalid(reason: "it has no %%EOF in its last 1024 bytes, so it may be cut short")
        }
    }

    private static func contains(_ bytes: [UInt8], _ text: String) -> Bool {
        let wanted = Array(text.utf8)
        return bytes.indices.contains { bytes[$0...].starts(with: wanted) }
    }
}
