/// An answer to a request.
public struct MadePage: Sendable, Hashable {
    /// The status code (RFC 9110).
    public let status: Int
    /// The media type.
    public let type: String
    /// What is sent.
    public let body: [UInt8]

    /// An answer.
    public init(status: Int = 200, type: String, body: [UInt8]) {
        (self.status, self.type, self.body) = (status, type, body)
    }

    /// A page of HTML.
    public init(status: Int = 200, html: String) {
        self.init(status: status, type: "text/html; charset=utf-8", body: Array(html.utf8))
    }

    /// A text.
    public init(status: Int, text: String) {
        self.init(status: status, type: "text/plain; charset=utf-8", body: Array((text + "\n").utf8))
    }
}
