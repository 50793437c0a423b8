/// One kind of work, timed on every target.
///
/// To add one: write its body in a file beside the others (nothing but system calls between `Stopwatch.now()` and
/// `Stopwatch.now()`, and a check afterwards that the work was done), and name it in `all`.
struct Workload: Sendable {
    enum Unit: String, Sendable {
        case operations = "/s"
        case mebibytes = "MiB/s"
    }

    /// What one timed pass did.
    struct Sample: Sendable {
        let seconds: Double
        /// In the workload's unit.
        let amount: Double
    }

    /// Its name on the command line, in the table and in the thresholds.
    let name: String
    let summary: String
    let unit: Unit
    /// Whether it changes something: a read-only target leaves it out.
    let writes: Bool
    /// What is forgotten before each pass.
    var forgets = Forgetting.nothing
    let body: @Sendable (Bench) throws(BenchFailure) -> Sample

    static let all: [Workload] = [
        .sequentialWrite, .sequentialRead, .parallelWrite, .parallelRead, .randomRead, .mappedRead, .statNames,
        .openRead, .listAndStat, .list, .parallelOpenRead, .createInSession, .parallelCreate, .unlink,
        .createInProduction,
        .grep, .awk, .copySession,
        .polars,
    ]

    /// What is measured when nothing is named, where it can be.
    static var usual: [Workload] { all + (Forgetting.isPossible ? firsts : []) }

    /// All that can be named.
    static var known: [Workload] { all + firsts + colds + jobs }
}
