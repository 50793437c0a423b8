import ArtifactStore
import Catalog
import Queries

/// How many artifacts there are and how large they are, in one store or in several together, by a field.
struct StoresUsage {
    /// The largest first.
    private(set) var rows: [(value: CatalogValue, artifacts: Int64, bytes: Int64)] = []
    /// How many stores did not answer; each was told.
    private(set) var unanswered = 0

    /// - Parameter query: nil for what lies in sessions, whatever is known of it.
    init(_ places: [StorePlace], _ query: Query?, by field: Field) throws {
        // What asks a mount comes before the catalogs, which have threads.
        let places = places.filter(\.asksMount) + places.filter { !$0.asksMount }
        var sums: [CatalogValue: (artifacts: Int64, bytes: Int64)] = [:]
        // In the order of the one store, where there is only one.
        var order: [CatalogValue] = []
        for place in places {
            if place.shown != nil, place.isUnused, query != nil { continue }
            do {
                for row in try Self.rows(place, query, field) {
                    let value = Self.named(row.value, field, place)
                    if sums[value] == nil { order.append(value) }
                    let sum = sums[value] ?? (0, 0)
                    sums[value] = (sum.artifacts &+ row.artifacts, sum.bytes &+ row.bytes)
                }
            } catch let error where place.shown != nil {
                let failure = (error as? Failure) ?? (error as? StoreError).map { Failure($0) }
                guard let failure, failure.status != .usage else { throw error }
                place.complain("not asked: \(failure.text)")
                unanswered += 1
            }
        }
        rows = order.map { ($0, sums[$0]?.artifacts ?? 0, sums[$0]?.bytes ?? 0) }
        if places.count > 1 {
            rows.sort { ($0.bytes, $0.artifacts, $1.value.text) > ($1.bytes, $1.artifacts, $0.value.text) }
        }
    }

    private static func rows(
        _ place: StorePlace, _ query: Query?, _ field: Field
    ) throws -> [(value: CatalogValue, artifacts: Int64, bytes: Int64)] {
        guard let query else {
            // Of several none is gone into where its own directories can be read.
            let isRead = place.shown != nil && !place.asksMount
            return try SessionUsage(isRead ? StorePlace(mount: nil, store: place.store) : place).rows
        }
        var rows: [(value: CatalogValue, artifacts: Int64, bytes: Int64)] = []
        try place.asking { rows = try $0.groups(of: query, by: field) }
        return rows
    }

    /// Of several stores each has its own paths and sessions.
    private static func named(_ value: CatalogValue, _ field: Field, _ place: StorePlace) -> CatalogValue {
        guard [.path, .session].contains(field.name), case .text(let text) = value else { return value }
        return .text(place.named(text))
    }
}
