import ArtifactRecords
import Lineage

/// What differs between how two artifacts were made as a page for people, which fits 80 columns.
struct DifferencePage {
    private(set) var text = ""

    private static let width = 80
    private static let indent = 14
    /// Of two texts side by side.
    private static let column = 32

    init(_ difference: LineageDifference) {
        for (place, step) in difference.steps.enumerated() {
            let isQuiet = step.differences.isEmpty && step.inputs.isEmpty && !step.isOrigin
            if place > 0, isQuiet { continue }
            if place > 0 { text += "\n" }
            self.step(step, isFirst: place == 0, difference)
        }
        let origins = difference.steps.dropFirst().filter(\.isOrigin)
        if !origins.isEmpty {
            text += "\n"
            for step in origins {
                let what =
                    step.differences.map(\.what)
                    + step.inputs.filter { $0.isKnown && $0.step == nil }.map { _ in "inputs" }
                let words = Self.unique(what).joined(separator: ", ")
                paragraph("begins at", "\(step.one.title)\(words.isEmpty ? "" : ": \(words)")")
            }
        }
    }

    private mutating func step(_ step: LineageDifference.Step, isFirst: Bool, _ difference: LineageDifference) {
        if isFirst {
            paragraph("A", step.one.title)
            paragraph("B", step.other.title)
        } else {
            both("made from", step.one, step.other)
        }
        switch step.hasSameBytes {
        case true?: paragraph("bytes", "the same")
        case false?: paragraph("bytes", "not the same")
        case nil: paragraph("bytes", "it is not known whether they are the same")
        }
        for one in step.differences { row(one.what, one.one ?? "not known", one.other ?? "not known") }
        for input in step.inputs { self.input(input, difference) }
        let isAlike = step.differences.isEmpty && step.inputs.allSatisfy { !$0.isKnown }
        if isAlike {
            paragraph(
                "", "made alike, as far as is known" + (step.hasSameBytes == false ? ", and yet other bytes" : ""))
        }
        if !step.unknown.isEmpty { paragraph("not known", "of both: " + step.unknown.joined(separator: ", ")) }
    }

    private mutating func input(_ input: LineageDifference.InputDifference, _ difference: LineageDifference) {
        switch (input.one, input.other) {
        case (let one?, nil): paragraph("input", "only A: \(one.title)")
        case (nil, let other?): paragraph("input", "only B: \(other.title)")
        case (let one?, let other?):
            both("input", one, other)
            guard input.isKnown else {
                return paragraph("", "it is not known whether the bytes that were read are the same")
            }
            let isHashed = one.sha256 != nil && other.sha256 != nil
            let texts = [one, other].map { node in
                String((isHashed ? node.sha256 : node.modified ?? node.sha256)?.prefix(20) ?? "not known")
            }
            row(isHashed ? "  sha256" : "  changed", texts[0], texts[1])
        case (nil, nil): break
        }
    }

    /// Two files at the same place of two lineages, which mostly have one path.
    private mutating func both(_ name: String, _ one: LineageNode, _ other: LineageNode) {
        guard one.path.utf8.elementsEqual(other.path.utf8) else {
            paragraph(name, "A  \(one.title)")
            paragraph("", "B  \(other.title)")
            return
        }
        paragraph(name, one.path)
        if one.version != other.version {
            let texts = [one, other].map { $0.version.map { "\($0)" } ?? "not known" }
            row("  version", texts[0], texts[1])
        }
    }

    // MARK: - Lines

    private static func unique(_ words: [String]) -> [String] {
        var seen: Set<String> = []
        return words.filter { seen.insert($0).inserted }
    }

    private mutating func paragraph(_ name: String, _ words: String) {
        let label = Self.label(name)
        text += Terminal.folded(label + Terminal.printable(words), indent: Self.indent, at: Self.width) + "\n"
    }

    private static func label(_ name: String) -> String {
        let count = name.unicodeScalars.count
        return name + String(repeating: " ", count: max(1, indent - count))
    }

    /// Side by side where there is room, else one below the other.
    private mutating func row(_ what: String, _ one: String, _ other: String) {
        let (left, right) = (Terminal.printable(one), Terminal.printable(other))
        if what.unicodeScalars.count < Self.indent, left.unicodeScalars.count < Self.column,
            right.unicodeScalars.count < Self.column
        {
            let space = String(repeating: " ", count: Self.column - left.unicodeScalars.count)
            text += Self.label(what) + "\(left)\(space) \(right)\n"
        } else {
            if what.unicodeScalars.count >= Self.indent {
                text += Terminal.printable(what) + "\n"
                paragraph("", "A  \(Self.shortened(one))")
            } else {
                paragraph(what, "A  \(Self.shortened(one))")
            }
            paragraph("", "B  \(Self.shortened(other))")
        }
    }

    private static func shortened(_ text: String) -> String {
        text.unicodeScalars.count <= 600
            ? text : String(String.UnicodeScalarView(text.unicodeScalars.prefix(597))) + "..."
    }
}

extension Terminal {
    /// Lines that end between words, and in a word that is longer than a line.
    static func folded(_ text: String, indent: Int, at width: Int) -> String {
        var lines: [[Unicode.Scalar]] = []
        for line in wrapped(text, indent: indent, at: width).split(separator: "\n") {
            var rest = Array(line.unicodeScalars)
            while rest.last == " " { rest.removeLast() }
            while rest.count > width {
                lines.append(Array(rest.prefix(width)))
                rest = [Unicode.Scalar](repeating: " ", count: indent) + rest.dropFirst(width)
            }
            lines.append(rest)
        }
        return lines.map { String(String.UnicodeScalarView($0)) }.joined(separator: "\n")
    }
}
