/// What a page is asked for: the part of a URL after the host (RFC 3986).
public struct PageTarget: Sendable, Hashable {
    /// Begins with `/`; decoded.
    public let path: String
    /// What stands after the question mark; decoded, in its order.
    public let fields: [QueryItem]

    /// A name and a value.
    public struct QueryItem: Sendable, Hashable {
        /// Its name.
        public let name: String
        /// Its value.
        public let value: String

        /// A name and a value.
        public init(_ name: String, _ value: String) { (self.name, self.value) = (name, value) }
    }

    /// So many bytes are read at most.
    static let longest = 1 << 15

    /// A target.
    ///
    /// - Parameter fields: those without a value are left out.
    public init(_ path: String, _ fields: [(name: String, value: String?)] = []) {
        self.path = path
        self.fields = fields.compactMap { field in field.value.map { QueryItem(field.name, $0) } }
    }

    /// The target of a request; nil of what is none, or is not UTF-8.
    public init?(parsing text: String) {
        let bytes = Array(text.utf8)
        guard bytes.count <= Self.longest, bytes.first == UInt8(ascii: "/") else { return nil }
        let parts = bytes.split(separator: UInt8(ascii: "?"), maxSplits: 1, omittingEmptySubsequences: false)
        // What begins with two slashes names another host, where a browser is led there.
        guard let first = parts.first, let path = Self.decoded(first, isForm: false), !path.hasPrefix("//") else {
            return nil
        }
        self.path = path
        var fields: [QueryItem] = []
        for pair in (parts.count > 1 ? parts[1] : []).split(separator: UInt8(ascii: "&")) {
            let halves = pair.split(separator: UInt8(ascii: "="), maxSplits: 1, omittingEmptySubsequences: false)
            guard let name = halves.first.flatMap({ Self.decoded($0, isForm: true) }),
                let value = halves.count > 1 ? Self.decoded(halves[1], isForm: true) : ""
            else { return nil }
            fields.append(QueryItem(name, value))
        }
        self.fields = fields
    }

    /// The first value of a name; nil where there is none, or it is empty.
    public subscript(name: String) -> String? {
        fields.first { $0.name == name }.flatMap { $0.value.isEmpty ? nil : $0.value }
    }

    /// All values of a name that are not empty.
    public func all(_ name: String) -> [String] {
        fields.filter { $0.name == name && !$0.value.isEmpty }.map(\.value)
    }

    /// The same with another value of a name; nil takes it out.
    public func with(_ name: String, _ value: String?) -> PageTarget {
        let rest: [(name: String, value: String?)] = fields.filter { $0.name != name }.map { ($0.name, $0.value) }
        return PageTarget(path, rest + [(name, value)])
    }

    /// As a request has it.
    public var text: String {
        let words = fields.map { Self.encoded($0.name) + "=" + Self.encoded($0.value) }
        return Self.encoded(path, keeping: "/") + (words.isEmpty ? "" : "?" + words.joined(separator: "&"))
    }

    // MARK: - Percent-encoding

    private static func encoded(_ text: String, keeping more: String = "") -> String {
        var result: [UInt8] = []
        for byte in text.utf8 {
            switch byte {
            case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
                UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "-"), UInt8(ascii: "."), UInt8(ascii: "_"),
                UInt8(ascii: "~"):
                result.append(byte)
            case _ where more.utf8.contains(byte): result.append(byte)
            default:
                let digits = Array("0123456789ABCDEF".utf8)
                result += [UInt8(ascii: "%"), digits[Int(byte >> 4)], digits[Int(byte & 15)]]
            }
        }
        return String(decoding: result, as: UTF8.self)
    }

    /// - Parameter isForm: whether `+` is a blank, as forms have it.
    private static func decoded(_ bytes: ArraySlice<UInt8>, isForm: Bool) -> String? {
        var result: [UInt8] = []
        var rest = bytes
        while let byte = rest.popFirst() {
            switch byte {
            case UInt8(ascii: "%"):
                guard let high = rest.popFirst().flatMap(digit), let low = rest.popFirst().flatMap(digit) else {
                    return nil
                }
                result.append(high << 4 | low)
            case UInt8(ascii: "+") where isForm: result.append(UInt8(ascii: " "))
            default: result.append(byte)
            }
        }
        return String(validating: result, as: UTF8.self)
    }

    private static func digit(_ byte: UInt8) -> UInt8? {
        switch byte {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): byte - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): byte - UInt8(ascii: "a") + 10
        case UInt8(ascii: "A")...UInt8(ascii: "F"): byte - UInt8(ascii: "A") + 10
        default: nil
        }
    }
}
