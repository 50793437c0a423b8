internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Why a probe on two hosts has no answer.
package enum SharedProbeFailure: Error, Sendable, CustomStringConvertible {
    /// No other host came in time.
    case nobodyCame(seconds: Int)
    /// Two others were at work all the time.
    case taken(by: [String])
    /// The other one went away in the middle.
    case partnerGone(host: String, doing: String)
    /// The other one says what a probe does not say.
    case nonsense(host: String, doing: String)
    /// A signal has come.
    case stopped
    case store(StoreError)

    /// For people.
    package var description: String {
        switch self {
        case .nobodyCame(let seconds):
            "no other host came within \(seconds) s: run the same command on two hosts at once (--wait SECONDS waits longer)"
        case .taken(let hosts):
            "the hosts \(hosts.joined(separator: " and ")) are probing this store: try again when they are done"
        case .partnerGone(let host, let doing):
            "the other host, \(host), has gone while \(doing): nothing is known; run it again on both hosts"
        case .nonsense(let host, let doing):
            "the other host, \(host), says what is not understood while \(doing): use the same version of artifactfs on both"
        case .stopped: "stopped"
        case .store(let error): error.description
        }
    }
}

/// Two hosts in step: what one says in a step the other hears, and neither goes on alone.
final class ProbeTalk {
    let own: ProbeHost
    let partner: ProbeHost
    /// The first or the second: 0 or 1.
    let role: Int
    /// What only these two use; until they have it, where they met.
    private(set) var room: Directory
    /// What is done at the moment, for people.
    var doing = "beginning"

    private let directory: Directory
    private let mine: ProbeMailbox
    private let theirs: ProbeMailbox
    private var letter: ProbeLetter
    private var lastBeat: Int64?
    private var lastHeard: UInt64
    private var lastSaid: UInt64
    /// A partner of which nothing new is heard for so long is gone, in nanoseconds.
    private let patience: UInt64
    /// Called again and again while it waits.
    private let isStopped: () -> Bool

    init(
        _ pair: ProbeMeeting.Pair, in directory: Directory, patience: UInt64, isStopped: @escaping () -> Bool
    ) {
        own = pair.letter.host
        partner = pair.partner
        role = pair.role
        room = directory
        self.directory = directory
        letter = pair.letter
        self.patience = patience
        self.isStopped = isStopped
        mine = ProbeMailbox(of: own.id, in: directory)
        theirs = ProbeMailbox(of: partner.id, in: directory)
        lastHeard = Clock.monotonic()
        lastSaid = lastHeard
    }

    private var roomName: String {
        role == 0 ? ProbeRoom.name(own.id, partner.id) : ProbeRoom.name(partner.id, own.id)
    }

    /// The first makes a directory for both, and the second waits until it sees it.
    func enterRoom() throws(SharedProbeFailure) {
        doing = "meeting"
        if role == 0 {
            room = try acting("make a directory for the probe") { () throws(Errno) in
                try ProbeRoom.directory(roomName, in: directory)
            }
        }
        _ = try exchange()
        while role == 1 {
            do throws(Errno) {
                room = try directory.directory(roomName)
                break
            } catch .noSuchFileOrDirectory {
                _ = try heard()
                usleep(20_000)
            } catch { throw .store(.system(doing: "enter the probe's directory", path: roomName, error)) }
        }
        _ = try exchange()
    }

    /// After the last step of both, or when the other is gone: nothing is left behind.
    func removeAll() {
        ProbeRoom.remove(roomName, in: directory)
        for mailbox in [theirs, mine] { try? mailbox.file.unlink() }
    }

    /// Tells the other one that it is alone from now on: it removes what both have left.
    func leave() {
        letter.partner = nil
        letter.step = ProbeLetter.left
        letter.beat &+= 1
        try? mine.write(letter)
    }

    /// Says something, and hears what the other says in the same step.
    func exchange(_ said: JSONObject = [:]) throws(SharedProbeFailure) -> JSONObject {
        try say(said)
        return try hear()
    }

    /// Goes on a step.
    func say(_ said: JSONObject = [:]) throws(SharedProbeFailure) {
        letter.before = letter.now
        letter.now = said
        letter.step &+= 1
        try write()
    }

    /// Waits for what the other says in the step that this host has said last.
    func hear() throws(SharedProbeFailure) -> JSONObject {
        var turns = 0
        while true {
            if let found = try heard() { return found }
            turns += 1
            // At first as close as can be: what comes next may be a race.
            if turns > 100 { usleep(turns > 1_000 ? 10_000 : 500) }
        }
    }

    /// What the other has said in this step; nil when it has not come so far. It says meanwhile that this host lives.
    func heard() throws(SharedProbeFailure) -> JSONObject? {
        if isStopped() { throw .stopped }
        let now = Clock.monotonic()
        var found: ProbeLetter?
        var isThere = true
        do throws(Errno) { found = try theirs.read() } catch {
            switch error {
            case .noSuchFileOrDirectory: isThere = false
            // It is looked up again.
            case .staleNFSFileHandle: break
            default: throw .store(.system(doing: "hear the other host", path: theirs.file.name, error))
            }
        }
        if let found, found.host == partner {
            if found.beat != lastBeat { (lastBeat, lastHeard) = (found.beat, now) }
            // Who works with another one has given this one up.
            guard found.partner == own.id else { throw gone }
            if found.step == letter.step { return found.now }
            if found.step == letter.step &+ 1 { return found.before }
            if found.step > letter.step { throw .nonsense(host: partner.host, doing: doing) }
        }
        if partner.isGone(seenFrom: own) || now &- lastHeard > patience || (!isThere && now &- lastHeard > Self.blink) {
            throw gone
        }
        if now &- lastSaid > Self.beat { try write() }
        return nil
    }

    /// How often a host says that it lives, in nanoseconds.
    static let beat: UInt64 = 500_000_000
    /// How long a name may seem to be missing that is there, in nanoseconds.
    private static let blink: UInt64 = 10_000_000_000

    private var gone: SharedProbeFailure { .partnerGone(host: partner.host, doing: doing) }

    private func write() throws(SharedProbeFailure) {
        letter.beat &+= 1
        lastSaid = Clock.monotonic()
        do throws(Errno) { try mine.write(letter) } catch {
            // Who is left alone has had it taken away by the other.
            throw error == .noSuchFileOrDirectory
                ? gone : .store(.system(doing: "speak to the other host", path: mine.file.name, error))
        }
    }

    /// Does something without which there is no answer.
    func acting<Value>(_ what: String, _ body: () throws(Errno) -> Value) throws(SharedProbeFailure) -> Value {
        do throws(Errno) { return try body() } catch {
            throw .store(.system(doing: what, path: StoreFormat.probe, error))
        }
    }
}
