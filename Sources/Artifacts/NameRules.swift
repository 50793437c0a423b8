/// The character rules that names are made of (SEMANTICS 1.1 and 1.2).
enum NameRules {
    /// The longest name a Linux directory takes, in bytes (`NAME_MAX`).
    static let longestName = 255

    /// Whether a name can be an entry of a directory: the kernel never asks for others, people and programs may.
    static func isEntry(_ name: String) -> Bool {
        withBytes(name) { bytes in
            if bytes.isEmpty || isSame(bytes, ".") || isSame(bytes, "..") { return false }
            return bytes.allSatisfy { $0 != UInt8(ascii: "/") && $0 != 0 }
        }
    }

    /// Runs with a name's bytes in one piece: names are judged at every lookup, and a string's own views are ten times slower.
    @inline(__always)
    static func withBytes<Result>(
        _ name: some StringProtocol, _ body: (UnsafeBufferPointer<UInt8>) -> Result
    ) -> Result {
        if let result = name.utf8.withContiguousStorageIfAvailable(body) { return result }
        return Array(name.utf8).withUnsafeBufferPointer(body)
    }

    /// Whether a name is some text.
    static func isSame(_ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
        guard bytes.count == text.utf8CodeUnitCount else { return false }
        for offset in bytes.indices where bytes[offset] != text.utf8Start[offset] { return false }
        return true
    }

    /// Whether some bytes are at a place of a name.
    static func isAt(_ place: Int, of bytes: UnsafeBufferPointer<UInt8>, _ text: [UInt8]) -> Bool {
        guard place >= 0, place + text.count <= bytes.count else { return false }
        for offset in text.indices where bytes[place + offset] != text[offset] { return false }
        return true
    }

    /// Whether a name ends with some bytes, and has more.
    static func goesOn(_ bytes: UnsafeBufferPointer<UInt8>, before ending: [UInt8]) -> Bool {
        bytes.count > ending.count && isAt(bytes.count - ending.count, of: bytes, ending)
    }

    /// Whether two names are the same bytes. `==` also equates canonically equivalent text, such as `K` and the Kelvin sign,
    /// which are two files to the kernel.
    static func isSame(_ one: some StringProtocol, _ other: some StringProtocol) -> Bool {
        withBytes(one) { one in withBytes(other) { other in one.count == other.count && one.elementsEqual(other) } }
    }

    /// Whether a name ends with some bytes. `hasSuffix` compares characters, and a character may reach across a dot.
    static func ends(_ name: some StringProtocol, with ending: some StringProtocol) -> Bool {
        withBytes(name) { name in
            withBytes(ending) { ending in
                name.count >= ending.count && name[(name.count - ending.count)...].elementsEqual(ending)
            }
        }
    }

    /// Whether a name begins with some bytes.
    static func begins(_ name: some StringProtocol, with start: some StringProtocol) -> Bool {
        withBytes(name) { name in
            withBytes(start) { start in name.count >= start.count && name[..<start.count].elementsEqual(start) }
        }
    }

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }

    /// A letter or digit, then letters, digits, `.`, `_`, `-`.
    static func isPlain(_ name: Substring) -> Bool { withBytes(name) { isPlain($0) { _ in false } } }

    /// The stem of a free name: a plain one, in which `=` may be too, as in Lightning's `epoch=0-step=10.ckpt`.
    static func isFreeStem(_ stem: Substring) -> Bool { withBytes(stem) { isFreeStem($0) } }

    /// The stem of a free name.
    static func isFreeStem(_ stem: UnsafeBufferPointer<UInt8>) -> Bool { isPlain(stem) { $0 == UInt8(ascii: "=") } }

    @inline(__always)
    private static func isPlain(_ name: UnsafeBufferPointer<UInt8>, or isTaken: (UInt8) -> Bool) -> Bool {
        guard let first = name.first, isAlphanumeric(first) else { return false }
        return name.allSatisfy {
            isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
                || isTaken($0)
        }
    }

    /// What names of references are made of in SAM files (SAMv1, 1.2.1): printable, without quotes, brackets, `,` and `\\`; nor `/`.
    static func isPrintable(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || "!#$%&*+-.:;=?@^_|~".utf8.contains(byte)
    }

    /// Whether a name is the driver's own, in whatever directory: nobody makes `.artifactfs` or `.meta`.
    static func isOwn(_ name: String) -> Bool {
        withBytes(name) { bytes in
            bytes.first == UInt8(ascii: ".") && (isSame(bytes, ".artifactfs") || isSame(bytes, ".meta"))
        }
    }

    /// What is left of `name` without a `.` and 6 to 12 letters and digits at its end.
    static func withoutRandomSuffix(_ name: String) -> Substring? {
        let bytes = name.utf8
        guard let dot = bytes.lastIndex(of: UInt8(ascii: ".")) else { return nil }
        let suffix = bytes[bytes.index(after: dot)...]
        guard (6...12).contains(suffix.count), suffix.allSatisfy(isAlphanumeric) else { return nil }
        return name[..<dot]
    }
}
