/// Something that artifacts or runs are asked for, by the name that people write.
public struct Field: Sendable, Hashable {
    /// The name before the dot.
    public let name: FieldName
    /// Of ``FieldName/metric`` and ``FieldName/param`` which one; empty for all others.
    public let member: String
    /// Of a metric, which of its values.
    public let reading: MetricValue

    /// A field.
    public init(_ name: FieldName, _ member: String = "", _ reading: MetricValue = .last) {
        (self.name, self.member, self.reading) = (name, member, reading)
    }

    /// Which value of a metric that has one for each epoch or step.
    public enum MetricValue: String, Sendable, CaseIterable {
        case last, first, min, max
    }

    /// What its values are.
    public enum Kind: Sendable, Hashable {
        case text
        /// The beginning of one is enough.
        case hash
        case number
        /// Bytes, with units.
        case size
        case time
        /// yes or no.
        case flag
        /// A number, or a text.
        case any
    }

    /// What its values are.
    public var kind: Kind {
        switch name {
        case .version, .rows, .columns, .seconds, .status, .made, .metric: .number
        case .size: .size
        case .sealed, .opened, .left, .removed, .begun: .time
        case .dirty: .flag
        case .commit, .sha256: .hash
        case .param: .any
        default: .text
        }
    }

    /// As people write it.
    public var text: String {
        if member.isEmpty { return name.rawValue }
        let whole = "\(name.rawValue).\(QueryText.quoted(member))"
        return reading == .last ? whole : "\(reading.rawValue) \(member)"
    }
}

/// The names of all fields, in the order in which they are told.
public enum FieldName: String, Sendable, CaseIterable {
    /// The path on the mount.
    case path
    /// The file's name.
    case name
    /// The artifact's type, as the schema calls it.
    case type
    case layer
    case mode
    /// What stands for it besides its type.
    case key
    /// The key, where that is a chromosome.
    case chromosome
    /// The extension with its dot.
    case format
    /// Which version of its path, from 1.
    case version
    case session
    case test
    case run
    case experiment
    case user
    case host
    case program
    case command
    case commit
    /// Whether files under version control differed from the commit.
    case dirty
    /// In bytes.
    case size
    /// The rows of a table.
    case rows
    /// The columns of a table.
    case columns
    /// When it was sealed.
    case sealed
    /// When its first writer opened it.
    case opened
    /// When it was superseded or retracted.
    case left
    /// When its bytes were removed to make room.
    case removed
    case state
    case sha256
    case note
    /// What it was made from.
    case input
    /// When a run began.
    case begun
    /// How long a run took, in seconds.
    case seconds
    /// A run's exit status.
    case status
    /// How many artifacts a run has made.
    case made
    /// A number that a run measured: `metric.NAME`.
    case metric
    /// What a run was given: `param.NAME`.
    case param
}

/// What is looked for.
public enum QuerySubject: String, Sendable, CaseIterable {
    case artifacts
    case runs

    /// What can be asked of it.
    public var fields: [FieldName] {
        switch self {
        case .artifacts:
            FieldName.allCases.filter { ![.begun, .seconds, .status, .made].contains($0) }
        case .runs:
            [
                .run, .experiment, .user, .host, .session, .command, .commit, .dirty, .begun, .seconds, .status, .state,
                .made, .note, .input, .metric, .param,
            ]
        }
    }
}
