internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

extension Store {
    /// What making a store did.
    public enum CreateOutcome: String, Sendable {
        /// There was no store.
        case made
        /// There was one without some of its directories: they were added.
        case completed
        /// Everything was there already.
        case unchanged
    }

    /// Makes a store: the directory and its parents, `base_layer`, `meta_layer`, and `.artifactfs` (0700) with the
    /// built-in schema as a commented `schema.yaml`. What is there already stays as it is.
    ///
    /// - Throws: `StoreError.notAStore` for a directory that has other things in it and no layer.
    @discardableResult
    public static func create(at path: String) throws(StoreError) -> CreateOutcome {
        try doing("make the directory", path) { () throws(Errno) in try makeWithParents(path) }
        let root = try openRoot(path)
        let found = try look(into: root, path)
        guard found.isStore || found.isEmpty else {
            throw .notAStore(
                path: path,
                problem: "it is not empty and has neither base_layer nor meta_layer; name an empty or a new directory")
        }
        var isComplete = true
        try doing("make the store's directories", path) { () throws(Errno) in
            let model = try SystemCall.attributes(root.descriptor)
            for layer in Layer.allCases where !exists(layer.directoryName, in: root) {
                isComplete = false
                _ = try RealDirectory.make(
                    layer.directoryName, in: root, mode: model.permissions, owner: (model.st_uid, model.st_gid),
                    isSynced: true, mayExist: true)
            }
        }
        let own = try doing("make the store's own directory", path + "/.artifactfs") { () throws(Errno) in
            if !exists(StoreLayout.privateDirectory, in: root) { isComplete = false }
            return try root.directory(StoreLayout.privateDirectory, orMakeWith: 0o700)
        }
        _ = try prepare(own, path)
        try doing("make the store's lock", path + "/.artifactfs/lock") { () throws(Errno) in
            SystemCall.close(try own.file(StoreFormat.lockName).open(O_RDWR | O_CREAT, mode: 0o600))
        }
        Spare(in: own)?.refill()
        try doing("write the schema", path + "/.artifactfs/schema.yaml") { () throws(Errno) in
            if !exists(StoreFormat.schemaName, in: own) { isComplete = false }
            _ = try text(of: own.file(StoreFormat.schemaName), orWrite: SchemaFile.defaultText)
            try SystemCall.sync(root.descriptor)
        }
        return isComplete ? .unchanged : found.isStore ? .completed : .made
    }

    private static func exists(_ name: String, in directory: Directory) -> Bool {
        (try? SystemCall.attributes(directory.descriptor, name)) != nil
    }

    private static func makeWithParents(_ path: String) throws(Errno) {
        var made = path.hasPrefix("/") ? "/" : ""
        for name in path.split(separator: "/") {
            made += name
            do throws(Errno) {
                try SystemCall.makeDirectory(SystemCall.currentDirectory, made, 0o777)
            } catch {
                // EEXIST comes before other reasons only where the directory is there; say the rest when it cannot be
                // opened either.
                guard (try? SystemCall.attributes(atPath: made)) != nil else { throw error }
            }
            made += "/"
        }
    }
}
