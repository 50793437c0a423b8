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

    /// Before each visit a target is asked for names that are not there, for so long. What a file system's first requests take after
    /// a rest, or after another's turn, is the luck of where the scheduler has put the two processes: bindfs was seen to make a
    /// file in 55 µs for the first 60 ms, and in 220 µs from then on, however long it went on.
    var warmUpSeconds = 0.2

    /// A directory that is made when it is missing, on the native directory's file system, for what tools write.
    var scratch = ""
    /// An interpreter that has polars; without one there is no `polars` workload.
    var python: String?

    var bigBytes: Int { bigMebibytes << 20 }
    var bigBlocks: Int { bigBytes / Content.blockSize }
}
