internal import ArtifactRecords

/// Finds the record of what another record names as an input.
enum Resolver {
    struct Resolved {
        /// The record; nil when there is none.
        var id: RecordNumber?
        var match = LineageEdge.Match.none
        /// Whether it was read where it was before it was promoted.
        var isPromoted = false
        /// Whether there may be one that this user may not read.
        var isHidden = false
    }

    /// The record of an input: with the same bytes, at its path or promoted from there; else of that version; else, where the input says no more
    /// than a path, of what was there.
    static func record(
        of input: ArtifactRecord.Input, _ path: String, for maker: RecordSummary, in source: inout some RecordSource
    ) throws -> Resolved {
        let isReadable = try source.find(at: path)
        let sealed = source.index.sealed(at: path)
        if let sha256 = input.sha256 {
            let same = sealed.filter { source.index[$0].sha256 == sha256 }
            let exact = same.filter { input.version == nil || source.index.version(of: $0) == input.version }
            if let id = nearest(exact.isEmpty ? same : exact, maker, source.index) {
                return Resolved(id: id, match: .sha256)
            }
        } else if let version = input.version {
            if let id = sealed.last(where: { source.index.version(of: $0) == version }) {
                return Resolved(id: id, match: .version)
            }
        } else if let id = there(sealed, maker, source.index) {
            return Resolved(id: id, match: .path)
        }
        if isReadable, sealed.isEmpty, isOfScope(path), let promoted = try promoted(input, path, maker, &source) {
            return promoted
        }
        if sealed.isEmpty, let around = path.artifactAround {
            // Of what is in a directory the hash is another than the directory's.
            var whole = ArtifactRecord.Input()
            whole.version = input.version
            let found = try record(of: whole, around, for: maker, in: &source)
            if found.id != nil || found.isHidden { return found }
        }
        return Resolved(isHidden: !isReadable)
    }

    /// What was at a path when something was made: sealed by then, else at least begun, as by a process that reads what it has written.
    private static func there(
        _ sealed: [RecordNumber], _ maker: RecordSummary, _ index: RecordIndex
    ) -> RecordNumber? {
        sealed.last { index[$0].time <= maker.time || maker.time.isEmpty }
            ?? sealed.first { index[$0].begun <= maker.time }
    }

    /// What was promoted has no other record than that of its new place.
    private static func promoted(
        _ input: ArtifactRecord.Input, _ path: String, _ maker: RecordSummary, _ source: inout some RecordSource
    ) throws -> Resolved? {
        try source.findAll()
        let all = source.index.promoted(from: path)
        let same = input.sha256.map { sha256 in all.filter { source.index[$0].sha256 == sha256 } } ?? all
        // Of a file that had several contents a path alone says nothing.
        guard input.sha256 != nil || Set(all.map { source.index[$0].sha256 }).count == 1 else { return nil }
        return nearest(same, maker, source.index).map {
            Resolved(id: $0, match: input.sha256 == nil ? .path : .sha256, isPromoted: true)
        }
    }

    /// Sessions and tests are where promotions come from.
    private static func isOfScope(_ path: String) -> Bool { !path.utf8.starts(with: "production/".utf8) }

    /// Of records of the same bytes the last that was there before; what was promoted may have come later.
    private static func nearest(
        _ ids: [RecordNumber], _ maker: RecordSummary, _ index: RecordIndex
    ) -> RecordNumber? {
        let sorted = ids.sorted { index[$0].time < index[$1].time }
        return sorted.last { index[$0].time <= maker.time } ?? sorted.first
    }
}
