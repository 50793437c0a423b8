/// How much work a run does.
struct Settings: Sendable {
    /// Production artifacts of one block each.
    var files = 10_000
    /// Files that are made, published or removed a round.
    var changes = 2_000
    /// The large artifact, in MiB.
    var bigMebibytes = 256
    /// Reads at random places a round.
    var randomReads = 20_000
    /// Threads of the parallel workloads.
    var threads = 8
    /// Counted rounds; one more, the first, is reported by itself.
    var rounds = 5

    /// A visit to a target measures at least so long, when its work can be repeated.
    var enoughSeconds = 0.1

    var bigBytes: Int { bigMebibytes << 20 }
    var bigBlocks: Int { bigBytes / Content.blockSize }
}
