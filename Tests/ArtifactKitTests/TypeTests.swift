import ArtifactKit
import Artifacts
import TestSupport
import Testing

@Suite struct TypeTests {
    /// The members are the built-in schema's types, and each is spelled as its name.
    @Test func theMembersAreTheSchemas() {
        #expect(ArtifactType.builtIn.map(\.name) == ArtifactSchema.builtIn.types.map(\.name))
        #expect(ArtifactType.analysisSequences == "analysis_sequences" && ArtifactType("a").description == "a")
    }

    /// A program's own package, somewhere else: it depends on this one, its members compile, and a mistyped member does not.
    @Test func aPackageThatDependsOnTheLibrary() throws {
        let directory = try TemporaryDirectory()
        let package = directory.path + "/evaluation"
        // From where this file was when it was built.
        let top = #filePath.split(separator: "/", omittingEmptySubsequences: false).dropLast(3).joined(separator: "/")
        let identity = top.split(separator: "/").last.map(String.init) ?? ""
        #expect(try run(["mkdir", "-p", package + "/Sources/evaluate", package + "/Sources/mistyped"]).succeeded)
        try write(
            """
            // swift-tools-version: 6.0
            import PackageDescription

            let kit: Target.Dependency = .product(name: "ArtifactKit", package: "\(identity)")
            let package = Package(
                name: "evaluation", dependencies: [.package(path: "\(top)")],
                targets: [
                    .executableTarget(name: "evaluate", dependencies: [kit]),
                    .executableTarget(name: "mistyped", dependencies: [kit]),
                ])
            """, to: package + "/Package.swift")
        try write(
            """
            import ArtifactKit

            extension ArtifactType { static let junctions: ArtifactType = "junctions" }

            let store = CommandLine.arguments[1]
            try ArtifactManager.makeStore(at: store)
            let manager = try ArtifactManager(store: store, mode: .production)
            print(try manager.save(Array("a\\tb\\n1\\t2\\n".utf8), as: .analysisSequences, chromosome: "1"))
            print(try manager.load("analysis_sequences", chromosome: "chr1").count)
            do { _ = try manager.load(.junctions) } catch { print(error) }
            """, to: package + "/Sources/evaluate/main.swift")
        try write(
            "import ArtifactKit\nlet type: ArtifactType = .analysisSequence\n",
            to: package + "/Sources/mistyped/main.swift")

        let built = try run(
            ["swift", "build", "--package-path", package, "--product", "evaluate", "--disable-sandbox"], timeout: 1200)
        #expect(built.succeeded, "\(built)")
        let mistyped = try run(
            ["swift", "build", "--package-path", package, "--product", "mistyped", "--disable-sandbox"], timeout: 1200)
        #expect(!mistyped.succeeded && (mistyped.output + mistyped.errors).contains("has no member 'analysisSequence'"))

        let store = directory.path + "/spliceai_eval"
        let ran = try run([package + "/.build/debug/evaluate", store])
        #expect(
            ran.output == """
                \(store)/base_layer/analysis_sequences_chr1.tsv
                8
                Not an artifact type: 'junctions'
                The store's types are \(ArtifactSchema.builtIn.types.map(\.name).joined(separator: ", "))

                """, "\(ran)")
    }
}
