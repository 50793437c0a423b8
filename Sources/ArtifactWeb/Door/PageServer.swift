internal import FlyingFox
internal import FlyingSocks
internal import Foundation

/// Serves pages to this machine's own user: HTTP/1.1 on the loopback address (FlyingFox). It makes no page itself.
public struct PageServer: Sendable {
    /// Makes a page, in whatever time it takes.
    public typealias PageMaking = @Sendable (PageTarget) async -> MadePage

    private let port: UInt16
    private let token: String
    private let make: PageMaking

    /// - Parameters:
    ///   - port: 0 for one that is free.
    ///   - token: what who asks must know.
    public init(port: UInt16, token: String, _ make: @escaping PageMaking) {
        (self.port, self.token, self.make) = (port, token, make)
    }

    /// How long a page may take, in seconds.
    private static let patience: TimeInterval = 120

    /// Serves until it is ended.
    ///
    /// - Parameter ready: called once with the port.
    /// - Throws: when the port cannot be had.
    public func run(ready: @escaping @Sendable (UInt16) -> Void) async throws {
        let address = try sockaddr_in.inet(ip4: "127.0.0.1", port: port)
        let server = HTTPServer(address: address, timeout: Self.patience, logger: .disabled)
        let door = PageDoor(token: token, make: make)
        await server.appendRoute("*", to: door)
        try await withThrowingTaskGroup(of: Void.self) { group in
            group.addTask { try await server.run() }
            group.addTask {
                try await server.waitUntilListening()
                guard case .ip4(_, let port) = await server.listeningAddress else {
                    throw SocketError.unsupportedAddress
                }
                await door.open(port)
                ready(port)
            }
            // What fails first ends the other.
            while try await group.next() != nil {}
        }
    }
}

/// Answers requests.
private actor PageDoor: HTTPHandler {
    private let token: String
    private let make: PageServer.PageMaking
    private var check: RequestCheck?

    init(token: String, make: @escaping PageServer.PageMaking) { (self.token, self.make) = (token, make) }

    func open(_ port: UInt16) { check = RequestCheck(token: token, port: port) }

    func handleRequest(_ request: HTTPRequest) async throws -> HTTPResponse {
        guard let check else { return Self.response(MadePage(status: 503, text: "not open yet")) }
        let decision = check.decide(
            method: request.method.rawValue, target: request.target.rawValue, host: request.headers[.host],
            cookies: request.headers[.cookie])
        switch decision {
        case .refuse(let status, let why): return Self.response(MadePage(status: status, text: why))
        case .remember(let target):
            var response = Self.response(MadePage(status: 303, text: "see \(target.text)"))
            response.headers[.location] = target.text
            response.headers[.setCookie] = check.cookieText
            return response
        case .make(let target):
            let page = if let fixed = PageServer.fixed(target.path) { fixed } else { await make(target) }
            return Self.response(page, hasBody: request.method != .HEAD)
        }
    }

    /// Whatever a page shows, it loads nothing from elsewhere, runs no script but ours, and is in no other site's frame.
    private static let policy =
        "default-src 'none'; style-src 'self' 'unsafe-inline'; script-src 'self'; img-src 'self' data:; form-action 'self'; "
        + "base-uri 'none'; frame-ancestors 'none'"

    private static func response(_ page: MadePage, hasBody: Bool = true) -> HTTPResponse {
        let isPage = page.type.hasPrefix("text/html")
        let headers: [HTTPHeader: String] = [
            .contentType: page.type, .cacheControl: "no-store", HTTPHeader("X-Content-Type-Options"): "nosniff",
            HTTPHeader("Referrer-Policy"): "no-referrer", HTTPHeader("Cross-Origin-Resource-Policy"): "same-origin",
            // An image that is a document of its own (SVG) has no scripts either.
            HTTPHeader("Content-Security-Policy"): isPage
                ? policy : "default-src 'none'; style-src 'unsafe-inline'; sandbox",
            .contentLength: "\(page.body.count)",
        ]
        return HTTPResponse(
            statusCode: HTTPStatusCode(page.status, phrase: phrases[page.status] ?? "Status"),
            headers: HTTPHeaders(headers), body: hasBody ? Data(page.body) : Data())
    }

    private static let phrases = [
        200: "OK", 303: "See Other", 400: "Bad Request", 403: "Forbidden", 404: "Not Found", 405: "Method Not Allowed",
        421: "Misdirected Request", 500: "Internal Server Error", 503: "Service Unavailable", 504: "Gateway Timeout",
    ]
}

extension PageServer {
    /// What is the same for all stores.
    static func fixed(_ path: String) -> MadePage? {
        switch path {
        case "/style.css": MadePage(type: "text/css; charset=utf-8", body: Array(PageStyle.text.utf8))
        case "/script.js": MadePage(type: "text/javascript; charset=utf-8", body: Array(PageScript.text.utf8))
        default: nil
        }
    }
}

extension PageServer {
    /// Why it cannot serve, for people.
    public static func words(for error: any Error) -> String {
        if case .failed(_, let number, let message)? = error as? SocketError {
            return number == EADDRINUSE ? "another program has the port" : message
        }
        return "\(error)"
    }
}
