import ArtifactKit
import Artifacts
import Glibc
import TestSupport
import Testing

@Suite struct TypeTests {
    /// The members are the built-in schema's types, and each is spelled as its name.
    @Test func theMembersAreTheSchemas() {
        #expect(ArtifactType.builtIn.map(\.name) == ArtifactSchema.builtIn.types.map(\.name))
        #expect(ArtifactType.analysisSequences == "analysis_sequences" && ArtifactType("a").description == "a")
    }

    /// A program of somebody else's, in another package: what it uses of the library compiles, links and runs, and a mistyped member does not compile.
    @Test func aProgramThatUsesTheLibrary() throws {
        let directory = try TemporaryDirectory()
        let client = try Client(in: directory.path)
        let built = try client.compile(
            """
            import ArtifactKit

            extension ArtifactType { static let junctions: ArtifactType = "junctions" }

            let store = CommandLine.arguments[1]
            try ArtifactManager.makeStore(at: store)
            let manager = try ArtifactManager(store: store, mode: .production)
            print(try manager.save(Array("a\\tb\\n1\\t2\\n".utf8), as: .analysisSequences, chromosome: "1"))
            print(try manager.load("analysis_sequences", chromosome: "chr1").count)
            do { _ = try manager.load(.junctions) } catch { print(error) }
            """)
        #expect(built.succeeded, "\(built)")
        let mistyped = try client.compile(
            "import ArtifactKit\nlet type: ArtifactType = .analysisSequence\n", to: "mistyped")
        #expect(!mistyped.succeeded && (mistyped.output + mistyped.errors).contains("has no member 'analysisSequence'"))

        let store = directory.path + "/spliceai_eval"
        let ran = try run([client.program, store])
        #expect(
            ran.output == """
                \(store)/base_layer/analysis_sequences_chr1.tsv
                8
                Not an artifact type: 'junctions'
                The store's types are \(ArtifactSchema.builtIn.types.map(\.name).joined(separator: ", "))

                """, "\(ran)")
    }

    /// Other packages may depend on it.
    @Test func thePackageOffersTheLibrary() throws {
        let described = try run(["swift", "package", "--ignore-lock", "--package-path", Client.top, "dump-package"])
        #expect(described.succeeded, "\(described)")
        let words = described.output.filter { !$0.isWhitespace }
        #expect(words.contains(#""name":"ArtifactKit","settings":[],"targets":["ArtifactKit"],"type":{"library":"#))
    }

    /// Compiles programs with the modules that were built with these tests: what a package that depends on this one is built from.
    private struct Client {
        let program: String
        private let directory: String
        private let build: String

        /// From where this file was when it was built.
        static let top = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(
            separator: "/")

        init(in directory: String) throws {
            self.directory = directory
            program = directory + "/evaluate"
            let tests = try shell("dirname \"$(readlink /proc/\(getpid())/exe)\"")
            build = String(tests.output.dropLast())
        }

        func compile(_ source: String, to name: String = "evaluate") throws -> Outcome {
            try write(source, to: directory + "/main.swift")
            return try shell(
                """
                cd \(directory)
                maps=$(for map in \(Self.top)/Sources/*/module.modulemap \(Self.top)/.build/checkouts/*/Sources/*/include/module.modulemap \
                    \(build)/*.build/module.modulemap; do test -f $map && printf -- '-Xcc -fmodule-map-file=%s ' $map; done)
                tr -d "'" < \(build)/artifactfs.product/Objects.LinkFileList |
                    grep -E '/(Artifact(Kit|s|Formats|Records|Store)|SystemCalls|CLinux|SystemPackage|CSystem|Logging|Yams|CYaml)\\.build/' > objects
                swiftc -swift-version 6 -package-name evaluation -I \(build)/Modules $maps -o \(name) main.swift @objects -lcrypto
                """)
        }
    }
}
