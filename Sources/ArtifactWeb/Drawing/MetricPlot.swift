internal import ArtifactRecords
internal import Glibc

/// A metric of some runs over its epochs: a line a run; or over the runs, where each has one value.
public struct MetricPlot {
    /// A run's.
    public struct Curve {
        /// The run.
        public let title: String
        /// Steps and values.
        public let points: [(x: Double, y: Double)]

        /// A run's.
        public init(title: String, points: [(x: Double, y: Double)]) { (self.title, self.points) = (title, points) }
    }

    private let name: String
    private let lines: [Curve]
    /// Whether the runs themselves stand along the axis.
    private let isOverRuns: Bool
    private let (xs, ys): (PlotScale, PlotScale)

    /// Colours that people tell apart who see fewer of them (Okabe and Ito, 2008), and strokes for who sees none.
    static let colours = ["#0072B2", "#D55E00", "#009E73", "#CC79A7", "#E69F00", "#56B4E9"]
    private static let dashes = ["none", "6 3", "2 2", "8 3 2 3"]

    /// A plot of a metric.
    public init(_ name: String, _ lines: [Curve]) {
        self.name = name
        isOverRuns = lines.allSatisfy { $0.points.count == 1 }
        if isOverRuns {
            let values = lines.enumerated().compactMap { place, line in
                line.points.first.map { (Double(place + 1), $0.y) }
            }
            self.lines = [Curve(title: name, points: values.map { (x: $0.0, y: $0.1) })]
        } else {
            self.lines = lines
        }
        let points = self.lines.flatMap(\.points).filter { $0.x.isFinite && $0.y.isFinite }
        xs = PlotScale(points.map(\.x))
        ys = PlotScale(points.map(\.y))
        titles = isOverRuns ? lines.map(\.title) : []
    }

    /// Of the runs along the axis.
    private let titles: [String]

    // MARK: - SVG

    /// A picture.
    ///
    /// - Parameter isOnPage: whether it has the colours of the page that it is on; else it is on white.
    public func svg(isOnPage: Bool = false) -> String {
        // On a page it is drawn small, and on a phone smaller.
        let (width, height, left, right, top, bottom) =
            isOnPage ? (480.0, 320.0, 70.0, 14.0, 34.0, 48.0) : (800.0, 480.0, 80.0, 20.0, 40.0, 60.0)
        let entries = isOverRuns ? titles : isOnPage && lines.count == 1 ? [] : lines.map(\.title)
        let whole = height + (entries.isEmpty ? 0 : Double(entries.count) * 18 + 20)
        let ink = isOnPage ? "currentColor" : "#222"
        let faint = isOnPage ? "stroke=\"currentColor\" stroke-opacity=\"0.15\"" : "stroke=\"#ddd\""
        func x(_ value: Double) -> String { fixed(left + xs.share(value) * (width - left - right)) }
        func y(_ value: Double) -> String { fixed(height - bottom - ys.share(value) * (height - top - bottom)) }
        var text = """
            <svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 \(fixed(width)) \(fixed(whole))" width="\(fixed(width))" \
            height="\(fixed(whole))" role="img" font-family="sans-serif" font-size="13" fill="\(ink)">
            <title>\(Self.shown(words))</title>

            """
        if !isOnPage { text += "<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n" }
        text += """
            <text x="\(fixed(width / 2))" y="22" text-anchor="middle" font-size="16">\(Self.shown(name))</text>

            """
        for tick in ys.ticks {
            text += """
                <line x1="\(fixed(left))" x2="\(fixed(width - right))" y1="\(y(tick))" y2="\(y(tick))" \(faint)/>
                <text x="\(fixed(left - 8))" y="\(y(tick))" dy="4" text-anchor="end">\(ShownText.number(tick))</text>

                """
        }
        for tick in isOverRuns ? titles.indices.map({ Double($0 + 1) }) : xs.ticks {
            text += """
                <line x1="\(x(tick))" x2="\(x(tick))" y1="\(fixed(height - bottom))" y2="\(fixed(height - bottom + 5))" stroke="\(ink)"/>
                <text x="\(x(tick))" y="\(fixed(height - bottom + 20))" text-anchor="middle">\(ShownText.number(tick))</text>

                """
        }
        text += """
            <path d="M\(fixed(left)) \(fixed(top)) V\(fixed(height - bottom)) H\(fixed(width - right))" fill="none" stroke="\(ink)"/>
            <text x="\(fixed(width / 2))" y="\(fixed(height - 15))" text-anchor="middle">\(isOverRuns ? "run" : "epoch or step")</text>

            """
        for (place, line) in lines.enumerated() {
            let (colour, dash) = Self.stroke(place, ink)
            let points = line.points.filter { $0.x.isFinite && $0.y.isFinite }
            if !isOverRuns, points.count > 1 {
                let path = Self.thinned(points).map { "\(x($0.x)),\(y($0.y))" }.joined(separator: " ")
                text += """
                    <polyline points="\(path)" fill="none" \(Self.paint("stroke", colour)) stroke-width="2" stroke-dasharray="\(dash)"/>

                    """
            }
            if points.count <= Self.mostMarks || isOverRuns {
                for point in points {
                    text +=
                        "<circle cx=\"\(x(point.x))\" cy=\"\(y(point.y))\" r=\"3\" \(Self.paint("fill", colour))/>\n"
                }
            }
        }
        for (place, title) in entries.enumerated() {
            let baseline = height + 14 + Double(place) * 18
            if isOverRuns {
                text +=
                    "<text x=\"\(fixed(left))\" y=\"\(fixed(baseline))\">\(place + 1)  \(Self.shown(title))</text>\n"
            } else {
                let (colour, dash) = Self.stroke(place, ink)
                text += """
                    <line x1="\(fixed(left))" x2="\(fixed(left + 30))" y1="\(fixed(baseline - 4))" y2="\(fixed(baseline - 4))" \
                    \(Self.paint("stroke", colour)) stroke-width="2" stroke-dasharray="\(dash)"/>
                    <text x="\(fixed(left + 40))" y="\(fixed(baseline))">\(Self.shown(title))</text>

                    """
            }
        }
        return text + "</svg>\n"
    }

    /// For who does not see it: the curves' ends.
    private var words: String {
        let ends = lines.prefix(20).map { line in
            let last = line.points.last.map { ShownText.number($0.y) } ?? "nothing"
            return lines.count == 1 && !isOverRuns ? "last \(last)" : "\(line.title) \(last)"
        }
        return isOverRuns ? "\(name) of \(titles.count) runs" : "\(name): " + ends.joined(separator: ", ")
    }

    /// On a page a colour is that page's: there are others where it is dark.
    private static func stroke(_ place: Int, _ ink: String) -> (colour: String, dash: String) {
        let number = place % (colours.count + 1)
        let dash = dashes[place / (colours.count + 1) % dashes.count]
        guard number < colours.count else { return (ink, dash) }
        return (ink == "currentColor" ? "var(--curve\(number))" : colours[number], dash)
    }

    /// What a style sheet knows is no attribute's value.
    private static func paint(_ what: String, _ colour: String) -> String {
        colour.hasPrefix("var") ? "style=\"\(what):\(colour)\"" : "\(what)=\"\(colour)\""
    }

    /// The style of a page that has such pictures.
    static let pageStyle: String = {
        func all(_ colours: [String]) -> String {
            colours.enumerated().map { "--curve\($0):\($1)" }.joined(separator: ";")
        }
        return ":root{\(all(colours))} @media (prefers-color-scheme:dark){:root{\(all(darkColours))}}"
    }()

    /// The same on dark.
    private static let darkColours = ["#56B4E9", "#FF7F3F", "#2BC49A", "#E29BC3", "#F2B84B", "#F0E442"]
    /// So many curves are told apart by colour and stroke.
    public static let mostCurves = 28
    /// A curve has a mark at each point, where there are no more.
    private static let mostMarks = 60
    /// A curve has no more points than its picture has room for.
    private static let mostPoints = 1600

    /// The lowest and the highest of each part of a long curve.
    private static func thinned(_ points: [(x: Double, y: Double)]) -> [(x: Double, y: Double)] {
        guard points.count > mostPoints else { return points }
        let length = (2 * points.count + mostPoints - 1) / mostPoints
        return stride(from: 0, to: points.count, by: length).flatMap { begin in
            let part = points[begin..<min(points.count, begin + length)]
            let low = part.indices.min { part[$0].y < part[$1].y } ?? begin
            let high = part.indices.max { part[$0].y < part[$1].y } ?? begin
            return (low == high ? [low] : [low, high].sorted()).map { points[$0] }
        }
    }

    private func fixed(_ number: Double) -> String { ShownText.number((number * 10).rounded() / 10) }

    private static func shown(_ text: String) -> String { ShownText.markup(ShownText.printable(text)) }

    // MARK: - On a terminal

    private static let marks = Array("*o+x#@%&")

    /// With characters; below it says which is which.
    ///
    /// - Parameters: in characters and lines.
    public func text(width: Int, height: Int) -> String {
        let labels = ys.ticks.map { ShownText.number($0) }
        let margin = (labels.map(\.count).max() ?? 1) + 2
        let columns = max(10, width - margin - 1)
        var grid = Array(repeating: Array(repeating: Character(" "), count: columns), count: height)
        func row(_ value: Double) -> Int { height - 1 - Int((ys.share(value) * Double(height - 1)).rounded()) }
        for (place, line) in lines.enumerated() {
            for point in line.points where point.x.isFinite && point.y.isFinite {
                let column = Int((xs.share(point.x) * Double(columns - 1)).rounded())
                grid[row(point.y)][column] = Self.marks[place % Self.marks.count]
            }
        }
        var heads = Array(repeating: "", count: height)
        for (tick, label) in zip(ys.ticks, labels) { heads[row(tick)] = label }
        var text = ShownText.printable(name) + "\n"
        for (head, cells) in zip(heads, grid) {
            var line = String(repeating: " ", count: margin - 1 - head.count) + head + " |" + String(cells)
            while line.last == " " { line.removeLast() }
            text += line + "\n"
        }
        text += String(repeating: " ", count: margin) + "+" + String(repeating: "-", count: columns) + "\n"
        let (first, last) = (ShownText.number(xs.low), ShownText.number(xs.high))
        let gap = max(1, columns - first.count - last.count)
        text += String(repeating: " ", count: margin + 1) + first + String(repeating: " ", count: gap) + last + "\n"
        for (place, title) in (isOverRuns ? titles : lines.map(\.title)).enumerated() {
            let mark = isOverRuns ? "\(place + 1)" : String(Self.marks[place % Self.marks.count])
            text += "  \(mark)  \(ShownText.printable(title))\n"
        }
        return text
    }
}

/// Numbers along an axis.
struct PlotScale {
    let (low, high): (Double, Double)
    /// Round numbers between them.
    let ticks: [Double]

    private static let wanted = 6.0

    init(_ values: [Double]) {
        var (low, high) = (values.min() ?? 0, values.max() ?? 1)
        if low == high {
            let room = low == 0 ? 1 : abs(low) * 0.1
            (low, high) = (low - room, high + room)
        }
        let span = high - low
        guard span.isFinite, span > 0 else {
            (self.low, self.high, ticks) = (low, high, [low, high])
            return
        }
        // 1, 2 or 5 times a power of ten.
        let power = pow(10, floor(log10(span / Self.wanted)))
        let step = [1, 2, 5, 10].map { $0 * power }.first { span / $0 <= Self.wanted } ?? power * 10
        var ticks: [Double] = []
        var next = (low / step).rounded(.up)
        while next * step <= high + step * 1e-9, ticks.count < 20 {
            ticks.append(next == 0 ? 0 : next * step)
            next += 1
        }
        (self.low, self.high, self.ticks) = (low, high, ticks)
    }

    /// How far along the axis, from 0 to 1.
    func share(_ value: Double) -> Double {
        // In halves: the whole span may be more than a number holds.
        let share = (value / 2 - low / 2) / (high / 2 - low / 2)
        return share.isFinite ? min(1, max(0, share)) : 0
    }
}
