/// Who is let in: whoever has the token, and asks this machine by its loopback name.
///
/// Another user of the machine has no token. A page of another site that leads its own name to 127.0.0.1 (DNS rebinding) comes with that name in
/// `Host`; one that only sends requests here does not get the cookie, which is `SameSite=Strict`, nor sees an answer.
public struct RequestCheck: Sendable {
    /// What becomes of a request.
    public enum Decision: Sendable, Equatable {
        /// It is answered.
        case make(PageTarget)
        /// It had the token in its URL: from now on a cookie has it.
        case remember(PageTarget)
        /// It is refused.
        case refuse(status: Int, String)
    }

    private let token: String
    private let cookie: String

    /// - Parameters:
    ///   - token: what who asks must know.
    ///   - port: on which it is asked: browsers have one store of cookies for all ports.
    public init(token: String, port: UInt16) { (self.token, cookie) = (token, "artifactfs-\(port)") }

    /// A token that nobody guesses.
    public static func makeToken() -> String {
        var generator = SystemRandomNumberGenerator()
        return (0..<2).map { _ in
            let digits = String(generator.next(), radix: 16)
            return String(repeating: "0", count: 16 - digits.utf8.count) + digits
        }.joined()
    }

    /// What a browser is told to remember.
    public var cookieText: String { "\(cookie)=\(token); Path=/; HttpOnly; SameSite=Strict" }

    /// Decides.
    ///
    /// - Parameters:
    ///   - target: as the request has it.
    ///   - host: the header `Host`.
    ///   - cookies: the header `Cookie`.
    public func decide(method: String, target: String, host: String?, cookies: String?) -> Decision {
        guard let host, Self.isLoopback(host) else {
            return .refuse(
                status: 421, "this is served to 127.0.0.1 and localhost only, and not as \(host ?? "no name")")
        }
        guard method == "GET" || method == "HEAD" else {
            return .refuse(status: 405, "pages are read-only: GET and HEAD are all that is understood")
        }
        guard let asked = PageTarget(parsing: target) else {
            return .refuse(status: 400, "that is no target of a page")
        }
        if let given = asked["token"], Self.isSame(given, token) {
            return .remember(asked.with("token", nil))
        }
        guard remembers(cookies) else {
            return .refuse(
                status: 403,
                "open the URL that 'artifactfs serve' has printed: it has a token, without which nothing is shown")
        }
        return .make(asked.with("token", nil))
    }

    private func remembers(_ cookies: String?) -> Bool {
        (cookies ?? "").split(separator: ";").contains { part in
            let pair = part.split(separator: "=", maxSplits: 1).map { $0.drop { $0 == " " } }
            return pair.count == 2 && pair[0] == cookie && Self.isSame(String(pair[1]), token)
        }
    }

    private static func isLoopback(_ host: String) -> Bool {
        var name = host.lowercased()[...]
        if let colon = name.lastIndex(of: ":"), !name.hasSuffix("]") {
            let port = name[name.index(after: colon)...]
            guard !port.isEmpty, UInt16(port) != nil else { return false }
            name = name[..<colon]
        }
        return ["127.0.0.1", "localhost", "[::1]"].contains(String(name))
    }

    /// In the same time wherever they differ.
    private static func isSame(_ one: String, _ other: String) -> Bool {
        let (one, other) = (Array(one.utf8), Array(other.utf8))
        guard one.count == other.count else { return false }
        return zip(one, other).reduce(UInt8(0)) { $0 | ($1.0 ^ $1.1) } == 0
    }
}
