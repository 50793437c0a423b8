public import ArtifactRecords

/// What people read of a node in a line.
extension LineageNode {
    /// The path, with the version where there was another before.
    public var title: String { path + ((version ?? 1) > 1 ? " (version \(version ?? 1))" : "") }

    /// The last name of the path.
    public var name: String {
        path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[path.utf8.index(after: $0)...]) } ?? path
    }

    /// What of the path comes before its last name.
    public var directory: String {
        path.utf8.lastIndex(of: UInt8(ascii: "/")).map { String(path[..<$0]) } ?? ""
    }

    /// When it was sealed, to the second.
    public var time: String? {
        record?.times.sealed.map { String(TimeText.rfc3339($0).prefix(19)) + "Z" }
    }

    /// The command line of its writer, whose program is named without its directory.
    public var command: String? {
        guard let argv = record?.writer?.argv, let first = argv.first else {
            return record?.commandLine ?? record?.writer?.program
        }
        let program = first.utf8.lastIndex(of: UInt8(ascii: "/")).map { first[first.utf8.index(after: $0)...] }
        let words = [program.map { $0.isEmpty ? first : String($0) } ?? first] + argv.dropFirst()
        return words.map(ShellWord.quoted).joined(separator: " ")
    }

    /// The state of the code that made it: the script's, else that of the directory. Where the program itself comes from is another thing.
    public var code: ArtifactRecord.Code? { record?.ownCode }

    /// The commit in a few digits, with a plus where tracked files differed.
    public var commit: String? {
        code?.commit.map { String($0.prefix(10)) + (code?.dirty == true ? "+" : "") }
    }

    /// What is to be said where nothing is known of what it was made from; nil where something is.
    public var gap: String? {
        if isHidden { return "its record is not this user's to read" }
        switch nature {
        case .outside: return "outside the store"
        case .file where path.utf8.starts(with: "production/".utf8): return "no record: no ledger tells of these bytes"
        case .file: return "no record: what is in a session or a test has none"
        case .artifact:
            guard let record, record.inputs.isEmpty, record.outside.isEmpty else { return nil }
            if record.seesOutside { return "no inputs were seen" }
            return knowsInputs ? "made from nothing in the store" : "inputs were not recorded"
        }
    }
}

extension LineageEdge {
    /// How it is known, in a word or two.
    public var words: String {
        let how = how?.rawValue ?? ""
        switch match {
        case .path: return how + (how.isEmpty ? "" : ", ") + "found by its name only"
        case .sha256, .version, .none: return how
        }
    }
}
