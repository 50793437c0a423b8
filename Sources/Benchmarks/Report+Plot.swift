import ArtifactRecords
import Glibc

extension Report {
    /// The ratios to the first target as bars on a logarithmic axis, with the rounds' spread as a line, in SVG.
    func plot() -> String {
        let colors = ["#4477aa", "#ee6677", "#228833", "#ccbb44", "#66ccee", "#aa3377", "#bbbbbb"]
        let others = Array(targets.dropFirst())
        let left = 170.0
        let width = 620.0
        let bar = 13.0
        let gap = 14.0
        let (low, high) = axis(others)
        func x(_ ratio: Double) -> Double {
            let clamped = min(max(ratio, low), high)
            return left + width * (log10(clamped) - log10(low)) / (log10(high) - log10(low))
        }
        func text(_ x: Double, _ y: Double, _ anchor: String, _ content: String, _ more: String = "") -> String {
            "<text x=\"\(Format.fixed(x, 1))\" y=\"\(Format.fixed(y, 1))\" text-anchor=\"\(anchor)\"\(more)>"
                + ShownText.markup(content) + "</text>\n"
        }
        func line(_ x1: Double, _ y1: Double, _ x2: Double, _ y2: Double, _ style: String) -> String {
            "<line x1=\"\(Format.fixed(x1, 1))\" y1=\"\(Format.fixed(y1, 1))\" x2=\"\(Format.fixed(x2, 1))\" "
                + "y2=\"\(Format.fixed(y2, 1))\" \(style)/>\n"
        }
        let top = 64.0
        var body = ""
        var y = top
        for workload in workloads {
            let present = others.enumerated().filter { row(workload, $0.element) != nil }
            if present.isEmpty { continue }
            let middle = y + bar * Double(present.count) / 2 + 4
            body += text(left - 10, middle, "end", workload)
            for (index, target) in present {
                guard let spread = ratio(workload, target, to: targets.first ?? "") else { continue }
                let color = colors[index % colors.count]
                body +=
                    "<rect x=\"\(Format.fixed(left, 1))\" y=\"\(Format.fixed(y + 1, 1))\" "
                    + "width=\"\(Format.fixed(max(0.5, x(spread.median) - left), 1))\" "
                    + "height=\"\(Format.fixed(bar - 2, 1))\" fill=\"\(color)\"/>\n"
                body += line(
                    x(spread.least), y + bar / 2, x(spread.most), y + bar / 2, "stroke=\"#222\" stroke-width=\"1.2\"")
                body += text(
                    x(max(spread.median, spread.most)) + 5, y + bar - 3, "start", Format.ratio(spread.median),
                    " font-size=\"10\"")
                y += bar
            }
            y += gap
        }
        var grid = ""
        for tick in [0.001, 0.003, 0.01, 0.03, 0.1, 0.3, 1, 3, 10] where tick >= low && tick <= high {
            let style = tick == 1 ? "stroke=\"#222\"" : "stroke=\"#ddd\""
            grid += line(x(tick), top - 8, x(tick), y, style)
            grid += text(x(tick), y + 14, "middle", tick == 1 ? "1 = \(targets.first ?? "native")" : "\(tick)")
        }
        var legend = ""
        var position = left
        for (index, target) in others.enumerated() {
            legend +=
                "<rect x=\"\(Format.fixed(position, 1))\" y=\"34\" width=\"11\" height=\"11\" "
                + "fill=\"\(colors[index % colors.count])\"/>\n"
            legend += text(position + 16, 44, "start", target)
            position += 34 + 7.2 * Double(target.count)
        }
        let height = Format.fixed(y + 26, 0)
        return
            "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 860 \(height)\" width=\"860\" height=\"\(height)\" "
            + "font-family=\"sans-serif\" font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n"
            + text(left, 20, "start", "Speed of each mount, native = 1 (median of rounds, line: least to most)")
            + legend + grid + body + "</svg>\n"
    }

    /// The axis' ends: a third of a decade beyond the bars, and native in it.
    private func axis(_ others: [String]) -> (Double, Double) {
        var low = 0.3
        var high = 2.0
        for workload in workloads {
            for target in others {
                guard let spread = ratio(workload, target, to: targets.first ?? ""), spread.least > 0 else { continue }
                low = min(low, spread.least / 2)
                high = max(high, spread.most * 1.5)
            }
        }
        return (max(low, 0.001), min(high, 20))
    }
}
