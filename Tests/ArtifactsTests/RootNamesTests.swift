import Artifacts
import Testing

/// How stores below a root are named.
@Suite struct RootNamesTests {
    private static let names = ["a", "a_eval", "a_eval_eval", "_eval", ".a_eval", "._eval", "é_eval", "b"]

    /// Whatever lies beside each other, and whichever of it are stores: every directory has one name, no two have the same, and the name
    /// leads back to it.
    @Test func everyDirectoryHasANameOfItsOwn() {
        for present in 0..<(1 << Self.names.count) {
            let all = Self.names.enumerated().filter { present & 1 << $0.offset != 0 }.map(\.element)
                .filter(RootNames.isLookedAt)
            for stores in [Set(all), [], Set(all.prefix(1)), Set(all.dropFirst())] {
                func shown(_ name: String) -> String {
                    RootNames.shown(name, isStore: stores.contains(name), isTaken: all.contains)
                }
                #expect(Set(all.map(shown)).count == all.count, "\(all) \(stores)")
                for name in all {
                    let meant = RootNames.candidates(of: shown(name)).filter {
                        all.contains($0) && shown($0) == shown(name)
                    }
                    #expect(meant == [name], "\(all) \(stores)")
                }
            }
        }
    }

    @Test func names() {
        func shown(_ name: String, _ beside: String...) -> String {
            RootNames.shown(name, isStore: true, isTaken: beside.contains)
        }
        #expect(shown("spliceai_eval") == "spliceai" && shown("spliceai") == "spliceai")
        #expect(shown("spliceai_eval", "spliceai") == "spliceai_eval", "a directory has that name")
        #expect(shown("_eval") == "_eval", "nothing would be left")
        #expect(RootNames.shown("spliceai_eval", isStore: false, isTaken: { _ in false }) == "spliceai_eval")
        #expect(!RootNames.isLookedAt(".snapshot") && !RootNames.isLookedAt("") && RootNames.isLookedAt("a"))
    }
}
