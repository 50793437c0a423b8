/// How servers of a kind are asked: what their headers are called, how a request is signed, and what they judge.
///
/// Google's Cloud Storage is asked by its XML interface, with its own headers throughout: it does not take `x-amz-` and `x-goog-` headers in one
/// request, and its condition for writing has a name of the second kind alone.
enum ServerDialect: Sendable, Hashable, CaseIterable {
    /// AWS's S3, and servers with the same interface.
    case s3
    /// Google's Cloud Storage.
    case gcs

    /// What a URL begins with.
    var scheme: String {
        switch self {
        case .s3: "s3"
        case .gcs: "gs"
        }
    }

    /// What the kind's own headers begin with.
    var prefix: String {
        switch self {
        case .s3: "x-amz-"
        case .gcs: "x-goog-"
        }
    }

    /// Where the SHA-256 is that was told with an object.
    var told: String { prefix + "meta-sha256" }

    /// Where an answer says which of an object's versions it is.
    var version: String {
        switch self {
        case .s3: prefix + "version-id"
        case .gcs: prefix + "generation"
        }
    }

    /// By which one version of an object is asked for.
    func query(version: String?) -> [(String, String)] {
        guard let version else { return [] }
        return [(self == .s3 ? "versionId" : "generation", version)]
    }

    /// By which the server makes an object only if nothing has its name; otherwise it answers 412.
    var ifNew: (String, String) {
        switch self {
        case .s3: ("if-none-match", "*")
        // Nothing has generation 0.
        case .gcs: (prefix + "if-generation-match", "0")
        }
    }

    /// Whether the server judges ``ifNew`` when parts are put together. Google's does not, and so a file of any size is one request there.
    var judgesParts: Bool { self == .s3 }

    /// Who signs.
    func signer(region: String) -> RequestSigner {
        switch self {
        case .s3: RequestSigner(region: region)
        // Any place is right: a bucket's name is enough.
        case .gcs: RequestSigner(region: "auto", service: "storage", family: "GOOG4")
        }
    }
}
