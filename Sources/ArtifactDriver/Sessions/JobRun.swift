internal import ArtifactRecords
internal import Artifacts
internal import FuseKernel
internal import Synchronization
internal import SystemCalls

/// A run that goes on: a process that has said so, and all that descends from it (`artifactfs run`).
final class JobRun: Sendable {
    let id: String
    let experiment: String?
    let session: SessionName
    /// The process that began it, and whose.
    let process: Int32
    let user: UInt32
    /// Paths that it says it reads.
    let inputs: [String]
    /// Whether what it makes in production is published together when its command ends well, and not at all otherwise.
    let isAllOrNothing: Bool
    /// The run that is all or nothing and in which this one was begun.
    let outer: JobRun?
    /// The run with which what it makes is published, when one is all or nothing.
    var holder: JobRun? { isAllOrNothing ? self : outer }
    /// Until when it is waited for those who still write when its command has ended, on the monotonic clock; 0 before that.
    let patience = Atomic<UInt64>(0)
    /// What became of what it made, for who asks. A leaf in the order of locks.
    let outcome = Lock<JSONObject>([:])
    /// Whether what it made was looked for when it had ended: what is closed later is not of it.
    let isCollected = Atomic(false)
    private let hasEnded = Atomic(false)

    /// Whether its command has ended; what that has left running is of it still.
    var isOver: Bool { hasEnded.load(ordering: .relaxed) }

    /// - Returns: false when it is over already.
    func end() -> Bool { !hasEnded.exchange(true, ordering: .relaxed) }

    /// In bytes.
    private static let longestName = 255
    private static let mostInputs = 1000

    /// - Parameters:
    ///   - statement: what the process says of it. Nil when it lacks what it must have.
    ///   - outer: the run that is all or nothing and that this process is of.
    init?(_ statement: JSONObject, session: SessionName, process: Int32, user: UInt32, in outer: JobRun? = nil) {
        self.outer = outer
        func name(_ value: JSONValue?) -> String? {
            value?.string.flatMap { $0.isEmpty || $0.utf8.count > Self.longestName ? nil : $0 }
        }
        guard let id = name(statement["id"]) else { return nil }
        self.id = id
        experiment = name(statement["experiment"])
        var inputs: [String] = []
        if case .array(let paths)? = statement["inputs"] { inputs = paths.compactMap(\.string) }
        guard inputs.count <= Self.mostInputs else { return nil }
        isAllOrNothing = statement["all_or_nothing"] == .bool(true)
        (self.inputs, self.session, self.process, self.user) = (inputs, session, process, user)
    }

    /// For who may not do something because of it.
    var words: String { "the run \(id)" + (isOver ? ", which has ended" : ", which goes on") }

    /// As a record has it.
    var inRecord: ArtifactRecord.ExperimentRun {
        var run = ArtifactRecord.ExperimentRun()
        (run.id, run.experiment) = (id, experiment)
        return run
    }
}

/// The process that said it is a run: when that ends without a word, so does the run.
final class RunProcess: AwaitsMakers {
    /// No inode's.
    let id: InodeNumber
    let run: JobRun

    init(_ run: JobRun, number: UInt64) { (self.run, id) = (run, InodeNumber(rawValue: .max - number)) }
}
