internal import ArtifactRecords

/// Paths as parts of file names: every byte but letters, digits, `.`, `_` and `-` is `%XX`.
enum EscapedName {
    /// A name that no other path has, of at most 255 bytes: that of a real file among reserved names, and among those that have former versions.
    ///
    /// - Parameter path: the real file's, from the store's directory.
    static func unique(_ path: String) -> String {
        let name = encode(path, limit: 255)
        guard name.utf8.starts(with: "%~".utf8), let hash = try? SHA256.digest(path.utf8) else { return name }
        // Two long paths may have one end.
        return "%~" + hash + "-" + encode(path, limit: 180).dropFirst(2)
    }

    /// - Returns: at most `limit` bytes; a longer one keeps its end, which is the file's name, after `%~`.
    static func encode(_ path: String, limit: Int) -> String {
        var path = path
        return path.withUTF8 { bytes in
            var length = 0
            for byte in bytes { length += isKept(byte) ? 1 : 3 }
            // What is left out of a long path, from its beginning.
            var first = 0
            var kept = length
            while length > limit, kept > limit - 2, first < bytes.count {
                kept -= isKept(bytes[first]) ? 1 : 3
                first += 1
            }
            return String(unsafeUninitializedCapacity: kept + 2) { text in
                var end = 0
                func add(_ byte: UInt8) {
                    text[end] = byte
                    end += 1
                }
                if length > limit {
                    add(UInt8(ascii: "%"))
                    add(UInt8(ascii: "~"))
                }
                for byte in bytes[first...] {
                    if isKept(byte) {
                        add(byte)
                    } else {
                        add(UInt8(ascii: "%"))
                        add(digit(byte >> 4))
                        add(digit(byte & 15))
                    }
                }
                return end
            }
        }
    }

    /// Letters, digits, `.`, `_` and `-`, as bits: asked of every byte of every path that is made.
    static func isKept(_ byte: UInt8) -> Bool {
        let bits: UInt64 = byte < 64 ? 0x03FF_6000_0000_0000 : 0x07FF_FFFE_87FF_FFFE
        return byte < 128 && bits >> UInt64(byte & 63) & 1 == 1
    }

    private static func digit(_ value: UInt8) -> UInt8 {
        value < 10 ? UInt8(ascii: "0") + value : UInt8(ascii: "A") + value - 10
    }

    /// The path, or as much of it as the name kept.
    static func decode(_ name: some StringProtocol) -> String {
        var bytes: [UInt8] = []
        var rest = Array(name.utf8)[...]
        while let byte = rest.popFirst() {
            guard byte == UInt8(ascii: "%") else {
                bytes.append(byte)
                continue
            }
            if rest.first == UInt8(ascii: "~") {
                rest = rest.dropFirst()
                bytes.append(contentsOf: "...".utf8)
            } else if rest.count >= 2, let value = UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) {
                rest = rest.dropFirst(2)
                bytes.append(value)
            } else {
                bytes.append(byte)
            }
        }
        return String(decoding: bytes, as: UTF8.self)
    }
}
