/// Names of refs (git-check-ref-format(1)), as bytes.
enum RefName {
    /// The longest that is read.
    static let limit = 1024

    private static let refs = Array("refs/".utf8)
    private static let heads = Array("refs/heads/".utf8)

    /// Whether it is a ref's name below `refs/`; only such are looked for, and only such come into a record.
    static func isValid(_ name: some BidirectionalCollection<UInt8>) -> Bool {
        guard name.count <= limit, name.starts(with: refs), name.last != UInt8(ascii: ".") else { return false }
        var previous: UInt8 = 0
        for byte in name {
            switch byte {
            case 0...0x20, 0x7F, UInt8(ascii: "~"), UInt8(ascii: "^"), UInt8(ascii: ":"), UInt8(ascii: "?"),
                UInt8(ascii: "*"), UInt8(ascii: "["), UInt8(ascii: "\\"):
                return false
            case UInt8(ascii: ".") where previous == UInt8(ascii: "."): return false
            case UInt8(ascii: "{") where previous == UInt8(ascii: "@"): return false
            default: previous = byte
            }
        }
        return name.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).allSatisfy { part in
            !part.isEmpty && part.first != UInt8(ascii: ".") && !part.suffix(5).elementsEqual(".lock".utf8)
        }
    }

    /// The branch that it is, without `refs/heads/`.
    static func branch(_ name: [UInt8]) -> [UInt8]? {
        name.starts(with: heads) ? Array(name.dropFirst(heads.count)) : nil
    }

    /// Whether every working tree has a ref of this name of its own (gitrepository-layout(5), `refs`).
    static func isOfWorkingTree(_ name: [UInt8]) -> Bool {
        guard name.starts(with: refs) else { return true }
        return ["refs/bisect/", "refs/worktree/", "refs/rewritten/"].contains { name.starts(with: $0.utf8) }
    }
}
