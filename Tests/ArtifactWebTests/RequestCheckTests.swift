import ArtifactWeb
import Testing

/// Who is let in.
@Suite struct RequestCheckTests {
    private let token = "0123456789abcdef0123456789abcdef"

    private func decide(
        _ target: String, method: String = "GET", host: String? = "127.0.0.1:8000", cookies: String? = nil
    ) -> RequestCheck.Decision {
        RequestCheck(token: token, port: 8000).decide(method: method, target: target, host: host, cookies: cookies)
    }

    private func status(_ decision: RequestCheck.Decision) -> Int? {
        if case .refuse(let status, _) = decision { status } else { nil }
    }

    @Test func theTokenIsRememberedAndTakenOut() {
        #expect(decide("/runs?token=\(token)&q=a") == .remember(PageTarget("/runs", [("q", "a")])))
        let check = RequestCheck(token: token, port: 8000)
        #expect(check.cookieText == "artifactfs-8000=\(token); Path=/; HttpOnly; SameSite=Strict")
        for cookies in ["artifactfs-8000=\(token)", "a=b; artifactfs-8000=\(token)", "a=b;artifactfs-8000=\(token); c"]
        {
            #expect(decide("/runs", cookies: cookies) == .make(PageTarget("/runs")))
        }
        // A page is never made with a token in its target, where a link would have it.
        #expect(
            decide("/runs?token=x&q=a", cookies: "artifactfs-8000=\(token)") == .make(PageTarget("/runs", [("q", "a")]))
        )
    }

    @Test(
        arguments: [
            nil, "", "artifactfs-8000=", "artifactfs-8000=0123456789abcdef0123456789abcdee",
            "artifactfs-8001=0123456789abcdef0123456789abcdef", "artifactfs-8000=0123456789abcdef0123456789abcdef0",
            "artifactfs-8000 0123456789abcdef0123456789abcdef", "=0123456789abcdef0123456789abcdef",
        ] as [String?])
    func withoutIt(cookies: String?) { #expect(status(decide("/", cookies: cookies)) == 403) }

    @Test(
        arguments: [
            ("127.0.0.1", true), ("127.0.0.1:1", true), ("localhost:65535", true), ("LOCALHOST", true), ("[::1]", true),
            ("[::1]:80", true), ("127.0.0.1:", false), ("127.0.0.1:65536", false), ("127.0.0.2", false), ("::1", false),
            ("0.0.0.0", false), ("localhost.example.org", false), ("example.org", false), ("example.org:8000", false),
            ("127.0.0.1:80:80", false), ("", false), ("localhost:x", false), ("user@localhost", false), (nil, false),
        ] as [(String?, Bool)])
    func asWhom(host: String?, isLetIn: Bool) {
        let decision = decide("/?token=\(token)", host: host)
        #expect((decision == .remember(PageTarget("/"))) == isLetIn && (status(decision) == 421) == !isLetIn)
    }

    @Test func nothingIsChanged() {
        for method in ["POST", "PUT", "DELETE", "PATCH", "OPTIONS", "TRACE", "CONNECT", "", "get"] {
            #expect(status(decide("/?token=\(token)", method: method)) == 405)
        }
        #expect(decide("/?token=\(token)", method: "HEAD") == .remember(PageTarget("/")))
        for target in ["", "*", "http://127.0.0.1/", "/%", "/%ff?token=\(token)"] {
            #expect(status(decide(target, cookies: "artifactfs-8000=\(token)")) == 400)
        }
    }

    @Test func tokensDiffer() {
        let tokens = Set((0..<1000).map { _ in RequestCheck.makeToken() })
        #expect(tokens.count == 1000 && tokens.allSatisfy { $0.utf8.count == 32 })
    }
}
