import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import Lineage
import SystemCalls
import SystemPackage

/// The records that a mount shows to this user: of what is there now, and what this user may read.
struct MountRecords: RecordSource {
    private(set) var index = RecordIndex()
    private let mount: MountEntry
    private let schema: ArtifactSchema
    private var kept: [ArtifactRecord] = []
    /// All that were found by now.
    var all: [ArtifactRecord] { kept }
    /// The paths that were looked at, by their bytes, and whether their records may be read.
    private var asked: [[UInt8]: Bool] = [:]
    private var isComplete = false

    /// How long the mount may take to tell all of one directory's records, in milliseconds.
    private static let patience: Int64 = 120_000

    init(_ mount: MountEntry) throws {
        self.mount = mount
        let file = mount.mountPoint + "/" + StoreLayout.privateDirectory + "/schema.yaml"
        schema = try ShownArtifact.schema(file)
    }

    mutating func find(at path: String) throws -> Bool {
        if let known = asked[Array(path.utf8)] { return known }
        let (location, rest) = schema.locate(path)
        guard location.hasRecords, rest.count == 1, let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")) else {
            return true
        }
        let full = mount.mountPoint + "/" + path
        let name = path[path.utf8.index(after: slash)...] + StoreLayout.recordSuffix
        let file = "\(mount.mountPoint)/\(path[..<slash])/\(StoreLayout.recordsDirectory)/\(name)"
        let answer = Patience.find(on: mount) {
            do throws(Errno) { return [0] + (try Paths.read(file, limit: 64 << 20)) } catch {
                // Of what may not be read there is no record; whether it is that, the artifact itself says.
                let isRefused = error == .permissionDenied || !Self.mayRead(full)
                return [isRefused ? 1 : 2]
            }
        }
        guard let answer else { throw mount.silence }
        let isReadable = answer.first != 1
        asked[Array(path.utf8)] = isReadable
        if answer.first == 0 { add(answer.dropFirst()) }
        return isReadable
    }

    /// Whether a file that is there may be read; so may what is not there.
    private static func mayRead(_ path: String) -> Bool {
        Patience.number { () throws(Errno) in
            try SystemCall.close(SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_NONBLOCK))
        } != EACCES
    }

    mutating func findAll() throws {
        guard !isComplete else { return }
        isComplete = true
        for (name, layer) in schema.fixedChildren(of: .mode(.production)) {
            for (type, _) in schema.fixedChildren(of: layer) {
                let path = "\(Mode.production.rawValue)/\(name)/\(type)"
                let directory = mount.mountPoint + "/" + path
                let answer = Patience.find(within: Self.patience, on: mount) { Self.records(in: directory) }
                guard let answer else { throw mount.silence }
                for line in answer.split(separator: UInt8(ascii: "\n")) { add(line) }
            }
        }
    }

    /// The records in a directory, one a line.
    private static func records(in directory: String) -> [UInt8] {
        var all: [UInt8] = []
        for name in Paths.names(directory) {
            let file = "\(directory)/\(StoreLayout.recordsDirectory)/\(name)\(StoreLayout.recordSuffix)"
            guard let text = Paths.contents(file, limit: 64 << 20) else { continue }
            all += text
            if all.last != UInt8(ascii: "\n") { all.append(UInt8(ascii: "\n")) }
        }
        return all
    }

    private mutating func add(_ text: some Collection<UInt8>) {
        guard let json = JSONValue(parsing: text)?.object else { return }
        let record = ArtifactRecord(json)
        guard let path = record.artifact.path, index.sealed(at: path).isEmpty,
            let summary = RecordSummary(record, json: json, place: .kept(kept.count))
        else { return }
        asked[Array(path.utf8)] = true
        kept.append(record)
        index.add(summary)
    }

    mutating func whole(_ ids: [RecordNumber]) -> [RecordNumber: ArtifactRecord] {
        var found: [RecordNumber: ArtifactRecord] = [:]
        for id in ids { if case .kept(let place) = index[id].place { found[id] = kept[place] } }
        return found
    }
}
