public import ArtifactRecords

extension LineageGraph {
    /// The graph as JSON: `nodes` and `edges`, which name nodes by their `id`. SEMANTICS 4.1 has the members.
    public var json: JSONValue {
        .object([
            "nodes": .array(nodes.enumerated().map { .object($0.element.json(id: Self.id($0.offset))) }),
            "edges": .array(edges.map { .object($0.json) }),
        ])
    }

    /// How a node is named in documents.
    static func id(_ place: Int) -> String { "n\(place)" }
}

extension LineageNode {
    fileprivate func json(id: String) -> JSONObject {
        var all: JSONObject = ["id": .string(id), "nature": .string(nature.rawValue), "path": .string(path)]
        all["version"] = version.map { .integer($0) }
        all["sha256"] = sha256.map { .string($0) }
        all["size"] = size.map { .integer($0) }
        all["modified"] = modified.map { .string($0) }
        if isAsked { all["asked"] = .bool(true) }
        if isSuperseded { all["superseded"] = .bool(true) }
        all["removed"] = removed.map { .string($0) }
        if isHidden { all["hidden"] = .bool(true) }
        if nature == .artifact { all["inputs_known"] = .bool(knowsInputs) }
        if moreAbove > 0 { all["more_inputs"] = .integer(Int64(moreAbove)) }
        if moreBelow > 0 { all["more_uses"] = .integer(Int64(moreBelow)) }
        if possible > 0 { all["possible_inputs"] = .integer(Int64(possible)) }
        all["record"] = record.map { .object($0.json) }
        return all
    }
}

extension LineageEdge {
    fileprivate var json: JSONObject {
        var all: JSONObject = ["from": .string(LineageGraph.id(from)), "to": .string(LineageGraph.id(to))]
        all["how"] = how.map { .string($0.rawValue) }
        all["at"] = at.map { .string($0) }
        if match != .none { all["match"] = .string(match.rawValue) }
        all["read_as"] = readAs.map { .string($0) }
        return all
    }
}
