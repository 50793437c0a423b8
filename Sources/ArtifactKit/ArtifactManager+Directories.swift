public import Artifacts
internal import ArtifactRecords
internal import ArtifactStore
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Artifacts that are directories: `checkpoint-500/`, `savedmodel/`, `chr1.zarr/`.
extension ArtifactManager {
    /// Where an artifact that is a directory is or would be, whether it exists or not.
    ///
    /// - Parameters:
    ///   - type: a type of the store's schema that has directories; the other parameters are those of
    ///     ``path(of:chromosome:name:layer:format:)``.
    ///   - format: such as `zarr`; nil for a name without an extension.
    /// - Throws: `ArtifactError` when the schema has no such artifact.
    public func directoryPath(
        of type: ArtifactType, chromosome: String? = nil, name: String? = nil, layer: Layer? = nil,
        format: String? = nil
    ) throws(ArtifactError) -> String {
        path(of: try key(type, chromosome, name, layer, format, isDirectory: true))
    }

    /// Saves a copy of a directory with all that is in it as an artifact; the directory stays.
    ///
    /// - Parameters:
    ///   - fromDirectory: a path for the system, relative to the working directory or absolute.
    ///   - type: as of ``directoryPath(of:chromosome:name:layer:format:)``, and so are the others.
    /// - Returns: the real path.
    /// - Throws: as ``save(_:as:chromosome:name:layer:format:)``.
    @discardableResult
    public func save(
        fromDirectory origin: String, as type: ArtifactType, chromosome: String? = nil, name: String? = nil,
        layer: Layer? = nil, format: String? = nil
    ) throws(ArtifactError) -> String {
        let key = try key(type, chromosome, name, layer, format, isDirectory: true)
        let path = path(of: key)
        try askToSave(key, path: path)
        let source = try naming(origin) { () throws(Errno) in
            try SystemCall.open(SystemCall.currentDirectory, origin, O_RDONLY | O_DIRECTORY)
        }
        defer { SystemCall.close(source) }
        if scope == .production {
            try publish(source, origin, key, path: path)
        } else {
            let place = store.directory(directory(of: key))
            let directory = try naming(path) { () throws(Errno) in try place.ensure() }
            try replace(key.realName, in: directory, with: source, origin, path: path)
        }
        return path
    }

    /// Loads an artifact that is a directory: what is in it is read when it is asked for.
    ///
    /// - Parameter type: as of ``directoryPath(of:chromosome:name:layer:format:)``, and so are the others.
    /// - Throws: `ArtifactError.notFound` when it does not exist; `.system` when the system refuses, such as `ENOTDIR` for a file.
    public func loadDirectory(
        _ type: ArtifactType, chromosome: String? = nil, name: String? = nil, layer: Layer? = nil, format: String? = nil
    ) throws(ArtifactError) -> LoadedDirectory {
        let key = try key(type, chromosome, name, layer, format, isDirectory: true)
        let path = path(of: key)
        guard let file = try existingFile(key) else {
            throw .notFound(path: path, layer: key.layer, baseModel: baseModel)
        }
        return LoadedDirectory(try naming(path) { () throws(Errno) in try file.directory.directory(file.name) }, path)
    }

    /// Promotes an artifact that is a directory from the manager's session or test to production, under the same name: all of it is checked,
    /// sealed and moved, not copied.
    ///
    /// - Parameter type: as of ``directoryPath(of:chromosome:name:layer:format:)``, and so are the others.
    /// - Returns: the real path in production.
    /// - Throws: as ``promote(_:chromosome:name:layer:format:)``; `.notPublished` also where the layer is on another file system than the
    ///   store's own directory.
    @discardableResult
    public func promoteDirectory(
        _ type: ArtifactType, chromosome: String? = nil, name: String? = nil, layer: Layer? = nil, format: String? = nil
    ) throws(ArtifactError) -> String {
        try promote(try key(type, chromosome, name, layer, format, isDirectory: true))
    }

    // MARK: - Copies

    /// Copies into a directory; what fails leaves nothing there.
    private func copy(
        _ source: FileDescriptor, _ origin: String, to copy: RealFile, path: String
    ) throws(ArtifactError) {
        let leftOut: [String]
        do throws(DirectoryTree.TreeFault) {
            leftOut = try DirectoryTree.copy(source, to: copy.name, in: copy.directory.descriptor)
        } catch {
            try? DirectoryTree.remove(copy)
            throw .system(error.errno, path: error.path.isEmpty ? path : origin + "/" + error.path)
        }
        guard let other = leftOut.first else { return }
        try? DirectoryTree.remove(copy)
        throw .notPublished(path: path, reason: "'\(other)' in it is a socket or a device")
    }

    /// The way of every directory of production: staged, checked, sealed, and moved to its name without replacing anything.
    private func publish(
        _ source: FileDescriptor, _ origin: String, _ key: ArtifactKey, path: String
    ) throws(ArtifactError) {
        guard let staging = store.staging else { throw .system(.readOnlyFileSystem, path: path) }
        let destination = try destination(of: key)
        let opened = Clock.now()
        let target = Staging.Target(directory: store.directory(directory(of: key)), name: key.realName)
        var staged = staging.unusedName(hint: destination.path, kind: .artifact)
        do throws(Errno) { try staging.reserve(target, for: staged) } catch {
            throw error == .fileExists ? .exists(path: path, mode: scope.mode) : .system(error, path: path)
        }
        do throws(ArtifactError) { try copy(source, origin, to: staged, path: path) } catch {
            staging.release(staged)
            throw error
        }
        staged = staging.finish(staged, process: getpid()) ?? staged
        let record = destination.record.written(by: Self.writer(), opened: opened, closed: Clock.now())
        let outcome = store.publishDirectory(
            destination.request(staged, at: target.directory, record), of: destination.type)
        try Self.check(outcome, path: path, in: scope.mode)
    }

    /// Makes or replaces a directory whole, by one rename: who looks sees the old one or the new, never a part.
    private func replace(
        _ name: String, in directory: Directory, with source: FileDescriptor, _ origin: String, path: String
    ) throws(ArtifactError) {
        // A transient name: should a crash leave it, it is not taken for an artifact.
        let made = directory.file(".artifactkit-\(UInt64.random(in: 0...UInt64.max)).tmp")
        try copy(source, origin, to: made, path: path)
        defer { if made.exists { try? DirectoryTree.remove(made) } }
        try naming(path) { () throws(Errno) in
            let there = directory.file(name)
            if there.exists {
                guard try there.attributes().isDirectory else { throw Errno.notDirectory }
                // What was there has the other name then, and goes.
                try made.rename(to: there, flags: SystemCall.exchange)
            } else {
                try made.rename(to: there, flags: SystemCall.noReplace)
            }
            try SystemCall.sync(directory.descriptor)
        }
    }
}

/// An artifact that is a directory, as it was found. One that is replaced meanwhile is read on as it was, as far as it is there.
public struct LoadedDirectory: Sendable {
    private let directory: Directory
    /// The real path.
    public let path: String

    init(_ directory: Directory, _ path: String) { (self.directory, self.path) = (directory, path) }

    /// The plain files in it, by their paths from it, in the order of their bytes. Names that are not UTF-8 are left out.
    ///
    /// - Throws: `ArtifactError.system`.
    public func files() throws(ArtifactError) -> [String] {
        var found: [String] = []
        try Self.add(directory, beneath: "", path, to: &found)
        return found.sorted { $0.utf8.lexicographicallyPrecedes($1.utf8) }
    }

    private static func add(
        _ directory: Directory, beneath parent: String, _ path: String, to found: inout [String]
    ) throws(ArtifactError) {
        for entry in try naming(path + "/" + parent, { () throws(Errno) in try directory.entries() }) {
            let inside = parent + entry.name
            if entry.isDirectory {
                let inner = try naming(path + "/" + inside) { () throws(Errno) in try directory.directory(entry.name) }
                try add(inner, beneath: inside + "/", path, to: &found)
            } else if try naming(
                path + "/" + inside,
                { () throws(Errno) in
                    try directory.file(entry.name).attributes().isRegular
                })
            {
                found.append(inside)
            }
        }
    }

    /// Loads a file in it. No symbolic link is followed.
    ///
    /// - Parameter file: its path in the directory, as ``files()`` has it.
    /// - Returns: the whole contents.
    /// - Throws: `ArtifactError.system`, such as `ENOENT`.
    public func load(_ file: String) throws(ArtifactError) -> [UInt8] {
        try naming(path + "/" + file) { () throws(Errno) in
            let names = file.split(separator: "/", omittingEmptySubsequences: false).map { String($0) }
            guard let name = names.last, !names.contains(where: { ["", ".", ".."].contains($0) }) else {
                throw Errno.invalidArgument
            }
            var inner = directory
            for name in names.dropLast() { inner = try inner.directory(name) }
            // O_NONBLOCK: should a fifo have the name, opening it does not wait for a writer.
            let descriptor = try inner.file(name).open(O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(descriptor) }
            let attributes = try SystemCall.attributes(descriptor)
            guard attributes.isRegular else { throw attributes.isDirectory ? Errno.isDirectory : .invalidArgument }
            return try SystemCall.bytes(descriptor, at: 0, count: Int(attributes.st_size))
        }
    }
}
