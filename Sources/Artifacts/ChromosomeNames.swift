/// Which names are those of chromosomes, and of all that an assembly has beside them (SEMANTICS 1.1).
public enum ChromosomeNames: Hashable, Sendable {
    /// The names of assemblies: `chr1`, `chrX`, `chr2L`, `chrUn_KI270742v1`, `chr1_KI270706v1_random`, `HLA-A*01:01:01:01`.
    case assemblies
    /// What fits a pattern.
    indirect case pattern(NamePattern)
    /// These, which an index of a genome (`.fai`) or people list.
    case names(Set<String>)

    /// Whether a name of the schema can be a chromosome's: what names of references are in SAM files, but for `/` and a leading `.`.
    public static func isPossible(_ name: some StringProtocol) -> Bool { NameRules.withBytes(name) { isPossible($0) } }

    private static func isPossible(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        guard let first = name.first, first != UInt8(ascii: "."), name.count <= 200 else { return false }
        return name.allSatisfy(NameRules.isPrintable)
    }

    /// Whether it is the name of a chromosome.
    public func contains(_ name: some StringProtocol) -> Bool { NameRules.withBytes(name) { contains($0) } }

    /// Whether it is the name of a chromosome.
    func contains(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        switch self {
        case .assemblies: Assembly.hasName(name)
        case .pattern(let pattern): Self.isPossible(name) && pattern.matches(name)
        // Possible names are ASCII, which no other text is equal to.
        case .names(let names): Self.isPossible(name) && names.contains(String(decoding: name, as: UTF8.self))
        }
    }

    /// Whether a chromosome's name could be `text`, or begin with it and `_` or `.`: then `<type>_<text>` could be a file of either of two types.
    func couldBegin(with text: Substring) -> Bool {
        switch self {
        case .assemblies: return text.utf8.starts(with: "chr".utf8) || text.utf8.starts(with: "HLA-".utf8)
        case .pattern(let pattern):
            return text.utf8.starts(with: pattern.beginning) || pattern.beginning.starts(with: text.utf8)
        case .names(let names):
            return names.contains { name in
                guard name.utf8.starts(with: text.utf8) else { return false }
                let next = name.utf8.dropFirst(text.utf8.count).first
                return next == nil || next == UInt8(ascii: "_") || next == UInt8(ascii: ".")
            }
        }
    }

    /// The names in words, and one of them.
    var hint: (words: String, example: String) {
        switch self {
        case .assemblies: ("chr<name>", "chr1")
        case .pattern(let pattern): (pattern.description, pattern.example)
        case .names(let names):
            names.sorted().first.map { ("<chromosome>", $0) } ?? ("<chromosome>", "chr1")
        }
    }
}

/// The names that UCSC, Ensembl's mirrors, NCBI's analysis sets and the projects of model organisms give.
private enum Assembly {
    typealias Bytes = UnsafeBufferPointer<UInt8>

    /// Asked at every lookup: without an allocation.
    static func hasName(_ name: Bytes) -> Bool {
        if starts(name, with: "HLA-") { return isAllele(name.dropFirst(4)) }
        guard starts(name, with: "chr") else { return false }
        var end = 3
        while end < name.count, name[end] != underscore { end += 1 }
        let core = Bytes(rebasing: name[3..<end])
        let isUnplaced = NameRules.isSame(core, "Un")
        guard isUnplaced || isCore(core) else { return false }
        guard end < name.count else { return true }
        var begin = end + 1
        var kind = Bytes(rebasing: name[begin...])
        var hasDigit = false
        for place in begin...name.count {
            guard place == name.count || name[place] == underscore else {
                guard NameRules.isAlphanumeric(name[place]) || name[place] == dot else { return false }
                hasDigit = hasDigit || isDigit(name[place])
                continue
            }
            guard place > begin else { return false }
            kind = Bytes(rebasing: name[begin..<place])
            begin = place + 1
        }
        // What has no place yet has an accession.
        if isUnplaced { return hasDigit }
        if starts(kind, with: "hap") { return kind.count > 3 && kind.dropFirst(3).allSatisfy(isDigit) }
        return kinds.contains { NameRules.isSame(kind, $0) }
    }

    private static func starts(_ name: Bytes, with text: StaticString) -> Bool {
        guard name.count >= text.utf8CodeUnitCount else { return false }
        for offset in 0..<text.utf8CodeUnitCount where name[offset] != text.utf8Start[offset] { return false }
        return true
    }

    private static let dot = UInt8(ascii: ".")
    private static let underscore = UInt8(ascii: "_")
    private static let kinds: [StaticString] = ["random", "alt", "fix", "decoy", "patch"]
    private static let letters: [StaticString] = [
        "X", "Y", "Z", "W", "M", "MT", "U", "Uextra", "EBV", "C", "Pt", "E",
    ]
    private static let ones: [StaticString] = ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"]

    private static func isDigit(_ byte: UInt8) -> Bool { byte &- UInt8(ascii: "0") < 10 }

    /// `1`, `22`, `2L`, `2a`, `1D`, `XHet`, `X1`, `IV`.
    private static func isCore(_ text: Bytes) -> Bool {
        var core = text
        if core.count > 3, NameRules.isSame(Bytes(rebasing: core.suffix(3)), "Het") {
            core = Bytes(rebasing: core.dropLast(3))
        }
        var count = 0
        while count < core.count, isDigit(core[count]) { count += 1 }
        if count > 0 {
            return count <= 9
                && (core.count == count || (core.count == count + 1 && NameRules.isAlphanumeric(core[count])))
        }
        while count < core.count, !isDigit(core[count]) { count += 1 }
        let named = Bytes(rebasing: core[..<count])
        if letters.contains(where: { NameRules.isSame(named, $0) }) {
            return core.count - count <= 2 && core[count...].allSatisfy(isDigit)
        }
        return count == core.count && isRoman(named)
    }

    /// I to XXXIX.
    private static func isRoman(_ text: Bytes) -> Bool {
        var tens = 0
        while tens < text.count, text[tens] == UInt8(ascii: "X") { tens += 1 }
        let rest = Bytes(rebasing: text[tens...])
        return tens <= 3 && !text.isEmpty && ones.contains { NameRules.isSame(rest, $0) }
    }

    /// After `HLA-`: a gene, `*`, and the fields of an allele: `DRB1*15:01:01:01`, `C*04:09N`.
    private static func isAllele(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let parts = text.split(separator: UInt8(ascii: "*"), omittingEmptySubsequences: false)
        guard parts.count == 2, !parts[0].isEmpty, parts[0].allSatisfy(NameRules.isAlphanumeric) else { return false }
        var fields = parts[1]
        if let last = fields.last, "NLSCAQ".utf8.contains(last) { fields = fields.dropLast() }
        return fields.split(separator: UInt8(ascii: ":"), omittingEmptySubsequences: false).allSatisfy { field in
            !field.isEmpty && field.allSatisfy(isDigit)
        }
    }
}
