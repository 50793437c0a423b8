/// Where a bucket's objects are: the bucket, what their keys begin with, and the server.
public struct BucketPlace: Sendable, Hashable {
    /// Why a URL is none, for people.
    public struct URLFault: Error, Sendable, Hashable {
        /// A sentence without its end.
        public let text: String
    }

    /// What is asked.
    let dialect: ServerDialect
    /// The bucket's name.
    public let bucket: String
    /// What all keys begin with; empty, or with a `/` at its end.
    public let prefix: String
    /// `https://HOST[:PORT]` of another server than AWS's or Google's own; nil of that.
    public let endpoint: String?

    /// Reads `s3://BUCKET/PREFIX` or `gs://BUCKET/PREFIX`.
    public init(_ url: String, endpoint: String?) throws(URLFault) {
        guard let dialect = ServerDialect.allCases.first(where: { url.hasPrefix($0.scheme + "://") }) else {
            throw URLFault(text: "'\(url)' is neither s3://BUCKET/PREFIX nor gs://BUCKET/PREFIX")
        }
        self.dialect = dialect
        let rest = url.dropFirst(dialect.scheme.count + "://".count)
        let slash = rest.firstIndex(of: "/") ?? rest.endIndex
        let bucket = String(rest[..<slash])
        let isName = bucket.utf8.allSatisfy {
            (0x30...0x39).contains($0) || (0x61...0x7A).contains($0) || $0 == UInt8(ascii: "-")
                || $0 == UInt8(ascii: ".") || $0 == UInt8(ascii: "_") && dialect == .gcs
        }
        guard (3...63).contains(bucket.utf8.count), isName else {
            throw URLFault(
                text: "'\(bucket)' is no name of a bucket: that has 3 to 63 small letters, digits, '.' and '-'")
        }
        let parts = rest[slash...].split(separator: "/").map(String.init)
        let isPlain = parts.allSatisfy { part in
            part != "." && part != ".." && part.unicodeScalars.allSatisfy { $0.value > 32 && $0.value != 127 }
        }
        let prefix = parts.isEmpty ? "" : parts.joined(separator: "/") + "/"
        guard isPlain, prefix.utf8.count <= Self.longestPrefix else {
            throw URLFault(
                text:
                    "'\(prefix)' is no prefix: that has \(Self.longestPrefix) bytes at most, no blanks, and no '.' or '..' "
                    + "between slashes")
        }
        (self.bucket, self.prefix) = (bucket, prefix)
        guard let endpoint else {
            self.endpoint = nil
            return
        }
        let host = ["https://", "http://"].first { endpoint.hasPrefix($0) }.map { endpoint.dropFirst($0.count) }
        let trimmed = host.map { $0.last == "/" ? $0.dropLast() : $0 }
        guard let trimmed, !trimmed.isEmpty, trimmed.allSatisfy({ $0.isASCII && !"/@?# \t".contains($0) }) else {
            throw URLFault(
                text: "'\(endpoint)' is no endpoint: that is https://HOST or https://HOST:PORT, or with http://")
        }
        self.endpoint = endpoint.last == "/" ? String(endpoint.dropLast()) : endpoint
    }

    /// So that the rest of a key has room.
    private static let longestPrefix = 300

    /// As it was named.
    public var url: String { shown(prefix) }

    /// Where an object is, for people.
    public func shown(_ key: String) -> String { "\(dialect.scheme)://\(bucket)/\(key)" }

    /// Whether a file of a size is sent in parts, in bytes: where the server would not judge the name of what it puts together, none is.
    public func isParted(_ size: Int64) -> Bool { dialect.judgesParts && size > Bucket.partSize }

    /// Whether the server keeps an object for as long as a request says.
    public var keepsByRequest: Bool { dialect == .s3 }

    /// The server's URL and host, and the path of an object as it is sent, encoded.
    func target(_ key: String, region: String) -> (base: String, host: String, path: String) {
        let encoded = ObjectKey.encodedPath(key)
        if let endpoint {
            let host = String(endpoint.drop { $0 != ":" }.dropFirst(3))
            let isDefault = endpoint.hasPrefix("https:") ? host.hasSuffix(":443") : host.hasSuffix(":80")
            let name = isDefault ? String(host[..<(host.lastIndex(of: ":") ?? host.endIndex)]) : host
            return (endpoint, name, "/\(bucket)/\(encoded)")
        }
        if dialect == .gcs {
            let host = "storage.googleapis.com"
            return ("https://" + host, host, "/\(bucket)/\(encoded)")
        }
        // A certificate is for one name before the server's.
        if bucket.contains(".") {
            let host = "s3.\(region).amazonaws.com"
            return ("https://" + host, host, "/\(bucket)/\(encoded)")
        }
        let host = "\(bucket).s3.\(region).amazonaws.com"
        return ("https://" + host, host, "/" + encoded)
    }
}
