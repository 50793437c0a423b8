/// The character rules that names are made of (SEMANTICS 1.1 and 1.2).
enum NameRules {
    /// The longest name a Linux directory takes, in bytes (`NAME_MAX`).
    static let longestName = 255

    /// Whether a name can be an entry of a directory: the kernel never asks for others, people and programs may.
    static func isEntry(_ name: String) -> Bool {
        let bytes = name.utf8
        if bytes.isEmpty || isSame(name, ".") || isSame(name, "..") { return false }
        return bytes.allSatisfy { $0 != UInt8(ascii: "/") && $0 != 0 }
    }

    /// Whether two names are the same bytes. `==` also equates canonically equivalent text, such as `K` and the Kelvin sign,
    /// which are two files to the kernel.
    static func isSame(_ one: some StringProtocol, _ other: some StringProtocol) -> Bool {
        one.utf8.elementsEqual(other.utf8)
    }

    /// Whether a name ends with some bytes. `hasSuffix` compares characters, and a character may reach across a dot.
    static func ends(_ name: some StringProtocol, with ending: some StringProtocol) -> Bool {
        let (bytes, last) = (name.utf8, ending.utf8)
        return bytes.count >= last.count && bytes.suffix(last.count).elementsEqual(last)
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
    static func isFreeStem(_ stem: Substring.UTF8View) -> Bool {
        guard let first = stem.first, isAlphanumeric(first) else { return false }
        return stem.dropFirst().allSatisfy {
            isAlphanumeric($0) || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") || $0 == UInt8(ascii: "-")
        }
    }

    /// `chr` and one or more of `A-Z a-z 0-9 _ .`.
    static func isChromosome(_ stem: Substring.UTF8View) -> Bool {
        guard stem.starts(with: "chr".utf8) else { return false }
        let rest = stem.dropFirst(3)
        return !rest.isEmpty && rest.allSatisfy(isChromosomeByte)
    }

    /// `A-Z a-z 0-9 _ .`
    static func isChromosomeByte(_ byte: UInt8) -> Bool {
        isAlphanumeric(byte) || byte == UInt8(ascii: "_") || byte == UInt8(ascii: ".")
    }

    /// The names that programs give to files they mean to rename, whatever the type.
    static func isTransient(_ name: String) -> Bool {
        let bytes = name.utf8
        if bytes.first == UInt8(ascii: ".") || bytes.last == UInt8(ascii: "~") || bytes.starts(with: "tmp".utf8) {
            return true
        }
        if bytes.count == 9, bytes.starts(with: "sed".utf8) { return true }
        return ends(name, with: ".tmp") || ends(name, with: ".temp") || ends(name, with: ".part")
            || ends(name, with: ".partial")
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
