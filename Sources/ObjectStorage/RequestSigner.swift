internal import ArtifactRecords
internal import CCrypto

/// Who asks, to a server.
public struct Credentials: Sendable, Hashable {
    /// It may be shown.
    public let accessKey: String
    let secret: String
    let sessionToken: String?

    /// Credentials.
    public init(accessKey: String, secret: String, sessionToken: String? = nil) {
        (self.accessKey, self.secret, self.sessionToken) = (accessKey, secret, sessionToken)
    }
}

/// What shows credentials shows no secret.
extension Credentials: CustomStringConvertible, CustomReflectable {
    public var description: String { accessKey }
    public var customMirror: Mirror { Mirror(self, children: ["accessKey": accessKey]) }
}

/// Signatures of requests: AWS's Signature Version 4, in a header, and Google's V4, which is the same with words of its own.
public struct RequestSigner: Sendable {
    /// Where the server is, and which of its services is asked.
    public let region, service: String
    /// `AWS4` or `GOOG4`.
    private let family: String

    /// A signer.
    ///
    /// - Parameter family: `AWS4`, or `GOOG4` for Google's Cloud Storage.
    public init(region: String, service: String = "s3", family: String = "AWS4") {
        (self.region, self.service, self.family) = (region, service, family)
    }

    /// The SHA-256 of a request without a body.
    public static let noBody = "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855"

    /// What the header `authorization` says.
    ///
    /// - Parameters:
    ///   - path: as it is sent, encoded.
    ///   - query: names and values, not encoded yet.
    ///   - headers: all that are to be signed, `host` and `x-amz-date` or `x-goog-date` among them, with names in lower case.
    ///   - payload: the body's SHA-256 in lower-case hexadecimal digits.
    ///   - time: as that header says it, `20150830T123600Z`.
    /// - Returns: nil when OpenSSL cannot.
    public func authorization(
        _ method: String, path: String, query: [(String, String)], headers: [(String, String)], payload: String,
        time: String, by credentials: Credentials
    ) -> String? {
        let headers = headers.sorted { $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
        let names = headers.map(\.0).joined(separator: ";")
        let lines = headers.map { "\($0.0):\(Self.trimmed($0.1))\n" }.joined()
        let request = [method, path, Self.text(of: query), lines, names, payload].joined(separator: "\n")
        guard let hash = try? SHA256.digest(request.utf8) else { return nil }
        let end = family.lowercased() + "_request"
        let scope = "\(time.prefix(8))/\(region)/\(service)/\(end)"
        let text = "\(family)-HMAC-SHA256\n\(time)\n\(scope)\n\(hash)"
        var key = Array("\(family)\(credentials.secret)".utf8)
        for part in [String(time.prefix(8)), region, service, end, text] {
            guard let next = Self.code(of: Array(part.utf8), key) else { return nil }
            key = next
        }
        return "\(family)-HMAC-SHA256 Credential=\(credentials.accessKey)/\(scope), SignedHeaders=\(names), "
            + "Signature=\(MessageDigest.hexadecimal(key))"
    }

    /// A query as it is sent, and signed: in the order of the encoded names, then values.
    public static func text(of query: [(String, String)]) -> String {
        query.map { (ObjectKey.percentEncoded($0.0), ObjectKey.percentEncoded($0.1)) }
            .sorted { $0.0 == $1.0 ? $0.1 < $1.1 : $0.0.utf8.lexicographicallyPrecedes($1.0.utf8) }
            .map { "\($0.0)=\($0.1)" }.joined(separator: "&")
    }

    /// Without blanks around it, and no two beside each other.
    private static func trimmed(_ value: String) -> String {
        value.split { $0 == " " || $0 == "\t" }.joined(separator: " ")
    }

    /// HMAC with SHA-256.
    private static func code(of bytes: [UInt8], _ key: [UInt8]) -> [UInt8]? {
        var code = [UInt8](repeating: 0, count: 32)
        var length: UInt32 = 0
        guard HMAC(EVP_sha256(), key, Int32(clamping: key.count), bytes, bytes.count, &code, &length) != nil,
            length == 32
        else { return nil }
        return code
    }
}
