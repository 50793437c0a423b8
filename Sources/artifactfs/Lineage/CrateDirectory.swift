import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import Lineage
import SystemCalls
import SystemPackage

/// A directory that becomes a crate: made under a hidden name beside its own, which it has when all is there.
struct CrateDirectory {
    /// Which artifacts are copied; the others are named.
    enum Copies { case none, asked, all }

    private let target: String
    private let parent: String
    private let name: String
    private let hidden: String

    init(_ path: String) throws {
        target = try Paths.resolvedDirectory(of: path)
        let parts = target.split(separator: "/", omittingEmptySubsequences: false)
        parent = parts.dropLast().joined(separator: "/") + "/"
        name = parts.last.map(String.init) ?? ""
        hidden = ".artifactfs-crate-\(UInt64.random(in: 0...UInt64.max)).tmp"
        guard !name.isEmpty, name != ".", name != ".." else {
            throw Failure(.failed, "\(path) cannot become a crate; name a directory that is not there yet")
        }
        guard let found = try? SystemCall.attributes(SystemCall.currentDirectory, target) else { return }
        guard found.isDirectory, Paths.names(target).isEmpty else {
            throw Failure(
                .failed, "\(target) is there, and nothing is replaced: name a directory that is empty or not there")
        }
    }

    /// Makes the crate.
    ///
    /// - Parameter copies: of what is not asked for, as far as it is there and is what was sealed.
    /// - Returns: how many were copied.
    func make(of found: AskedLineage, _ copies: Copies) throws -> Int {
        let directory: Directory
        do throws(Errno) {
            directory = Directory(
                owning: try SystemCall.open(SystemCall.currentDirectory, parent, O_RDONLY | O_DIRECTORY))
            try SystemCall.makeDirectory(directory.descriptor, hidden, 0o777)
        } catch { throw Failure(.failed, "cannot make \(target): \(error)") }
        do {
            let copied = try copy(found, copies)
            let crate = RunCrate(found.graph, copied: copied, Self.cover(found))
            let file = "\(parent)\(hidden)/\(RunCrate.metadataName)"
            try write(Array("\(crate.metadata)\n".utf8), to: file)
            // An empty directory may be replaced, nothing else (rename(2)).
            try directory.file(hidden).rename(to: directory.file(name), flags: 0)
            return copied.count
        } catch {
            try? DirectoryTree.remove(directory.file(hidden))
            if let failure = error as? Failure { throw failure }
            throw Failure(
                .failed,
                "cannot make \(target): \((error as? Errno).map { "\($0)" } ?? "\(error)"); nothing is left there")
        }
    }

    private static func cover(_ found: AskedLineage) -> RunCrate.Cover {
        let store = found.store ?? ""
        var host = [CChar](repeating: 0, count: 256)
        let hostName =
            gethostname(&host, 255) == 0
            ? String(validating: host.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self) ?? "" : ""
        let mount = found.artifact?.mount.map { "file://" + RunCrate.encoded($0.mountPoint) }
        return RunCrate.Cover(
            name: found.path, store: "the store \(store) on \(hostName)",
            storeURI: "file://" + RunCrate.encoded(hostName + store), mountURI: mount, made: Clock.now())
    }

    // MARK: - Bytes

    private func copy(_ found: AskedLineage, _ copies: Copies) throws -> Set<Int> {
        var copied: Set<Int> = []
        if copies == .none { return copied }
        for (place, node) in found.graph.nodes.enumerated()
        where node.nature == .artifact && (copies == .all || node.isAsked) {
            // Of two artifacts that had one path the crate has room for one: the one that is there.
            guard !node.isSuperseded || node.isAsked, let record = node.record else { continue }
            guard let source = try found.location(of: node.path) else {
                if node.isAsked {
                    throw Failure(
                        .failed, "\(node.path) is not there any more, and cannot be copied: --reference names it only")
                }
                continue
            }
            do throws(Errno) {
                let matches =
                    record.artifact.kind == .directory
                    ? try copyDirectory(source, node.path) : try copyFile(source, node.path, record.artifact.sha256)
                if matches { copied.insert(place) } else if node.isAsked { throw Errno(rawValue: EBADMSG) }
            } catch {
                guard node.isAsked else { continue }
                let why = error == Errno(rawValue: EBADMSG) ? "it is not what was sealed there" : "\(error)"
                throw Failure(.failed, "cannot copy \(source): \(why); --reference names it only")
            }
        }
        return copied
    }

    /// The directories above a path in the crate.
    private func makeParents(of path: String) throws(Errno) -> String {
        var directory = parent + hidden
        for part in path.utf8.split(separator: UInt8(ascii: "/")).dropLast() {
            directory += "/" + String(decoding: part, as: UTF8.self)
            do { try SystemCall.makeDirectory(SystemCall.currentDirectory, directory, 0o777) } catch {
                if error != .fileExists { throw error }
            }
        }
        return parent + hidden + "/" + path
    }

    /// - Returns: whether the bytes are those that the record has the hash of.
    private func copyFile(_ source: String, _ path: String, _ sha256: String?) throws(Errno) -> Bool {
        let from = try SystemCall.open(SystemCall.currentDirectory, source, O_RDONLY | O_NOFOLLOW | O_NONBLOCK)
        defer { SystemCall.close(from) }
        let target = try makeParents(of: path)
        let to = try SystemCall.open(SystemCall.currentDirectory, target, O_WRONLY | O_CREAT | O_EXCL, 0o666)
        defer { SystemCall.close(to) }
        var digest = try SHA256()
        while true {
            let bytes = try SystemCall.bytes(from, atMost: 1 << 20)
            if bytes.isEmpty { break }
            bytes.withUnsafeBytes { digest.update($0) }
            try SystemCall.write(to, bytes)
        }
        let found = try digest.finish()
        if sha256 == nil || sha256 == found { return true }
        try SystemCall.unlink(SystemCall.currentDirectory, target)
        return false
    }

    /// The hash of a directory is that of its manifest, which is not made again.
    private func copyDirectory(_ source: String, _ path: String) throws(Errno) -> Bool {
        let from = try SystemCall.open(SystemCall.currentDirectory, source, O_RDONLY | O_DIRECTORY | O_NOFOLLOW)
        defer { SystemCall.close(from) }
        let target = try makeParents(of: path)
        do throws(DirectoryTree.TreeFault) {
            _ = try DirectoryTree.copy(from, to: target, in: SystemCall.currentDirectory)
        } catch { throw error.errno }
        return true
    }

    private func write(_ bytes: [UInt8], to path: String) throws(Errno) {
        let file = try SystemCall.open(SystemCall.currentDirectory, path, O_WRONLY | O_CREAT | O_EXCL, 0o666)
        defer { SystemCall.close(file) }
        try SystemCall.write(file, bytes)
    }
}
