import Artifacts
import Testing

@Suite struct TreeTests {
    let schema = ArtifactSchema.builtIn

    private func type(_ name: String) throws -> TypeDefinition { try #require(schema.type(named: name)) }

    @Test func locatesPaths() throws {
        let session = Scope.session(try #require(SessionName("20260215_143022")))
        let test = Scope.test(try #require(TestName("t")))
        let sequences = try type("analysis_sequences")
        let cases: [(String, TreeLocation, [String])] = [
            ("", .root, []), ("/", .root, []), (".", .root, []), ("/./", .root, []),
            ("nothing", .root, ["nothing"]),
            (".artifactfs/status.json", .root, [".artifactfs", "status.json"]),
            ("production", .mode(.production), []), ("/production//base/", .layer(.production, .base), []),
            ("production/base/analysis_sequences", .typed(.production, .base, sequences), []),
            (
                "production/base/analysis_sequences/chr1.tsv", .typed(.production, .base, sequences), ["chr1.tsv"]
            ),
            (
                "production/meta/analysis_sequences/chr1.tsv", .layer(.production, .meta),
                ["analysis_sequences", "chr1.tsv"]
            ),
            ("production/scratch", .mode(.production), ["scratch"]),
            ("production/../development", .mode(.production), ["..", "development"]),
            ("development/current/base", .mode(.development), ["current", "base"]),
            ("development/20250229_000000", .mode(.development), ["20250229_000000"]),
            ("development/20260215_143022", .scope(session), []),
            ("development/20260215_143022/metadata.json", .scope(session), ["metadata.json"]),
            ("development/20260215_143022/base/analysis_sequences", .typed(session, .base, sequences), []),
            ("development/20260215_143022/scratch/a/b", .free(session, .scratch), ["a", "b"]),
            ("test/t/plots", .free(test, .plots), []), ("test/t/logs/x", .free(test, .logs), ["x"]),
            ("test/.t", .mode(.test), [".t"]),
            ("test/t/base/nothing", .layer(test, .base), ["nothing"]),
            // A slash is a byte, whatever mark follows it.
            ("production/\u{301}base", .mode(.production), ["\u{301}base"]),
        ]
        for (path, directory, rest) in cases {
            let found = schema.locate(path)
            #expect(found.directory == directory, "\(path)")
            #expect(found.rest == rest, "\(path)")
        }
    }

    /// Every directory that is listed is found by its name and by its path, and knows its scope.
    @Test func theTreeIsOneTree() throws {
        let session = Scope.session(try #require(SessionName("20260215_143022")))
        let test = Scope.test(try #require(TestName("t")))
        var visited = 0
        func visit(_ location: TreeLocation, _ path: String) {
            visited += 1
            #expect(schema.locate(path).directory == location && schema.locate(path).rest.isEmpty, "\(path)")
            var names: Set<String> = []
            for (name, child) in schema.fixedChildren(of: location) {
                #expect(names.insert(name).inserted)
                #expect(schema.fixedChild(name, of: location) == child, "\(path)/\(name)")
                if let scope = location.scope { #expect(child.scope == scope) }
                visit(child, path + "/" + name)
            }
            #expect(schema.fixedChild("nothing", of: location) == nil)
            if location == .mode(.development) { visit(.scope(session), path + "/20260215_143022") }
            if location == .mode(.test) { visit(.scope(test), path + "/t") }
        }
        visit(.root, "")
        // Root and modes; layers and types three times; three free directories and a root in the session and the test.
        #expect(visited == 4 + 3 * (2 + 13) + 2 * (3 + 1))
        #expect(TreeLocation.mode(.production).scope == .production)
        #expect(TreeLocation.root.scope == nil && TreeLocation.mode(.test).scope == nil)
    }

    @Test func productionIsTheSameByEitherName() {
        let names = schema.fixedChildren(of: .scope(.production)).map(\.name)
        #expect(names == ["base", "meta"])
        #expect(schema.fixedChild("scratch", of: .scope(.production)) == nil)
    }

    @Test func realDirectories() throws {
        let session = Scope.session(try #require(SessionName("20260215_143022")))
        let test = Scope.test(try #require(TestName("t")))
        let cases: [(TreeLocation, String)] = [
            (.root, "."), (.mode(.production), "."), (.scope(.production), "."),
            (.layer(.production, .base), "base_layer"),
            (.typed(.production, .base, try type("analysis_sequences")), "base_layer"),
            (.typed(.production, .meta, try type("meta_checkpoints")), "meta_layer/checkpoints"),
            (.mode(.development), "base_layer/dev"), (.mode(.test), "base_layer/tests"),
            (.scope(session), "base_layer/dev/20260215_143022"),
            (.layer(session, .meta), "meta_layer/dev/20260215_143022"),
            (.typed(session, .meta, try type("meta_metrics")), "meta_layer/dev/20260215_143022/metrics"),
            (.free(session, .plots), "base_layer/dev/20260215_143022/plots"),
            (.scope(test), "base_layer/tests/t"), (.free(test, .scratch), "base_layer/tests/t/scratch"),
        ]
        for (location, directory) in cases { #expect(StoreLayout.directory(of: location) == directory) }
    }
}
