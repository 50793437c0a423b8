import ArtifactRecords
import ArtifactStore
import ArtifactWeb
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls

/// Makes the pages of a store, as its user sees it.
struct PageMaker {
    let place: StorePlace
    let schema: ArtifactSchema

    init(_ place: StorePlace) throws { (self.place, schema) = (place, try place.schema()) }

    /// What is asked for. What goes wrong is a page too.
    func make(_ target: PageTarget) -> MadePage {
        do {
            switch target.path {
            case "/": return page(try inventory().frame)
            case "/artifacts": return try found(.artifacts, target)
            case "/runs": return try found(.runs, target)
            case "/run": return page(try run(target).frame)
            case "/compare": return page(try comparison(target).frame)
            case "/artifact": return page(try ArtifactPages(self).artifact(target).frame)
            case "/kept": return page(try kept().frame)
            case "/image": return try ShownImages(self).image(target)
            default:
                return problem(404, "Not found", FoundView.QueryProblem("there is no page \(target.path)"), in: nil)
            }
        } catch let failure as Failure {
            let isMissing = failure.status == .cannotAnswer
            return problem(isMissing ? 404 : 500, isMissing ? "Not found" : "Trouble", .init(failure), in: nil)
        } catch let error as StoreError {
            return problem(500, "Trouble", FoundView.QueryProblem(error.description), in: nil)
        } catch {
            return problem(500, "Trouble", FoundView.QueryProblem("\(error)"), in: nil)
        }
    }

    private func page(_ frame: PageFrame, status: Int = 200) -> MadePage {
        MadePage(status: status, html: frame.served(store: place.path, date: Self.now))
    }

    private func problem(_ status: Int, _ title: String, _ problem: FoundView.QueryProblem, in part: PageFrame.Place?)
        -> MadePage
    {
        page(PageFrame(title, in: part, problem.markup), status: status)
    }

    static var now: String {
        let clock = Clock.now()
        return ShownText.localTime(Int64(clock.tv_sec) * 1_000_000_000) + " (local time)"
    }

    // MARK: - Pages

    func inventory() throws -> InventoryView {
        let listed = try ListedPlace(place.path, mayCount: true)
        var sums: [(name: String, value: String)] = []
        try place.asking { catalog in
            let all = try catalog.inventory()
            let runs = try catalog.count(.all, .runs)
            sums = [
                ("sealed artifacts", "\(all.reduce(0) { $0 &+ $1.artifacts })"),
                ("size of all", ShownText.bytes(all.reduce(0) { $0 &+ $1.bytes })), ("runs", "\(runs)"),
                ("kept back", "\(listed.keptBack)"),
            ]
        }
        return InventoryView(listed.inventory, sums: sums)
    }

    private func found(_ subject: QuerySubject, _ target: PageTarget) throws -> MadePage {
        let from = max(0, target["from"].flatMap { Int($0) } ?? 0)
        do {
            let asked = try AskedQuery(
                target["q"] ?? "", subject, columns: target["columns"], sort: target["sort"])
            var (table, hasMore) = (FoundTable(columns: asked.columns, rows: []), false)
            try place.asking { catalog in
                (table, hasMore) = try rows(of: asked, catalog, from: from, widens: target["columns"] == nil)
            }
            return page(FoundView(subject, target, table, order: asked.order, from: from, hasMore: hasMore).frame)
        } catch let failure as Failure where failure.status == .usage {
            let view = FoundView(subject, target, nil, order: [], from: 0, hasMore: false, problem: .init(failure))
            return page(view.frame, status: 400)
        }
    }

    /// - Parameter widens: whether parameters and metrics are shown that most of the runs have.
    func rows(
        of asked: AskedQuery, _ catalog: Catalog, from: Int, most: Int = FoundView.rowsOfPage, widens: Bool
    ) throws -> (table: FoundTable, hasMore: Bool) {
        var columns = asked.columns
        let (end, isTooMuch) = from.addingReportingOverflow(most + 1)
        guard !isTooMuch else { return (FoundTable(columns: columns, rows: []), false) }
        func rows(_ columns: [Field]) throws -> [[CatalogValue]] {
            var (rows, place): ([[CatalogValue]], Int) = ([], 0)
            try catalog.find(asked.query, asked.subject, columns: columns, order: asked.order, limit: end) { row in
                place += 1
                if place > from { rows.append(row) }
                return true
            }
            return rows
        }
        if asked.subject == .runs, widens {
            let runs = try rows([Field(.run)]).map { $0[0].text }
            let (parameters, metrics) = try catalog.commonNames(of: runs, most: 4)
            for field in parameters.map({ Field(.param, $0) }) + metrics.map({ Field(.metric, $0) })
            where !columns.contains(field) {
                columns.append(field)
            }
        }
        let all = try rows(columns)
        return (FoundTable(columns: columns, rows: Array(all.prefix(most))), all.count > most)
    }

    private func run(_ target: PageTarget) throws -> RunView {
        guard let id = target["id"] else { throw Failure(.cannotAnswer, "the page /run is of a run: /run?id=ID") }
        var view: RunView?
        let images = ShownImages(self)
        // Only the catalog knows which session it is; its threads wait when a mount is asked (Patience).
        try place.asking { catalog in
            let named = try catalog.runs(named: id)
            guard let name = named.first else {
                throw Failure(.cannotAnswer, "no run is called \(id), or it is not yours to see")
            }
            guard named.count == 1 else {
                throw Failure(.cannotAnswer, "\(id) may be any of \(named.count) runs; give more of its id")
            }
            let facts = try place.withEnvironments(catalog.facts(of: [name]), catalog)
            guard let facts = facts.first else { throw Failure(.cannotAnswer, "no run is called \(id)") }
            let session = facts.values[.init(.time, "session")]?.text
            let (plots, notes) = try RunPlots.each(of: facts, catalog)
            view = RunView(
                facts, plots: plots, images: images.images(ofSession: session),
                log: images.log(of: name, session: session), notes: notes)
        }
        guard let view else { throw Failure(.cannotAnswer, "no run is called \(id)") }
        return view
    }

    private func comparison(_ target: PageTarget) throws -> ComparisonView {
        var seen: Set<String> = []
        let names = target.all("run").filter { seen.insert($0).inserted }
        guard names.count > 1 else {
            throw Failure(.cannotAnswer, "two runs or more are compared: mark different ones on the page of the runs")
        }
        var view: ComparisonView?
        try place.asking { catalog in
            let facts = try place.withEnvironments(catalog.facts(of: names), catalog)
            let known = Set(facts.map(\.run))
            if let missing = names.first(where: { !known.contains($0) }) {
                throw Failure(.cannotAnswer, "no run is called \(missing), or it is not yours to see")
            }
            view = ComparisonView(
                RunComparison(facts, all: target["all"] != nil), plots: try RunPlots.together(of: facts, catalog),
                target)
        }
        guard let view else { throw Failure(.cannotAnswer, "these runs are not known") }
        return view
    }

    private func kept() throws -> KeptView {
        let kept = try KeptPlace(place.path)
        let entries = try kept.entries()
        let shown = entries.suffix(KeptView.most).reversed().map { entry in
            KeptView.Entry(
                id: entry.id, path: entry.path, user: UserName.of(entry.owner), time: KeptPlace.time(of: entry),
                size: kept.size(of: entry), rule: entry.rule?.rawValue ?? "unknown",
                reason: entry.reason ?? KeptPlace.unknownReason,
                command: "artifactfs recover show \(kept.argument) \(entry.id)")
        }
        return KeptView(Array(shown), leftOut: entries.count - shown.count)
    }
}

extension FoundView.QueryProblem {
    init(_ failure: Failure) {
        self.init(
            failure.text, excerpt: failure.excerpt?.text, place: failure.excerpt?.place ?? 0,
            length: failure.excerpt?.length ?? 0)
    }
}

/// Plots of what runs have measured.
enum RunPlots {
    private static let most = 24

    /// Of a run, each metric that has more than one value; and what is not drawn, in words.
    static func each(of facts: RunFacts, _ catalog: Catalog) throws -> (plots: [MetricPlot], notes: [String]) {
        var plots: [MetricPlot] = []
        var notes: [String] = []
        var leftOut = 0
        for name in metrics(of: [facts]) {
            guard let series = try catalog.series(of: name, runs: [facts.run]).first, series.points.count > 1 else {
                continue
            }
            guard plots.count < most else {
                leftOut += 1
                continue
            }
            let odd = series.points.filter { !$0.y.isFinite }
            if let first = odd.first {
                notes.append(
                    "\(name): \(odd.count) of \(series.points.count) values are no numbers, the first at \(ShownText.number(first.x))."
                )
            }
            guard odd.count < series.points.count else { continue }
            plots.append(MetricPlot(name, [.init(title: facts.run, points: series.points)]))
        }
        if leftOut > 0 { notes.append("\(leftOut) more metrics have values over their steps, and are not drawn.") }
        return (plots, notes)
    }

    /// Of several runs, each metric that two of them have; those that differ.
    static func together(of facts: [RunFacts], _ catalog: Catalog) throws -> [MetricPlot] {
        var plots: [MetricPlot] = []
        let shown = facts.prefix(MetricPlot.mostCurves)
        for name in metrics(of: facts) where plots.count < most {
            let values = Set(facts.compactMap { $0.values[.init(.metric, name)] })
            let series = try catalog.series(of: name, runs: shown.map(\.run))
            guard series.count > 1, values.count > 1 || series.contains(where: { $0.points.count > 1 }),
                series.contains(where: { $0.points.contains { $0.y.isFinite } })
            else { continue }
            plots.append(MetricPlot(name, series.map { .init(title: $0.run, points: $0.points) }))
        }
        return plots
    }

    private static func metrics(of facts: [RunFacts]) -> [String] {
        Set(
            facts.flatMap { $0.values.keys }.filter { $0.section == .metric && !Catalog.countsSteps($0.name) }.map(
                \.name)
        )
        .sorted()
    }
}
