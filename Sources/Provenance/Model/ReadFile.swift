package import ArtifactRecords
internal import Synchronization
package import Glibc
package import SystemCalls

/// A file of the mount that processes read, as it was then.
package final class ReadFile: Sendable {
    /// Which file it is.
    package let identity: FileIdentity
    /// Where it was shown, from the mount point.
    package let path: String
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
    }

    /// What a record says of it, once that was looked up; of what is sealed only.
    private let found = Lock<ArtifactRecord.Input?>(nil)

    package var input: ArtifactRecord.Input? { found.withLock { $0 } }

    package func isFound(_ input: ArtifactRecord.Input) { if version == nil { found.withLock { $0 = input } } }

    package init(_ identity: FileIdentity, path: String, version: BytesState?) {
        (self.identity, self.path, self.version) = (identity, path, version)
    }
}
