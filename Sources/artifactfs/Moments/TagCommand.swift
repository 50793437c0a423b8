import ArgumentParser
import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// `artifactfs tag`
struct TagCommand: ParsableCommand {
    static let configuration = CommandConfiguration(
        commandName: "tag",
        abstract: "Name a moment of a store, or list the names.",
        usage: """
            artifactfs tag <name> [--at <moment>] [--note <text>] [--store <place>]
            artifactfs tag --list [--json] [--store <place>]
            """,
        discussion: """
            A tag is a name for the moment in which it is made, or for one that is over (--at): 'artifactfs mount --as-of NAME' shows \
            production as it was then, 'artifactfs production --at NAME' lists it. A tag is never moved and never removed.

            The store's owner and root make tags.

            EXAMPLE:
              artifactfs tag paper-v1 --note "as submitted" --store /mnt/art

            EXIT STATUS: 0 done; 1 refused, or there is none; 2 it cannot be looked up; 3 not a store; 64 no such moment or name.
            """)

    @Argument(help: "The name: letters, digits, '.', '_' and '-'.")
    var name: String?
    @Option(name: .customLong("at"), help: "The moment, as for 'artifactfs production'. (default: now)")
    var moment: String?
    @Option(name: .long, help: "What there is to say of it, at most 1024 bytes.")
    var note: String?
    @Flag(name: .long, help: "List the tags, the oldest moment first.")
    var list = false
    @Flag(name: .long, help: "With --list: print JSON, an object a line.")
    var json = false
    @Option(name: .long, help: "A mount or a store's directory. (default: where you are)", completion: .directory)
    var store: String?

    func validate() throws {
        guard list != (name != nil) else { throw ValidationError("Give a name, or --list.") }
        if let name {
            guard TagName(name) != nil else {
                throw ValidationError(
                    "'\(name)' is no name of a tag: a letter or digit, then letters, digits, '.', '_', '-'.")
            }
            guard note?.utf8.count ?? 0 <= TagName.longestNote else {
                throw ValidationError("--note has at most \(TagName.longestNote) bytes.")
            }
        }
    }

    func run() throws {
        try reporting {
            let place = try StorePlace.find(store)
            guard let path = place.store else {
                throw Failure(.cannotAnswer, "the mount at \(place.path) does not say where its store is")
            }
            let looked = try ShownArtifact.openStore(path)
            guard let name = name.flatMap(TagName.init) else { return try show(looked) }
            guard StoreMoment.isNoDate(name.description) else {
                throw Failure(.usage, "'\(name)' is a date: a tag of that name would hide it")
            }
            let moment = try moment.map { try StoreMoment($0, in: looked) }
            let opened = try Store(at: path, readOnly: false, durability: .synced)
            defer { opened.close() }
            let agent = Agent(user: geteuid(), process: getpid(), program: "artifactfs")
            do throws(Errno) {
                let tag = try opened.tag(
                    name, moment: moment.map { StoreMoment.time($0.nanoseconds) }, note: note, by: agent)
                Terminal.show("\(tag.name) is \(tag.moment)")
            } catch {
                let reason =
                    switch error {
                    case .fileExists: "there is one of that name, and a tag is never moved; give another name"
                    case .invalidArgument: "the moment is still to come"
                    default: "\(error)"
                    }
                throw Failure(.failed, "cannot make the tag \(name): \(reason)")
            }
        }
    }

    private func show(_ store: Store) throws {
        let tags = try StoreMoment.asking(store) { () throws(Errno) in try store.tags() }
        guard !tags.isEmpty else { throw Failure(.failed, "\(store.path) has no tags") }
        for tag in tags {
            if json {
                print(JSONValue.object(tag.json).description)
            } else {
                let who = UInt32(exactly: tag.uid).map(UserName.of) ?? "\(tag.uid)"
                Terminal.show("\(tag.moment.prefix(19))Z  \(tag.name)  \(who)\(tag.note.map { "  " + $0 } ?? "")")
            }
        }
    }
}
