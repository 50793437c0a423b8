/// Why something in a bucket was not done.
public struct StorageFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// What kind of trouble it is.
    public enum Kind: Sendable, Hashable {
        /// No such object or upload.
        case missing
        /// No such bucket.
        case noBucket
        /// The server does not let these credentials do it, or does not know them.
        case denied
        /// Something has the name already.
        case taken
        /// Something else is under the name than was to be there.
        case differs
        /// The server was not reached, or did not answer in time, however often it was asked.
        case unreachable
        /// Nothing can be sent: there are no credentials.
        case noCredentials
        /// An upload in parts came to nothing however often it began.
        case unfinished
        /// This side: the file cannot be read or written.
        case local
        /// Everything else.
        case other
    }

    /// What kind it is.
    public let kind: Kind
    /// `s3://BUCKET/KEY`.
    public let place: String
    /// A sentence without its end, with the server's own code and message where it gave any.
    public let text: String

    init(_ kind: Kind, _ place: String, _ text: String) { (self.kind, self.place, self.text) = (kind, place, text) }

    /// There is no such object.
    public init(missing place: String) { self.init(.missing, place, "it is not there") }

    public var description: String { "\(place): \(text)" }
}
