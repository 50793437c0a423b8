internal import GRDB
internal import Queries

/// What a question finds, a row at a time; only within ``Catalog/withFound(_:_:columns:order:limit:wanted:_:)``.
public final class FoundRows {
    private let rows: RowCursor
    private let columns: [Field]
    private let database: Database
    private let place: String

    init(_ rows: RowCursor, _ columns: [Field], _ database: Database, _ place: String) {
        (self.rows, self.columns, self.database, self.place) = (rows, columns, database, place)
    }

    /// The values of the next row, in the order of the columns; nil after the last.
    ///
    /// - Throws: `CatalogError` where SQLite cannot answer.
    public func next() throws -> [CatalogValue]? {
        do {
            guard let row = try rows.next() else { return nil }
            var values: [CatalogValue] = []
            values.reserveCapacity(columns.count)
            for (place, column) in columns.enumerated() { values.append(CatalogValue(row[place], column)) }
            return values
        } catch let error as DatabaseError { throw CatalogError(error, in: place) }
    }

    /// Gives back the memory that finding the first row took, as far as the further ones do not need it.
    public func shrink() throws {
        do { try database.execute(sql: "PRAGMA shrink_memory") } catch let error as DatabaseError {
            throw CatalogError(error, in: place)
        }
    }
}
