package import ArtifactRecords
internal import Synchronization
package import Glibc
package import SystemCalls

/// A file that processes read, as it was then: of the mount, or outside of it where that is observed.
package final class ReadFile: Sendable {
    /// Which file it is.
    package let identity: FileIdentity
    /// Where it was shown, from the mount point; of what is outside of it the whole path.
    package let path: String
    /// Whether it is not on the mount.
    package var isOutside: Bool { path.utf8.first == UInt8(ascii: "/") }
    /// How it was, where its bytes may change; nil of what is sealed.
    package let version: BytesState?

    /// What tells the bytes of a file from what they were before.
    package struct BytesState: Sendable, Hashable {
        /// In bytes.
        package let size: Int64
        /// When it was changed last, in nanoseconds.
        package let modified: Int64

        /// Of a file that was looked at.
        package init(_ attributes: stat) {
            size = Int64(attributes.st_size)
            modified = Int64(attributes.st_mtim.tv_sec) &* 1_000_000_000 &+ Int64(attributes.st_mtim.tv_nsec)
        }

        /// The same as a time.
        package var changed: timespec {
            let (seconds, rest) = modified.quotientAndRemainder(dividingBy: 1_000_000_000)
            return timespec(
                tv_sec: Int(rest < 0 ? seconds - 1 : seconds), tv_nsec: Int(rest < 0 ? rest + 1_000_000_000 : rest))
        }
    }

    private struct Found {
        let input: ArtifactRecord.Input
        /// Until when that is not looked up again, on the monotonic clock.
        let end: UInt64
    }

    /// In nanoseconds: for so long it is taken to have no record still.
    private static let pause: UInt64 = 1_000_000_000

    /// What a record says of it, once that was looked up; of what is sealed only.
    private let found = Lock<Found?>(nil)

    package var input: ArtifactRecord.Input? {
        guard let found = found.withLock({ $0 }), found.end == .max || Clock.monotonic() < found.end else { return nil }
        return found.input
    }

    /// - Parameter input: without a hash when no record of it was found.
    package func isFound(_ input: ArtifactRecord.Input) {
        guard version == nil else { return }
        let end = input.sha256 == nil ? Clock.monotonic() &+ Self.pause : .max
        found.withLock { $0 = Found(input: input, end: end) }
    }

    package init(_ identity: FileIdentity, path: String, version: BytesState?) {
        (self.identity, self.path, self.version) = (identity, path, version)
    }
}
