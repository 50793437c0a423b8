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
    private static func withBytes<Result>(
        _ name: some StringProtocol, _ body: (UnsafeBufferPointer<UInt8>) -> Result
    ) -> Result {
        if let result = name.utf8.withContiguousStorageIfAvailable(body) { return result }
        return Array(name.utf8).withUnsafeBufferPointer(body)
    }

    private static func isSame(_ bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
        bytes.count == text.utf8CodeUnitCount && starts(bytes, with: text)
    }

    private static func starts(_ bytes: UnsafeBufferPointer<UInt8>, with text: StaticString) -> Bool {
        isAt(0, of: bytes, text)
    }

    private static func ends(_ bytes: UnsafeBufferPointer<UInt8>, with text: StaticString) -> Bool {
        isAt(bytes.count - text.utf8CodeUnitCount, of: bytes, text)
    }

    private static func isAt(_ place: Int, of bytes: UnsafeBufferPointer<UInt8>, _ text: StaticString) -> Bool {
        let count = text.utf8CodeUnitCount
        guard place >= 0, place + count <= bytes.count else { return false }
        for offset in 0..<count where bytes[place + offset] != text.utf8Start[offset] { return false }
        return true
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

    static func isAlphanumeric(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "a")...UInt8(ascii: "z"):
            true
        default: false
        }
    }

    /// A letter or digit, then letters, digits, `.`, `_`, `-`.
    static func isFreeStem(_ stem: Substring) -> Bool {
        withBytes(stem) { stem in
            guard let first = stem.first, isAlphanumeric(first) else { return false }
            return stem.allSatisfy {
                isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
            }
        }
    }

    /// `chr` and one or more of `A-Z a-z 0-9 _ .`.
    static func isChromosome(_ stem: Substring) -> Bool {
        withBytes(stem) { stem in
            stem.count > 3 && starts(stem, with: "chr") && stem.dropFirst(3).allSatisfy(isChromosomeByte)
        }
    }

    /// `A-Z a-z 0-9 _ .`
    static func isChromosomeByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }

    /// Whether a name is the driver's own, in whatever directory: nobody makes `.artifactfs` or `.meta`.
    static func isOwn(_ name: String) -> Bool {
        withBytes(name) { bytes in
            bytes.first == UInt8(ascii: ".") && (isSame(bytes, ".artifactfs") || isSame(bytes, ".meta"))
        }
    }

    /// The names that programs give to files they mean to rename, whatever the type.
    static func isTransient(_ name: String) -> Bool {
        withBytes(name) { bytes in
            if bytes.first == UInt8(ascii: ".") || bytes.last == UInt8(ascii: "~") || starts(bytes, with: "tmp") {
                return true
            }
            if bytes.count == 9, starts(bytes, with: "sed") { return true }
            return ends(bytes, with: ".tmp") || ends(bytes, with: ".temp") || ends(bytes, with: ".part")
                || ends(bytes, with: ".partial")
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
