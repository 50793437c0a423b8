/// Which vertex is in which layer, and where in it: every edge leads from a layer to the next one, over vertices that are put in where it is longer.
struct LayerOrder {
    /// An edge between the boxes, with the vertices that it goes over.
    struct Route {
        /// The box it comes from and the box it leads to, as they were given.
        let from: Int
        let to: Int
        /// From the box in the lower layer to that in the higher one, with both.
        var vertices: [Int]
        /// Whether it leads against the layers: it is part of a circle.
        let isBackward: Bool
    }

    /// The layer of each vertex; boxes are the first.
    private(set) var layer: [Int] = []
    /// The vertices of each layer, in their order.
    private(set) var layers: [[Int]] = []
    /// Of each vertex the ones in the layer before that edges come from.
    private(set) var before: [[Int]] = []
    /// Of each vertex the ones in the next layer that edges lead to.
    private(set) var after: [[Int]] = []
    private(set) var routes: [Route] = []

    /// How many vertices at most are put in.
    static let mostBends = 60_000
    private static let sweeps = 16

    /// - Returns: nil where there are too many long edges.
    init?(boxes count: Int, edges: [(from: Int, to: Int)]) {
        let directed = Self.withoutCircles(count, edges)
        layer = Self.ranks(count, directed)
        (before, after) = ([[Int]](repeating: [], count: count), [[Int]](repeating: [], count: count))
        var bends = 0
        for (edge, isBackward) in zip(edges, directed.map(\.isBackward)) {
            let (low, high) = isBackward ? (edge.to, edge.from) : (edge.from, edge.to)
            bends += layer[high] - layer[low] - 1
            guard bends <= Self.mostBends else { return nil }
            var vertices = [low]
            for rank in layer[low] + 1..<max(layer[low] + 1, layer[high]) {
                vertices.append(layer.count)
                layer.append(rank)
                before.append([])
                after.append([])
            }
            vertices.append(high)
            for (one, next) in zip(vertices, vertices.dropFirst()) {
                after[one].append(next)
                before[next].append(one)
            }
            routes.append(Route(from: edge.from, to: edge.to, vertices: vertices, isBackward: isBackward))
        }
        arrange()
    }

    // MARK: - Layers

    /// Turns edges around that lead back to where a walk came from.
    private static func withoutCircles(
        _ count: Int, _ edges: [(from: Int, to: Int)]
    ) -> [(from: Int, to: Int, isBackward: Bool)] {
        var out = [[Int]](repeating: [], count: count)
        for (index, edge) in edges.enumerated() { out[edge.from].append(index) }
        var isBackward = [Bool](repeating: false, count: edges.count)
        enum Visit { case never, open, done }
        var visits = [Visit](repeating: .never, count: count)
        for start in 0..<count where visits[start] == .never {
            var path = [(box: start, next: 0)]
            visits[start] = .open
            while let last = path.last {
                guard last.next < out[last.box].count else {
                    visits[last.box] = .done
                    path.removeLast()
                    continue
                }
                path[path.count - 1].next += 1
                let edge = out[last.box][last.next]
                switch visits[edges[edge].to] {
                case .never:
                    visits[edges[edge].to] = .open
                    path.append((edges[edge].to, 0))
                case .open: isBackward[edge] = true
                case .done: break
                }
            }
        }
        return zip(edges, isBackward).map { edge, isBackward in
            isBackward ? (edge.to, edge.from, true) : (edge.from, edge.to, false)
        }
    }

    /// The longest way to each box; what nothing leads to is beside the first that it leads to.
    private static func ranks(_ count: Int, _ edges: [(from: Int, to: Int, isBackward: Bool)]) -> [Int] {
        var out = [[Int]](repeating: [], count: count)
        var waiting = [Int](repeating: 0, count: count)
        for edge in edges {
            out[edge.from].append(edge.to)
            waiting[edge.to] += 1
        }
        let isFirst = waiting.map { $0 == 0 }
        var ranks = [Int](repeating: 0, count: count)
        var ready = (0..<count).filter { isFirst[$0] }
        var next = 0
        while next < ready.count {
            let box = ready[next]
            next += 1
            for other in out[box] {
                ranks[other] = max(ranks[other], ranks[box] + 1)
                waiting[other] -= 1
                if waiting[other] == 0 { ready.append(other) }
            }
        }
        for box in 0..<count where isFirst[box] {
            if let nearest = out[box].map({ ranks[$0] }).min() { ranks[box] = max(0, nearest - 1) }
        }
        return ranks
    }

    // MARK: - Order

    private mutating func arrange() {
        layers = [[Int]](repeating: [], count: (layer.max() ?? -1) + 1)
        for vertex in layer.indices { layers[layer[vertex]].append(vertex) }
        var best = layers
        var fewest = crossings()
        for sweep in 0..<Self.sweeps where fewest > 0 {
            // Onwards by what is before, back by what is after.
            if sweep.isMultiple(of: 2) {
                for rank in layers.indices.dropFirst() { order(rank, by: before, from: rank - 1) }
            } else {
                for rank in layers.indices.dropLast().reversed() { order(rank, by: after, from: rank + 1) }
            }
            let count = crossings()
            if count < fewest { (best, fewest) = (layers, count) }
        }
        layers = best
    }

    /// Orders a layer by the mean place of each vertex's neighbours; one without any keeps its place.
    private mutating func order(_ rank: Int, by neighbours: [[Int]], from other: Int) {
        var places = [Int: Int]()
        for (place, vertex) in layers[other].enumerated() { places[vertex] = place }
        let scale = Double(max(1, layers[other].count)) / Double(max(1, layers[rank].count))
        let means = layers[rank].enumerated().map { place, vertex -> Double in
            let all = neighbours[vertex].compactMap { places[$0] }
            return all.isEmpty ? Double(place) * scale : Double(all.reduce(0, +)) / Double(all.count)
        }
        let sorted = layers[rank].indices.sorted { (means[$0], $0) < (means[$1], $1) }
        layers[rank] = sorted.map { layers[rank][$0] }
    }

    /// How many pairs of edges cross.
    func crossings() -> Int {
        var count = 0
        for rank in layers.indices.dropLast() {
            var places = [Int: Int]()
            for (place, vertex) in layers[rank + 1].enumerated() { places[vertex] = place }
            // Edges that came before and end further down, counted by a tree of sums (Fenwick).
            var sums = [Int](repeating: 0, count: layers[rank + 1].count + 1)
            var seen = 0
            for vertex in layers[rank] {
                let ends = after[vertex].compactMap { places[$0] }
                for end in ends {
                    var below = 0
                    var place = end + 1
                    while place > 0 {
                        below += sums[place]
                        place -= place & -place
                    }
                    count += seen - below
                }
                for end in ends {
                    var place = end + 1
                    while place < sums.count {
                        sums[place] += 1
                        place += place & -place
                    }
                }
                seen += ends.count
            }
        }
        return count
    }
}
