internal import Glibc

/// A text that is compared byte by byte, as names are: another spelling of the same letters is another name.
struct ExactText: Hashable, Sendable {
    let text: String

    init(_ text: String) { self.text = text }

    static func == (one: ExactText, other: ExactText) -> Bool { one.text.isExactly(other.text) }

    func hash(into hasher: inout Hasher) {
        let isHashed = text.utf8.withContiguousStorageIfAvailable {
            hasher.combine(bytes: UnsafeRawBufferPointer($0))
            return true
        }
        if isHashed == nil { for byte in text.utf8 { hasher.combine(byte) } }
        hasher.combine(0xFF as UInt8)
    }
}

extension String {
    /// Whether both are the same bytes.
    func isExactly(_ other: String?) -> Bool {
        guard let other, utf8.count == other.utf8.count else { return false }
        let isSame = utf8.withContiguousStorageIfAvailable { bytes in
            other.utf8.withContiguousStorageIfAvailable { others in
                guard let one = bytes.baseAddress, let two = others.baseAddress else { return true }
                return memcmp(one, two, bytes.count) == 0
            }
        }
        return (isSame ?? nil) ?? utf8.elementsEqual(other.utf8)
    }

    /// The artifact that a path on the mount would be in, where it leads deeper than artifacts lie (SEMANTICS 1); nil where it does not.
    var artifactAround: String? {
        let parts = utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false)
        let depth = utf8.starts(with: "production/".utf8) ? 4 : 5
        guard utf8.first != UInt8(ascii: "/"), parts.count > depth else { return nil }
        let length = parts.prefix(depth).reduce(depth - 1) { $0 + $1.count }
        return String(decoding: utf8.prefix(length), as: UTF8.self)
    }
}
