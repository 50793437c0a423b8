import ArtifactRecords
import TestSupport
import Testing

/// What stands in a record for good has no secret whose form shows that it is one, and everything else as it was.
@Suite struct ArgumentMaskTests {
    static let secrets: [[String]: [String]] = [
        ["prog", "--password", "hunter2", "x"]: ["prog", "--password", "***", "x"],
        ["prog", "--password=hunter2"]: ["prog", "--password=***"],
        ["prog", "-token", "abc"]: ["prog", "-token", "***"],
        ["prog", "--api-key=abc", "--out=x"]: ["prog", "--api-key=***", "--out=x"],
        ["env", "DB_PASSWORD=abc def", "A=b"]: ["env", "DB_PASSWORD=*** def", "A=b"],
        ["sh", "-c", "export TOKEN=abc; run --x=1"]: ["sh", "-c", "export TOKEN=***; run --x=1"],
        ["python3", "-c", "login(password=\"a b\", user='u')"]: ["python3", "-c", "login(password=\"***\", user='u')"],
        ["python3", "-c", "secret = 'abc'"]: ["python3", "-c", "secret = '***'"],
        ["prog", "{\"apiKey\": \"abc\", \"n\": 1}"]: ["prog", "{\"apiKey\": \"***\", \"n\": 1}"],
        ["curl", "-H", "Authorization: Bearer abc.def", "u"]: ["curl", "-H", "Authorization: ***", "u"],
        ["curl", "-u", "anna:abc", "u"]: ["curl", "-u", "***", "u"],
        ["git", "clone", "https://anna:abc@host/x"]: ["git", "clone", "https://anna:***@host/x"],
        ["git", "clone", "https://abc@host/x@y"]: ["git", "clone", "https://***@host/x@y"],
        ["wget", "https://host/x?token=abc&n=1"]: ["wget", "https://host/x?token=***&n=1"],
        ["/usr/bin/mysql", "-pabc", "-p", "db"]: ["/usr/bin/mysql", "-p***", "-p", "***"],
        ["prog", "ghp_0123456789012345678901234567890123456"]: ["prog", "***"],
        ["prog", "--x", "a:hf_abcdefghijklmnopqrstuvwxyz,b"]: ["prog", "--x", "a:***,b"],
        ["aws", "AWS_SECRET_ACCESS_KEY=abc"]: ["aws", "AWS_SECRET_ACCESS_KEY=***"],
    ]

    static let harmless: [[String]] = [
        [], [""], ["awk", "-F:", "{ print $1 }"], ["sort", "--key=2,2", "-k1"], ["prog", "--max-tokens=100"],
        ["prog", "--tokenizer=x", "--tokens-file"], ["sh", "-c", "cd $PWD; PWD=/x; OLDPWD=/y"], ["prog", "--bypass=1"],
        ["prog", "--pass"], ["prog", "password"], ["prog", "password:"], ["a::b", "token::c", "token==x"],
        ["https://host/a:b@c"], ["prog", "sk-short"], ["prog", "--compass", "n"], ["prog", "\u{0}", "ä=ö"],
    ]

    @Test func whatIsSecretIsMasked() {
        for (given, expected) in Self.secrets { #expect(ArgumentMask.masked(given) == expected) }
    }

    @Test func theRestIsAsItWas() {
        for given in Self.harmless { #expect(ArgumentMask.masked(given) == given) }
    }

    /// Whatever comes, it ends, once masked is masked, and no secret of a known form is left.
    @Test func anything() {
        var random = SplitMix64(seed: Seed.fromEnvironment())
        let parts = [
            "password", "token", "=", ":", " ", "\"", "'", "://", "@", "/", "ghp_", "--", "-p", "\u{e4}", "a", "Z", "_",
            "1", ",", "{", "}",
            "Bearer", "authorization", "&", "?", ";", "\n",
        ]
        for _ in 0..<3000 {
            let words = (0..<Int.random(in: 1...4, using: &random)).map { _ in
                (0..<Int.random(in: 0...9, using: &random)).map { _ in parts.randomElement(using: &random) ?? "" }
                    .joined()
            }
            let masked = ArgumentMask.masked(words)
            #expect(masked.count == words.count)
            let again = ArgumentMask.masked(
                words + ["x", "--password", "hunter2", "https://a:hunter2@b", "X_TOKEN=hunter2"])
            #expect(!again.dropFirst(words.count + 2).joined(separator: " ").contains("hunter2"), "\(words)")
        }
    }
}
