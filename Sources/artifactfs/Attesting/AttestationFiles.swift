import ArtifactStore
import Glibc
import SystemCalls
import SystemPackage

/// A directory in which signatures lie by their artifacts' paths: `PATH.sig` and `PATH.provenance.json`.
struct AttestationFiles {
    private let top: String
    private static let (signatureEnding, provenanceEnding) = (".sig", ".provenance.json")
    private static let longest = 512 << 20

    /// - Parameter isToBeMade: whether it is made where it is missing.
    init(_ path: String, isToBeMade: Bool) throws {
        top = try Paths.resolvedDirectory(of: path)
        guard let found = try? SystemCall.attributes(atPath: top) else {
            guard isToBeMade else { throw Failure(.cannotAnswer, "\(path) is not there") }
            return
        }
        guard found.isDirectory else { throw Failure(.cannotAnswer, "\(path) is no directory: name one") }
    }

    /// Where the signature of an artifact is.
    func signature(of path: String) -> String { "\(top)/\(path)\(Self.signatureEnding)" }

    /// Where its provenance is.
    func provenance(of path: String) -> String { "\(top)/\(path)\(Self.provenanceEnding)" }

    /// What there is of an artifact; nil where there is no signature.
    func find(_ path: String) throws -> KeptAttestation? {
        guard let signature = try Self.read(signature(of: path)) else { return nil }
        return KeptAttestation(signature: signature, provenance: try Self.read(provenance(of: path)))
    }

    /// The provenance of an artifact, whether there is a signature or not.
    func provenance(left path: String) throws -> [UInt8]? { try Self.read(provenance(of: path)) }

    /// A file's bytes; nil where there is none.
    static func read(_ path: String) throws -> [UInt8]? {
        do throws(Errno) {
            let file = try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_NONBLOCK)
            defer { SystemCall.close(file) }
            let found = try SystemCall.attributes(file)
            guard found.isRegular, Int64(found.st_size) <= longest else { throw Errno(rawValue: EFBIG) }
            return try SystemCall.bytes(file, at: 0, count: Int(found.st_size))
        } catch {
            if error == .noSuchFileOrDirectory { return nil }
            let why = error == Errno(rawValue: EFBIG) ? "it is no file of a signature" : "\(error)"
            throw Failure(.cannotAnswer, "cannot read \(path): \(why)")
        }
    }

    /// Writes what is not there yet: the signature last, so that all is there where it is. Nothing is replaced.
    func write(_ attestation: KeptAttestation, of path: String) throws {
        if let provenance = attestation.provenance { try write(provenance, to: self.provenance(of: path)) }
        try write(attestation.signature, to: signature(of: path))
    }

    private func write(_ bytes: [UInt8], to path: String) throws {
        if let found = try Self.read(path) {
            if found == bytes { return }
            throw Failure(
                .failed,
                "\(path) is there with something else, and nothing is replaced: remove it, or name another --out")
        }
        do throws(Errno) {
            let parts = path.utf8.split(separator: UInt8(ascii: "/")).compactMap { String($0) }
            let parent = try Self.make("/" + parts.dropLast().joined(separator: "/"))
            let new = parent.file(".artifactfs-\(UInt64.random(in: 0...UInt64.max)).tmp")
            let file = try new.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o666)
            defer { SystemCall.close(file) }
            do throws(Errno) {
                try SystemCall.write(file, bytes)
                try SystemCall.sync(file)
                try new.rename(to: parent.file(parts.last ?? ""), flags: SystemCall.noReplace)
                try SystemCall.sync(parent.descriptor)
            } catch {
                try? new.unlink()
                throw error
            }
        } catch { throw Failure(.failed, "cannot write \(path): \(error); name another --out") }
    }

    /// Opens a directory, and makes what is missing of it.
    private static func make(_ path: String) throws(Errno) -> Directory {
        do throws(Errno) {
            return Directory(
                owning: try SystemCall.open(SystemCall.currentDirectory, path, O_RDONLY | O_DIRECTORY))
        } catch {
            guard error == .noSuchFileOrDirectory, let slash = path.utf8.lastIndex(of: UInt8(ascii: "/")),
                slash > path.utf8.startIndex
            else { throw error }
            let parent = try make(String(path[..<slash]))
            do throws(Errno) {
                try SystemCall.makeDirectory(
                    parent.descriptor, String(path[path.utf8.index(after: slash)...]), 0o777)
            } catch { if error != .fileExists { throw error } }
            return try make(path)
        }
    }
}
