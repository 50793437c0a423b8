import TestSupport
import Testing

/// The repository's top says what there is, and nothing else lies there.
@Suite struct TopLevelTests {
    @Test func onlyTheAgreedEntriesAreAtTheTop() throws {
        let needed: Set<String> = ["Package.swift", "README.md", "Sources", "Tests", "mount-scripts"]
        // SwiftPM writes Package.resolved.
        let allowed = needed.union(["Package.resolved", "LICENSE", "LICENSE.md", "LICENSE.txt"])
        let found = Set(try names(in: SourceTree.top).filter { !$0.hasPrefix(".") })
        #expect(found.subtracting(allowed).isEmpty, "not agreed: \(found.subtracting(allowed).sorted())")
        #expect(needed.subtracting(found).isEmpty, "missing: \(needed.subtracting(found).sorted())")
    }

    @Test func everyTargetHasItsTests() throws {
        let tests = Set(try names(in: SourceTree.top + "/Tests"))
        // The shims have no code of their own to test; mount-scripts/bench.sh runs the benchmarks.
        let exempt: Set<String> = ["Benchmarks", "CCrypto", "CCurl", "CFuse", "CLinux"]
        for target in try names(in: SourceTree.top + "/Sources") where !exempt.contains(target) {
            let name = target == "artifactfs" ? "MountedTests" : target + "Tests"
            #expect(tests.contains(name), "\(target) has no Tests/\(name)")
        }
    }
}
