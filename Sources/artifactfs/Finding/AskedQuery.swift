import ArtifactRecords
import Queries

/// What somebody asks of a catalog.
struct AskedQuery {
    let subject: QuerySubject
    let query: Query
    let columns: [Field]
    let order: [(field: Field, isDescending: Bool)]

    init(_ text: String, _ subject: QuerySubject, columns: String?, sort: String?) throws {
        self.subject = subject
        let asked: Query
        do throws(QueryError) {
            asked = try Query(text, of: subject, QueryCalendar.local())
        } catch {
            throw Failure(.usage, "the query is wrong \(error)", excerpt: (text, error.place, error.length))
        }
        let hasState = asked.fields.contains { $0.name == .state }
        let isSealed = Query.field(Field(.state), .compare(.equal, .text(ArtifactRecord.State.sealed.rawValue)))
        query = subject == .runs || hasState ? asked : asked == .all ? isSealed : .and([isSealed, asked])
        self.columns =
            try columns.map { try Self.list($0, subject, "--columns").map(\.field) } ?? Self.usual(subject, asked)
        order = try sort.map { try Self.list($0, subject, "--sort").map { ($0.field, $0.isTurned) } } ?? []
    }

    /// The same of another query.
    init(_ asked: AskedQuery, _ query: Query) {
        (subject, self.query, columns, order) = (asked.subject, query, asked.columns, asked.order)
    }

    /// What is shown when nobody says what, with what was asked for by name.
    private static func usual(_ subject: QuerySubject, _ query: Query) -> [Field] {
        var fields: [Field] =
            switch subject {
            case .artifacts: [Field(.path), Field(.size), Field(.rows), Field(.sealed), Field(.user)]
            case .runs:
                [
                    Field(.run), Field(.experiment), Field(.begun), Field(.seconds), Field(.state), Field(.user),
                    Field(.made),
                ]
            }
        for field in query.fields where [.metric, .param, .state].contains(field.name) && !fields.contains(field) {
            fields.append(field)
        }
        return fields
    }

    private static func list(
        _ text: String, _ subject: QuerySubject, _ option: String
    ) throws -> [(field: Field, isTurned: Bool)] {
        let list: [(field: Field, isTurned: Bool)]
        do throws(QueryError) { list = try Field.list(text, of: subject) } catch {
            throw Failure(.usage, "\(option): \(error.problem)")
        }
        guard !list.isEmpty else { throw Failure(.usage, "\(option) names no field") }
        return list
    }
}
