/// A kind of artifact: where its files are, what they are named, and in which formats they come.
public struct TypeDefinition: Hashable, Sendable {
    /// Which names a type has besides its own (*whole*: the type's name with a format's extension).
    public enum Naming: String, CaseIterable, Hashable, Sendable {
        /// Only the type's own name.
        case whole
        /// Also chromosomes' names; the real file is `<type>_<name>`.
        case chromosome
        /// Also any plain name; the real file has the same.
        case free
    }

    /// The type's name, which is also its directory on the mount.
    public let name: String
    /// The layers that have it.
    public let layers: [Layer]
    /// File name extensions with their dot; the first is the default.
    public let formats: [String]
    /// The directory inside the layer: `.` or one name.
    public let directory: String
    /// Which names its files have.
    public let naming: Naming
    /// Whether contents are checked before they are published.
    public let isChecked: Bool
    /// What its tables look like.
    public let table: TableOptions
    /// The schema's: which names chromosomes have.
    public internal(set) var chromosomes = ChromosomeNames.assemblies
    /// The schema's: which names are temporary.
    public internal(set) var transientNames = TransientNames.builtIn

    /// Declares a type. `ArtifactSchema` checks the declaration.
    public init(
        name: String, layers: [Layer], formats: [String], directory: String = ".", naming: Naming = .whole,
        isChecked: Bool = true, table: TableOptions = TableOptions()
    ) {
        self.name = name
        self.layers = layers
        self.formats = formats
        self.directory = directory
        self.naming = naming
        self.isChecked = isChecked
        self.table = table
    }

    /// Whether its directories of production show as `latest` which artifact was sealed last.
    public var hasLatest: Bool { naming == .free && name == "meta_checkpoints" }

    /// What a name means in this type's directory on the mount.
    public func classify(_ name: String) -> NameClass {
        if name.utf8.count > NameRules.longestName { return .invalid(.tooLong) }
        guard NameRules.isEntry(name) else { return .invalid(.notOfType(self.name)) }
        if transientNames.contains(name) { return .transient }
        if let real = realName(for: name) {
            return real.utf8.count > NameRules.longestName ? .invalid(.tooLong) : .artifact(realName: real)
        }
        if let original = NameRules.withoutRandomSuffix(name), realName(for: String(original)) != nil {
            return .transient
        }
        return .invalid(.notOfType(self.name))
    }

    /// The real file's name for a name on the mount, or nil when the name is not one of this type's.
    private func realName(for name: String) -> String? {
        guard let (stem, _) = split(name) else { return nil }
        if NameRules.isSame(stem, self.name) { return name }
        switch naming {
        case .whole: return nil
        case .chromosome:
            guard chromosomes.contains(stem) else { return nil }
            let real = self.name + "_" + name
            return transientNames.contains(real) ? nil : real
        case .free: return NameRules.isFreeStem(stem) ? name : nil
        }
    }

    /// The name on the mount for a real file's name, or nil when this type does not claim the file.
    ///
    /// The inverse of `classify`: each name of the type comes from one real name, and the other way round.
    public func virtualName(forReal real: String) -> String? {
        guard real.utf8.count <= NameRules.longestName, !transientNames.contains(real), let (stem, _) = split(real)
        else { return nil }
        if NameRules.isSame(stem, name) { return real }
        switch naming {
        case .whole: return nil
        case .chromosome:
            guard stem.utf8.starts(with: name.utf8) else { return nil }
            let rest = real.utf8.dropFirst(name.utf8.count)
            guard rest.first == UInt8(ascii: "_") else { return nil }
            let virtual = String(real[rest.index(after: rest.startIndex)...])
            guard let (chromosome, _) = split(virtual), chromosomes.contains(chromosome),
                !transientNames.contains(virtual)
            else { return nil }
            return virtual
        case .free: return NameRules.isFreeStem(stem) ? real : nil
        }
    }

    /// A name's stem and the format that it ends with: the longest, so that `.tsv.gz` is not taken for `.gz`.
    func split(_ name: String) -> (stem: Substring, format: String)? {
        var found: String?
        for format in formats
        where format.utf8.count > (found?.utf8.count ?? 0) && name.utf8.count > format.utf8.count
            && NameRules.ends(name, with: format)
        {
            found = format
        }
        return found.map { (Substring(name.utf8.dropLast($0.utf8.count)), $0) }
    }

    /// The format that a name of this type ends with.
    public func format(of name: String) -> String? { split(name)?.format }

    /// What stands for an artifact besides its type, such as `chr1` or `epoch_001`; nil for the whole.
    public func key(of name: String) -> String? {
        split(name).flatMap { NameRules.isSame($0.stem, self.name) ? nil : String($0.stem) }
    }

    /// The names that people may use here, in words.
    public var nameHint: String {
        let endings = formats.count == 1 ? formats[0] : "(" + formats.joined(separator: "|") + ")"
        switch naming {
        case .whole: return name + endings
        case .chromosome: return "\(name)\(endings) or \(chromosomes.hint.words)\(endings)"
        case .free: return "<name>\(endings), where <name> is letters, digits, '.', '_', '-'"
        }
    }
}

/// What a name means in a typed directory.
public enum NameClass: Hashable, Sendable {
    /// An artifact, kept under `realName`.
    case artifact(realName: String)
    /// A file that a program is about to rename: staged, never published under this name.
    case transient
    /// Not a name of this directory.
    case invalid(InvalidName)
}

/// Why a name is not one of a directory's.
public enum InvalidName: Hashable, Sendable {
    /// Longer than 255 bytes here or at the real path.
    case tooLong
    /// Not UTF-8.
    case notText
    /// None of the type's names.
    case notOfType(String)
    /// A session's root takes `metadata.json` and nothing else.
    case notInSessionRoot
    /// `plots` takes images only.
    case notAPlot
    /// `development` takes `YYYYMMDD_HHMMSS`.
    case notASession
    /// `test` takes plain names.
    case notATest
    /// The schema's directories take nothing else.
    case notInSchema
}
