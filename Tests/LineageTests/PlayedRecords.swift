import ArtifactRecords
import Glibc

@testable import Lineage

/// Records that a test makes up.
struct PlayedRecords: RecordSource {
    private(set) var index = RecordIndex()
    private var records: [ArtifactRecord] = []
    /// Whose records this user may not read.
    var hidden: Set<String> = []
    /// How often everything was looked for.
    private(set) var searches = 0

    mutating func find(at path: String) -> Bool { !hidden.contains(path) }
    mutating func findAll() { searches += 1 }

    mutating func whole(_ ids: [RecordNumber]) -> [RecordNumber: ArtifactRecord] {
        Dictionary(uniqueKeysWithValues: ids.map { ($0, records[$0]) })
    }

    /// Adds an artifact; each is sealed a second after the one before.
    ///
    /// - Parameter inputs: paths, with the hash after a `#`, with how it is known after a `!`.
    mutating func seal(
        _ path: String, _ sha256: String? = nil, from inputs: [String] = [], origin: String? = nil,
        outside: [String] = [],
        change: (inout ArtifactRecord) -> Void = { _ in }
    ) {
        var record = ArtifactRecord(path: path)
        record.artifact.sha256 = sha256 ?? "hash of \(path)"
        record.times.sealed = TimeText.time("2026-02-15T14:30:00Z")
        record.times.sealed?.tv_sec += records.count
        record.inputs = inputs.map(Self.input)
        record.origin = origin.map { ArtifactRecord.PromotionOrigin(path: $0) }
        record.outside = outside.map {
            var file = ArtifactRecord.OutsideInput()
            file.path = $0
            return file
        }
        change(&record)
        if let summary = RecordSummary(record, place: .kept(records.count)) {
            records.append(record)
            index.add(summary)
        }
    }

    static func input(_ text: String) -> ArtifactRecord.Input {
        var input = ArtifactRecord.Input()
        let parts = text.split(separator: "!", maxSplits: 1)
        let names = parts[0].split(separator: "#", maxSplits: 1)
        input.path = String(names[0])
        input.sha256 = names.count > 1 ? String(names[1]) : nil
        input.how = parts.count > 1 ? ArtifactRecord.How(rawValue: String(parts[1])) : .process
        return input
    }

    /// The lineage of a path.
    func lineage(_ path: String, _ change: (inout LineageQuestion) -> Void = { _ in }) throws -> LineageGraph {
        var question = LineageQuestion()
        change(&question)
        var records = self
        return try LineageGraph(of: path, question, in: &records)
    }
}

extension LineageGraph {
    /// The edges, as `from > to`, in their order.
    var words: [String] { edges.map { "\(nodes[$0.from].title) > \(nodes[$0.to].title)" } }
}
