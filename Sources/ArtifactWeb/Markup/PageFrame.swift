/// A whole page: its head, what leads to the other pages, and what is on it.
public struct PageFrame: Sendable {
    /// What the page is of.
    public let title: String
    /// Which of the places of the head it is in.
    public let place: Place?
    /// What is on it.
    public let content: Markup

    /// The places that each page leads to.
    public enum Place: String, Sendable, CaseIterable {
        case inventory, artifacts, runs, kept

        var words: String {
            switch self {
            case .inventory: "Inventory"
            case .artifacts: "Artifacts"
            case .runs: "Runs"
            case .kept: "Kept back"
            }
        }

        var target: PageTarget { PageTarget(self == .inventory ? "/" : "/" + rawValue) }
    }

    /// A page.
    public init(_ title: String, in place: Place?, _ content: Markup) {
        (self.title, self.place, self.content) = (title, place, content)
    }

    /// As it is served.
    ///
    /// - Parameters:
    ///   - store: the store's name, for people.
    ///   - date: when it was made, for people.
    public func served(store: String, date: String) -> String {
        let links: [Markup] = Place.allCases.map { place in
            let mark: Markup = place == self.place ? " aria-current=\"page\"" : ""
            return "<a href=\"\(place.target.text)\"\(mark)>\(place.words)</a>"
        }
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>\(title) - \(store)</title>
            <meta name="viewport" content="width=device-width, initial-scale=1"><link rel="stylesheet" href="/style.css">
            <link rel="icon" href="data:,"><script src="/script.js" defer></script></head>
            <body><a class="skip" href="#main">To the content</a>
            <header><strong class="store">\(store)</strong><nav aria-label="Pages">\(links)</nav></header>
            <main id="main"><h1>\(title)</h1>
            \(content)
            </main><footer>artifactfs, \(date)</footer></body></html>

            """
        return page.html
    }

    /// As one file that needs no other.
    public func alone(date: String) -> String {
        let (style, script) = (Markup(drawing: PageStyle.text), Markup(drawing: PageScript.text))
        let page: Markup = """
            <!DOCTYPE html>
            <html lang="en"><head><meta charset="utf-8"><title>\(title)</title>
            <meta name="viewport" content="width=device-width, initial-scale=1"><meta name="generator" content="artifactfs">
            <meta http-equiv="Content-Security-Policy" content="default-src 'none'; style-src 'unsafe-inline'; \
            script-src 'unsafe-inline'; img-src data:"><link rel="icon" href="data:,">
            <style>\(style)</style></head>
            <body><main id="main"><h1>\(title)</h1>
            \(content)
            </main><footer>Made by artifactfs, \(date)</footer><script>\(script)</script></body></html>

            """
        return page.html
    }
}
