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

    /// A run does nothing for so long before each visit: a target that keeps processors awake makes the next one's round
    /// trips up to five times faster for about 0.3 s (bindfs in a virtual machine: open, read and close in 24 µs right
    /// after such a target, in 110 to 170 µs alone), and would be compared with what it gave away.
    var pauseSeconds = 0.25

    var bigBytes: Int { bigMebibytes << 20 }
    var bigBlocks: Int { bigBytes / Content.blockSize }
}
