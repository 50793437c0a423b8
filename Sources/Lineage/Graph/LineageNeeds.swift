internal import ArtifactRecords

/// What records need: all that they were made from, at any depth, as far as that is certain.
public struct LineageNeeds {
    /// By which record each is needed: one that was made from it itself.
    public private(set) var makers: [RecordNumber: RecordNumber] = [:]

    /// Follows inputs from records upward.
    ///
    /// - Parameter roots: these are not needed by themselves.
    public init(of roots: some Sequence<RecordNumber>, in source: inout some RecordSource) throws {
        var rest = Array(roots)
        var seen = Set(rest)
        while let id = rest.popLast() {
            let maker = source.index[id]
            for input in maker.inputs where input.how != .job {
                guard let path = input.path,
                    let found = try Resolver.record(of: input, path, for: maker, in: &source).id
                else { continue }
                if found != id, makers[found] == nil { makers[found] = id }
                if seen.insert(found).inserted { rest.append(found) }
            }
        }
    }
}
