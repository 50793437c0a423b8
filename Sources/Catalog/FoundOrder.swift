public import Queries

/// The order in which ``Catalog/find(_:_:columns:order:limit:wanted:_:)`` finds artifacts, for those who put together what several catalogs
/// find.
public struct FoundOrder: Sendable {
    /// What has to be known of each: what is sorted by, then when it was sealed.
    public let fields: [Field]
    private let isDescending: [Bool]

    /// - Parameter order: by which field, and whether the greatest come first.
    public init(_ order: [(field: Field, isDescending: Bool)]) {
        fields = order.map(\.field) + [Field(.sealed)]
        isDescending = order.map(\.isDescending) + [true]
    }

    /// Whether one comes before another.
    ///
    /// - Parameters:
    ///   - one: the values of `fields`.
    ///   - other: those of the other.
    public func isBefore(_ one: some Collection<CatalogValue>, _ other: some Collection<CatalogValue>) -> Bool {
        for ((one, other), isDescending) in zip(zip(one, other), isDescending) where one != other {
            // What is not known comes last.
            if one == .unknown { return false }
            if other == .unknown { return true }
            if Self.isLess(one, other) { return !isDescending }
            if Self.isLess(other, one) { return isDescending }
        }
        return false
    }

    /// As SQLite compares: numbers are less than texts, and texts are compared byte by byte.
    private static func isLess(_ one: CatalogValue, _ other: CatalogValue) -> Bool {
        switch (one.whole, other.whole) {
        case (let one?, let other?): one < other
        default:
            switch (one.measure, other.measure) {
            case (let one?, let other?): one < other
            case (_?, nil): true
            case (nil, _?): false
            case (nil, nil): one.text.utf8.lexicographicallyPrecedes(other.text.utf8)
            }
        }
    }
}

extension CatalogValue {
    fileprivate var whole: Int64? {
        switch self {
        case .integer(let number), .time(let number): number
        case .flag(let flag): flag ? 1 : 0
        case .unknown, .text, .number: nil
        }
    }

    fileprivate var measure: Double? {
        if case .number(let number) = self { return number }
        return whole.map { Double($0) }
    }
}
