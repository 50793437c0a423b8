public import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage
internal import Yams

/// `schema.yaml`: the types of a store as a file that people write. The only place that knows YAML.
public enum SchemaFile {
    /// The longest schema that is read.
    static let longest = 256 * 1024
    /// The longest index of a genome that is read.
    static let longestIndex = 16 << 20

    /// Reads a schema strictly: what is not known is an error, so that a misspelt key is not a rule that is silently
    /// not there.
    ///
    /// - Parameter file: the path that errors name.
    /// - Throws: `StoreError.schema` with the line at fault.
    public static func parse(_ text: String, file: String) throws(StoreError) -> ArtifactSchema {
        // Some editors begin a file with a byte order mark, which is no part of the text.
        let text = text.unicodeScalars.first == "\u{feff}" ? String(text.unicodeScalars.dropFirst()) : text
        try checkShape(text, file: file)
        let node: Node?
        do {
            node = try compose(yaml: text)
        } catch let error as YamlError {
            throw fault(of: error, file: file)
        } catch {
            throw .schema(file: file, line: nil, problem: "it cannot be read: \(error)")
        }
        guard let node else {
            throw .schema(file: file, line: 1, problem: "it is empty; remove the file to use the built-in schema")
        }
        let reader = SchemaReader(file: file)
        return try reader.schema(node)
    }

    /// A schema needs no references, with which a short file could become a long one. (libyaml itself bounds nesting.)
    private static func checkShape(_ text: String, file: String) throws(StoreError) {
        guard text.utf8.count <= longest else {
            throw .schema(file: file, line: nil, problem: "it is longer than \(longest / 1024) KiB")
        }
        let lines = text.split(separator: "\n", omittingEmptySubsequences: false)
        let isStrict = text.utf8.contains(UInt8(ascii: "\\")) || lines.contains { withoutQuoted($0) == nil }
        for (index, line) in lines.enumerated() {
            guard line.first(where: { $0 != " " }) != "#" else { continue }
            // What stands in quotes is text. Where a quote is open at a line's end, or escaped, that is not looked into.
            let bare = isStrict ? line : withoutQuoted(line) ?? line
            for byte in bare.utf8 where "&*!".utf8.contains(byte) {
                throw .schema(
                    file: file, line: index + 1, problem: "YAML's anchors, aliases and tags (& * !) are not used here")
            }
        }
    }

    /// A line without its quoted words and its comment; nil when a quote is open at its end.
    private static func withoutQuoted(_ line: Substring) -> Substring? {
        var bare = ""
        var quote: Character?
        var before: Character = " "
        for character in line {
            if let open = quote {
                if character == open { quote = nil }
            } else if character == "#", before == " " {
                break
            } else if character == "\"" || character == "'" {
                quote = character
            } else {
                bare.append(character)
            }
            before = character
        }
        return quote == nil ? bare[...] : nil
    }

    private static func fault(of error: YamlError, file: String) -> StoreError {
        switch error {
        case .scanner(let context, let problem, let mark, _), .parser(let context, let problem, let mark, _),
            .composer(let context, let problem, let mark, _):
            return .schema(
                file: file, line: mark.line, problem: (context.map { "\($0.text) " } ?? "") + problem)
        case .duplicatedKeysInMapping(let duplicates, let context):
            let names = duplicates.sorted().joined(separator: "', '")
            return .schema(file: file, line: context.mark.line, problem: "'\(names)' is there twice")
        case .reader(let problem, _, _, _): return .schema(file: file, line: nil, problem: "not UTF-8 text: \(problem)")
        default: return .schema(file: file, line: nil, problem: "it cannot be read: \(error)")
        }
    }

    /// The built-in schema as a file, with comments that teach the format.
    public static let defaultText = text(of: .builtIn)

    /// A schema as a file.
    public static func text(of schema: ArtifactSchema) -> String {
        var text = """
            # The artifact types of this store. 'artifactfs mount' reads this file once, when it begins; a fault stops the mount and names the
            # line. Without this file the built-in types hold, which are the ones written here by 'artifactfs init'.
            version: 1

            # When a file that was closed is published: 'exit' when all who made it have ended well, or settle_seconds after the last close when
            # one of them runs on; 'close' at the last close, whatever its makers do then.
            publish: \(schema.publishing.rawValue)
            settle_seconds: \(schema.settleSeconds)

            # Exit statuses that mean no failure, by program: who ends with another keeps what it wrote from being published.
            benign_exits:
            \(benignText(schema.benignExits))

            # For how many seconds after the last close the program that wrote an artifact may still set its mode, times and attributes.
            settling_seconds: \(schema.settlingSeconds)

            # After how many seconds a temporary file that nobody renamed is removed.
            transient_seconds: \(schema.transientSeconds)

            # Names that programs give to files which they rename when they are whole: files of such names are never published. '*' stands for
            # anything, '?' for a letter or digit.
            transient_names:
            \(patternsText(schema.transientNames.patterns))

            # The permissions of a sealed file: 'writer' for those that its writer gave it, without those to write; or 0444, and then everybody
            # may read what a program saved with 0600.
            publish_mode: \(schema.publishMode.map { "0" + String($0, radix: 8) } ?? "writer")

            # Which variables of its writer's environment a record has; '*' stands for anything. Secrets in them are masked where their form shows them.
            environment:
            \(patternsText(schema.environment.patterns))

            # Who may supersede and retract sealed artifacts besides their owners and root: users, or groups as "@lab".
            may_supersede: [\(schema.maySupersede.names.map { "\"\($0)\"" }.joined(separator: ", "))]

            # The private key (EC P-256 in PEM, mode 0600, of the store's owner) by which what is promoted is signed, a path that is absolute or from the
            # store's directory; or none.
            signing_key: \(schema.signingKey.map { "\"\($0)\"" } ?? SigningWord.none)

            # Which former versions are kept of what was superseded or retracted: 'all', or those that 'artifactfs gc --versions' may not remove, such
            # as {last: 3, within: 90d}: the last 3 of a name, and what left its name within 90 days. A type may say otherwise.
            keep_versions: \(text(of: schema.keepVersions))

            # How many hosts have mounts of this store at one time: 'several' when there may be more than one, 'one', or 'auto' for what the file
            # system says that it lies on.
            hosts: \(schema.hosts.rawValue)

            # Where there are several, for how many seconds a host may show what it has seen of the store and another one has changed since: 0 to
            # 3600. A smaller number costs more questions to the file system's server.
            cache: \(schema.cacheTime)

            # And after how many seconds without a word from a host the others take its mounts for dead: 3 to 3600. Before that time is over it
            # stops to publish by itself.
            lease: \(schema.lease.seconds)

            # Which names chromosomes have: 'assemblies' (chr1, chrX, chr2L, chrUn_KI270742v1, chr1_KI270706v1_random, HLA-A*01:01:01:01), a
            # pattern such as "scaffold_*", a list such as [NC_000001.11, NC_000002.12], or the path of a genome's index, which ends in .fai.
            chromosomes: \(chromosomesText(schema.chromosomes))

            # A file of at most this size is checked whole before 'close' returns, which then says that it is not valid; 0 for none. A larger
            # one is looked at where it begins and ends, and checked before it is published.
            check_at_close: \(text(ofBytes: schema.checkAtClose))

            # A type's name is its directory on the mount, and the name of its whole file.
            #   layers      base, meta, or both
            #   formats     file name extensions; the first is the default
            #   directory   where its files are in the layer: "." or one name
            #   names       whole       <type>.<ext>
            #               chromosome  also chr1.<ext>, kept as <type>_chr1.<ext>
            #               free        also any plain name, kept as it is
            #   kind        file; directory, one artifact with all that is in it (zarr, partitioned Parquet, a SavedModel), whose name needs no
            #               format, or has .zarr; or either
            #   checks      false publishes a file whatever its contents, unless it is empty
            #   comment     of tables (.tsv, .tsv.gz, .tsv.bgz): lines that begin with this character, one of "#%;@", are no rows
            #   header      of tables: false when the first row is data
            #   keep_versions  as above, for this type
            #   quotes      of tables: csv when a field in double quotes may hold tabs and newlines, as pandas and polars read it; none
            # The formats that are checked are .tsv, .tsv.gz, .tsv.bgz, .parquet, .json, .jsonl, .pkl, .pt, .ckpt, .safetensors, .h5, .hdf5,
            # .keras, .npy, .npz, .index (TensorFlow), .png and .pdf; of others it is known that they are not empty.
            # No two types may claim one file. Only layers and formats must be given; the rest has the defaults ".", whole, file, true.
            types:

            """
        for type in schema.types {
            text += "  \(quoted(type.name)):\n"
            text += "    layers: [\(type.layers.map(\.rawValue).joined(separator: ", "))]\n"
            text += "    formats: [\(type.formats.map(quoted).joined(separator: ", "))]\n"
            text += "    directory: \(type.directory == "." ? "\".\"" : quoted(type.directory))\n"
            text += "    names: \(type.naming.rawValue)\n"
            if type.kind != .file { text += "    kind: \(type.kind.rawValue)\n" }
            text += "    checks: \(type.isChecked)\n"
            text += self.text(of: type.table)
            if let keep = type.keepVersions { text += "    keep_versions: \(self.text(of: keep))\n" }
        }
        return text
    }

    private static func text(of retention: VersionRetention) -> String {
        guard case .some(let last, let within) = retention else { return RetentionWord.all }
        let words = [last.map { "last: \($0)" }, within.map { "within: \(TimeSpan.text(ofSeconds: $0))" }]
        return "{" + words.compactMap { $0 }.joined(separator: ", ") + "}"
    }

    /// What is said of tables, where it is not the usual.
    private static func text(of table: TableOptions) -> String {
        var text = ""
        if let comment = table.comment { text += "    comment: \"\(UnicodeScalar(comment))\"\n" }
        if !table.hasHeader { text += "    header: false\n" }
        if table.quotes != .none { text += "    quotes: \(table.quotes.rawValue)\n" }
        return text
    }

    /// The sizes' units, the largest first.
    fileprivate static let units: [(name: String, bytes: Int64)] = [
        ("GiB", 1 << 30), ("MiB", 1 << 20), ("KiB", 1 << 10), ("B", 1),
    ]

    private static func text(ofBytes count: Int64) -> String {
        guard count != 0, let unit = units.first(where: { count % $0.bytes == 0 }) else { return "0" }
        return "\(count / unit.bytes) \(unit.name)"
    }

    private static func patternsText(_ patterns: [NamePattern]) -> String {
        guard !patterns.isEmpty else { return "  []" }
        return patterns.map { "  - \"\($0)\"" }.joined(separator: "\n")
    }

    private static func chromosomesText(_ names: ChromosomeNames) -> String {
        switch names {
        case .assemblies: ChromosomeWord.assemblies
        case .pattern(let pattern): "\"\(pattern)\""
        case .names(let names): "[" + names.sorted().map { "\"\($0)\"" }.joined(separator: ", ") + "]"
        }
    }

    private static func benignText(_ exits: BenignExits) -> String {
        guard !exits.byProgram.isEmpty else { return "  {}" }
        return exits.byProgram.sorted { $0.key < $1.key }.map { program, statuses in
            "  \(quoted(program)): [\(statuses.sorted().map { String($0) }.joined(separator: ", "))]"
        }.joined(separator: "\n")
    }

    /// Names are letters, digits, `.`, `_` and `-`; quotes keep those that YAML reads as something else (`no`, `1e3`)
    /// what they are.
    private static func quoted(_ name: String) -> String {
        let isPlain = name.utf8.contains { $0 >= UInt8(ascii: "a") && $0 <= UInt8(ascii: "z") } && name.utf8.count > 3
        return isPlain ? name : "\"\(name)\""
    }
}

/// What stands for no key.
private enum SigningWord { static let none = "none" }

/// What stands for all former versions.
private enum RetentionWord { static let all = "all" }

/// What stands for the built-in chromosomes.
private enum ChromosomeWord { static let assemblies = "assemblies" }

/// One reading of one file.
private struct SchemaReader {
    let file: String

    func schema(_ node: Node) throws(StoreError) -> ArtifactSchema {
        var version: Int?
        var settling = 5
        var transient = 86_400
        var checkAtClose = ArtifactSchema.usualCheckAtClose
        var publishing = PublishingRule.exit
        var settle = 2
        var benign = BenignExits.builtIn
        var transientNames = TransientNames.builtIn
        var chromosomes = ChromosomeNames.assemblies
        var publishMode: UInt32?
        var environment = EnvironmentNames.builtIn
        var maySupersede = PrincipalNames.none
        var signingKey: String?
        var keepVersions = VersionRetention.all
        var hosts = StoreHosts.auto
        var cacheTime = ArtifactSchema.usualCacheTime
        var lease = LeaseTimes()
        var types: [TypeDefinition]?
        var lines: [String: Int] = [:]
        for (key, value) in try mapping(node, "the schema") {
            switch try name(key) {
            case "version": version = try integer(value, "version")
            case "settling_seconds": settling = try integer(value, "settling_seconds")
            case "transient_seconds": transient = try integer(value, "transient_seconds")
            case "check_at_close": checkAtClose = try bytes(value, "check_at_close")
            case "publish":
                let text = try name(value)
                guard let found = PublishingRule(rawValue: text) else {
                    throw fault(value, "'\(text)' is no time to publish; there are exit and close")
                }
                publishing = found
            case "settle_seconds": settle = try integer(value, "settle_seconds")
            case "benign_exits": benign = try benignExits(value)
            case "transient_names":
                transientNames = TransientNames(try patterns(value, "transient_names", of: "a file's name"))
            case "environment":
                environment = EnvironmentNames(try patterns(value, "environment", of: "a variable's name"))
            case "publish_mode": publishMode = try mode(value)
            case "may_supersede":
                var names: [String] = []
                for item in try list(value, "may_supersede") { names.append(try name(item)) }
                guard let found = PrincipalNames(names) else {
                    throw fault(value, "may_supersede has users, and groups as \"@lab\"")
                }
                maySupersede = found
            case "signing_key":
                let text = try name(value)
                signingKey = text == SigningWord.none ? nil : text
                if let problem = ArtifactSchema.fault(ofSigningKey: signingKey) { throw fault(value, problem) }
            case "keep_versions": keepVersions = try retention(value)
            case "hosts":
                let text = try name(value)
                guard let found = StoreHosts(rawValue: text) else {
                    throw fault(value, "'\(text)' is no number of hosts; there are auto, one and several")
                }
                hosts = found
            case "cache":
                cacheTime = try integer(value, "cache")
                guard (0...3600).contains(cacheTime) else { throw fault(value, "cache must be 0 to 3600 (seconds)") }
            case "lease":
                let seconds = try integer(value, "lease")
                guard LeaseTimes.range.contains(seconds) else {
                    throw fault(value, "lease must be 3 to 3600 (seconds)")
                }
                lease = LeaseTimes(seconds: seconds)
            case "chromosomes": chromosomes = try self.chromosomes(value)
            case "types":
                var read: [TypeDefinition] = []
                for (key, value) in try mapping(value, "types") {
                    guard read.count < 1000 else { throw fault(key, "more than 1000 types") }
                    let type = try type(named: try name(key), value)
                    lines[type.name] = key.mark?.line
                    read.append(type)
                }
                types = read
            case let other:
                throw fault(
                    key,
                    "'\(other)' is not known here; there are version, publish, settle_seconds, benign_exits, check_at_close, "
                        + "settling_seconds, transient_seconds, transient_names, publish_mode, environment, may_supersede, signing_key, "
                        + "keep_versions, hosts, cache, lease, chromosomes and types"
                )
            }
        }
        guard let version else { throw fault(node, "'version: 1' is missing") }
        guard version == 1 else { throw fault(node, "version \(version) is not known; this driver reads version 1") }
        guard let types else { throw fault(node, "'types' is missing") }
        do throws(SchemaError) {
            return try ArtifactSchema(
                types: types, settlingSeconds: settling, transientSeconds: transient, checkAtClose: checkAtClose,
                publishing: publishing, settleSeconds: settle, benignExits: benign,
                transientNames: transientNames, chromosomes: chromosomes, publishMode: publishMode,
                environment: environment, maySupersede: maySupersede, signingKey: signingKey,
                keepVersions: keepVersions,
                hosts: hosts, cacheTime: cacheTime, lease: lease
            )
        } catch {
            throw .schema(file: file, line: error.type.flatMap { lines[$0] }, problem: error.description)
        }
    }

    private func patterns(_ node: Node, _ key: String, of what: String) throws(StoreError) -> [NamePattern] {
        var read: [NamePattern] = []
        for item in try list(node, key) {
            let text = try name(item)
            guard let pattern = NamePattern(text) else { throw fault(item, "'\(text)' is no pattern of \(what)") }
            read.append(pattern)
        }
        return read
    }

    private func mode(_ node: Node) throws(StoreError) -> UInt32? {
        let text = try name(node)
        if text == "writer" { return nil }
        guard text.utf8.first == UInt8(ascii: "0"), let mode = UInt32(text, radix: 8), mode & ~0o555 == 0,
            mode & 0o400 != 0
        else {
            throw fault(node, "publish_mode is 'writer', or octal digits such as 0444 that give nobody leave to write")
        }
        return mode
    }

    private func chromosomes(_ node: Node) throws(StoreError) -> ChromosomeNames {
        guard case .scalar = node else {
            guard case .sequence(let items) = node else {
                throw fault(node, "chromosomes is 'assemblies', a pattern, a list or the path of a .fai")
            }
            var names: Set<String> = []
            for item in items { names.insert(try chromosome(try name(item), at: item)) }
            return .names(names)
        }
        let text = try name(node)
        if text == ChromosomeWord.assemblies { return .assemblies }
        if text.hasSuffix(".fai") { return .names(try index(text, node)) }
        guard ChromosomeNames.isPossible(text), let pattern = NamePattern(text) else {
            throw fault(node, "'\(text)' is no pattern of a chromosome's name")
        }
        return .pattern(pattern)
    }

    private func chromosome(_ name: String, at node: Node) throws(StoreError) -> String {
        guard ChromosomeNames.isPossible(name) else {
            throw fault(node, "'\(name)' cannot be the name of a chromosome")
        }
        return name
    }

    /// The first column of a genome's index, samtools-faidx(5); its path is taken from the schema's directory.
    private func index(_ path: String, _ node: Node) throws(StoreError) -> Set<String> {
        let directory = file.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(file[...$0]) } ?? ""
        let path = path.utf8.first == UInt8(ascii: "/") ? path : directory + path
        let bytes: [UInt8]
        do throws(Errno) {
            let descriptor = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_CLOEXEC | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            guard try SystemCall.attributes(descriptor).st_mode & S_IFMT == S_IFREG else { throw Errno.invalidArgument }
            bytes = try SystemCall.bytes(descriptor, at: 0, count: SchemaFile.longestIndex + 1)
        } catch {
            throw fault(node, "\(path) cannot be read: \(error)")
        }
        guard bytes.count <= SchemaFile.longestIndex else {
            throw fault(node, "\(path) is longer than 16 MiB; give a pattern")
        }
        var names: Set<String> = []
        var length = 0
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            // Nothing of another file is told.
            let columns = line.split(separator: UInt8(ascii: "\t"), omittingEmptySubsequences: false)
            let name = columns.first.map { String(decoding: $0, as: UTF8.self) } ?? ""
            guard (5...6).contains(columns.count), ChromosomeNames.isPossible(name),
                columns[1...].allSatisfy({ $0.allSatisfy { (UInt8(ascii: "0")...UInt8(ascii: "9")).contains($0) } })
            else { throw fault(node, "\(path) is no index of a genome as 'samtools faidx' makes it") }
            if names.insert(name).inserted { length += name.utf8.count + 4 }
        }
        // The whole schema, these names included, can be read on the mount.
        guard !names.isEmpty, length <= SchemaFile.longest / 4 * 3 else {
            throw fault(node, "\(path) has \(names.count) names, which is none or too many; give a pattern")
        }
        return names
    }

    private func benignExits(_ node: Node) throws(StoreError) -> BenignExits {
        var exits = BenignExits(byProgram: [:])
        for (key, value) in try mapping(node, "benign_exits") {
            let program = try name(key)
            // The kernel tells 15 bytes of a program's name.
            guard !program.isEmpty, program.utf8.count <= 15, exits.byProgram.count < 1000 else {
                throw fault(key, "'\(program)' is not a program's name of at most 15 bytes")
            }
            var statuses: Set<Int32> = []
            for item in try list(value, "the statuses of '\(program)'") {
                let status = try integer(item, "a status")
                guard (1...255).contains(status) else { throw fault(item, "a status is 1 to 255") }
                statuses.insert(Int32(status))
            }
            exits.byProgram[program] = statuses
        }
        return exits
    }

    private func type(named name: String, _ node: Node) throws(StoreError) -> TypeDefinition {
        var layers: [Layer]?
        var formats: [String]?
        var directory = "."
        var naming = TypeDefinition.Naming.whole
        var kind = TypeDefinition.Kind.file
        var isChecked = true
        var table = TableOptions()
        var keepVersions: VersionRetention?
        for (key, value) in try mapping(node, "type '\(name)'") {
            switch try self.name(key) {
            case "layers":
                var read: [Layer] = []
                for item in try list(value, "layers") {
                    let text = try self.name(item)
                    guard let layer = Layer(rawValue: text) else {
                        throw fault(item, "'\(text)' is not a layer; there are base and meta")
                    }
                    read.append(layer)
                }
                layers = read
            case "formats":
                var read: [String] = []
                for item in try list(value, "formats") { read.append(try self.name(item)) }
                formats = read
            case "directory": directory = try self.name(value)
            case "names":
                let text = try self.name(value)
                guard let found = TypeDefinition.Naming(rawValue: text) else {
                    throw fault(value, "'\(text)' is no way of naming; there are whole, chromosome and free")
                }
                naming = found
            case "kind":
                let text = try self.name(value)
                guard let found = TypeDefinition.Kind(rawValue: text) else {
                    throw fault(value, "'\(text)' is no kind of artifact; there are file, directory and either")
                }
                kind = found
            case "checks":
                isChecked = try truth(value, "checks")
            case "comment":
                let text = try self.name(value)
                guard text.utf8.count == 1, let byte = text.utf8.first, TableOptions.comments.contains(byte) else {
                    throw fault(value, "comment is one of \"#\", \"%\", \";\" and \"@\", in quotes")
                }
                table.comment = byte
            case "keep_versions": keepVersions = try retention(value)
            case "header": table.hasHeader = try truth(value, "header")
            case "quotes":
                guard let found = TableOptions.Quotes(rawValue: try self.name(value)) else {
                    throw fault(value, "quotes is none or csv")
                }
                table.quotes = found
            case let other:
                throw fault(
                    key,
                    "'\(other)' is not known in a type; there are layers, formats, directory, names, kind, checks, comment, header, quotes and keep_versions"
                )
            }
        }
        guard let layers else { throw fault(node, "type '\(name)' has no layers") }
        guard let formats else { throw fault(node, "type '\(name)' has no formats") }
        return TypeDefinition(
            name: name, layers: layers, formats: formats, directory: directory, naming: naming, kind: kind,
            isChecked: isChecked, table: table, keepVersions: keepVersions)
    }

    private func retention(_ node: Node) throws(StoreError) -> VersionRetention {
        let problem =
            "keep_versions is 'all', or {last: N, within: SPAN}, with one of the two or both: N from 1, and a span such as 90d"
        guard case .mapping = node else {
            guard try name(node) == RetentionWord.all else { throw fault(node, problem) }
            return .all
        }
        var last: Int?
        var within: Int64?
        for (key, value) in try mapping(node, "keep_versions") {
            switch try name(key) {
            case "last": last = try integer(value, "last")
            case "within":
                guard let span = TimeSpan.seconds(try name(value)) else { throw fault(value, problem) }
                within = span
            default: throw fault(key, problem)
            }
        }
        guard let rule = VersionRetention(last: last, within: within) else { throw fault(node, problem) }
        return rule
    }

    private func truth(_ node: Node, _ what: String) throws(StoreError) -> Bool {
        switch try name(node) {
        case "true": true
        case "false": false
        default: throw fault(node, "\(what) is true or false")
        }
    }

    private func mapping(_ node: Node, _ what: String) throws(StoreError) -> [(Node, Node)] {
        guard case .mapping(let mapping) = node else { throw fault(node, "\(what) must be 'key: value' lines") }
        return mapping.map { ($0.key, $0.value) }
    }

    private func list(_ node: Node, _ what: String) throws(StoreError) -> [Node] {
        guard case .sequence(let sequence) = node else { throw fault(node, "\(what) must be a list, such as [a, b]") }
        guard sequence.count <= 100 else { throw fault(node, "\(what) has more than 100 entries") }
        return Array(sequence)
    }

    private func name(_ node: Node) throws(StoreError) -> String {
        guard case .scalar(let scalar) = node else { throw fault(node, "one word is expected here") }
        return scalar.string
    }

    private func integer(_ node: Node, _ what: String) throws(StoreError) -> Int {
        guard let value = Int(try name(node)) else { throw fault(node, "\(what) must be a whole number") }
        return value
    }

    /// A size with its unit.
    private func bytes(_ node: Node, _ what: String) throws(StoreError) -> Int64 {
        let text = try name(node)
        if text == "0" { return 0 }
        let number = text.prefix { $0.isASCII && $0.isNumber }
        let unit = text.dropFirst(number.count).drop { $0 == " " }
        guard let count = Int64(number), let bytes = SchemaFile.units.first(where: { $0.name == unit })?.bytes else {
            throw fault(node, "\(what) must be a whole number with its unit, B, KiB, MiB or GiB, such as 256 MiB; or 0")
        }
        let (size, isMore) = count.multipliedReportingOverflow(by: bytes)
        return isMore ? .max : size
    }

    private func fault(_ node: Node, _ problem: String) -> StoreError {
        .schema(file: file, line: node.mark?.line, problem: problem)
    }
}
