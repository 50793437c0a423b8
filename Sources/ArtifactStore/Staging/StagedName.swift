/// What a staged file's name says: `<kind>-<number>[.<process>]-<path>`, such as `f-17.4711-production%2Fbase%2Fgene_manifest%2Fgene_manifest.tsv`.
///
/// Read with every file that is made or published, so without an allocation but for the path's.
struct StagedName {
    let kind: Staging.Kind
    /// By which the file is known to what it has taken.
    let number: UInt64
    /// Who wrote it; 0 when the name does not say.
    let process: Int32
    /// The path on the mount, escaped.
    let path: Substring

    /// - Returns: nil when it is no staged file's name.
    init?(_ name: String) {
        let utf8 = name.utf8
        guard let first = utf8.first, let kind = Staging.Kind(firstByte: first) else { return nil }
        var index = utf8.index(after: utf8.startIndex)
        guard index < utf8.endIndex, utf8[index] == Self.dash else { return nil }
        index = utf8.index(after: index)
        guard let number = Self.number(in: utf8, at: &index), index < utf8.endIndex else { return nil }
        var process: UInt64 = 0
        if utf8[index] == UInt8(ascii: ".") {
            index = utf8.index(after: index)
            guard let read = Self.number(in: utf8, at: &index), index < utf8.endIndex else { return nil }
            process = read
        }
        guard utf8[index] == Self.dash else { return nil }
        self.kind = kind
        self.number = number
        self.process = Int32(exactly: process) ?? 0
        path = name[utf8.index(after: index)...]
    }

    /// The name of the same file under another kind.
    ///
    /// - Parameter process: who wrote it; nil is not said.
    func text(as kind: Staging.Kind, process: Int32? = nil) -> String {
        let number = process.map { "\(self.number).\(max($0, 0))" } ?? String(self.number)
        return Self.text(kind, number, path)
    }

    /// A name.
    ///
    /// - Parameter path: the path on the mount, escaped.
    static func text(_ kind: Staging.Kind, _ number: String, _ path: some StringProtocol) -> String {
        var text = ""
        text.reserveCapacity(number.utf8.count + path.utf8.count + 3)
        text += kind.rawValue
        text += "-"
        text += number
        text += "-"
        text += path
        return text
    }

    private static let dash = UInt8(ascii: "-")

    private static func number(in utf8: String.UTF8View, at index: inout String.Index) -> UInt64? {
        let first = index
        var value: UInt64 = 0
        while index < utf8.endIndex {
            let digit = utf8[index] &- UInt8(ascii: "0")
            guard digit < 10 else { break }
            let (product, isTooLarge) = value.multipliedReportingOverflow(by: 10)
            let (sum, isOver) = product.addingReportingOverflow(UInt64(digit))
            if isTooLarge || isOver { return nil }
            value = sum
            index = utf8.index(after: index)
        }
        return index > first ? value : nil
    }
}
