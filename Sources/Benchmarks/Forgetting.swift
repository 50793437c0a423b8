import Glibc

/// What the kernel is made to forget before a workload, so that it meets everything for the first time.
enum Forgetting: Int32, Sendable {
    case nothing = 0
    /// Names, inodes and, on a mount, the pages of these. Files of tmpfs stay as they are.
    case names = 2
    /// The pages of the disk too.
    case everything = 3

    private static let file = "/proc/sys/vm/drop_caches"

    /// For root only.
    static var isPossible: Bool { access(file, W_OK) == 0 }

    /// Forgets (proc(5), drop_caches). Then a mount's driver has a moment for what it is told of that.
    func happen() throws(BenchFailure) {
        guard self != .nothing else { return }
        sync()
        let descriptor = open(Self.file, O_WRONLY | O_CLOEXEC)
        guard descriptor >= 0 else { throw BenchFailure.call("open", Self.file) }
        defer { close(descriptor) }
        let digit = [UInt8(truncatingIfNeeded: Int32(UInt8(ascii: "0")) + rawValue)]
        guard write(descriptor, digit, 1) == 1 else { throw BenchFailure.call("write", Self.file) }
        usleep(100_000)
    }
}
