internal import Artifacts
internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What files have, and whose they are and when, as each host sees it.
struct ProbeFeatures {
    let talk: ProbeTalk

    /// What this host has found.
    func facts() throws(SharedProbeFailure) -> [SharedQuestion: SharedFact] {
        talk.doing = "looking at attributes"
        var facts: [SharedQuestion: SharedFact] = [:]
        facts[.unnamedFiles] = unnamed()
        facts[.owner] = owner()
        facts[.modesBindRoot] = modesBindRoot()
        // The other one's are looked at.
        let (attribute, list) = try talk.acting("make a file for the probe") { () throws(Errno) in
            let file = talk.room.file("attributes-\(talk.role)")
            SystemCall.close(try file.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o644))
            return (
                set(Self.attribute, Array(talk.own.id.utf8), on: file),
                set(AccessList.accessAttribute, Self.list, on: file)
            )
        }
        _ = try talk.exchange()
        let other = talk.room.file("attributes-\(1 - talk.role)")
        facts[.attributes] = attribute.and(seen(Self.attribute, Array(talk.partner.id.utf8), on: other))
        facts[.accessLists] = list.and(seen(AccessList.accessAttribute, Self.list, on: other))
        _ = try talk.exchange()
        return facts
    }

    private static let attribute = "user.artifact.probe"
    /// The owner and user 1 may read it.
    private static let list = AccessList([
        .init(.owner, 6), .init(.user, 4, id: 1), .init(.owningGroup, 4), .init(.mask, 4), .init(.others, 4),
    ]).attribute

    private func set(_ name: String, _ value: [UInt8], on file: RealFile) -> SharedFact {
        do throws(Errno) {
            try file.setExtendedAttribute(name, to: value)
            return SharedFact(.yes)
        } catch { return .refused(error) }
    }

    private func seen(_ name: String, _ value: [UInt8], on file: RealFile) -> SharedFact {
        do throws(Errno) {
            return try file.extendedAttribute(name) == value ? SharedFact(.yes) : SharedFact(.no, "another one is seen")
        } catch .noData { return SharedFact(.no, "none is seen") } catch { return .refused(error) }
    }

    /// A file without a name, that gets one.
    private func unnamed() -> SharedFact {
        do throws(Errno) {
            let descriptor = try SystemCall.open(
                talk.room.descriptor, ".", O_RDWR | SystemCall.unnamedFile, 0o644)
            defer { SystemCall.close(descriptor) }
            try SystemCall.link(descriptor, talk.room.descriptor, "unnamed-\(talk.role)")
            return SharedFact(.yes)
        } catch { return .refused(error) }
    }

    private func owner() -> SharedFact {
        do throws(Errno) {
            let descriptor = try talk.room.file("owner-\(talk.role)").open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
            defer { SystemCall.close(descriptor) }
            let found = try SystemCall.attributes(descriptor).st_uid
            return found == geteuid() ? SharedFact(.yes) : SharedFact(.no, "user \(geteuid())'s are user \(found)'s")
        } catch { return SharedFact(.unknown, "failed: \(error)") }
    }

    private func modesBindRoot() -> SharedFact {
        guard geteuid() == 0 else { return SharedFact(.unknown, "not asked as root") }
        let file = talk.room.file("mode-\(talk.role)")
        do throws(Errno) {
            SystemCall.close(try file.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o400))
            SystemCall.close(try file.open(O_WRONLY))
            return SharedFact(.no)
        } catch .permissionDenied { return SharedFact(.yes) } catch { return SharedFact(.unknown, "failed: \(error)") }
    }
}

/// The clocks of two hosts, and whose the times of files are.
struct ProbeTimes {
    let talk: ProbeTalk

    private static let rounds = 10

    func facts() throws(SharedProbeFailure) -> [SharedQuestion: SharedFact] {
        talk.doing = "comparing clocks"
        // How far a new file's time is before this host's clock.
        let lead = try talk.acting("make a file for the probe") { () throws(Errno) -> Int64? in
            let file = talk.room.file("time-\(talk.role)")
            let before = Clock.nanoseconds(Clock.now())
            let descriptor = try file.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
            defer { SystemCall.close(descriptor) }
            try SystemCall.write(descriptor, [0])
            try SystemCall.sync(descriptor)
            let time = Clock.nanoseconds(try SystemCall.attributes(descriptor).st_mtim)
            guard let before, let after = Clock.nanoseconds(Clock.now()), let time else { return nil }
            // Between the two it is neither before nor behind.
            return time < before ? time &- before : time > after ? time &- after : 0
        }
        // The second answers with its clock: when it looked at it lies between the first one's question and the answer's coming.
        var best: (difference: Int64, uncertainty: Int64)?
        for _ in 0..<Self.rounds {
            if talk.role == 0 {
                let asked = Clock.nanoseconds(Clock.now()) ?? 0
                let start = Clock.monotonic()
                try talk.say()
                // The other's answer to this step comes after it has heard it.
                _ = try talk.hear()
                let answer = try talk.exchange()
                let took = Int64(clamping: Clock.monotonic() &- start)
                guard let clock = answer["clock"]?.integer else { continue }
                let middle = asked &+ took / 2
                let (difference, overflows) = clock.subtractingReportingOverflow(middle)
                if !overflows, took / 2 < best?.uncertainty ?? .max { best = (difference, took / 2) }
            } else {
                _ = try talk.exchange()
                _ = try talk.exchange(["clock": .integer(Clock.nanoseconds(Clock.now()) ?? 0)])
            }
        }
        var said: JSONObject = [:]
        said["lead"] = lead.map { .integer($0) }
        said["difference"] = best.map { .integer($0.difference) }
        said["uncertainty"] = best.map { .integer($0.uncertainty) }
        let answer = try talk.exchange(said)
        let (first, second) = talk.role == 0 ? (said, answer) : (answer, said)
        guard let difference = first["difference"]?.integer, let uncertainty = first["uncertainty"]?.integer,
            let one = first["lead"]?.integer, let other = second["lead"]?.integer
        else { return [:] }
        let clocks = SharedClocks(difference: difference, uncertainty: uncertainty, first: one, second: other)
        return [.serverTimes: clocks.serverTimes, .clocks: clocks.agreement]
    }
}
