import Glibc

/// The memory that is written from and read to: one for all targets, because where memory lies shows in the rates.
final class Buffers {
    let content = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: Content.blockSize)
    let landing = UnsafeMutableRawPointer.allocate(byteCount: 1 << 20, alignment: Content.blockSize)

    init() {
        Preparation.fillMebibyte(content, piece: 0)
        memset(landing, 0, 1 << 20)
    }

    deinit {
        content.deallocate()
        landing.deallocate()
    }
}

/// A target with all that its timed loops need, made beforehand.
final class Bench {
    let target: Target
    let settings: Settings
    /// The small production artifacts.
    let artifacts: PathTable
    /// 1 MiB of content, page aligned: what is written. All targets have the same.
    var buffer: UnsafeMutableRawPointer { buffers.content }
    /// 1 MiB, page aligned: where is read to. All targets have the same.
    var readBuffer: UnsafeMutableRawPointer { buffers.landing }
    private let buffers: Buffers
    /// The stamps of the small artifacts and of the large one's blocks.
    let stamps: [UInt64]
    /// In all of a run's file names: published artifacts stay, and a later run needs others.
    let runName: String
    /// Whether it is what the others are compared with.
    let isNative: Bool
    /// The round under way.
    var round = 0

    init(
        target: Target, isNative: Bool, settings: Settings, stamps: [UInt64], runName: String, buffers: Buffers
    ) throws(BenchFailure) {
        self.target = target
        self.isNative = isNative
        self.settings = settings
        self.stamps = stamps
        self.runName = runName
        artifacts = PathTable(count: settings.files) { target.artifact($0) }
        self.buffers = buffers
        if target.layout == .store && !target.isReadOnly {
            let directory = target.sessionDirectory
            if mkdir(directory, 0o755) != 0 && errno != EEXIST { throw BenchFailure.call("make", directory) }
        }
    }

    /// Names for this round that no other round or run has.
    func freshNames(_ kind: String, count: Int, path: (String) -> String) -> PathTable {
        PathTable(count: count) { path(freshName(kind, $0)) }
    }

    func freshName(_ kind: String, _ index: Int) -> String { "chrUn_\(kind)_\(runName)_\(round)_\(index).tsv" }

    /// The sum of the stamps of blocks `0..<count`.
    func expectedSum(_ count: Int) -> UInt64 { stamps.prefix(count).reduce(0, &+) }

    /// Asks for a name that is not there until the time is over: every answer comes from the process that serves the target. The native
    /// directory has none.
    func warmUp() throws(BenchFailure) {
        if isNative { return }
        let missing = target.artifactDirectory + "/chrNone.tsv"
        var facts = stat()
        let end = Stopwatch.now() + settings.warmUpSeconds
        while Stopwatch.now() < end {
            for _ in 0..<64 where stat(missing, &facts) == 0 { throw BenchFailure("\(missing) is there") }
        }
    }

    /// Refuses a sample whose work was not done.
    func require(_ condition: Bool, _ workload: String, _ found: @autoclosure () -> String) throws(BenchFailure) {
        if !condition { throw BenchFailure("\(workload) on \(target.name) did not do its work: \(found())") }
    }
}
