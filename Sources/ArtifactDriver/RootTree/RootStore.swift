package import ArtifactStore
internal import FuseKernel
internal import Synchronization
internal import SystemCalls

/// A store that a root shows, from when its name was first looked for: it is opened with the first request that goes into it.
final class RootStore: Sendable {
    enum State: Sendable {
        case closed
        case opening
        case open(Volume)
        /// It could not be opened.
        ///
        /// - Parameter retry: when it is tried again, on the monotonic clock.
        case failed(problem: String, retry: UInt64)
        /// The mount has ended.
        case ended
    }

    /// Which directory it is, whatever it is called.
    struct Identity: Sendable, Hashable {
        let device: UInt64
        let number: UInt64
    }

    /// Its path on the mount, from the mount point.
    let shown: String
    /// Its directory, from the root.
    let real: String
    let identity: Identity
    let space: InodeSpace
    let state = Lock<State>(.closed)
    /// Why it could not be opened when that was last said.
    let saidProblem = Lock<String?>(nil)

    init(shown: String, real: String, identity: Identity, space: InodeSpace) {
        (self.shown, self.real, self.identity, self.space) = (shown, real, identity, space)
    }

    /// The volume, when it is open.
    var volume: Volume? {
        state.withLock { state -> Volume? in
            if case .open(let volume) = state { return volume }
            return nil
        }
    }
}

/// What is needed to open a store of a root.
package struct RootOpening: Sendable {
    /// The store's directory.
    package let store: String
    /// Where it is shown.
    package let mountPoint: String
    /// The descriptors that the stores of the root have together.
    package let descriptors: DescriptorBudget

    package init(store: String, mountPoint: String, descriptors: DescriptorBudget) {
        (self.store, self.mountPoint, self.descriptors) = (store, mountPoint, descriptors)
    }
}
