import ArtifactStore
import Catalog
import Queries

/// What a query finds in one store, or in several in one order. Of each a row is held; all else stays in the catalogs.
final class StoresSearch {
    private struct Head {
        let source: Int
        let row: [CatalogValue]
    }

    private let places: [StorePlace]
    private let asked: AskedQuery
    private let columns: [Field]
    private let order: FoundOrder
    /// The next row of each store, the first to come last.
    private var heads: [Head] = []
    private var rows: [Int: FoundRows] = [:]
    private var files: [Int: ShownFiles] = [:]
    /// How many stores did not answer, or not to the end; each was told.
    private(set) var unanswered = 0

    /// - Parameter columns: what is told of each.
    init(_ places: [StorePlace], _ asked: AskedQuery, columns: [Field]) {
        (self.asked, self.columns) = (asked, columns)
        // What asks a mount comes before the catalogs, which have threads.
        let used = places.count > 1 ? places.filter { !$0.isUnused } : places
        self.places = used.filter(\.asksMount) + used.filter { !$0.asksMount }
        order = FoundOrder(asked.order)
    }

    private var isOfSeveral: Bool { places.contains { $0.shown != nil } }

    /// - Parameters:
    ///   - wanted: about so many are wanted, and `body` ends it.
    ///   - begin: called before the first row; again where a catalog was found damaged, and was made anew.
    ///   - body: called with each row and the files of its store; false ends it.
    func run(wanted: Int?, begin: () throws -> Void, _ body: (ShownFiles, [CatalogValue]) throws -> Bool) throws {
        // Each catalog has some.
        if places.count > 1 { Serve.raiseDescriptorLimit() }
        try ask(0, wanted) {
            try begin()
            try merge(body)
        }
    }

    /// Asks a store and those after it, and goes on while the catalogs of all are open.
    private func ask(_ index: Int, _ wanted: Int?, _ goOn: () throws -> Void) throws {
        guard index < places.count else { return try goOn() }
        var isOpen = false
        do {
            files[index] = ShownFiles(places[index], try places[index].schema())
            try places[index].asking { catalog in
                (heads, rows[index]) = (heads.filter { $0.source != index }, nil)
                try catalog.withFound(
                    asked.query, asked.subject, columns: columns + order.fields, order: asked.order, wanted: wanted
                ) { found in
                    guard let first = try found.next() else { return }
                    if isOfSeveral { try found.shrink() }
                    rows[index] = found
                    insert(Head(source: index, row: first))
                    isOpen = true
                    defer { rows[index] = nil }
                    try ask(index + 1, wanted, goOn)
                }
            }
        } catch let error where !isOpen && isOfSeveral {
            try leaveOut(index, error)
        }
        if !isOpen { try ask(index + 1, wanted, goOn) }
    }

    /// - Throws: what is not of this store alone.
    private func leaveOut(_ index: Int, _ error: any Error) throws {
        let failure = (error as? Failure) ?? (error as? StoreError).map { Failure($0) }
        guard let failure, failure.status != .usage else { throw error }
        places[index].complain("not asked: \(failure.text)")
        unanswered += 1
    }

    private func merge(_ body: (ShownFiles, [CatalogValue]) throws -> Bool) throws {
        while let head = heads.popLast() {
            guard let files = files[head.source] else { continue }
            guard try body(files, Array(head.row.prefix(columns.count))) else { return }
            do {
                if let next = try rows[head.source]?.next() { insert(Head(source: head.source, row: next)) }
            } catch let error as CatalogError where isOfSeveral {
                places[head.source].complain("not all of it was found: \(error)")
                unanswered += 1
            }
        }
    }

    private func insert(_ head: Head) {
        var (low, high) = (0, heads.count)
        while low < high {
            let middle = (low + high) / 2
            if isBefore(head, heads[middle]) { low = middle + 1 } else { high = middle }
        }
        heads.insert(head, at: low)
    }

    private func isBefore(_ one: Head, _ other: Head) -> Bool {
        let (values, others) = (key(one), key(other))
        if order.isBefore(values, others) { return true }
        return !order.isBefore(others, values) && places[one.source].path < places[other.source].path
    }

    /// What a row is sorted by: paths as they are told.
    private func key(_ head: Head) -> [CatalogValue] {
        let place = places[head.source]
        return zip(order.fields, head.row.dropFirst(columns.count)).map { field, value in
            if field.name == .path, case .text(let path) = value { .text(place.named(path)) } else { value }
        }
    }
}
