public import ArtifactRecords
public import Artifacts
public import Glibc
internal import SystemCalls
public import SystemPackage

/// A moment of a store that somebody has given a name.
public struct MomentTag: Sendable, Hashable {
    /// Its name.
    public let name: String
    /// The moment (RFC 3339).
    public let moment: String
    /// What who made it has to say; nil where nothing.
    public let note: String?
    /// When it was made (RFC 3339).
    public let made: String
    /// Who made it.
    public let uid: Int64

    /// As JSON.
    public var json: JSONObject {
        var all: JSONObject = ["name": .string(name), "moment": .string(moment)]
        all.add("note", note.map { .string($0) })
        all.add("made", .string(made))
        all.add("uid", .integer(uid))
        return all
    }

    /// What a tag's file says; nil of what is none.
    init?(_ name: String, _ text: [UInt8]) {
        guard let value = JSONValue(parsing: text), value["name"]?.string == name,
            let moment = value["moment"]?.string, TimeText.time(moment) != nil, let made = value["made"]?.string,
            let uid = value["uid"]?.integer
        else { return nil }
        (self.name, self.moment, self.note, self.made, self.uid) = (name, moment, value["note"]?.string, made, uid)
    }

    fileprivate init(name: String, moment: String, note: String?, made: String, uid: Int64) {
        (self.name, self.moment, self.note, self.made, self.uid) = (name, moment, note, made, uid)
    }
}

/// Names of moments: a file each in `.artifactfs/tags`, made at once or not at all, and a line in the ledger.
extension Store {
    private static let tagSuffix = ".json"
    private static let longestTag = 1 << 16

    /// Gives a moment a name, which no other has or will have.
    ///
    /// - Parameter moment: nil for now.
    /// - Throws: `EEXIST` when the name is taken, `EINVAL` of a note that is too long or a moment that is to come.
    @discardableResult
    public func tag(_ name: TagName, moment: timespec? = nil, note: String?, by agent: Agent) throws(Errno) -> MomentTag
    {
        guard let writable else { throw .readOnlyFileSystem }
        let now = Clock.now()
        let moment = moment ?? now
        guard note?.utf8.count ?? 0 <= TagName.longestNote,
            (moment.tv_sec, moment.tv_nsec) <= (now.tv_sec, now.tv_nsec)
        else { throw .invalidArgument }
        let tag = MomentTag(
            name: name.description, moment: TimeText.rfc3339(moment), note: note, made: TimeText.rfc3339(now),
            uid: Int64(agent.user))
        let tags = try writable.ownDirectory.directory(StoreFormat.tags, orMakeWith: 0o700)
        try WholeFile.write(
            Array((JSONValue.object(tag.json).description + "\n").utf8),
            to: tags.file(name.description + Self.tagSuffix), replacing: false)
        let line = LedgerEvent.TagLine(
            mount: writable.staging.mountID, tag: tag.name, moment: tag.moment, note: note, uid: tag.uid,
            pid: Int64(agent.process), command: agent.program)
        writable.ledger.appendLater([LedgerEntry(.tagged(line))])
        settle()
        return tag
    }

    /// All tags, the oldest moment first. What is no tag's file is passed over.
    public func tags() throws(Errno) -> [MomentTag] {
        guard let directory = try tagsDirectory() else { return [] }
        var found: [MomentTag] = []
        for entry in try directory.entries() where entry.name.hasSuffix(Self.tagSuffix) {
            if let tag = try? read(String(entry.name.dropLast(Self.tagSuffix.count)), in: directory) {
                found.append(tag)
            }
        }
        return found.sorted { ($0.moment, $0.name) < ($1.moment, $1.name) }
    }

    /// The tag of a name; nil when there is none.
    public func tag(named name: TagName) throws(Errno) -> MomentTag? {
        guard let directory = try tagsDirectory() else { return nil }
        do throws(Errno) { return try read(name.description, in: directory) } catch .noSuchFileOrDirectory {
            return nil
        }
    }

    private func tagsDirectory() throws(Errno) -> Directory? {
        do throws(Errno) {
            return try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.tags)
        } catch .noSuchFileOrDirectory { return nil }
    }

    private func read(_ name: String, in directory: Directory) throws(Errno) -> MomentTag? {
        let file = try directory.file(name + Self.tagSuffix).open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(file) }
        return MomentTag(name, try SystemCall.bytes(file, at: 0, count: Self.longestTag))
    }
}
