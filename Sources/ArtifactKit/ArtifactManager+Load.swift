public import Artifacts
internal import ArtifactStore
internal import Glibc
internal import SystemCalls
internal import SystemPackage

extension ArtifactManager {
    /// Loads an artifact that is a file. In a session or a test a link to one beside it is followed, as on the mount.
    ///
    /// - Parameter type: a type of the store's schema; the other parameters are those of ``path(of:chromosome:name:layer:format:)``.
    /// - Returns: the whole contents.
    /// - Throws: `ArtifactError.notFound` when it does not exist; `.system` when the system refuses.
    public func load(
        _ type: ArtifactType, chromosome: String? = nil, name: String? = nil, layer: Layer? = nil, format: String? = nil
    ) throws(ArtifactError) -> [UInt8] {
        let key = try key(type, chromosome, name, layer, format)
        let path = path(of: key)
        guard let file = try existingFile(key) else {
            throw .notFound(path: path, layer: key.layer, baseModel: baseModel)
        }
        return try naming(path) { () throws(Errno) in
            // O_NONBLOCK: should a fifo have the name, opening it does not wait for a writer.
            let descriptor = try followed(file, key).open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            let attributes = try SystemCall.attributes(descriptor)
            return try SystemCall.bytes(descriptor, at: 0, count: Int(attributes.st_size))
        }
    }

    /// How many links may lead from one to the next (path_resolution(7)).
    private static let mostLinks = 40

    /// The file that a link in a session or a test leads to: another artifact of the type in the same directory. Others lead nowhere.
    private func followed(_ file: RealFile, _ key: ArtifactKey) throws(Errno) -> RealFile {
        guard scope != .production else { return file }
        var file = file
        for _ in 0..<Self.mostLinks {
            guard try file.attributes().isSymbolicLink else { return file }
            let link = try file.open(SystemCall.pathOnly)
            defer { SystemCall.close(link) }
            guard let name = String(validating: try SystemCall.linkTarget(link), as: UTF8.self),
                !name.utf8.contains(UInt8(ascii: "/")), key.type.virtualName(forReal: name) != nil
            else { throw .noSuchFileOrDirectory }
            file = file.directory.file(name)
        }
        throw .tooManySymbolicLinkLevels
    }

    /// The real file of an artifact, or nil when there is none.
    func existingFile(_ key: ArtifactKey) throws(ArtifactError) -> RealFile? {
        try naming(path(of: key)) { () throws(Errno) in
            guard let directory = try store.directory(directory(of: key)).refresh() else { return nil }
            let file = directory.file(key.realName)
            do throws(Errno) {
                _ = try file.attributes()
                return file
            } catch .noSuchFileOrDirectory { return nil }
        }
    }
}
