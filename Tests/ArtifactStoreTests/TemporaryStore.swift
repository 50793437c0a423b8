import ArtifactFormats
import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// A directory that is removed with this object.
final class TemporaryDirectory: Sendable {
    let path: String

    /// - Parameter parent: `/tmp` is on a disk where this runs, `/dev/shm` in memory.
    init(in parent: String = "/tmp") throws {
        var template = Array((parent + "/artifact-store-XXXXXX").utf8CString)
        let made = template.withUnsafeMutableBufferPointer { buffer in buffer.baseAddress.flatMap { mkdtemp($0) } }
        path = String(cString: try #require(made))
    }

    deinit { Self.remove(path) }

    private static func remove(_ path: String) {
        // What a test has made immutable is to go too.
        soften(path)
        guard let directory = opendir(path) else {
            unlink(path)
            return
        }
        while let entry = readdir(directory) {
            let name = withUnsafePointer(to: &entry.pointee.d_name) {
                $0.withMemoryRebound(to: CChar.self, capacity: 256) { String(cString: $0) }
            }
            guard name != ".", name != ".." else { continue }
            let child = path + "/" + name
            if entry.pointee.d_type == 4 {
                remove(child)
            } else {
                if unlink(child) != 0 { soften(child) }
                unlink(child)
            }
        }
        closedir(directory)
        rmdir(path)
    }

    private static func soften(_ path: String) {
        guard TemporaryStore.canHarden else { return }
        let flags = O_RDONLY | O_NONBLOCK | O_NOFOLLOW
        guard let file = try? SystemCall.open(SystemCall.currentDirectory, path, flags) else { return }
        defer { SystemCall.close(file) }
        if (try? ImmutableFlag.isSet(on: file)) == true { try? ImmutableFlag.set(false, on: file) }
    }
}

/// A store in a temporary directory, and what tests do with it.
final class TemporaryStore: Sendable {
    let temporary: TemporaryDirectory
    let path: String

    init(in parent: String = "/tmp") throws {
        temporary = try TemporaryDirectory(in: parent)
        path = temporary.path + "/store"
        try Store.create(at: path)
    }

    func open(readOnly: Bool = false, durability: Durability = .relaxed, hardens: Bool = false) throws -> Store {
        try Store(at: path, readOnly: readOnly, durability: durability, hardens: hardens)
    }

    /// Whether this process may make files immutable, on `/tmp` and in memory.
    static let canHarden = ["/tmp", "/dev/shm"].allSatisfy { path in
        guard
            let directory = try? SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY)
        else { return false }
        return Hardening(isAsked: true, parts: [(path, Directory(owning: directory))]).obstacles.isEmpty
    }

    /// Whether a file, or a directory with all that is in it, is immutable.
    func isImmutable(_ relative: String) throws -> Bool {
        let file = try SystemCall.open(SystemCall.currentDirectory, path + "/" + relative, O_RDONLY | O_NONBLOCK)
        guard try SystemCall.attributes(file).isDirectory else {
            defer { SystemCall.close(file) }
            return try ImmutableFlag.isSet(on: file)
        }
        let directory = Directory(owning: file)
        var all = try ImmutableFlag.isSet(on: directory.descriptor)
        for entry in try directory.entries() where try !isImmutable(relative + "/" + entry.name) { all = false }
        return all
    }

    /// Writes a staged file.
    static func stage(
        _ store: Store, _ text: String, hint: String = "production/base/gene_manifest/gene_manifest.tsv",
        mode: UInt32 = 0o644
    ) throws -> RealFile {
        let (file, descriptor) = try #require(store.staging).create(hint: hint, mode: mode)
        defer { SystemCall.close(descriptor) }
        try SystemCall.write(descriptor, Array(text.utf8))
        return file
    }

    static func request(
        _ store: Store, _ staged: RealFile, name: String = "gene_manifest.tsv", check: FormatCheck? = .tsv,
        origin: RealFile? = nil
    ) -> PublishRequest {
        var writer = ArtifactRecord.Writer()
        (writer.uid, writer.gid, writer.pid) = (1, 2, 3)
        return PublishRequest(
            staged: staged, target: store.directory("base_layer"), name: name, check: check,
            record: ArtifactRecord(
                path: "production/base/gene_manifest/" + name, type: "gene_manifest", layer: .base,
                scope: .production, format: ".tsv"
            ).written(by: writer), origin: origin)
    }

    func read(_ relative: String) throws -> String {
        let descriptor = try FileDescriptor.open(path + "/" + relative, .readOnly)
        defer { SystemCall.close(descriptor) }
        return String(decoding: try SystemCall.bytes(descriptor, at: 0, count: 10_000_000), as: UTF8.self)
    }

    func write(_ relative: String, _ text: String) throws {
        let descriptor = try FileDescriptor.open(
            path + "/" + relative, .writeOnly, options: [.create, .truncate], permissions: .init(rawValue: 0o644))
        defer { SystemCall.close(descriptor) }
        try SystemCall.write(descriptor, Array(text.utf8))
    }

    func names(_ relative: String) throws -> [String] {
        let descriptor = try FileDescriptor.open(path + "/" + relative, .readOnly)
        return try Directory(owning: descriptor).entries().map(\.name).sorted()
    }

    func attributes(_ relative: String) throws -> stat {
        try SystemCall.attributes(FileDescriptor(rawValue: AT_FDCWD), path + "/" + relative)
    }

    func exists(_ relative: String) -> Bool { (try? attributes(relative)) != nil }

    /// The bytes in quarantine, without the reasons beside them.
    func quarantined() throws -> [String] {
        try names(".artifactfs/quarantine").filter { !$0.hasSuffix(".reason.json") }
            .map { try read(".artifactfs/quarantine/" + $0) }.sorted()
    }

    func ledgerFile() throws -> RealFile {
        let descriptor = try FileDescriptor.open(path + "/.artifactfs/ledger", .readOnly)
        let directory = Directory(owning: descriptor)
        let name = try #require(try directory.entries().first?.name)
        return directory.file(name)
    }

    func ledger() throws -> [JSONValue] {
        var lines: [JSONValue] = []
        try linesOfLedger(try ledgerFile()) { line in
            if let value = JSONValue(parsing: line) { lines.append(value) }
        }
        return lines
    }

    func events(_ name: String) throws -> [JSONValue] { try ledger().filter { $0["event"]?.string == name } }

    func verifyLedger(sourceLocation: SourceLocation = #_sourceLocation) throws {
        #expect(try problems(inLedger: try ledgerFile()) == [], sourceLocation: sourceLocation)
    }
}

extension Store {
    var ledger: Ledger? { writable?.ledger }
}

extension LedgerEntry {
    /// A line of tests.
    init(event: String, _ members: JSONObject) { self.init(.other(name: event, members: members)) }
}

/// Checks the chain of a host's ledger whose first file this is.
func problems(inLedger file: RealFile) throws(Errno) -> [LedgerReader.Problem] {
    try LedgerReader(directory: file.directory.descriptor).verify(LedgerFiles.understand(file.name)?.host ?? "")
}

/// The lines of a host's ledger whose first file this is.
func linesOfLedger(_ file: RealFile, _ body: (ArraySlice<UInt8>) -> Void) throws(Errno) {
    try LedgerReader(directory: file.directory.descriptor)
        .forEachLine(of: LedgerFiles.understand(file.name)?.host, body)
}

/// A small table that passes the check.
let table = "gene\tscore\nA\t1\nB\t2\n"
