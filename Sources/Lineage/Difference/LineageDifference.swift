public import ArtifactRecords

/// What differs between how two artifacts were made, up to where it begins to.
public struct LineageDifference: Sendable {
    /// Two artifacts that stand at the same place of two lineages.
    public struct Step: Sendable {
        /// In the one lineage.
        public let one: LineageNode
        /// In the other.
        public let other: LineageNode
        /// What differs between how they were written.
        public internal(set) var differences: [MakingDifference] = []
        /// Their inputs, as far as they are not the same.
        public internal(set) var inputs: [InputDifference] = []
        /// What is not known of either.
        public internal(set) var unknown: [String] = []
        /// Whether something differs here that what they were made from does not explain.
        public internal(set) var isOrigin = false

        /// Whether both have the same bytes; nil where that is not known.
        public var hasSameBytes: Bool? { LineageDifference.isSame(one, other) }
    }

    /// An input of one of two artifacts, or of both with other bytes.
    public struct InputDifference: Sendable {
        /// In the one lineage; nil where it is the other's only.
        public let one: LineageNode?
        /// In the other lineage.
        public let other: LineageNode?
        /// The step that tells how it came to have other bytes, by its place.
        public internal(set) var step: Int?
        /// Whether it is known that the bytes differ.
        public let isKnown: Bool
    }

    /// The first is of the two that were asked for, further ones are of what these were made from, the nearer the earlier.
    public private(set) var steps: [Step] = []

    private let graphs: [LineageGraph]
    private let above: [[[Int]]]

    /// Compares two lineages, each of one artifact.
    ///
    /// - Returns: nil where one of them is of nothing that has a record.
    public init?(_ one: LineageGraph, _ other: LineageGraph) {
        guard let first = one.asked.first, let second = other.asked.first, one.nodes[first].record != nil,
            other.nodes[second].record != nil
        else { return nil }
        (graphs, above) = ([one, other], [one.above, other.above])
        compare(first, second)
    }

    /// Whether both were made in the same way from the same, as far as is known.
    public var isSame: Bool {
        steps.allSatisfy { $0.differences.isEmpty && $0.inputs.allSatisfy { !$0.isKnown } }
    }

    private mutating func compare(_ first: Int, _ second: Int) {
        var pairs = [(first, second)]
        var known: [[Int]: Int] = [[first, second]: 0]
        while steps.count < pairs.count {
            let (left, right) = pairs[steps.count]
            let (one, other) = (graphs[0].nodes[left], graphs[1].nodes[right])
            var step = Step(one: one, other: other)
            (step.differences, step.unknown) = MakingDifference.all(one.record ?? .init(), other.record ?? .init())
            if one.knowsInputs != other.knowsInputs {
                let texts = [one, other].map { $0.knowsInputs ? "recorded" : nil }
                step.differences.append(MakingDifference(what: "inputs", one: texts[0], other: texts[1]))
            } else if !one.knowsInputs {
                step.unknown.append("inputs")
            }
            var isExplained = false
            for (a, b) in self.inputs(left, right) {
                let (mine, theirs) = (a.map { graphs[0].nodes[$0] }, b.map { graphs[1].nodes[$0] })
                var input = InputDifference(one: mine, other: theirs, isKnown: true)
                if let a, let b, let mine, let theirs {
                    let isSame = Self.isSame(mine, theirs)
                    if isSame == true { continue }
                    input = InputDifference(one: mine, other: theirs, isKnown: isSame == false)
                    if isSame == false, mine.record != nil, theirs.record != nil {
                        isExplained = true
                        if known[[a, b]] == nil {
                            known[[a, b]] = pairs.count
                            pairs.append((a, b))
                        }
                        input.step = known[[a, b]]
                    }
                }
                step.inputs.append(input)
            }
            // One that has other inputs of its own, or another command, is where something begins.
            let isOwn = !step.differences.isEmpty || step.inputs.contains { $0.isKnown && $0.step == nil }
            step.isOrigin = isOwn || !isExplained && step.hasSameBytes == false && steps.count > 0
            steps.append(step)
        }
    }

    /// The inputs of both, those together that have the same path, or the same path in another session or test.
    private func inputs(_ left: Int, _ right: Int) -> [(Int?, Int?)] {
        func list(_ side: Int, _ node: Int) -> [(path: String, node: Int)] {
            var seen: Set<Int> = []
            return above[side][node].map { graphs[side].edges[$0] }.filter {
                $0.from != node && seen.insert($0.from).inserted
            }
            .map { ($0.readAs ?? graphs[side].nodes[$0.from].path, $0.from) }
        }
        let mine = list(0, left)
        var theirs = list(1, right)
        var pairs = [Int?](repeating: nil, count: mine.count)
        func join(_ fits: (_ mine: (path: String, node: Int), _ theirs: (path: String, node: Int)) -> Bool) {
            for (place, one) in mine.enumerated() where pairs[place] == nil {
                guard let found = theirs.firstIndex(where: { fits(one, $0) }) else { continue }
                pairs[place] = theirs.remove(at: found).node
            }
        }
        // The same bytes first: of one path there may be several.
        join { $0.path.isExactly($1.path) && Self.isSame(graphs[0].nodes[$0.node], graphs[1].nodes[$1.node]) == true }
        join { $0.path.isExactly($1.path) }
        join { graphs[0].nodes[$0.node].path.isExactly(graphs[1].nodes[$1.node].path) }
        join { Self.inScope($0.path).isExactly(Self.inScope($1.path)) }
        return mine.indices.map { (mine[$0].node, pairs[$0]) } + theirs.map { (nil, $0.node) }
    }

    /// A path without the name of its session or test.
    private static func inScope(_ path: String) -> String {
        let parts = path.utf8.split(separator: UInt8(ascii: "/"), omittingEmptySubsequences: false).map {
            String($0) ?? ""
        }
        guard parts.count > 2, parts[0] == "development" || parts[0] == "test" else { return path }
        return ([parts[0], "*"] + parts.dropFirst(2)).joined(separator: "/")
    }

    /// Whether two have the same bytes; nil where that is not known.
    static func isSame(_ one: LineageNode, _ other: LineageNode) -> Bool? {
        if let left = one.sha256, let right = other.sha256 { return left == right }
        // A file outside is the same when nothing that is known of it differs.
        if let left = one.modified, let right = other.modified { return left == right && one.size == other.size }
        return nil
    }
}

extension LineageDifference {
    /// As JSON. SEMANTICS 4.2 has the members.
    public var json: JSONValue {
        .object(["same": .bool(isSame), "steps": .array(steps.map { .object(Self.json($0)) })])
    }

    private static func json(_ step: Step) -> JSONObject {
        var all: JSONObject = ["a": json(step.one) ?? .null, "b": json(step.other) ?? .null]
        all["same_bytes"] = step.hasSameBytes.map { .bool($0) }
        all["differences"] = .array(
            step.differences.map { difference in
                var all: JSONObject = ["what": .string(difference.what)]
                all["a"] = difference.one.map { .string($0) }
                all["b"] = difference.other.map { .string($0) }
                return .object(all)
            })
        all["inputs"] = .array(
            step.inputs.map { input in
                let word =
                    !input.isKnown ? "not_known" : input.one == nil ? "only_b" : input.other == nil ? "only_a" : "other"
                var all: JSONObject = ["input": .string(word)]
                all["a"] = json(input.one)
                all["b"] = json(input.other)
                all["step"] = input.step.map { .integer(Int64($0)) }
                return .object(all)
            })
        all["not_known"] = .array(step.unknown.map { .string($0) })
        if step.isOrigin { all["begins_here"] = .bool(true) }
        return all
    }

    private static func json(_ node: LineageNode?) -> JSONValue? {
        guard let node else { return nil }
        var all: JSONObject = ["path": .string(node.path)]
        all["version"] = node.version.map { .integer($0) }
        all["sha256"] = node.sha256.map { .string($0) }
        return .object(all)
    }
}
