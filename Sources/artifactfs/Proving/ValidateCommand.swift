import ArgumentParser
import ArtifactFormats
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs validate`
struct ValidateCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "validate",
        abstract: "Check files as production would check them, before they are written there.",
        usage: "artifactfs validate FILE... [--as TYPE] [--store PLACE] [--json]",
        discussion: """
            Runs the check of a type's format on the whole of each file, and says what it found, or what is at fault and in which \
            line. The type is the one whose name the file has, in the schema of the store that is named or stood in, else in the \
            built-in one; or what --as says. A file with another name is checked by its extension. Of a directory each file is checked.

            EXAMPLES:
              artifactfs validate chr1.tsv --as analysis_sequences
              artifactfs validate ~/results/*.parquet

            EXIT STATUS: 0 all would be taken, 1 something would be refused, 2 something cannot be read, 64 there is no such type.
            """)

    @Argument(help: "Files, or directories.", completion: .file())
    var files: [String]
    @Option(name: .customLong("as"), help: ArgumentHelp("The type that they are to be of.", valueName: "type"))
    var type: String?
    @OptionGroup var store: StoreArguments
    @Flag(name: .long, help: "Print JSON, an object a line.")
    var json = false

    func run() throws {
        try reporting {
            let schema = try schema()
            var types = Layer.allCases.flatMap { schema.types(in: $0) }
            if let type {
                types = types.filter { $0.name == type }
                guard !types.isEmpty else {
                    let names = Set(Layer.allCases.flatMap { schema.types(in: $0) }.map(\.name)).sorted()
                    throw Failure(
                        .usage, "--as \(type): the schema has no such type; there are \(names.joined(separator: ", "))")
                }
            }
            var worst: Status?
            for file in files {
                let found = Self.validate(file, types, isNamed: type != nil)
                switch found.result {
                case .success: break
                case .failure(.refused): if worst == nil { worst = .failed }
                case .failure(.unreadable): worst = .cannotAnswer
                }
                if json { print(JSONValue.object(found.json)) } else { Terminal.show(found.words, indent: 4) }
            }
            if let worst { throw ExitCode(worst.rawValue) }
        }
    }

    private func schema() throws -> ArtifactSchema {
        if store.store != nil { return try store.place().schema() }
        // Outside of every store it is what 'artifactfs init' would write.
        return (try? StorePlace.find(nil).schema()) ?? .builtIn
    }

    /// Why a file would not be taken.
    private enum Fault: Error {
        case refused(String)
        case unreadable(String)
    }

    /// What was found of a file.
    private struct Found {
        let file: String
        var (type, format): (String?, String?)
        var result: Result<FormatFacts, Fault>

        var words: String {
            let kind = [type.map { "as \($0)" }, format.map { "(\($0))" }].compactMap { $0 }.joined(separator: " ")
            switch result {
            case .success(let facts):
                let rows = facts.rows.map { "\($0) \($0 == 1 ? "row" : "rows")" }
                let columns = facts.columns.map { "\($0.count) \($0.count == 1 ? "column" : "columns")" }
                let more = facts.details.sorted { $0.key < $1.key }.map { "\($0.key) \($0.value)" }
                let all = [rows, columns].compactMap { $0 } + more
                return "\(file): would be taken \(kind)" + (all.isEmpty ? "" : ": " + all.joined(separator: ", "))
            case .failure(.refused(let why)): return "\(file): would be REFUSED \(kind): \(why)"
            case .failure(.unreadable(let why)): return "\(file): cannot be read: \(why)"
            }
        }

        var json: JSONObject {
            var object: JSONObject = ["file": .string(file)]
            object["type"] = type.map { .string($0) }
            object["format"] = format.map { .string($0) }
            switch result {
            case .success(let facts):
                object["state"] = .string("good")
                object["rows"] = facts.rows.map { .integer($0) }
                object["columns"] = facts.columns.map { .array($0.map { .string($0.name) }) }
            case .failure(.refused(let why)): (object["state"], object["why"]) = (.string("refused"), .string(why))
            case .failure(.unreadable(let why)):
                (object["state"], object["why"]) = (.string("unreadable"), .string(why))
            }
            return object
        }
    }

    private static func validate(_ file: String, _ types: [TypeDefinition], isNamed: Bool) -> Found {
        var found = Found(file: file, type: nil, format: nil, result: .success(FormatFacts()))
        let name = file.split(separator: "/").last.map(String.init) ?? file
        do throws(Errno) {
            let attributes = try SystemCall.attributes(atPath: file)
            if attributes.isDirectory { return directory(file, types, isNamed, found) }
            guard attributes.isRegular else {
                found.result = .failure(.refused("it is no plain file"))
                return found
            }
            let check: FormatCheck?
            switch Self.check(name, types, isNamed) {
            case .success(let known): (found.type, found.format, check) = known
            case .failure(let fault):
                found.type = types.first?.name
                found.result = .failure(fault)
                return found
            }
            let descriptor = try SystemCall.open(SystemCall.currentDirectory, file, O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            let source = try FileSource(descriptor)
            guard source.count > 0 else {
                found.result = .failure(.refused("it is empty: of an empty file nothing is published"))
                return found
            }
            found.result = run(check, source)
        } catch { found.result = .failure(.unreadable("\(error)")) }
        return found
    }

    private static func run(_ check: FormatCheck?, _ source: FileSource) -> Result<FormatFacts, Fault> {
        guard let check else { return .success(FormatFacts()) }
        do { return .success(try check.checkWhole(source) { _ in }) } catch FormatError.invalid(let reason) {
            return .failure(.refused(reason))
        } catch { return .failure(.unreadable("\(error)")) }
    }

    /// By the type whose name a file has, or that was named; else by the name's extension.
    private static func check(
        _ name: String, _ types: [TypeDefinition], _ isNamed: Bool
    ) -> Result<(String?, String?, FormatCheck?), Fault> {
        func format(_ type: TypeDefinition) -> String? {
            type.formats.filter { name.hasSuffix($0) }.max { $0.utf8.count < $1.utf8.count }
        }
        if isNamed, let type = types.first {
            guard let format = format(type) else {
                return .failure(
                    .refused("\(type.name) takes files with the extensions \(type.formats.joined(separator: ", "))"))
            }
            return .success((type.name, format, type.check(ofFormat: format)))
        }
        // A name that begins with the type's: others are of any type that takes them.
        let owner = types.first { name.hasPrefix($0.name) && $0.virtualName(forReal: name) != nil }
        if let owner, let format = format(owner) {
            return .success((owner.name, format, owner.check(ofFormat: format)))
        }
        let known = Set(types.flatMap(\.formats)).filter { name.hasSuffix($0) }.max { $0.utf8.count < $1.utf8.count }
        guard let known else {
            return .failure(.refused("no type has its extension; --as TYPE says which it is to be of"))
        }
        return .success((nil, known, FormatCheck(fileExtension: known)))
    }

    /// Each file in a directory that is to be an artifact, by its own name; the first fault counts.
    private static func directory(
        _ directory: String, _ types: [TypeDefinition], _ isNamed: Bool, _ found: Found
    ) -> Found {
        var (found, files) = (found, 0)
        found.type = isNamed ? types.first?.name : nil
        if isNamed, types.first?.kind.hasDirectories == false {
            found.result = .failure(.refused("\(types[0].name) takes no directories"))
            return found
        }
        func walk(_ path: String, _ depth: Int) -> Bool {
            guard depth < 64 else { return true }
            for name in Paths.names(path).sorted() {
                let inner = path + "/" + name
                guard let attributes = try? SystemCall.attributes(SystemCall.currentDirectory, inner) else { continue }
                if attributes.isDirectory {
                    guard walk(inner, depth + 1) else { return false }
                    continue
                }
                guard attributes.isRegular else {
                    found.result = .failure(.refused("\(inner) is neither a file nor a directory"))
                    return false
                }
                files += 1
                let dot = name.lastIndex(of: ".").map { String(name[$0...]) } ?? ""
                let check = FormatCheck(fileExtension: dot)
                guard check != .notEmpty else { continue }
                do {
                    let descriptor = try SystemCall.open(SystemCall.currentDirectory, inner, O_RDONLY | O_NONBLOCK)
                    defer { SystemCall.close(descriptor) }
                    if case .failure(let fault) = run(check, try FileSource(descriptor)) {
                        if case .refused(let why) = fault {
                            found.result = .failure(.refused("\(inner): \(why)"))
                        } else {
                            found.result = .failure(fault)
                        }
                        return false
                    }
                } catch {
                    found.result = .failure(.unreadable("\(inner): \(error)"))
                    return false
                }
            }
            return true
        }
        if walk(directory, 0) {
            var facts = FormatFacts()
            facts.details = ["files": "\(files)"]
            found.result = files > 0 ? .success(facts) : .failure(.refused("there is no file in it"))
        }
        return found
    }
}
