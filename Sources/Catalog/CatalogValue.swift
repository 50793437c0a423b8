public import ArtifactRecords
internal import FoundationEssentials
internal import Glibc
internal import GRDB
public import Queries

/// What a catalog tells of something.
public enum CatalogValue: Sendable, Hashable {
    /// Nobody knows.
    case unknown
    case text(String)
    case integer(Int64)
    case number(Double)
    /// In nanoseconds since 1970.
    case time(Int64)
    case flag(Bool)

    init(_ value: DatabaseValue, _ field: Field) {
        switch value.storage {
        case .null: self = .unknown
        case .int64(let number):
            switch field.kind {
            case .time: self = .time(number)
            case .flag: self = .flag(number != 0)
            default: self = .integer(number)
            }
        case .double(let number): self = .number(number)
        case .string(let text): self = .text(text)
        case .blob(let data): self = .text(MessageDigest.hexadecimal(data))
        }
    }

    /// As text for programs; empty for what is not known.
    public var text: String {
        switch self {
        case .unknown: ""
        case .text(let text): text
        case .integer(let number): "\(number)"
        case .number(let number): Self.short(number)
        case .time(let time): Self.rfc3339(time)
        case .flag(let flag): flag ? "yes" : "no"
        }
    }

    /// As JSON; nil for what is not known.
    public var json: JSONValue? {
        switch self {
        case .unknown: nil
        case .text(let text): .string(text)
        case .integer(let number): .integer(number)
        case .number(let number): number.isFinite ? .number(number) : .string("\(number)")
        case .time(let time): .string(Self.rfc3339(time))
        case .flag(let flag): .bool(flag)
        }
    }

    /// For people; nil for what is not known. Times are local, and of long numbers six digits are told; of parameters all.
    ///
    /// - Parameter field: what it is of: sizes have units, and of hashes the beginning is told.
    public func shown(as field: Field? = nil) -> String? {
        switch (self, field?.kind) {
        case (.unknown, _): nil
        case (.integer(let size), .size?): ShownText.bytes(size)
        case (.number(let number), _): field?.name == .param ? text : ShownText.number(number)
        case (.time(let time), _): ShownText.localTime(time)
        case (.text(let hash), .hash?): String(hash.prefix(12))
        default: text
        }
    }

    private static func short(_ number: Double) -> String {
        let isWhole = number == number.rounded() && abs(number) < 1e15
        return isWhole ? "\(Int64(number))" : "\(number)"
    }

    private static func rfc3339(_ time: Int64) -> String {
        let (seconds, rest) = time.quotientAndRemainder(dividingBy: 1_000_000_000)
        let isBefore = rest < 0
        return TimeText.rfc3339(
            timespec(
                tv_sec: Int(isBefore ? seconds - 1 : seconds), tv_nsec: Int(isBefore ? rest + 1_000_000_000 : rest)))
    }
}
