internal import Queries

/// Where what is told on a page leads to.
public enum PageLinks: Sendable {
    /// To other pages.
    case served
    /// To places of the same page: these runs are on it.
    case alone(runs: Set<String>)

    /// The heading of a part of a run: on a page with other runs those have headings themselves.
    func heading(_ text: String) -> Markup {
        switch self {
        case .served: "<h2>\(text)</h2>"
        case .alone: "<h4>\(text)</h4>"
        }
    }

    /// A run by its id.
    func run(_ id: String) -> Markup {
        switch self {
        case .served: "<a href=\"\(Self.target(ofRun: id).text)\">\(id)</a>"
        case .alone(let runs) where runs.contains(id): "<a href=\"#\(Self.anchor(ofRun: id))\">\(id)</a>"
        case .alone: "\(id)"
        }
    }

    /// An artifact by its path on the mount.
    func artifact(_ path: String) -> Markup {
        switch self {
        case .served: "<a href=\"\(Self.target(ofArtifact: path).text)\">\(path)</a>"
        case .alone: "\(path)"
        }
    }

    /// Artifacts that a query finds.
    func artifacts(_ query: String, _ words: Markup) -> Markup {
        switch self {
        case .served: "<a href=\"\(PageTarget("/artifacts", [("q", query)]).text)\">\(words)</a>"
        case .alone: words
        }
    }

    /// The page of a run.
    public static func target(ofRun id: String) -> PageTarget { PageTarget("/run", [("id", id)]) }

    /// The page of an artifact.
    public static func target(ofArtifact path: String) -> PageTarget { PageTarget("/artifact", [("path", path)]) }

    /// The name of a run's place on a page.
    static func anchor(ofRun id: String) -> String { "run-" + id }

    /// A test of a query.
    static func test(_ field: FieldName, _ value: String) -> String {
        "\(field.rawValue) = \(QueryText.quoted(value))"
    }
}
