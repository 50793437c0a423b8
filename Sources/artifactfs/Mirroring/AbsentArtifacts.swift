import ArtifactRecords
import Artifacts
import Mirrors

/// What a store knows of and has not, as it was restored from a mirror for which that was not chosen: `.artifactfs/absent.jsonl`.
struct AbsentArtifacts {
    private static let name = "absent.jsonl"

    private let titles: [String: String]

    /// - Parameter store: nil of none.
    init(of store: String?) {
        // Nobody makes it wait, or leads it elsewhere.
        guard let store, let bytes = try? StoreRoot(store).bytes(of: Array(Self.path.utf8)) else {
            titles = [:]
            return
        }
        var titles: [String: String] = [:]
        for line in bytes.split(separator: UInt8(ascii: "\n")) {
            guard let one = JSONValue(parsing: line).flatMap(MirrorSnapshot.AbsentArtifact.init) else { continue }
            titles[one.title] = one.sha256
        }
        self.titles = titles
    }

    /// Whether that is why something is not there.
    ///
    /// - Parameters:
    ///   - title: its path on the mount, with `@` and a number of what has left its name.
    ///   - sha256: as its record has it.
    func has(_ title: String, sha256: String?) -> Bool { sha256 != nil && titles[title] == sha256 }

    /// Why, for people.
    static let words = "it was not chosen for the mirror that this store was restored from"

    /// What is written of a snapshot.
    static func text(of absent: [MirrorSnapshot.AbsentArtifact]) -> [UInt8] {
        absent.reduce(into: []) { $0 += Array("\(JSONValue.object($1.json))\n".utf8) }
    }

    /// From the store.
    static var path: String { "\(StoreLayout.privateDirectory)/\(name)" }
}
