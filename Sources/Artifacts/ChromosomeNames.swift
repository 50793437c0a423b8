/// Which names are those of chromosomes, and of all that an assembly has beside them (SEMANTICS 1.1).
public enum ChromosomeNames: Hashable, Sendable {
    /// The names of assemblies: `chr1`, `chrX`, `chr2L`, `chrUn_KI270742v1`, `chr1_KI270706v1_random`, `HLA-A*01:01:01:01`.
    case assemblies
    /// What fits a pattern.
    indirect case pattern(NamePattern)
    /// These, which an index of a genome (`.fai`) or people list.
    case names(Set<String>)

    /// Whether a name of the schema can be a chromosome's: what names of references are in SAM files, but for `/` and a leading `.`.
    public static func isPossible(_ name: some StringProtocol) -> Bool {
        NameRules.withBytes(name) { bytes in
            guard let first = bytes.first, first != UInt8(ascii: "."), bytes.count <= 200 else { return false }
            return bytes.allSatisfy(NameRules.isPrintable)
        }
    }

    /// Whether it is the name of a chromosome.
    public func contains(_ name: some StringProtocol) -> Bool {
        switch self {
        case .assemblies: NameRules.withBytes(name) { Assembly.hasName($0) }
        case .pattern(let pattern): Self.isPossible(name) && NameRules.withBytes(name) { pattern.matches($0) }
        // Possible names are ASCII, which no other text is equal to.
        case .names(let names): Self.isPossible(name) && names.contains(String(name))
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
    static func hasName(_ name: UnsafeBufferPointer<UInt8>) -> Bool {
        if starts(name, with: "HLA-") { return isAllele(name.dropFirst(4)) }
        guard starts(name, with: "chr") else { return false }
        let afterChr = name.dropFirst(3)
        // Looked up most, and quickly so.
        guard afterChr.contains(UInt8(ascii: "_")) else { return isCore(afterChr) || afterChr.elementsEqual("Un".utf8) }
        let parts = afterChr.split(separator: UInt8(ascii: "_"), omittingEmptySubsequences: false)
        guard let core = parts.first else { return false }
        let rest = parts.dropFirst()
        guard
            rest.allSatisfy({ part in !part.isEmpty && part.allSatisfy { NameRules.isAlphanumeric($0) || $0 == dot } })
        else { return false }
        // What has no place yet has an accession.
        if core.elementsEqual("Un".utf8) {
            return rest.contains { $0.contains(where: isDigit) }
        }
        guard isCore(core) else { return false }
        guard let kind = rest.last else { return true }
        if kind.starts(with: "hap".utf8) { return kind.count > 3 && kind.dropFirst(3).allSatisfy(isDigit) }
        return kinds.contains { kind.elementsEqual($0.utf8) }
    }

    private static func starts(_ name: UnsafeBufferPointer<UInt8>, with text: StaticString) -> Bool {
        guard name.count >= text.utf8CodeUnitCount else { return false }
        return (0..<text.utf8CodeUnitCount).allSatisfy { name[$0] == text.utf8Start[$0] }
    }

    private static let dot = UInt8(ascii: ".")
    private static let kinds = ["random", "alt", "fix", "decoy", "patch"]
    private static let letters = ["X", "Y", "Z", "W", "M", "MT", "U", "Uextra", "EBV", "C", "Pt", "E"]

    private static func isDigit(_ byte: UInt8) -> Bool { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains(byte) }

    /// `1`, `22`, `2L`, `2a`, `1D`, `XHet`, `X1`, `IV`.
    private static func isCore(_ core: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        var core = core
        if core.count > 3, core.suffix(3).elementsEqual("Het".utf8) { core = core.dropLast(3) }
        let digits = core.prefix(while: isDigit)
        if !digits.isEmpty {
            guard digits.count <= 9 else { return false }
            let arm = core.dropFirst(digits.count)
            return arm.isEmpty || (arm.count == 1 && arm.allSatisfy(NameRules.isAlphanumeric))
        }
        let named = core.prefix { !isDigit($0) }
        let number = core.dropFirst(named.count)
        if letters.contains(where: { named.elementsEqual($0.utf8) }) {
            return number.count <= 2 && number.allSatisfy(isDigit)
        }
        return number.isEmpty && isRoman(named)
    }

    /// I to XXXIX.
    private static func isRoman(_ text: Slice<UnsafeBufferPointer<UInt8>>) -> Bool {
        let tens = text.prefix { $0 == UInt8(ascii: "X") }
        let ones = text.dropFirst(tens.count)
        guard tens.count <= 3, !text.isEmpty else { return false }
        return ["", "I", "II", "III", "IV", "V", "VI", "VII", "VIII", "IX"].contains { ones.elementsEqual($0.utf8) }
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
