internal import FoundationEssentials
internal import GRDB
internal import GRDBSQLite

/// A statement that is run for very many rows: its values are bound one after the other, and none of them is boxed (GRDB's are).
///
/// sqlite3_bind_*(), sqlite3_step(), https://www.sqlite.org/c3ref/stmt.html
struct RowStatement {
    private let database: Database
    private let statement: Statement

    init(_ database: Database, _ sql: String) throws {
        (self.database, statement) = (database, try database.makeStatement(sql: sql))
    }

    /// Runs it for a row.
    ///
    /// - Parameter bind: binds the values, in the order of the statement's marks.
    /// - Returns: the first column of the first row that it has, as a number; nil where there is none.
    @discardableResult
    func run(_ bind: (inout RowBinding) throws -> Void) throws -> Int64? {
        let raw = statement.sqliteStatement
        defer {
            sqlite3_reset(raw)
            sqlite3_clear_bindings(raw)
        }
        var binding = RowBinding(raw)
        try bind(&binding)
        guard binding.code == SQLITE_OK else { throw failure(binding.code) }
        switch sqlite3_step(raw) {
        case SQLITE_DONE: return nil
        case SQLITE_ROW: return sqlite3_column_type(raw, 0) == SQLITE_NULL ? nil : sqlite3_column_int64(raw, 0)
        case let code: throw failure(code)
        }
    }

    private func failure(_ code: CInt) -> DatabaseError {
        let message = database.sqliteConnection.flatMap { sqlite3_errmsg($0) }.map { String(cString: $0) }
        return DatabaseError(resultCode: ResultCode(rawValue: code), message: message)
    }
}

/// Values that are bound to a statement's marks.
struct RowBinding {
    private let raw: OpaquePointer
    private var place: CInt = 0
    fileprivate private(set) var code = SQLITE_OK

    fileprivate init(_ raw: OpaquePointer) { self.raw = raw }

    private mutating func next(_ bind: (OpaquePointer, CInt) -> CInt) {
        place += 1
        guard code == SQLITE_OK else { return }
        code = bind(raw, place)
    }

    mutating func add(_ number: Int64?) {
        next { raw, place in number.map { sqlite3_bind_int64(raw, place, $0) } ?? sqlite3_bind_null(raw, place) }
    }

    mutating func add(_ number: Double?) {
        next { raw, place in number.map { sqlite3_bind_double(raw, place, $0) } ?? sqlite3_bind_null(raw, place) }
    }

    mutating func add(_ text: String?) {
        next { raw, place in
            guard var text else { return sqlite3_bind_null(raw, place) }
            return text.withUTF8 { bytes in
                bytes.withMemoryRebound(to: CChar.self) { bytes in
                    guard let start = bytes.baseAddress else {
                        return sqlite3_bind_text(raw, place, "", 0, Self.copied)
                    }
                    return sqlite3_bind_text(raw, place, start, CInt(bytes.count), Self.copied)
                }
            }
        }
    }

    mutating func add(_ bytes: Data?) {
        next { raw, place in
            guard let bytes else { return sqlite3_bind_null(raw, place) }
            return bytes.withUnsafeBytes { bytes in
                guard let start = bytes.baseAddress else { return sqlite3_bind_zeroblob(raw, place, 0) }
                return sqlite3_bind_blob(raw, place, start, CInt(bytes.count), Self.copied)
            }
        }
    }

    /// `SQLITE_TRANSIENT`: SQLite makes a copy.
    private static let copied = unsafeBitCast(-1, to: sqlite3_destructor_type.self)
}
