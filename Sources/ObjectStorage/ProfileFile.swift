/// A file of profiles (`~/.aws/credentials`, `~/.aws/config`): sections with keys and values.
public struct ProfileFile: Sendable, Hashable {
    private var sections: [String: [String: String]] = [:]

    /// A file without anything.
    public init() {}

    /// Reads a file's text. Lines that are nothing it knows are passed over; of a key that comes twice the last one counts.
    public init(_ text: String) {
        var section: String?
        for line in text.split(whereSeparator: \.isNewline) {
            // What is moved to the right belongs to the key above it, of which nothing is needed here.
            guard let first = line.first, !first.isWhitespace else { continue }
            let words = Self.trimmed(line)
            if words.hasPrefix("#") || words.hasPrefix(";") { continue }
            if words.hasPrefix("[") {
                section = words.firstIndex(of: "]").map { Self.name(words[words.index(after: words.startIndex)..<$0]) }
                if let section, sections[section] == nil { sections[section] = [:] }
                continue
            }
            guard let section, let equal = words.firstIndex(of: "=") else { continue }
            let key = Self.trimmed(words[..<equal]).lowercased()
            var value = Self.trimmed(words[words.index(after: equal)...])
            // A comment begins after a blank.
            for mark in [" #", " ;", "\t#", "\t;"] {
                if let comment = value.range(of: mark) { value = Self.trimmed(value[..<comment]) }
            }
            sections[section]?[key] = value
        }
    }

    /// What a profile has; nil when there is none.
    public subscript(profile: String) -> [String: String]? { sections[profile] }

    /// The profiles' names.
    public var names: [String] { sections.keys.sorted() }

    /// `default`, `profile x` and `x` are names of profiles; others sections are none.
    private static func name(_ text: Substring) -> String {
        let words = text.split(whereSeparator: \.isWhitespace)
        if words.count > 1, words[0] == "profile" {
            return unquoted(trimmed(text.drop(while: \.isWhitespace).dropFirst("profile".count)))
        }
        return trimmed(text)
    }

    private static func unquoted(_ text: String) -> String {
        guard text.count > 1, let first = text.first, first == "\"" || first == "'", text.last == first else {
            return text
        }
        return String(text.dropFirst().dropLast())
    }

    private static func trimmed(_ text: some StringProtocol) -> String {
        var rest = text[...]
        while rest.first?.isWhitespace == true { rest = rest.dropFirst() }
        while rest.last?.isWhitespace == true { rest = rest.dropLast() }
        return String(rest)
    }
}

extension String {
    /// Where a text comes first.
    fileprivate func range(of text: String) -> Index? {
        var place = startIndex
        while place < endIndex {
            if self[place...].hasPrefix(text) { return place }
            place = index(after: place)
        }
        return nil
    }
}
