import Catalog
import Glibc

/// What is done before production is shown as it was.
enum PastProduction {
    /// Makes the catalog where there is none, with a word on that and how far it has come to who sits at a terminal, and says what nobody can show any
    /// more. The driver finds the catalog made.
    static func prepare(_ path: String, at asOf: String) throws {
        let moment = try StoreMoment(asOf, in: try ShownArtifact.openStore(path))
        if isatty(2) != 0, !Catalog.isKept(of: path) {
            Terminal.complain(
                "making the catalog of \(path) first, as it has none: that reads its ledgers once, and later mounts begin at once"
            )
        }
        var removed = 0
        try StorePlace(mount: nil, store: path).asking { removed = try $0.removed(at: moment.nanoseconds) }
        guard removed > 0 else { return }
        Terminal.complain(
            "\(removed) \(removed == 1 ? "artifact" : "artifacts") of that moment cannot be shown: gc has removed "
                + "\(removed == 1 ? "its" : "their") bytes; 'artifactfs production --at \(Shell.quoted(asOf)) "
                + "\(Shell.quoted(path))' names \(removed == 1 ? "it" : "them")")
    }
}
