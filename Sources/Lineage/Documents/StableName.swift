internal import ArtifactRecords

/// Names of things in documents, which are the same whenever the same thing is named.
enum StableName {
    /// A word and 32 hexadecimal digits.
    ///
    /// - Parameter parts: what the thing is known by.
    static func of(_ word: String, _ parts: [String?]) -> String {
        let key = parts.map { $0.map { "=" + $0 } ?? "-" }.joined(separator: "\u{0}")
        // Without a digest there would be no records either.
        let digest = (try? SHA256.digest(Array((word + "\u{0}" + key).utf8))) ?? ""
        return "\(word)-\(digest.prefix(32))"
    }

    /// A node's.
    static func of(_ node: LineageNode) -> String {
        let word = node.nature == .artifact ? "artifact" : node.nature.rawValue
        return of(word, [node.path, node.version.map { "\($0)" }, node.sha256, node.modified, node.time])
    }

    /// That of the process which wrote an artifact, or, where it is not known, of whatever wrote just that.
    static func ofWriter(_ record: ArtifactRecord, of node: LineageNode) -> String {
        guard let writer = record.writer, let pid = writer.pid, let started = writer.started else {
            return of("process", ["of", of(node)])
        }
        return of("process", [writer.host, writer.namespace, "\(pid)", TimeText.rfc3339(started)])
    }

    /// A user's of a machine.
    static func ofUser(_ writer: ArtifactRecord.Writer) -> String? {
        guard writer.user != nil || writer.uid != nil else { return nil }
        return of("user", [writer.host, writer.user, writer.uid.map { "\($0)" }])
    }
}
