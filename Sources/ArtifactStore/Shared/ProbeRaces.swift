internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Both hosts want one name at the same moment, a round after the other.
struct ProbeRaces {
    let talk: ProbeTalk
    /// So many rounds of a kind at most.
    let rounds: Int
    /// And for so long, in nanoseconds.
    let longest: UInt64

    /// The file that this host gives names to.
    private let token: RealFile
    private let number: UInt64

    init(_ talk: ProbeTalk, rounds: Int, longest: UInt64) throws(SharedProbeFailure) {
        self.talk = talk
        self.rounds = min(rounds, SharedRace.mostRounds)
        self.longest = longest
        let token = talk.room.file("token-\(talk.role)")
        number = try talk.acting("make a file for the probe") { () throws(Errno) in
            let descriptor = try token.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)
            defer { SystemCall.close(descriptor) }
            return UInt64(try SystemCall.attributes(descriptor).st_ino)
        }
        self.token = token
    }

    /// What this host has found of names; the other finds the same.
    func facts() throws(SharedProbeFailure) -> [SharedQuestion: SharedFact] {
        var facts: [SharedQuestion: SharedFact] = [:]
        facts[.links] = trying("linked") { name throws(Errno) in
            try name.link(from: token)
            guard try name.attributes().st_ino == number else { throw .invalidArgument }
        }
        facts[.renameNoReplace] = carriesNoReplace()
        facts[.renameExchange] = carriesExchange()
        talk.doing = "racing link(2)"
        facts[.link] = try race("link") { name, _ throws(Errno) in
            do throws(Errno) { try name.link(from: token) } catch .fileExists {}
            return UInt64(try name.attributes().st_ino) == number
        }
        talk.doing = "racing O_EXCL"
        facts[.exclusiveCreate] = try race("create") { name, _ throws(Errno) in
            do throws(Errno) {
                SystemCall.close(try name.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o644))
                return true
            } catch .fileExists { return false }
        }
        talk.doing = "racing renames"
        facts[.renameRaced] = try race("rename") { name, round throws(Errno) in
            let own = talk.room.file("from-\(talk.role)-\(round)")
            let descriptor = try own.open(O_WRONLY | O_CREAT, mode: 0o644)
            let mine = try? SystemCall.attributes(descriptor).st_ino
            SystemCall.close(descriptor)
            do throws(Errno) { try noReplace(own, name) } catch .fileExists {
                try? own.unlink()
                return false
            }
            return try name.attributes().st_ino == mine
        }
        talk.doing = "racing mkdir(2)"
        facts[.directory] = try race("directory") { name, _ throws(Errno) in
            do throws(Errno) {
                try SystemCall.makeDirectory(name.directory.descriptor, name.name, 0o755)
                return true
            } catch .fileExists { return false }
        }
        return facts
    }

    /// Both go for `<kind>-<round>` at once. The first one says when it is enough.
    private func race(
        _ kind: String, _ attempt: (RealFile, Int) throws(Errno) -> Bool
    ) throws(SharedProbeFailure) -> SharedFact {
        var race = SharedRace()
        let end = Clock.monotonic() &+ longest
        for round in 0..<rounds {
            let isLast = round == rounds - 1 || Clock.monotonic() > end
            let other = try talk.exchange(["last": .bool(isLast)])
            let outcome: RaceOutcome
            do throws(Errno) {
                outcome = try attempt(talk.room.file("\(kind)-\(round)"), round) ? .won : .lost
            } catch { outcome = .failed }
            race.add(outcome)
            if talk.role == 0 ? isLast : other["last"] == .bool(true) { break }
        }
        let answer = try talk.exchange([kind: .string(race.text)])
        guard let text = answer[kind]?.string, let other = SharedRace(text: text) else {
            throw .nonsense(host: talk.partner.host, doing: talk.doing)
        }
        // Hosts that have one name are told apart by their parts.
        let names = talk.own.host == talk.partner.host ? ["first", "second"] : nil
        return race.fact(
            with: other, ofUs: names?[talk.role] ?? talk.own.host,
            ofThem: names?[1 - talk.role] ?? talk.partner.host)
    }

    /// A rename to a name that is taken must say so, and to one that is free must do it.
    private func carriesNoReplace() -> SharedFact {
        trying("moved") { name throws(Errno) in
            let (from, taken) = (talk.room.file("moving-\(talk.role)"), talk.room.file("taken-\(talk.role)"))
            for file in [from, taken] { SystemCall.close(try file.open(O_WRONLY | O_CREAT, mode: 0o644)) }
            do throws(Errno) { try noReplace(from, taken) } catch .fileExists {
                return try noReplace(from, name)
            }
            throw .fileExists
        }
    }

    private func carriesExchange() -> SharedFact {
        trying("exchanged") { name throws(Errno) in
            let (one, other) = (talk.room.file("one-\(talk.role)"), name)
            for file in [one, other] { SystemCall.close(try file.open(O_WRONLY | O_CREAT, mode: 0o644)) }
            let before = try other.attributes().st_ino
            try one.rename(to: other, flags: SystemCall.exchange)
            guard try one.attributes().st_ino == before else { throw .fileExists }
        }
    }

    /// The call itself: `RealFile.rename` does something else where a file system is not known to carry the flag.
    private func noReplace(_ from: RealFile, _ to: RealFile) throws(Errno) {
        try SystemCall.rename(
            from.directory.descriptor, from.name, to.directory.descriptor, to.name, SystemCall.noReplace)
    }

    private func trying(_ name: String, _ body: (RealFile) throws(Errno) -> Void) -> SharedFact {
        do throws(Errno) {
            try body(talk.room.file("\(name)-\(talk.role)"))
            return SharedFact(.yes)
        } catch {
            return error == .fileExists
                ? SharedFact(.no, "it replaces what is there") : SharedFact.refused(error)
        }
    }
}

extension SharedFact {
    /// Of a call that failed: one that is not known or not allowed is not there, and of any other error it is not known.
    static func refused(_ error: Errno) -> SharedFact {
        switch error {
        case .invalidArgument, .notSupported, .noFunction, .notPermitted, .isDirectory:
            SharedFact(.no, "refused: \(error)")
        default: SharedFact(.unknown, "failed: \(error)")
        }
    }
}
