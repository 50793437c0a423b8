internal import ArtifactRecords

/// Walks from artifact to artifact over what their records say, each once, so that records that lie in circles end too.
struct LineageWalk {
    /// What a node is known by.
    private enum Key: Hashable {
        case record(RecordNumber)
        case file(ExactText, version: Int64?, sha256: String?)
        case outside(ExactText, stamp: String?)
    }

    private struct EdgeKey: Hashable {
        let from: Int
        let to: Int
        let how: ArtifactRecord.How?
    }

    private let question: LineageQuestion
    private var graph = LineageGraph()
    private var places: [Key: Int] = [:]
    private var keys: [Key] = []
    private var known: Set<EdgeKey> = []

    init(_ question: LineageQuestion) { self.question = question }

    // MARK: - From where

    /// What is known by a path: what was sealed there last, else what was promoted from there, else what somebody has read there.
    mutating func begin(at path: String, in source: inout some RecordSource) throws {
        let isReadable = path.hasPrefix("/") ? true : try source.find(at: path)
        var found = source.index.sealed(at: path)
        let all = found.count
        if let version = question.version {
            found = found.filter { source.index.version(of: $0) == version }
        } else if !question.allVersions {
            found = found.suffix(1)
        }
        graph.otherVersions = found.isEmpty ? 0 : all - found.count
        if all == 0 {
            try source.findAll()
            found = source.index.promoted(from: path)
        }
        for id in found { _ = place(of: id, in: source.index) }
        // Files without a record are there when somebody has read them.
        if all == 0 {
            for maker in source.index.made(from: path) { _ = try self.inputs(of: maker, named: path, in: &source) }
        }
        if graph.nodes.isEmpty, !isReadable {
            var node = LineageNode(nature: .file, path: path)
            node.isHidden = true
            _ = place(.file(ExactText(path), version: nil, sha256: nil), node)
        }
        for index in graph.nodes.indices { graph.nodes[index].isAsked = true }
    }

    /// Walks on from what was begun with.
    mutating func run(in source: inout some RecordSource) throws {
        let count = graph.nodes.count
        if question.isUp {
            try follow(0..<count) { walk, place, isShown in
                try walk.up(from: place, isShown: isShown, in: &source)
            }
        }
        if question.isDown {
            try source.findAll()
            try follow(0..<count) { walk, place, isShown in
                try walk.down(from: place, isShown: isShown, in: &source)
            }
        }
    }

    /// Adds the whole records.
    func finish(in source: inout some RecordSource) throws -> LineageGraph {
        var graph = graph
        var ids: [RecordNumber: Int] = [:]
        for (place, key) in keys.enumerated() { if case .record(let id) = key { ids[id] = place } }
        for (id, record) in try source.whole(Array(ids.keys)) {
            if let place = ids[id] { graph.nodes[place].record = record }
        }
        return graph
    }

    // MARK: - On the way

    /// In breadth: what is near is found first.
    private mutating func follow(
        _ start: Range<Int>, _ step: (inout LineageWalk, Int, _ isShown: Bool) throws -> [Int]
    ) throws {
        var seen = Set(start)
        var level = Array(start)
        var distance = 0
        while !level.isEmpty {
            let isShown = question.depth.map { distance < $0 } ?? true
            var next: [Int] = []
            for place in level {
                for neighbour in try step(&self, place, isShown) where seen.insert(neighbour).inserted {
                    next.append(neighbour)
                }
            }
            level = next
            distance += 1
        }
    }

    /// - Parameter isShown: whether it is near enough; otherwise edges are counted only.
    /// - Returns: what it was made from.
    private mutating func up(from place: Int, isShown: Bool, in source: inout some RecordSource) throws -> [Int] {
        guard case .record(let id) = keys[place] else { return [] }
        let record = source.index[id]
        graph.nodes[place].possible = 0
        guard isShown else {
            graph.nodes[place].moreAbove =
                record.inputs.count { isWanted($0.how) } + record.outside.count { isWanted($0.how) }
            return []
        }
        graph.nodes[place].possible =
            record.inputs.count { !isWanted($0.how) } + record.outside.count { !isWanted($0.how) }
        var found = try inputs(of: id, named: nil, in: &source).map { connect($0, to: place) }
        for outside in record.outside where isWanted(outside.how) {
            guard let path = outside.path else { continue }
            found.append(connect((self.outside(outside, path), outside.how, outside.at, .none, nil), to: place))
        }
        return found.compactMap { $0 }
    }

    /// - Returns: what was made from it.
    private mutating func down(from place: Int, isShown: Bool, in source: inout some RecordSource) throws -> [Int] {
        var names = [graph.nodes[place].path]
        if case .record(let id) = keys[place], let origin = source.index[id].origin { names.append(origin) }
        var found: [Int] = []
        var more = 0
        for name in names {
            let makers = source.index.made(from: name).sorted {
                source.index[$0].time < source.index[$1].time
            }
            for maker in makers {
                for input in try reads(of: maker, name, by: place, in: &source) {
                    guard isShown else {
                        more += 1
                        continue
                    }
                    let made = self.place(of: maker, in: source.index)
                    if connect(input, to: made) != nil { found.append(made) }
                }
            }
        }
        if !isShown { graph.nodes[place].moreBelow = more }
        return found
    }

    /// What of a record's inputs is a node.
    private mutating func reads(
        of maker: RecordNumber, _ name: String, by place: Int, in source: inout some RecordSource
    ) throws -> [Found] {
        let record = source.index[maker]
        if graph.nodes[place].nature == .outside {
            return record.outside.filter { isWanted($0.how) && $0.path.map { ExactText($0) } == ExactText(name) }
                .map { ($0, outside($0, name)) }.filter { $0.1 == place }.map { ($0.1, $0.0.how, $0.0.at, .none, nil) }
        }
        return try inputs(of: maker, named: name, in: &source, isNew: false).filter { $0.place == place }
    }

    private typealias Found = (
        place: Int, how: ArtifactRecord.How?, at: String?, match: LineageEdge.Match, readAs: String?
    )

    /// The nodes of what a record names.
    ///
    /// - Parameters:
    ///   - named: a path, where only that is asked for.
    ///   - isNew: whether nodes are made that are not there yet.
    private mutating func inputs(
        of id: RecordNumber, named name: String?, in source: inout some RecordSource, isNew: Bool = true
    ) throws -> [Found] {
        var found: [Found] = []
        let maker = source.index[id]
        for input in maker.inputs where isWanted(input.how) {
            guard let path = input.path, name.map({ $0.isExactly(path) || $0.isExactly(path.artifactAround) }) ?? true
            else { continue }
            let resolved = try Resolver.record(of: input, path, for: maker, in: &source)
            // What it was promoted from is itself.
            if resolved.id == id, resolved.isPromoted { continue }
            let key = resolved.id.map { Key.record($0) } ?? Self.key(input, path)
            let place: Int
            if let known = places[key] {
                place = known
            } else if !isNew {
                continue
            } else if let id = resolved.id {
                place = self.place(of: id, in: source.index)
            } else {
                var node = LineageNode(nature: .file, path: path)
                (node.version, node.sha256, node.isHidden) = (input.version, input.sha256, resolved.isHidden)
                place = self.place(key, node)
            }
            let isElsewhere = resolved.id.map { !path.isExactly(source.index[$0].path) } ?? false
            found.append((place, input.how, input.at, resolved.match, isElsewhere ? path : nil))
        }
        if let name, maker.outside.contains(where: { name.isExactly($0.path) }) {
            for outside in maker.outside where name.isExactly(outside.path) && isWanted(outside.how) {
                found.append((self.outside(outside, name), outside.how, outside.at, .none, nil))
            }
        }
        return found
    }

    private func isWanted(_ how: ArtifactRecord.How?) -> Bool { question.showsPossible || how != .job }

    private static func key(_ input: ArtifactRecord.Input, _ path: String) -> Key {
        .file(ExactText(path), version: input.version, sha256: input.sha256)
    }

    private mutating func outside(_ outside: ArtifactRecord.OutsideInput, _ path: String) -> Int {
        var node = LineageNode(nature: .outside, path: path)
        (node.sha256, node.size, node.modified) = (outside.sha256, outside.size, outside.modified)
        let stamp = outside.sha256 ?? outside.modified.map { "\($0) \(outside.size ?? -1)" }
        return place(.outside(ExactText(path), stamp: stamp), node)
    }

    /// The node of a record.
    private mutating func place(of id: RecordNumber, in index: RecordIndex) -> Int {
        if let known = places[.record(id)] { return known }
        let record = index[id]
        var node = LineageNode(nature: .artifact, path: record.path)
        (node.version, node.sha256, node.knowsInputs) = (index.version(of: id), record.sha256, record.knowsInputs)
        node.removed = node.version.flatMap { index.removal(of: record.path, version: $0) }
        node.isSuperseded = index.sealed(at: record.path).last != id
        return place(.record(id), node)
    }

    private mutating func place(_ key: Key, _ node: LineageNode) -> Int {
        if let known = places[key] { return known }
        places[key] = graph.nodes.count
        keys.append(key)
        graph.nodes.append(node)
        return graph.nodes.count - 1
    }

    /// - Returns: the node that it comes from.
    private mutating func connect(_ found: Found, to place: Int) -> Int? {
        if known.insert(EdgeKey(from: found.place, to: place, how: found.how)).inserted {
            graph.edges.append(
                LineageEdge(
                    from: found.place, to: place, how: found.how, at: found.at, match: found.match,
                    readAs: found.readAs))
        }
        return found.place
    }
}
