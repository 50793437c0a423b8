/// An element of what a server answers. Only what such answers have is read: elements, text, the five entities and numbered characters;
/// attributes are passed over.
public struct AnswerXML: Sendable, Hashable {
    /// Without a prefix.
    public private(set) var name: String
    /// What is in it, without what its elements have.
    public private(set) var text = ""
    /// The elements in it.
    public private(set) var elements: [AnswerXML] = []

    /// How deep elements may be in each other.
    private static let deepest = 32

    /// Reads a whole answer; nil of anything that is not whole.
    public init?(_ bytes: [UInt8]) {
        guard let text = String(validating: bytes, as: UTF8.self) else { return nil }
        var rest = Array(text.unicodeScalars)[...]
        guard Self.passOver(&rest), let found = Self.element(&rest, 0), Self.passOver(&rest), rest.isEmpty else {
            return nil
        }
        self = found
    }

    private init(name: String) { self.name = name }

    /// The text of the first element of a name.
    public subscript(name: String) -> String? { elements.first { $0.name == name }?.text }

    // MARK: - Reading

    private typealias Rest = ArraySlice<Unicode.Scalar>

    /// Passes over blanks, declarations and comments between elements; false when one does not end.
    private static func passOver(_ rest: inout Rest) -> Bool {
        while true {
            rest = rest.drop { $0.properties.isWhitespace || $0 == "\u{FEFF}" }
            if begins(rest, "<?") {
                guard skip(&rest, "?>") else { return false }
            } else if begins(rest, "<!--") {
                guard skip(&rest, "-->") else { return false }
            } else {
                return true
            }
        }
    }

    private static func begins(_ rest: Rest, _ text: String) -> Bool { rest.starts(with: text.unicodeScalars) }

    /// Goes after a text.
    private static func skip(_ rest: inout Rest, _ text: String) -> Bool {
        while !rest.isEmpty {
            if begins(rest, text) {
                rest = rest.dropFirst(text.unicodeScalars.count)
                return true
            }
            rest = rest.dropFirst()
        }
        return false
    }

    private static func element(_ rest: inout Rest, _ depth: Int) -> AnswerXML? {
        guard depth < deepest, rest.first == "<", let (name, isEmpty) = tag(&rest) else { return nil }
        var found = AnswerXML(name: name)
        if isEmpty { return found }
        while let next = rest.first {
            if begins(rest, "</") {
                rest = rest.dropFirst()
                guard let (end, _) = tag(&rest), end == name else { return nil }
                return found
            } else if begins(rest, "<!--") {
                guard skip(&rest, "-->") else { return nil }
            } else if next == "<" {
                guard let one = element(&rest, depth + 1) else { return nil }
                found.elements.append(one)
            } else if next == "&" {
                guard let one = entity(&rest) else { return nil }
                found.text.unicodeScalars.append(one)
            } else {
                found.text.unicodeScalars.append(next)
                rest = rest.dropFirst()
            }
        }
        return nil
    }

    /// A tag, from its `<` or `/` on.
    private static func tag(_ rest: inout Rest) -> (name: String, isEmpty: Bool)? {
        rest = rest.dropFirst()
        var (name, isOfName, isEmpty) = ("", true, false)
        var quote: Unicode.Scalar?
        while let next = rest.popFirst() {
            if let open = quote {
                if next == open { quote = nil }
                continue
            }
            switch next {
            case ">": return name.isEmpty ? nil : (name, isEmpty)
            case "<": return nil
            case "\"", "'": quote = next
            case "/": (isOfName, isEmpty) = (false, true)
            case ":" where isOfName: name = ""
            case _ where next.properties.isWhitespace: isOfName = false
            default: if isOfName { name.unicodeScalars.append(next) }
            }
        }
        return nil
    }

    private static func entity(_ rest: inout Rest) -> Unicode.Scalar? {
        rest = rest.dropFirst()
        guard let end = rest.prefix(12).firstIndex(of: ";") else { return nil }
        var name = ""
        name.unicodeScalars.append(contentsOf: rest[..<end])
        rest = rest[(end + 1)...]
        switch name {
        case "amp": return "&"
        case "lt": return "<"
        case "gt": return ">"
        case "quot": return "\""
        case "apos": return "'"
        default:
            guard name.hasPrefix("#") else { return nil }
            let digits = name.dropFirst()
            let value = digits.first == "x" ? UInt32(digits.dropFirst(), radix: 16) : UInt32(digits)
            return value.flatMap(Unicode.Scalar.init)
        }
    }
}
