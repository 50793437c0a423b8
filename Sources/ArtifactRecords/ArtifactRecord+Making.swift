package import ArtifactFormats
public import Artifacts
public import Glibc

extension ArtifactRecord {
    /// What is known of an artifact from where it is.
    ///
    /// - Parameters:
    ///   - path: on the mount, relative to it.
    ///   - type: the type's name; nil for what is not in a typed directory.
    ///   - scope: production, the session, or the test.
    ///   - key: what stands for it besides its type, such as `chr1`.
    ///   - format: the file name extension with its dot.
    public init(
        path: String, type: String? = nil, layer: Layer? = nil, scope: Scope? = nil, key: String? = nil,
        format: String? = nil
    ) {
        self.init()
        (artifact.path, artifact.type, artifact.layer) = (path, type, layer)
        (artifact.mode, artifact.key, artifact.format) = (scope?.mode, key, format)
        switch scope {
        case .session(let name): artifact.session = name.description
        case .test(let name): artifact.test = name.description
        case .production, nil: break
        }
    }

    /// What is known of an artifact from the directory that it is in and its name there.
    ///
    /// - Parameters:
    ///   - name: its name on the mount.
    ///   - path: on the mount, relative to it.
    ///   - isDirectory: whether it is a directory.
    public init(
        _ name: String, of type: TypeDefinition, in layer: Layer, _ scope: Scope?, path: String,
        isDirectory: Bool = false
    ) {
        self.init(
            path: path, type: type.name, layer: layer, scope: scope,
            key: isDirectory ? type.key(ofDirectory: name) : type.key(of: name),
            format: isDirectory ? type.format(ofDirectory: name) : type.format(of: name))
        if isDirectory { artifact.kind = .directory }
    }

    /// The writer's command line as one text; nil where it is not known.
    public var commandLine: String? {
        writer?.argv.map { $0.map(ShellWord.quoted).joined(separator: " ") } ?? unknown["command"]?.string
    }

    /// What is known of an artifact that anybody may have made.
    public func written(by writer: Writer, opened: timespec? = nil, closed: timespec? = nil) -> ArtifactRecord {
        var all = self
        all.writer = writer
        (all.times.opened, all.times.closed) = (opened, closed)
        return all
    }

    /// The same of an artifact that gets its name: what its check and its publishing learned.
    package func sealed(_ facts: FormatFacts, sha256: String, size: Int64, host: String) -> ArtifactRecord {
        var all = self
        all.artifact.content = facts
        (all.artifact.sha256, all.artifact.size, all.artifact.state) = (sha256, size, .sealed)
        all.writer = all.writer ?? Writer()
        all.writer?.host = host
        if all.origin != nil { all.origin?.sha256 = sha256 }
        return all
    }

    /// The same of one that is put away.
    package var quarantined: ArtifactRecord {
        var all = self
        all.artifact.state = .quarantined
        return all
    }
}
