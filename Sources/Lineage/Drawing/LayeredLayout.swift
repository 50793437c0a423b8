/// Where boxes and edges are drawn: layers from left to right, no box over another, edges between the boxes.
struct LayeredLayout {
    struct Point: Equatable {
        var x: Double
        var y: Double
    }

    /// Where an edge is drawn.
    struct DrawnEdge {
        let from: Int
        let to: Int
        /// From the side of the box that it comes from to that which it leads to, two points for each layer that it passes.
        let points: [Point]
    }

    /// The upper left corners of the boxes.
    private(set) var boxes: [Point] = []
    private(set) var lines: [DrawnEdge] = []
    private(set) var width = 0.0
    private(set) var height = 0.0

    let boxWidth: Double
    let boxHeight: Double
    /// Between boxes of one layer.
    private static let space = 14.0
    /// Between edges that pass a layer.
    private static let narrow = 8.0

    /// - Parameter edges: by the boxes' places; each pair once, and none from a box to itself.
    /// - Returns: nil where there are too many long edges to draw.
    init?(boxes count: Int, edges: [(from: Int, to: Int)], boxWidth: Double, boxHeight: Double) {
        (self.boxWidth, self.boxHeight) = (boxWidth, boxHeight)
        guard let order = LayerOrder(boxes: count, edges: edges) else { return nil }
        let heights = order.layer.indices.map { $0 < count ? boxHeight : Self.narrow }
        let centres = Self.centres(order, boxes: count, heights)
        let lefts = Self.lefts(order, boxWidth)
        let top = zip(centres, heights).map { $0 - $1 / 2 }.min() ?? 0
        boxes = (0..<count).map { Point(x: lefts[order.layer[$0]], y: centres[$0] - boxHeight / 2 - top) }
        width = (lefts.last ?? 0) + boxWidth
        height = (zip(centres, heights).map { $0 + $1 / 2 }.max() ?? 0) - top
        draw(order, lefts, centres.map { $0 - top })
    }

    // MARK: - Across

    /// More edges between two layers need more room.
    private static func lefts(_ order: LayerOrder, _ boxWidth: Double) -> [Double] {
        var left = 0.0
        return order.layers.map { layer in
            defer {
                let edges = layer.reduce(0) { $0 + order.after[$1].count }
                left += boxWidth + min(220, 56 + 1.6 * Double(edges))
            }
            return left
        }
    }

    // MARK: - Down

    /// The middles of all vertices: as near to their neighbours' as the order and the room between them allow.
    private static func centres(_ order: LayerOrder, boxes count: Int, _ heights: [Double]) -> [Double] {
        var centres = [Double](repeating: 0, count: order.layer.count)
        for layer in order.layers {
            var next = 0.0
            for vertex in layer {
                centres[vertex] = next + heights[vertex] / 2
                next += heights[vertex] + (vertex < count ? space : 2)
            }
            // Layers begin around one middle.
            for vertex in layer { centres[vertex] -= next / 2 }
        }
        func weight(_ one: Int, _ other: Int) -> Double {
            // Long edges are to be straight.
            switch (one < count, other < count) {
            case (false, false): 8
            case (true, true): 1
            default: 2
            }
        }
        func settle(_ rank: Int, _ neighbours: [[[Int]]]) {
            let layer = order.layers[rank]
            let wishes = layer.map { vertex -> (place: Double, weight: Double) in
                var (sum, total) = (0.0, 0.0)
                for list in neighbours {
                    for other in list[vertex] {
                        let weight = weight(vertex, other)
                        sum += weight * centres[other]
                        total += weight
                    }
                }
                return total == 0 ? (centres[vertex], 0.1) : (sum / total, total)
            }
            var gaps = [0.0]
            for (one, other) in zip(layer, layer.dropFirst()) {
                let isBox = one < count || other < count
                gaps.append((heights[one] + heights[other]) / 2 + (isBox ? space : 2))
            }
            for (vertex, place) in zip(layer, apart(wishes, gaps)) { centres[vertex] = place }
        }
        for round in 0..<10 {
            for rank in order.layers.indices.dropFirst() {
                settle(rank, round < 6 ? [order.before] : [order.before, order.after])
            }
            for rank in order.layers.indices.dropLast().reversed() {
                settle(rank, round < 6 ? [order.after] : [order.before, order.after])
            }
        }
        return centres
    }

    /// Places in their order and at least the gaps apart, with the smallest sum of squares of what they miss (pool adjacent violators).
    ///
    /// - Parameter gaps: how far each must be from the one before it.
    static func apart(_ wishes: [(place: Double, weight: Double)], _ gaps: [Double]) -> [Double] {
        var offsets: [Double] = []
        var offset = 0.0
        for gap in gaps {
            offset += gap
            offsets.append(offset)
        }
        var pools: [(mean: Double, weight: Double, count: Int)] = []
        for (wish, offset) in zip(wishes, offsets) {
            pools.append((wish.place - offset, wish.weight, 1))
            while pools.count > 1, pools[pools.count - 2].mean >= pools[pools.count - 1].mean {
                let last = pools.removeLast()
                let one = pools.removeLast()
                let weight = one.weight + last.weight
                pools.append(
                    ((one.mean * one.weight + last.mean * last.weight) / weight, weight, one.count + last.count))
            }
        }
        var places: [Double] = []
        for pool in pools { for _ in 0..<pool.count { places.append(pool.mean + offsets[places.count]) } }
        return places
    }

    // MARK: - Edges

    private mutating func draw(_ order: LayerOrder, _ lefts: [Double], _ centres: [Double]) {
        let ports = self.ports(order, centres)
        for (index, route) in order.routes.enumerated() {
            guard let low = route.vertices.first, let high = route.vertices.last else { continue }
            var points = [Point(x: lefts[order.layer[low]] + boxWidth, y: ports[index].low)]
            for vertex in route.vertices.dropFirst().dropLast() {
                let left = lefts[order.layer[vertex]]
                points += [Point(x: left, y: centres[vertex]), Point(x: left + boxWidth, y: centres[vertex])]
            }
            points.append(Point(x: lefts[order.layer[high]], y: ports[index].high))
            lines.append(
                DrawnEdge(from: route.from, to: route.to, points: route.isBackward ? points.reversed() : points))
        }
    }

    /// Where edges touch the sides of boxes: spread over them, in the order of where they come from or go to.
    private func ports(_ order: LayerOrder, _ centres: [Double]) -> [(low: Double, high: Double)] {
        var ports = order.routes.map { route in
            (low: centres[route.vertices.first ?? 0], high: centres[route.vertices.last ?? 0])
        }
        var right: [Int: [Int]] = [:]
        var left: [Int: [Int]] = [:]
        for (index, route) in order.routes.enumerated() {
            right[route.vertices.first ?? 0, default: []].append(index)
            left[route.vertices.last ?? 0, default: []].append(index)
        }
        func spread(_ routes: [Int], _ neighbour: (LayerOrder.Route) -> Int) -> [(route: Int, shift: Double)] {
            let sorted = routes.sorted {
                (centres[neighbour(order.routes[$0])], $0) < (centres[neighbour(order.routes[$1])], $1)
            }
            let step = min(9, (boxHeight - 16) / Double(max(1, sorted.count - 1)))
            return sorted.enumerated().map { ($1, (Double($0) - Double(sorted.count - 1) / 2) * step) }
        }
        for routes in right.values {
            for (route, shift) in spread(routes, { $0.vertices[1] }) { ports[route].low += shift }
        }
        for routes in left.values {
            for (route, shift) in spread(routes, { $0.vertices[$0.vertices.count - 2] }) { ports[route].high += shift }
        }
        return ports
    }
}
