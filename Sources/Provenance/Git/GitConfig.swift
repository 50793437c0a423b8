/// A repository's own `config` as it stands (git-config(1), "CONFIGURATION FILE"): data, of which no `include.path` is followed and no command run.
struct GitConfig: Sendable {
    /// The longest file that is read, in bytes.
    static let limit = 1 << 20
    /// The most variables that are kept.
    private static let mostVariables = 10_000

    /// One variable. Names of sections and variables are in small letters.
    struct Variable: Sendable, Equatable {
        let section: String
        /// The middle part, as it stands: a remote's or branch's name.
        let subsection: [UInt8]?
        let name: String
        /// Nil for one without `=`, which means true.
        let value: [UInt8]?
    }

    /// Those of the sections that matter here, in their order.
    private(set) var variables: [Variable] = []

    /// The sections that are kept.
    private static let sections: Set<String> = [
        "core", "extensions", "branch", "remote", "submodule", "include", "includeif",
    ]

    /// Nothing is set.
    init() {}

    /// Nil where git would say that the file is bad, and for more variables than are kept.
    init?(_ bytes: [UInt8]) {
        var reader = Reader(bytes)
        while let variable = reader.next() {
            guard Self.sections.contains(variable.section) else { continue }
            guard variables.count < Self.mostVariables else { return nil }
            variables.append(variable)
        }
        guard !reader.isBad else { return nil }
    }

    /// What comes from a second file, which counts more.
    mutating func add(_ other: GitConfig) { variables += other.variables }

    /// The values of a variable, in their order.
    func values(_ section: String, of subsection: [UInt8]? = nil, _ name: String) -> [[UInt8]?] {
        variables.filter { $0.name == name && $0.section == section && $0.subsection == subsection }.map(\.value)
    }

    /// The value that counts: the last one.
    func value(_ section: String, of subsection: [UInt8]? = nil, _ name: String) -> [UInt8]? {
        values(section, of: subsection, name).last ?? nil
    }

    /// The value that counts, as a truth value.
    ///
    /// - Returns: nil when it is not set, or is no truth value.
    func flag(_ section: String, _ name: String) -> Bool? {
        guard let value = values(section, name).last else { return nil }
        guard let value else { return true }
        switch String(decoding: value, as: UTF8.self).lowercased() {
        case "true", "yes", "on", "1": return true
        case "false", "no", "off", "0", "": return false
        default: return nil
        }
    }

    /// Whether it says that other files belong to it.
    var includesOthers: Bool { variables.contains { $0.section == "include" || $0.section == "includeif" } }

    /// The names of the sections of a kind, such as the remotes', in their order.
    func subsections(of section: String) -> [[UInt8]] {
        var names: [[UInt8]] = []
        for case let name? in variables.filter({ $0.section == section }).map(\.subsection)
        where !names.contains(name) {
            names.append(name)
        }
        return names
    }
}

extension GitConfig {
    /// Reads variable by variable, as git's config.c does.
    private struct Reader {
        private let bytes: [UInt8]
        private var index = 0
        private var section = ""
        private var subsection: [UInt8]?
        private(set) var isBad = false

        init(_ bytes: [UInt8]) {
            self.bytes = bytes
            if bytes.starts(with: [0xEF, 0xBB, 0xBF]) { index = 3 }
        }

        /// The next character, of which CR LF is one; a line's end at the file's.
        private mutating func character() -> UInt8 {
            guard index < bytes.count else { return 0x0A }
            var byte = bytes[index]
            index += 1
            if byte == 0x0D, index < bytes.count, bytes[index] == 0x0A {
                byte = 0x0A
                index += 1
            }
            return byte
        }

        private var isAtEnd: Bool { index >= bytes.count }

        /// Nil at the end, and when the file is bad.
        mutating func next() -> Variable? {
            var isComment = false
            while !isAtEnd {
                let byte = character()
                switch byte {
                case 0x0A: isComment = false
                case _ where isComment || Self.isSpace(byte): continue
                case UInt8(ascii: "#"), UInt8(ascii: ";"): isComment = true
                case UInt8(ascii: "["):
                    guard header() else { return bad() }
                case _ where Self.isLetter(byte):
                    guard let variable = variable(first: byte) else { return bad() }
                    return variable
                default: return bad()
                }
            }
            return nil
        }

        private mutating func bad() -> Variable? {
            isBad = true
            index = bytes.count
            return nil
        }

        /// What comes after `[`.
        private mutating func header() -> Bool {
            var name: [UInt8] = []
            while !isAtEnd {
                let byte = character()
                if byte == UInt8(ascii: "]") {
                    // The older way, [section.subsection], knows no capitals.
                    let parts = name.split(separator: UInt8(ascii: "."), maxSplits: 1)
                    section = parts.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
                    subsection = parts.count > 1 ? Array(parts[1]) : nil
                    return true
                }
                if Self.isSpace(byte) {
                    section = String(decoding: name, as: UTF8.self)
                    return quotedSubsection(after: byte)
                }
                guard Self.isKey(byte) || byte == UInt8(ascii: ".") else { return false }
                name.append(Self.small(byte))
            }
            return false
        }

        private mutating func quotedSubsection(after space: UInt8) -> Bool {
            var byte = space
            while Self.isSpace(byte) {
                guard byte != 0x0A, !isAtEnd else { return false }
                byte = character()
            }
            guard byte == UInt8(ascii: "\"") else { return false }
            var name: [UInt8] = []
            while !isAtEnd {
                var byte = character()
                if byte == 0x0A { return false }
                if byte == UInt8(ascii: "\"") {
                    subsection = name
                    return !isAtEnd && character() == UInt8(ascii: "]")
                }
                if byte == UInt8(ascii: "\\") {
                    byte = character()
                    if byte == 0x0A { return false }
                }
                name.append(byte)
            }
            return false
        }

        private mutating func variable(first: UInt8) -> Variable? {
            var name = [Self.small(first)]
            var byte = character()
            while Self.isKey(byte) {
                name.append(Self.small(byte))
                byte = character()
            }
            while byte == 0x20 || byte == 0x09 { byte = character() }
            var value: [UInt8]?
            if byte != 0x0A {
                guard byte == UInt8(ascii: "="), let read = self.value() else { return nil }
                value = read
            }
            return Variable(
                section: section, subsection: subsection, name: String(decoding: name, as: UTF8.self), value: value)
        }

        /// What comes after `=`, to the line's end.
        private mutating func value() -> [UInt8]? {
            var value: [UInt8] = []
            var isQuoted = false
            var isComment = false
            var spaces = 0
            while true {
                let byte = character()
                if byte == 0x0A { return isQuoted ? nil : value }
                if isComment { continue }
                if Self.isSpace(byte), !isQuoted {
                    if !value.isEmpty { spaces += 1 }
                    continue
                }
                if !isQuoted, byte == UInt8(ascii: "#") || byte == UInt8(ascii: ";") {
                    isComment = true
                    continue
                }
                value.append(contentsOf: repeatElement(0x20, count: spaces))
                spaces = 0
                switch byte {
                case UInt8(ascii: "\""): isQuoted.toggle()
                case UInt8(ascii: "\\"):
                    switch character() {
                    case 0x0A:
                        if isAtEnd { return value }
                    case UInt8(ascii: "t"): value.append(0x09)
                    case UInt8(ascii: "b"): value.append(0x08)
                    case UInt8(ascii: "n"): value.append(0x0A)
                    case UInt8(ascii: "\\"): value.append(UInt8(ascii: "\\"))
                    case UInt8(ascii: "\""): value.append(UInt8(ascii: "\""))
                    default: return nil
                    }
                default: value.append(byte)
                }
            }
        }

        private static func isSpace(_ byte: UInt8) -> Bool { byte == 0x20 || (0x09...0x0D).contains(byte) }
        private static func isLetter(_ byte: UInt8) -> Bool {
            (UInt8(ascii: "a")...UInt8(ascii: "z")).contains(small(byte))
        }
        private static func isKey(_ byte: UInt8) -> Bool {
            isLetter(byte) || byte == UInt8(ascii: "-") || (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte)
        }
        private static func small(_ byte: UInt8) -> UInt8 {
            (UInt8(ascii: "A")...UInt8(ascii: "Z")).contains(byte) ? byte + 0x20 : byte
        }
    }
}
