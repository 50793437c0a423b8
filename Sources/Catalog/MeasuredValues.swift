internal import ArtifactRecords

/// Named numbers and texts in JSON that people have written: what a run was given, and what it measured.
///
/// Objects within objects have names with dots. Of very many the first ones are known.
struct MeasuredValues {
    /// A number over the steps of a training.
    struct Series: Equatable {
        /// The numbers of the steps: the epochs where they are told, else 0, 1, 2 and so on.
        var steps: [Double] = []
        var values: [Double] = []
    }

    /// In the order in which they came.
    private(set) var names: [String] = []
    private(set) var series: [String: Series] = [:]
    private(set) var texts: [String: String] = [:]

    static let (mostNames, mostSteps, mostDepth, longest) = (1000, 100_000, 8, 1024)

    /// Members that number the steps, in the order in which they are looked for.
    private static let counters = ["epoch", "step", "global_step", "iteration"]

    /// Whether a name is of the steps themselves.
    static func countsSteps(_ name: String) -> Bool {
        counters.contains { name == $0 || name.utf8.reversed().starts(with: ("." + $0).utf8.reversed()) }
    }

    init() {}

    init(_ value: JSONValue) { add(value, "", 0) }

    /// What a file of metrics has; nil where it is none.
    init?(of bytes: [UInt8], _ format: String?) {
        if format == ".jsonl" {
            self.init(lines: bytes.split(separator: UInt8(ascii: "\n")).compactMap { JSONValue(parsingWithNaN: $0) })
        } else if let value = JSONValue(parsingWithNaN: bytes) {
            self.init(value)
        } else {
            return nil
        }
    }

    /// JSON Lines: a value a line.
    init(lines: [JSONValue]) { add(.array(lines), "", 0) }

    private mutating func isKnown(_ name: String) -> Bool {
        if series[name] != nil || texts[name] != nil { return true }
        guard names.count < Self.mostNames, name.utf8.count <= Self.longest else { return false }
        names.append(name)
        return true
    }

    private mutating func add(_ number: Double, _ name: String, at step: Double?) {
        guard !name.isEmpty, isKnown(name) else { return }
        let count = series[name]?.values.count ?? 0
        guard count < Self.mostSteps else { return }
        series[name, default: Series()].values.append(number)
        series[name]?.steps.append(step ?? Double(count))
    }

    private mutating func add(_ value: JSONValue, _ name: String, _ depth: Int, at step: Double? = nil) {
        switch value {
        case .integer(let number): add(Double(number), name, at: step)
        case .number(let number): add(number, name, at: step)
        case .bool(let flag): add(flag ? "true" : "false", name)
        case .string(let text): add(text, name)
        // What is no number stands there as null, where programs keep to JSON.
        case .null: if step != nil || series[name] != nil { add(.nan, name, at: step) }
        case .object(let object):
            guard depth < Self.mostDepth else { return }
            for member in object.members {
                let inner = name.isEmpty ? member.key : name + "." + member.key
                add(member.value, inner, depth + 1, at: step)
            }
        case .array(let values):
            guard depth < Self.mostDepth else { return }
            for value in values.prefix(Self.mostSteps) {
                switch value {
                case .object(let object):
                    let counter = Self.counters.lazy.compactMap { object[$0].flatMap(Self.number) }.first
                    add(value, name, depth + 1, at: counter)
                case .array: return
                default:
                    guard let number = Self.number(value) else { return add(JSONValue.array(values).description, name) }
                    add(number, name, at: nil)
                }
            }
        }
    }

    private mutating func add(_ text: String, _ name: String) {
        guard !name.isEmpty, isKnown(name) else { return }
        texts[name] =
            text.utf8.count <= Self.longest ? text : String(decoding: text.utf8.prefix(Self.longest), as: UTF8.self)
    }

    private static func number(_ value: JSONValue) -> Double? {
        switch value {
        case .integer(let number): Double(number)
        case .number(let number): number
        case .null: .nan
        default: nil
        }
    }
}
