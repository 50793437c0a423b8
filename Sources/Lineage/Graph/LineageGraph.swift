/// Artifacts, and from what they were made.
public struct LineageGraph: Sendable {
    /// The nodes; those that were asked for are the first.
    public internal(set) var nodes: [LineageNode] = []
    /// The edges, in the order in which they were found.
    public internal(set) var edges: [LineageEdge] = []
    /// How many artifacts at the path that was asked for are not among the nodes that were asked for.
    public internal(set) var otherVersions = 0

    /// Nothing.
    public init() {}

    /// Brings the lineage of a path together.
    ///
    /// - Parameters:
    ///   - path: on the mount, relative to it; a file that is not in the store begins with `/`.
    ///   - source: where the records are.
    /// - Throws: what the source throws.
    public init(of path: String, _ question: LineageQuestion, in source: inout some RecordSource) throws {
        var walk = LineageWalk(question)
        try walk.begin(at: path, in: &source)
        try walk.run(in: &source)
        self = try walk.finish(in: &source)
    }

    /// Those that were asked for.
    public var asked: [Int] { nodes.indices.prefix { nodes[$0].isAsked }.map { $0 } }

    /// The edges to each node from what it was made from, by their places.
    public var above: [[Int]] {
        var lists = [[Int]](repeating: [], count: nodes.count)
        for (index, edge) in edges.enumerated() { lists[edge.to].append(index) }
        return lists
    }

    /// The edges from each node to what was made from it, by their places.
    public var below: [[Int]] {
        var lists = [[Int]](repeating: [], count: nodes.count)
        for (index, edge) in edges.enumerated() { lists[edge.from].append(index) }
        return lists
    }
}
