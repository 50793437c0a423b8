/// The permissions that everything in a directory has, for who has to give them back.
public struct DirectoryModes: Sendable, Hashable {
    /// Those of its files, but for ``others``.
    public var files: UInt32
    /// Those of the directories in it, but for ``others``.
    public var directories: UInt32
    /// Those of what has others than most: by paths from the directory, in which every byte but letters, digits, `.`, `_`, `-` and `/` is `%XX`.
    public var others: [String: UInt32]

    /// Permissions.
    public init(files: UInt32, directories: UInt32, others: [String: UInt32] = [:]) {
        (self.files, self.directories, self.others) = (files, directories, others)
    }

    /// From a member of a line; nil when it is not whole.
    init?(_ value: JSONValue?) {
        func mode(_ value: JSONValue?) -> UInt32? {
            value?.string.flatMap { UInt32($0, radix: 8) }.flatMap { $0 <= 0o7777 ? $0 : nil }
        }
        guard let files = mode(value?["files"]), let directories = mode(value?["directories"]) else { return nil }
        self.init(files: files, directories: directories)
        guard let all = value?["others"] else { return }
        guard let members = all.object else { return nil }
        for member in members.members {
            guard let mode = mode(member.value) else { return nil }
            others[member.key] = mode
        }
    }

    /// As a member of a line.
    var json: JSONValue {
        func text(_ mode: UInt32) -> JSONValue { .string(String(mode, radix: 8)) }
        var all: JSONObject = ["files": text(files), "directories": text(directories)]
        if !others.isEmpty {
            var members: JSONObject = [:]
            for (path, mode) in others.sorted(by: { $0.key < $1.key }) { members.add(path, text(mode)) }
            all.add("others", .object(members))
        }
        return .object(all)
    }
}
