public import Queries

/// What a query finds, and the fields in which it is asked.
public struct FoundView: Sendable {
    /// A query that is wrong.
    public struct QueryProblem: Sendable {
        let text: String
        let excerpt: String?
        let place: Int
        let length: Int

        /// What is wrong.
        ///
        /// - Parameters:
        ///   - excerpt: the text that is at fault; `place` and `length` say where, in characters.
        public init(_ text: String, excerpt: String? = nil, place: Int = 0, length: Int = 0) {
            (self.text, self.excerpt, self.place, self.length) = (text, excerpt, place, length)
        }

        /// As a page says it.
        public var markup: Markup {
            guard let excerpt, excerpt.unicodeScalars.count < 2_000 else {
                return "<div class=\"problem\" role=\"alert\"><p>\(text)</p></div>"
            }
            let marks = String(repeating: " ", count: place) + String(repeating: "^", count: max(1, min(length, 200)))
            return """
                <div class="problem" role="alert"><p>\(text)</p><pre>\(excerpt)
                \(marks)</pre></div>
                """
        }
    }

    private let subject: QuerySubject
    private let target: PageTarget
    private let table: FoundTable?
    private let order: [(field: Field, isDescending: Bool)]
    private let from: Int
    private let hasMore: Bool
    private let problem: QueryProblem?

    /// So many rows are on a page.
    public static let rowsOfPage = 200

    /// What was found.
    ///
    /// - Parameters:
    ///   - target: what was asked for; `q` is the query, `columns`, `sort` and `from` say what is shown of it.
    ///   - table: nil where it could not be asked.
    ///   - from: how many rows stand on pages before this one.
    public init(
        _ subject: QuerySubject, _ target: PageTarget, _ table: FoundTable?,
        order: [(field: Field, isDescending: Bool)], from: Int, hasMore: Bool, problem: QueryProblem? = nil
    ) {
        (self.subject, self.target, self.table, self.order) = (subject, target, table, order)
        (self.from, self.hasMore, self.problem) = (from, hasMore, problem)
    }

    /// The page.
    public var frame: PageFrame {
        let isRuns = subject == .runs
        let example =
            isRuns ? "experiment = splice and metric.auc > 0.9" : "type = meta_models sealed since \"last month\""
        var content: Markup = """
            <form action="\(target.path)" method="get" role="search">
            <label class="grow">Query<input type="text" name="q" value="\(target["q"] ?? "")" placeholder="\(example)"
            autocomplete="off" spellcheck="false"></label>
            <label class="grow">Columns<input type="text" name="columns" value="\(target["columns"] ?? "")"
            placeholder="\(table.map { $0.columns.map(\.text).joined(separator: ", ") } ?? "")" autocomplete="off" spellcheck="false"></label>
            \(target["sort"].map { "<input type=\"hidden\" name=\"sort\" value=\"\($0)\">" } ?? .none)<button>Find</button></form>

            """
        if let problem { content += problem.markup }
        guard let table else {
            return PageFrame(isRuns ? "Runs" : "Artifacts", in: isRuns ? .runs : .artifacts, content)
        }
        if table.rows.isEmpty {
            let first: Markup = from > 0 ? " <a href=\"\(target.with("from", nil).text)\">From the first</a>" : .none
            content += "<p class=\"note\">Nothing was found\(from > 0 ? " from here on." : ".")\(first)</p>"
        } else {
            let numbers = "\(from + 1) to \(from + table.rows.count)"
            content += "<p class=\"note\">\(hasMore || from > 0 ? numbers : "\(table.rows.count) found")\(pages)</p>"
        }
        let isChosen = isRuns && table.columns.contains { $0.name == .run }
        let whole = table.table(
            .served, named: isRuns ? "Runs" : "Artifacts", sorting: sorting, choice: isChosen ? "run" : nil)
        if isChosen, !table.rows.isEmpty {
            content +=
                "<form action=\"/compare\" method=\"get\"><button>Compare those that are marked</button>\(whole)</form>"
        } else if !table.rows.isEmpty {
            content += whole
        }
        return PageFrame(isRuns ? "Runs" : "Artifacts", in: isRuns ? .runs : .artifacts, content)
    }

    private var pages: Markup {
        var links: Markup = .none
        if from > 0 {
            let before = max(0, from - Self.rowsOfPage)
            links += ", <a href=\"\(target.with("from", before == 0 ? nil : "\(before)").text)\">those before</a>"
        }
        if hasMore {
            links += ", <a href=\"\(target.with("from", "\(from + Self.rowsOfPage)").text)\">more</a>"
        }
        return links
    }

    private func sorting(_ field: Field) -> (target: PageTarget, isDescending: Bool?) {
        let now = order.first.flatMap { $0.field == field ? $0.isDescending : nil }
        let next = now == false ? "-" + field.text : field.text
        return (target.with("sort", next).with("from", nil), now)
    }
}
