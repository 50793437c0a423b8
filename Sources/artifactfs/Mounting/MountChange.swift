import ArtifactRecords
import ArtifactStore
import Glibc
import SystemCalls
import SystemPackage

/// Something that is changed through a mount, whose driver may be stopped meanwhile, and which says why when it refuses.
struct MountChange {
    let mount: MountEntry
    /// Completes "cannot".
    let what: String
    /// What a refusal may be about, from the mount point.
    let paths: [String]
    /// What is so when it is refused, for people; nil for nothing more.
    let otherwise: String?

    /// For how long what reads whole files may take, in milliseconds.
    private static let longest: Int64 = 6 * 3_600_000

    /// Does it in another process.
    ///
    /// - Throws: `Failure` with the driver's words.
    func make(_ body: @escaping () throws(Errno) -> Void) throws {
        let (mountPoint, paths) = (mount.mountPoint, paths)
        let start = TimeText.rfc3339(Clock.now())
        let answer = Patience.find(within: Self.longest, on: mount) {
            let code = Patience.number { () throws(Errno) in try body() }
            var fields: JSONObject = ["errno": .integer(Int64(code))]
            if code != 0, let denial = Self.lastDenial(on: mountPoint, about: paths, since: start) {
                fields["denial"] = denial
            }
            return Array(JSONValue.object(fields).description.utf8)
        }
        guard let answer, let value = JSONValue(parsing: answer), let errno = value["errno"]?.integer else {
            throw mount.silence
        }
        guard errno != 0 else { return }
        if let lost = mount.lost(Int32(clamping: errno), what) { throw lost }
        if errno == Int64(EROFS) {
            throw Failure(
                .failed,
                "cannot \(what): the mount at \(mountPoint) is read-only; use one that is not, or the store's directory as its owner"
            )
        }
        guard let denial = value["denial"], let reason = denial["reason"]?.string else {
            throw Self.failure(
                ["cannot \(what): \(Errno(rawValue: Int32(clamping: errno)))", otherwise])
        }
        throw Self.failure(
            [reason, denial["detail"]?.string, denial["way_out"]?.string, otherwise],
            errno == Int64(ENOENT) ? .cannotAnswer : .failed)
    }

    /// Who was asked to change something has gone meanwhile, or was taken away: what became of it is not known before the next mount.
    ///
    /// - Parameter errno: what the system said; 0 of an answer that never came.
    static func isUnknown(_ errno: Int32) -> Bool { [0, ECONNABORTED, ENOTCONN, ENODEV].contains(errno) }

    static func failure(_ parts: [String?], _ status: Status = .failed) -> Failure {
        Failure(status, parts.compactMap { $0 }.joined(separator: "; "))
    }

    /// Why the driver refused this process something.
    ///
    /// - Parameter start: what was refused before then has other reasons (RFC 3339).
    private static func lastDenial(on mountPoint: String, about paths: [String], since start: String) -> JSONValue? {
        let lines = Paths.contents(mountPoint + "/.artifactfs/denials.jsonl") ?? []
        for line in lines.split(separator: UInt8(ascii: "\n")).reversed() {
            guard let denial = JSONValue(parsing: line), let path = denial["path"]?.string else { continue }
            if paths.contains(path) { return denial["time"]?.string.map { $0 >= start } ?? false ? denial : nil }
        }
        return nil
    }
}

extension MountEntry {
    /// What is to be said where it is not known whether something was done; nil of an errno that is an answer.
    ///
    /// - Parameter what: what was asked for, as "promote".
    func lost(_ errno: Int32, _ what: String) -> Failure? {
        guard MountChange.isUnknown(errno) else { return nil }
        return Failure(
            .silent,
            "it is NOT known whether this was done: \(what); the driver of \(mountPoint) ended before it answered. Mount the store again, "
                + "which finishes it or takes it back, whole, and look then")
    }
}
