package import ArtifactRecords
internal import Glibc
package import SystemCalls

/// What is known of a process that writes: what it is, and the job that it is of.
package struct WriterFacts: Sendable {
    /// The process.
    package let image: ProcessImage
    /// Its ancestors, from its parent to the job's leader.
    package let ancestors: [ProcessImage]
    /// The user's name; nil when it has none that is known here.
    package let user: String?
    /// With which code it works.
    package internal(set) var code: [ArtifactRecord.Code] = []

    /// The same of a process that has become another program since, which was not seen.
    var withoutProgram: WriterFacts {
        WriterFacts(
            image: image.withoutProgram, ancestors: ancestors, user: user, code: code.filter { $0.role == "cwd" })
    }

    /// The rights that it had; nil when they were not shown.
    package var rights: UserRights? { image.rights }

    /// What a record says of the writer.
    ///
    /// - Parameter writer: what is known already.
    package func fill(_ record: inout ArtifactRecord) {
        var writer = record.writer ?? ArtifactRecord.Writer()
        (writer.user, writer.pid) = (user, image.process)
        (writer.program, writer.argv, writer.cwd) = (image.program, image.arguments, image.directory)
        if image.isCut { writer.argvIsCut = true }
        writer.started = Clock.time(ofTicksSinceBoot: image.origin.start)
        writer.environment = image.environment ?? [:]
        writer.namespace = image.namespace
        record.writer = writer
        record.job = job
        record.code = code
    }

    private var job: ArtifactRecord.WriterJob? {
        let chain = [image] + ancestors
        var job = ArtifactRecord.WriterJob()
        job.kind = JobKind.kind(of: chain)
        job.id = JobKind.schedulerID(of: chain) ?? chain.last.map(Self.name)
        job.processes = ancestors.map { ancestor in
            var process = ArtifactRecord.Process()
            (process.pid, process.program) = (ancestor.process, ancestor.program)
            (process.argv, process.cwd) = (ancestor.arguments, ancestor.directory)
            return process
        }
        return job
    }

    /// Of a job that no scheduler named: its leader's number and beginning, which together no other process of this machine has.
    private static func name(_ leader: ProcessImage) -> String {
        "\(leader.process)@\(TimeText.rfc3339(Clock.time(ofTicksSinceBoot: leader.origin.start)))"
    }
}
