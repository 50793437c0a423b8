public import ArtifactRecords

/// A record's place in an index.
public typealias RecordNumber = Int

/// The records of a store, found by their paths, by where they were promoted from, and by what they were made from.
public struct RecordIndex: Sendable {
    /// All, in the order in which they were added.
    public private(set) var records: [RecordSummary] = []
    private var byPath: [ExactText: [RecordNumber]] = [:]
    private var byOrigin: [ExactText: [RecordNumber]] = [:]
    private var byInput: [ExactText: [RecordNumber]] = [:]

    /// When former versions were removed to make room, by their paths and numbers.
    private var removals: [ExactText: [Int64: String]] = [:]

    /// No records.
    public init() {}

    /// Adds a record. Of two at one path the one that was sealed later is the later one, however they are added.
    public mutating func add(_ record: RecordSummary) {
        let id = records.count
        records.append(record)
        var list = byPath[ExactText(record.path)] ?? []
        let place = list.lastIndex { records[$0].time <= record.time }.map { $0 + 1 } ?? 0
        list.insert(id, at: place)
        byPath[ExactText(record.path)] = list
        if let origin = record.origin { byOrigin[ExactText(origin), default: []].append(id) }
        var seen: Set<ExactText> = []
        for path in record.inputs.map(\.path) + record.outside.map(\.path) {
            guard let path = path.map(ExactText.init), seen.insert(path).inserted else { continue }
            byInput[path, default: []].append(id)
            // What is in a directory that is an artifact is that artifact.
            if let around = path.text.artifactAround.map(ExactText.init), seen.insert(around).inserted {
                byInput[around, default: []].append(id)
            }
        }
    }

    /// Notes that a former version was removed to make room, or that it was not.
    ///
    /// - Parameter time: when, as text; nil of one that is there still.
    public mutating func note(removalOf path: String, version: Int64, at time: String?) {
        removals[ExactText(path), default: [:]][version] = time
    }

    /// When a former version was removed to make room; nil of one that is there.
    public func removal(of path: String, version: Int64) -> String? { removals[ExactText(path)]?[version] }

    /// A record.
    public subscript(id: RecordNumber) -> RecordSummary { records[id] }

    /// What was sealed at a path, the oldest first.
    public func sealed(at path: String) -> [RecordNumber] { byPath[ExactText(path)] ?? [] }

    /// What was promoted from a path.
    public func promoted(from path: String) -> [RecordNumber] { byOrigin[ExactText(path)] ?? [] }

    /// What names a path, or one in it, among what it was made from.
    public func made(from path: String) -> [RecordNumber] { byInput[ExactText(path)] ?? [] }

    /// An artifact's version: what its record says, else which one it is of those at its path.
    public func version(of id: RecordNumber) -> Int64? {
        if let version = records[id].version { return version }
        return sealed(at: records[id].path).firstIndex(of: id).map { Int64($0) + 1 }
    }
}

/// Where records are found: in the ledgers, or one by one on a mount.
public protocol RecordSource {
    /// What was found so far.
    var index: RecordIndex { get }

    /// Finds what was sealed at a path, so that the index has it.
    ///
    /// - Returns: whether all was found; false where this user may not read what there is.
    mutating func find(at path: String) throws -> Bool

    /// Finds every record that there is.
    mutating func findAll() throws

    /// The whole records.
    mutating func whole(_ ids: [RecordNumber]) throws -> [RecordNumber: ArtifactRecord]
}
