import ArtifactRecords
import TestSupport
import Testing

@testable import Provenance

/// The remote: git's answer without what could be a credential.
@Suite struct RemoteTests {
    @Test(
        arguments: [
            ("https://host/a.git", "https://host/a.git"), ("https://user:token@host/a", "https://host/a"),
            ("https://token@host:8443/a", "https://host:8443/a"), ("http://u:p%40x@host/a", "http://host/a"),
            ("https://u:p@x@host/a", "https://host/a"), ("https://host/a?private_token=x", "https://host/a"),
            ("https://host/a#x", "https://host/a"), ("https://host?u=a@b/c", nil),
            ("https://u@host?u=a@b/c", "https://host"),
            ("https://u:pa/ss@host/a", nil), ("https://u:1/ss@host/a", nil), ("https://host/u:p@x", nil),
            ("https://u:p@/a", nil),
            ("https://user:p#ss@host/a", nil), ("https://user:12#ss@host/a", nil), ("https://user:12?ss@host/a", nil),
            ("ssh://git@host:22/~u/a", "ssh://host:22/~u/a"), ("git+ssh://g@host/a", "git+ssh://host/a"),
            ("https://[::1]:80/a", "https://[::1]:80/a"), ("https://u:p@[fe80::1]/a", "https://[fe80::1]/a"),
            ("git@host:org/a.git", "host:org/a.git"), ("host:a", "host:a"), ("u:token@host:org/a", "host:org/a"),
            ("u:to/ken@host:a", nil), ("u@[::1]:a", "[::1]:a"), ("git@host:a@b/c", nil), ("https:/u:p@host/a", nil),
            ("u@b:", "b:"),
            ("https:u:p@host", nil),
            ("/srv/a.git", "/srv/a.git"), ("../a", "../a"), ("./a:b", "./a:b"), ("a/b@c:d", "a/b@c:d"),
            ("file:///srv/a?b", "file:///srv/a?b"), ("file://u:p@host/a", nil),
            ("ext::sh -c secret", nil), ("ext::x", nil), ("codecommit::r://p@n", nil),
            ("https://ho st/a", nil), ("https://host/\u{1B}[31m", nil), ("https://host/\u{9B}", nil), ("", nil),
            ("a\nb", nil),
            ("@", "@"), ("://", nil), ("a://", nil), (":", nil), ("::", nil), ("@:", nil),
        ] as [(String, String?)])
    func credentialsAreTakenOut(address: String, shown: String?) {
        #expect(RemoteAddress.shown(Array(address.utf8)) == shown)
    }

    @Test func whatIsNoText() {
        #expect(RemoteAddress.shown([0x61, 0xFF]) == nil)
        #expect(RemoteAddress.shown([UInt8](repeating: 0x61, count: 2049)) == nil)
    }

    /// Whatever an address is made of, the secret in it is not shown.
    @Test func noSecretIsShown() {
        var generator = SplitMix64(seed: Seed.fromEnvironment())
        let parts = [
            "https", "/", ":", "host", "?", "#", "user", "[", "]", "22", ".", "%40", "::", " ", "é", "-",
        ]
        for _ in 0..<20_000 {
            // A secret is what comes before an @ and after the scheme, in any form.
            let scheme = ["", "https://", "ssh://", "http://", "git://"].randomElement(using: &generator) ?? ""
            var address = scheme
            if Bool.random(using: &generator) { address += "user:" }
            address += "SECRET"
            for _ in 0..<Int.random(in: 0...2, using: &generator) {
                address += parts.randomElement(using: &generator) ?? ""
            }
            address += "@"
            for _ in 0..<Int.random(in: 0...5, using: &generator) {
                address += parts.randomElement(using: &generator) ?? ""
            }
            let shown = RemoteAddress.shown(Array(address.utf8))
            // Without a scheme and a colon before the first slash it is a path, in which nothing is secret.
            let isPath =
                scheme.isEmpty && !address.prefix { $0 != "/" }.contains(":")
            #expect(isPath || shown?.contains("SECRET") != true, "\(address) is shown as \(shown ?? "")")
        }
    }

    /// What stands in a repository's config, as git reads it; each makes a remote that git is asked about.
    static let configs: [(config: String, remote: String)] = [
        ("[remote \"origin\"]\n\turl = /srv/a\n", "origin"), ("[remote \"origin\"]\r\n\turl = /srv/a\r\n", "origin"),
        ("[remote \"origin\"] url=/srv/a", "origin"), ("[REMOTE \"origin\"]\nURL = /srv/a # c\n", "origin"),
        ("[remote \"origin\"]\n url = \"/srv/a # b\" ; c\n", "origin"),
        ("[remote \"origin\"]\n url = /srv/a   b\t c  \n", "origin"),
        ("[remote \"origin\"]\n url = /srv/\\\\a\\\"b\\tc\n", "origin"),
        ("[remote \"origin\"]\n url = /srv/\\\n  a\n", "origin"),
        ("[remote \"origin\"]\n url = /srv/\\\r\na\r\n", "origin"), ("[remote.origin]\nurl = /srv/a\n", "origin"),
        ("[remote.ORIGIN]\nurl = /srv/a\n", "origin"),
        ("[remote \"o\\\"r\\\\i\\gin\"]\nurl=/srv/a\n[branch \"main\"]\nremote=o\\\"r\\\\igin", "o\"r\\igin"),
        ("\u{FEFF}[remote \"origin\"]\nurl = /srv/a\n", "origin"),
        ("[remote \"origin\"]\nurl = /srv/a\nurl = /srv/b\n", "origin"),
        ("[remote \"origin\"]\nurl = /srv/a\n[remote \"up\"]\nurl = /srv/b\n[branch \"main\"]\n\tremote = up\n", "up"),
        ("[remote \"a.b/c\"]\nurl = /srv/a\n", "a.b/c"),
        ("[remote \"x\"]\nfetch = +a:b\n[remote \"y\"]\nurl = /srv/b\n", "y"),
        ("; c\n# d\n[remote \"origin\"] # x\n\n ;y\nurl = \"/srv\"/\"a\"\n[include]\npath = /nowhere\n", "origin"),
        ("[remote \"origin\"]\nurl = /srv/a\n[branch \"main\"]\nremote = x\nremote = origin\nmerge = y\n", "origin"),
        ("[x \"remote\"]\nurl = /srv/x\n[remote \"origin\"]\nurl = /srv/a\n", "origin"),
        ("[remote \"origin\"]\nurl=/srv/a\\", "origin"),
        ("[remote \"é\"]\nurl=/srv/é\n", "é"), ("[remote \"origin\"]url=/srv/a;b", "origin"),
        ("[remote\t  \"origin\"]\nurl=/srv/a\n", "origin"),
    ]

    @Test(arguments: 0..<configs.count) func whatGitSays(index: Int) throws {
        let (config, remote) = Self.configs[index]
        let repository = try Repository(IdentityTests.plain)
        try write("[core]\nrepositoryformatversion = 0\n" + config, to: repository.path + "/r/.git/config")
        // A mark of UTF-8 stands at the beginning only.
        if config.hasPrefix("\u{FEFF}") { try write(config, to: repository.path + "/r/.git/config") }
        let told = try #require(try repository.git("remote", "get-url", remote, in: "r"), "\(config)")
        let read = try #require(GitConfig(try bytes(repository.path + "/r/.git/config")))
        let first = try #require(read.values("remote", of: Array(remote.utf8), "url").first ?? nil)
        #expect(String(decoding: first, as: UTF8.self) == told, "\(config)")
        #expect(repository.read("r")?.remote == RemoteAddress.shown(first), "\(config)")
    }

    /// What git calls a bad config: nothing is said but where the repository is.
    @Test(arguments: [
        "[remote \"origin\"]\nurl = \"/srv/a\n", "[remote \"origin\"\nurl = a", "[remote origin]\nurl = a",
        "[remote \"origin\"]\nurl = \\x",
        "[remote \"origin\"]\n-url = a", "[remote \"origin\"]\nurl : a", "[rem_ote]\n", "[remote \"a\nb\"]\n", "x\u{0}",
        "]", "[a]b c", "[a \"b\" ]",
        "[a \"b\\", "[", "[a", "[a \"", "\"", "=", "[a]\n= b",
    ]) func badConfig(config: String) throws {
        let repository = try Repository(IdentityTests.plain)
        try write(config, to: repository.path + "/r/.git/config")
        #expect(try repository.git("rev-parse", "HEAD", in: "r") == nil, "git takes it: \(config)")
        let found = try #require(repository.read("r"))
        #expect((found.commit, found.remote, found.path) == (nil, nil, repository.path + "/r"))
    }

    /// What has no remote, more than can be told apart, or one that is a command.
    @Test(arguments: [
        "", "[remote \"a\"]\nurl=/a\n[remote \"b\"]\nurl=/b\n", "[branch \"main\"]\nremote = .\n",
        "[remote \"origin\"]\nurl\n",
        "[remote \"origin\"]\nurl = ext::sh -c x\n",
        "[branch \"main\"]\nremote = gone\n[remote \"origin\"]\nurl = /a\n",
        "[remote]\nurl = /a\n", "[include]\npath = other\n",
    ]) func noRemote(config: String) throws {
        let repository = try Repository(IdentityTests.plain)
        try write("[remote \"origin\"]\nurl = /included\n", to: repository.path + "/r/.git/other")
        try write(config, to: repository.path + "/r/.git/config")
        let found = try #require(repository.read("r"))
        #expect(found.commit != nil && found.remote == nil, "\(config)")
    }

    /// As it is after a clone, in a worktree and in a submodule, and on a branch that is pushed elsewhere.
    @Test func clones() throws {
        let repository = try Repository(
            IdentityTests.plain + """
                git clone -q r c; git -C c worktree add -q ../w -b w; git -C c remote add up https://u:p@h/x
                git -C c checkout -qb b; git -C c config branch.b.remote up; git -C c config url.https://evil/.insteadOf https://
                git init -q s; cd s; git submodule -q add "$PWD/../r" sub; git commit -qm s
                """)
        #expect(repository.read("c")?.remote == "https://h/x")
        #expect(repository.read("w")?.remote == repository.path + "/r")
        #expect(repository.read("s/sub")?.remote == repository.path + "/s/../r")
        #expect(repository.read("s")?.remote == nil)
        try repository.run("cd c; git checkout -q main")
        #expect(repository.read("c")?.remote == repository.path + "/r")
        try repository.run("cd c; git checkout -q --detach")
        #expect(repository.read("c")?.remote == repository.path + "/r")
    }

    // MARK: - Configs of any bytes

    @Test func changedConfigs() {
        var generator = SplitMix64(seed: Seed.fromEnvironment())
        let pieces = ["[", "]", "\"", "\\", "\n", "\r", "=", "#", ";", " ", "\u{0}", "a", "remote", "é", ".", "-"].map {
            Array($0.utf8)
        }
        for (config, _) in Self.configs {
            for _ in 0..<500 {
                var bytes = Array(config.utf8)
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let at = Int.random(in: 0...bytes.count, using: &generator)
                    if Bool.random(using: &generator), at < bytes.count { bytes.remove(at: at) }
                    bytes.insert(contentsOf: pieces.randomElement(using: &generator) ?? [], at: min(at, bytes.count))
                }
                // That it returns is what is tested, and that no line is read as two.
                let read = GitConfig(bytes)
                #expect((read?.variables.count ?? 0) <= bytes.count)
                _ = read?.remote(ofBranch: Array("main".utf8))
            }
        }
        for text in ["[", "[a \"", "a", "\\", "\"", "[remote \"x\"]\nurl=\\\n"] {
            let many = [UInt8](String(repeating: text, count: 1 << 16 / text.utf8.count).utf8)
            _ = GitConfig(many)
        }
    }
}
