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

    /// What its artifacts are to the file system.
    public enum Kind: String, CaseIterable, Hashable, Sendable {
        /// Plain files.
        case file
        /// Directories, each one artifact with all that is in it.
        case directory
        /// Plain files and directories.
        case either

        /// Whether plain files are artifacts.
        public var hasFiles: Bool { self != .directory }
        /// Whether directories are artifacts.
        public var hasDirectories: Bool { self != .file }
    }

    /// One reference: types are copied with every place in the tree.
    private let declaration: Declaration

    /// The type's name, which is also its directory on the mount.
    public var name: String { declaration.name }
    /// The layers that have it.
    public var layers: [Layer] { declaration.layers }
    /// File name extensions with their dot; the first is the default.
    public var formats: [String] { declaration.formats }
    /// The directory inside the layer: `.` or one name.
    public var directory: String { declaration.directory }
    /// Which names its files have.
    public var naming: Naming { declaration.naming }
    /// Whether its artifacts are files, directories or either.
    public var kind: Kind { declaration.kind }
    /// Whether contents are checked before they are published.
    public var isChecked: Bool { declaration.isChecked }
    /// What its tables look like.
    public var table: TableOptions { declaration.table }
    /// Which of its former versions are kept; nil where that is as in the whole schema.
    public var keepVersions: VersionRetention? { declaration.keepVersions }
    /// The schema's: which names chromosomes have.
    public var chromosomes: ChromosomeNames { declaration.chromosomes }
    /// The schema's: which names are temporary.
    public var transientNames: TransientNames { declaration.transientNames }

    /// Declares a type. `ArtifactSchema` checks the declaration.
    public init(
        name: String, layers: [Layer], formats: [String], directory: String = ".", naming: Naming = .whole,
        kind: Kind = .file, isChecked: Bool = true, table: TableOptions = TableOptions(),
        keepVersions: VersionRetention? = nil
    ) {
        declaration = Declaration(
            name: name, layers: layers, formats: formats, directory: directory, naming: naming, kind: kind,
            isChecked: isChecked, table: table, keepVersions: keepVersions, chromosomes: .assemblies,
            transientNames: .builtIn)
    }

    private init(_ declaration: Declaration) { self.declaration = declaration }

    /// The same type in a schema that says which names are chromosomes' and which are temporary.
    func with(_ transientNames: TransientNames, _ chromosomes: ChromosomeNames) -> TypeDefinition {
        TypeDefinition(
            Declaration(
                name: name, layers: layers, formats: formats, directory: directory, naming: naming, kind: kind,
                isChecked: isChecked, table: table, keepVersions: keepVersions, chromosomes: chromosomes,
                transientNames: transientNames))
    }

    /// Whether both are declared alike.
    public static func == (one: TypeDefinition, other: TypeDefinition) -> Bool {
        one.declaration === other.declaration || one.declaration.isLike(other.declaration)
    }

    /// Hashes the name.
    public func hash(into hasher: inout Hasher) { hasher.combine(name) }

    /// What was declared, and what judging a name needs of it.
    private final class Declaration: Sendable {
        let name: String
        let layers: [Layer]
        let formats: [String]
        let directory: String
        let naming: Naming
        let kind: Kind
        let isChecked: Bool
        let table: TableOptions
        let keepVersions: VersionRetention?
        let chromosomes: ChromosomeNames
        let transientNames: TransientNames
        let nameBytes: [UInt8]
        let formatBytes: [[UInt8]]
        let directoryFormatBytes: [[UInt8]]

        init(
            name: String, layers: [Layer], formats: [String], directory: String, naming: Naming, kind: Kind,
            isChecked: Bool, table: TableOptions, keepVersions: VersionRetention?, chromosomes: ChromosomeNames,
            transientNames: TransientNames
        ) {
            (self.name, self.layers, self.formats, self.directory) = (name, layers, formats, directory)
            (self.naming, self.kind, self.isChecked, self.table) = (naming, kind, isChecked, table)
            self.keepVersions = keepVersions
            (self.chromosomes, self.transientNames) = (chromosomes, transientNames)
            nameBytes = Array(name.utf8)
            formatBytes = formats.map { Array($0.utf8) }
            directoryFormatBytes = formatBytes + TypeDefinition.directoryFormats.map { Array($0.utf8) }
        }

        func isLike(_ other: Declaration) -> Bool {
            name == other.name && layers == other.layers && formats == other.formats && directory == other.directory
                && naming == other.naming && kind == other.kind && isChecked == other.isChecked && table == other.table
                && keepVersions == other.keepVersions
                && chromosomes == other.chromosomes && transientNames == other.transientNames
        }

        /// The length of the stem before the format that a name ends with: the longest, so that `.tsv.gz` is not taken for `.gz`.
        ///
        /// - Returns: nil for a file without one; a directory need have none.
        func stemLength(of name: UnsafeBufferPointer<UInt8>, ofDirectory: Bool = false) -> Int? {
            var longest = 0
            for format in ofDirectory ? directoryFormatBytes : formatBytes
            where format.count > longest && NameRules.goesOn(name, before: format) {
                longest = format.count
            }
            return longest == 0 && !ofDirectory ? nil : name.count - longest
        }

        /// What a real file with a name of this type is called beside that name: the whole type's, as it is; a chromosome's, `<type>_` before it.
        func meaning(of name: UnsafeBufferPointer<UInt8>, ofDirectory: Bool) -> Meaning? {
            guard ofDirectory ? kind.hasDirectories : kind.hasFiles,
                let length = stemLength(of: name, ofDirectory: ofDirectory)
            else { return nil }
            let stem = UnsafeBufferPointer(rebasing: name[..<length])
            if stem.count == nameBytes.count, NameRules.isAt(0, of: stem, nameBytes) { return .asItIs }
            switch naming {
            case .whole: return nil
            case .chromosome: return chromosomes.contains(stem) ? .afterTypeName : nil
            case .free: return NameRules.isFreeStem(stem) ? .asItIs : nil
            }
        }

        enum Meaning { case asItIs, afterTypeName }
    }

    /// Whether its directories of production show as `latest` which artifact was sealed last.
    public var hasLatest: Bool { naming == .free && name == "meta_checkpoints" }

    /// Extensions that directories have besides the type's formats; they need none.
    public static let directoryFormats = [".zarr"]

    /// Whether there can be a directory with a name: a type that has none takes hidden ones, which are programs' own (`.ipynb_checkpoints`) and
    /// never artifacts.
    public func takesDirectory(_ name: String) -> Bool {
        kind.hasDirectories || name.utf8.first == UInt8(ascii: ".")
    }

    /// What a name means in this type's directory on the mount.
    ///
    /// - Parameter isDirectory: whether it is a directory's name.
    public func classify(_ name: String, ofDirectory isDirectory: Bool = false) -> NameClass {
        if name.utf8.count > NameRules.longestName { return .invalid(.tooLong) }
        guard NameRules.isEntry(name) else { return .invalid(.notOfType(self.name)) }
        if transientNames.contains(name) {
            return isDirectory && !takesDirectory(name) ? .invalid(.notOfType(self.name)) : .transient
        }
        if let real = realName(for: name, ofDirectory: isDirectory) {
            return real.utf8.count > NameRules.longestName ? .invalid(.tooLong) : .artifact(realName: real)
        }
        if !isDirectory, let original = NameRules.withoutRandomSuffix(name),
            realName(for: String(original), ofDirectory: false) != nil
        {
            return .transient
        }
        return .invalid(.notOfType(self.name))
    }

    /// The real file's name for a name on the mount, or nil when the name is not one of this type's.
    private func realName(for name: String, ofDirectory isDirectory: Bool) -> String? {
        switch NameRules.withBytes(name, { declaration.meaning(of: $0, ofDirectory: isDirectory) }) {
        case nil: return nil
        case .asItIs: return name
        case .afterTypeName:
            let real = NameRules.withBytes(name) { name in
                let prefix = declaration.nameBytes
                return String(unsafeUninitializedCapacity: prefix.count + 1 + name.count) { buffer in
                    var end = buffer.update(fromContentsOf: prefix)
                    buffer[end] = UInt8(ascii: "_")
                    end = buffer[(end + 1)...].update(fromContentsOf: name)
                    return end
                }
            }
            return transientNames.contains(real) ? nil : real
        }
    }

    /// The name on the mount for a real file's name, or nil when this type does not claim the file.
    ///
    /// The inverse of `classify`: each name of the type comes from one real name, and the other way round.
    ///
    /// - Parameter isDirectory: whether it is a directory's name.
    public func virtualName(forReal real: String, ofDirectory isDirectory: Bool = false) -> String? {
        guard real.utf8.count <= NameRules.longestName, !transientNames.contains(real) else { return nil }
        if naming != .chromosome { return virtualNameAsItIs(real, isDirectory) }
        if let whole = virtualNameAsItIs(real, isDirectory) { return whole }
        guard real.utf8.starts(with: name.utf8) else { return nil }
        let rest = real.utf8.dropFirst(name.utf8.count)
        guard rest.first == UInt8(ascii: "_") else { return nil }
        let virtual = String(real[rest.index(after: rest.startIndex)...])
        let meaning = NameRules.withBytes(virtual) { declaration.meaning(of: $0, ofDirectory: isDirectory) }
        return meaning == .afterTypeName && !transientNames.contains(virtual) ? virtual : nil
    }

    /// The real name of a directory with a temporary name. Types may share a real directory: there it says whose it is.
    public func realName(forTransientDirectory name: String) -> String? {
        let real = directory == "." ? self.name + "_" + name : name
        return real.utf8.count <= NameRules.longestName ? real : nil
    }

    /// The inverse: nil for what is no directory with a temporary name of this type.
    public func transientDirectoryName(forReal real: String) -> String? {
        var name = real
        if directory == "." {
            guard real.utf8.starts(with: (self.name + "_").utf8) else { return nil }
            name = String(decoding: real.utf8.dropFirst(self.name.utf8.count + 1), as: UTF8.self)
        }
        return classify(name, ofDirectory: true) == .transient ? name : nil
    }

    private func virtualNameAsItIs(_ real: String, _ isDirectory: Bool) -> String? {
        let meaning = NameRules.withBytes(real) { declaration.meaning(of: $0, ofDirectory: isDirectory) }
        return meaning == .asItIs ? real : nil
    }

    /// A name's stem and the format that it ends with.
    func split(_ name: String) -> (stem: Substring, format: String)? {
        guard let length = NameRules.withBytes(name, { declaration.stemLength(of: $0) }) else { return nil }
        let place = name.utf8.index(name.utf8.startIndex, offsetBy: length)
        return (name[..<place], String(name[place...]))
    }

    /// The format that a name of this type ends with.
    public func format(of name: String) -> String? { split(name)?.format }

    /// What stands for an artifact besides its type, such as `chr1` or `epoch_001`; nil for the whole.
    public func key(of name: String) -> String? {
        split(name).flatMap { NameRules.isSame($0.stem, self.name) ? nil : String($0.stem) }
    }

    /// The same of a directory that is an artifact.
    public func key(ofDirectory name: String) -> String? {
        let length = NameRules.withBytes(name) { declaration.stemLength(of: $0, ofDirectory: true) } ?? name.utf8.count
        let stem = name[..<name.utf8.index(name.utf8.startIndex, offsetBy: length)]
        return NameRules.isSame(stem, self.name) ? nil : String(stem)
    }

    /// The extension that the name of a directory that is an artifact ends with; nil when it has none.
    public func format(ofDirectory name: String) -> String? {
        let length = NameRules.withBytes(name) { declaration.stemLength(of: $0, ofDirectory: true) } ?? name.utf8.count
        return length < name.utf8.count ? String(name.utf8.dropFirst(length)) : nil
    }

    /// The names that people may use here, in words.
    public var nameHint: String {
        switch kind {
        case .file: fileHint
        case .directory: directoryHint
        case .either: "\(fileHint); or \(directoryHint)"
        }
    }

    private var directoryHint: String {
        let endings = (Self.directoryFormats + formats.prefix(1)).joined(separator: " or ")
        let names =
            switch naming {
            case .whole: name
            case .chromosome: "\(name) or \(chromosomes.hint.words)"
            case .free: "<name>"
            }
        return "directories: \(names), with \(endings) at the end or without"
    }

    private var fileHint: String {
        let endings = formats.count == 1 ? formats[0] : "(" + formats.joined(separator: "|") + ")"
        switch naming {
        case .whole: return name + endings
        case .chromosome: return "\(name)\(endings) or \(chromosomes.hint.words)\(endings)"
        case .free: return "<name>\(endings), where <name> is letters, digits, '.', '_', '-', '='"
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
