internal import Glibc
internal import SystemCalls

/// What tells that a file was not changed or replaced: which one it is, its size, and its times.
struct FileStamp: Hashable, Sendable {
    let number: FileNumber
    let size: Int64
    let modified: StampTime
    let changed: StampTime

    struct StampTime: Hashable, Sendable {
        let seconds: Int64
        let nanoseconds: Int64

        init(_ time: timespec) {
            seconds = Int64(time.tv_sec)
            nanoseconds = Int64(time.tv_nsec)
        }
    }

    init(_ attributes: stat) {
        number = attributes.number
        size = Int64(attributes.st_size)
        modified = StampTime(attributes.st_mtim)
        changed = StampTime(attributes.st_ctim)
    }

    /// Whether the file was changed so lately that a change to come could bear the same time: some file systems count whole seconds. What was
    /// read of such a file is not remembered.
    var isFresh: Bool {
        let age = Clock.secondsSince(timespec(tv_sec: Int(changed.seconds), tv_nsec: 0))
        return age < 2
    }
}
