internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// How two hosts find each other in `.artifactfs/probe`: each has a file there that it writes again and again. The lower one of two offers
/// itself to the higher one, by naming it in its own file, and the higher one takes the offer in the same way. Each writes its own file only,
/// so it takes nothing of a file system that is still to be found out.
struct ProbeMeeting {
    /// `.artifactfs/probe`.
    let directory: Directory
    let own: ProbeHost
    /// A host of which nothing new is heard for so long is gone, in nanoseconds.
    let patience: UInt64
    let isStopped: () -> Bool

    /// What is known of another host's file.
    private struct Sight {
        var beat: Int64?
        var since: UInt64
        /// Whether it has changed since it was first seen.
        var lives = false
        var letter: ProbeLetter?
    }

    /// Which of the two is the first; the letter is the one to go on with.
    struct Pair {
        let letter: ProbeLetter
        let partner: ProbeHost
        let role: Int
    }

    private static let pause: UInt32 = 20_000

    /// Waits for another host, and takes away what hosts have left that are gone.
    ///
    /// - Parameters:
    ///   - seconds: how long it waits.
    ///   - waiting: called once, when nobody is there yet.
    func meet(within seconds: Int, waiting: () -> Void) throws(SharedProbeFailure) -> Pair {
        var letter = ProbeLetter(host: own)
        let mailbox = ProbeMailbox(of: own.id, in: directory)
        try saying { () throws(Errno) in try mailbox.write(letter, isNew: true) }
        var isDone = false
        defer { if !isDone { try? mailbox.file.unlink() } }
        let start = Clock.monotonic()
        var sights: [String: Sight] = [:]
        var lastSaid = start
        var hasTold = false
        while true {
            let now = Clock.monotonic()
            try look(&sights, now)
            let others = sights.filter { $0.value.lives }.compactMap(\.value.letter)
            let before = letter.partner
            if let pair = Self.next(&letter, among: others) {
                letter.beat &+= 1
                try saying { () throws(Errno) in try mailbox.write(letter) }
                isDone = true
                return Pair(letter: letter, partner: pair.partner, role: pair.role)
            }
            if letter.partner != before || now &- lastSaid > ProbeTalk.beat / 5 {
                letter.beat &+= 1
                lastSaid = now
                try saying { () throws(Errno) in try mailbox.write(letter) }
            }
            // Who is offered to is waited for, if the time is over too.
            let limit = UInt64(clamping: max(0, seconds)) &* 1_000_000_000
            if isStopped() { throw .stopped }
            if now &- start > limit &+ (letter.partner == nil ? 0 : 10_000_000_000) {
                let busy = others.filter { $0.partner != nil && $0.partner != own.id }
                guard busy.count < 2 else { throw .taken(by: busy.map(\.host.host).sorted()) }
                throw .nobodyCame(seconds: seconds)
            }
            if !hasTold, now &- start > 1_000_000_000 {
                hasTold = true
                waiting()
            }
            usleep(Self.pause)
        }
    }

    /// What to do by what the others say: with whom it has met, or nil; the letter's partner is what to say from now on.
    ///
    /// Who has offered itself takes no other offer: the one that it named may have taken it already.
    static func next(_ letter: inout ProbeLetter, among others: [ProbeLetter]) -> (partner: ProbeHost, role: Int)? {
        let own = letter.host.id
        if let offered = letter.partner {
            guard let other = others.first(where: { $0.host.id == offered }),
                other.partner == nil || other.partner == own
            else {
                letter.partner = nil
                return nil
            }
            return other.partner == own ? (other.host, 0) : nil
        }
        if let offer = others.first(where: { $0.partner == own && $0.host.id < own && $0.step == 0 }) {
            letter.partner = offer.host.id
            return (offer.host, 1)
        }
        let free = others.filter { $0.partner == nil && $0.step == 0 }
        // The lowest of those that are free offers.
        guard !free.contains(where: { $0.host.id < own }) else { return nil }
        letter.partner = free.map(\.host.id).min()
        return nil
    }

    /// Looks at every host's file, in the directory as it is opened anew.
    private func look(_ sights: inout [String: Sight], _ now: UInt64) throws(SharedProbeFailure) {
        var there: Set<String> = [own.id]
        var rooms: [String] = []
        for entry in try saying({ () throws(Errno) in try directory.entries() }) {
            if entry.isDirectory, ProbeRoom.isName(entry.name) { rooms.append(entry.name) }
            guard let id = ProbeMailbox.id(ofName: entry.name), id != own.id, !entry.isDirectory else { continue }
            there.insert(id)
            let mailbox = ProbeMailbox(of: id, in: directory)
            let letter = (try? mailbox.read()).flatMap { $0?.host.id == id ? $0 : nil }
            var sight = sights[id] ?? Sight(beat: letter?.beat, since: now)
            if let letter {
                if letter.beat != sight.beat {
                    sight.lives = sight.beat != nil
                    (sight.beat, sight.since) = (letter.beat, now)
                }
                sight.letter = letter
            }
            let isGone = letter.map { $0.step == ProbeLetter.left || $0.host.isGone(seenFrom: own) } ?? false
            if isGone || now &- sight.since > patience {
                removeLeft(by: id)
                sights[id] = nil
                continue
            }
            sights[id] = sight
        }
        for id in sights.keys where !there.contains(id) { sights[id] = nil }
        // Whose rooms they were is gone: two that work have their files all the time.
        for name in rooms where name.split(separator: "-").dropFirst().allSatisfy({ !there.contains(String($0)) }) {
            ProbeRoom.remove(name, in: directory)
        }
    }

    /// Removes what a host has left that is gone.
    private func removeLeft(by id: String) {
        for entry in (try? directory.entries()) ?? []
        where entry.isDirectory && ProbeRoom.isName(entry.name) && entry.name.contains(id) {
            ProbeRoom.remove(entry.name, in: directory)
        }
        try? ProbeMailbox(of: id, in: directory).file.unlink()
    }

    private func saying<Value>(_ body: () throws(Errno) -> Value) throws(SharedProbeFailure) -> Value {
        do throws(Errno) { return try body() } catch {
            throw .store(
                .system(doing: "meet another host", path: "\(StoreFormat.probe)/\(ProbeMailbox.prefix)\(own.id)", error)
            )
        }
    }
}

/// The directory in which two hosts work: `.artifactfs/probe/room-<first>-<second>`.
enum ProbeRoom {
    static func name(_ first: String, _ second: String) -> String { "room-\(first)-\(second)" }

    static func isName(_ name: String) -> Bool {
        let parts = name.split(separator: "-", omittingEmptySubsequences: false)
        return parts.count == 3 && parts[0] == "room" && parts[1...].allSatisfy { ProbeHost.isID(String($0)) }
    }

    /// Makes a directory that belongs to who the directory belongs to that it is made in: root on one host makes it for the owner on the other.
    static func directory(_ name: String, in parent: Directory) throws(Errno) -> Directory {
        try SystemCall.makeDirectory(parent.descriptor, name, 0o700)
        let made = try parent.directory(name)
        try give(made.descriptor, asIn: parent)
        return made
    }

    /// Gives a file to a directory's owner, where only root may.
    static func give(_ descriptor: FileDescriptor, asIn directory: Directory) throws(Errno) {
        let owner = try SystemCall.attributes(directory.descriptor)
        guard geteuid() == 0, owner.st_uid != 0 else { return }
        try SystemCall.setOwner(descriptor, user: owner.st_uid, group: owner.st_gid)
    }

    /// Removes a directory with all in it, as far as that goes. No symbolic link is followed.
    ///
    /// - Parameter depth: how far down it goes; rooms are two deep.
    static func remove(_ name: String, in directory: Directory, depth: Int = 4) {
        guard depth > 0, let room = try? directory.directory(name) else { return }
        for entry in (try? room.entries()) ?? [] {
            if entry.isDirectory {
                remove(entry.name, in: room, depth: depth - 1)
            } else {
                try? SystemCall.unlink(room.descriptor, entry.name)
            }
        }
        try? SystemCall.unlink(directory.descriptor, name, isDirectory: true)
    }
}
