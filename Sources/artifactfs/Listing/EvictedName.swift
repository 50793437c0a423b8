import Artifacts
import SystemCalls
import SystemPackage

extension EvictionMark {
    /// What a real path in production says; nil of everything but a link that says that something is evicted.
    init?(atPath path: String) {
        guard let target = try? SystemCall.linkTarget(atPath: path) else { return nil }
        self.init(target)
    }
}
