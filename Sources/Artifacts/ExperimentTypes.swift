/// What of an experiment goes to production with its artifacts (SEMANTICS 2.9), where the schema has types of these names.
public enum ExperimentTypes {
    /// Takes a session's `metadata.json`.
    public static let metadata = "experiment_metadata"
    /// Takes what is in `plots/`.
    public static let plots = "experiment_plots"

    /// What a session's or a test's metadata is called in production.
    public static func metadataName(of scope: Scope) -> String? { label(of: scope).map { $0 + ".json" } }

    /// What a plot is called there. What a free name does not have becomes `_`.
    public static func plotName(_ name: String, of scope: Scope) -> String? {
        let plain = name.unicodeScalars.map { scalar -> Character in
            let isPlain =
                scalar.isASCII && (scalar.properties.isAlphabetic || "0123456789._-=".unicodeScalars.contains(scalar))
            return isPlain ? Character(scalar) : "_"
        }
        return label(of: scope).map { $0 + "_" + String(plain) }
    }

    private static func label(of scope: Scope) -> String? {
        switch scope {
        case .production: nil
        case .session(let name): name.description
        case .test(let name): name.description
        }
    }
}
