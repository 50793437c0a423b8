internal import ArtifactRecords
internal import Artifacts
internal import FoundationEssentials
internal import GRDB

/// What was in production at a moment.
extension Catalog {
    /// An artifact that had its name then.
    public struct PresentArtifact: Sendable, Hashable {
        /// Its name on the mount.
        public let name: String
        /// Which version it is, where it has left the name since; nil of what has it still.
        public let version: Int64?
        /// In bytes; nil where that is not known.
        public let size: Int64?
        /// SHA-256 in hexadecimal digits.
        public let sha256: String?
        /// When it was sealed, in nanoseconds since 1970.
        public let sealed: Int64
        /// When its bytes were removed to make room, in nanoseconds since 1970; nil while they are there.
        public let removed: Int64?
    }

    /// The directories in which anything was sealed, by their paths on the mount.
    public func directories() throws -> [String] {
        try reading { database in
            try String.fetchAll(
                database,
                sql: """
                    SELECT value FROM text WHERE id IN (
                    WITH RECURSIVE d(id) AS (
                    SELECT min(directory) FROM artifact UNION ALL
                    SELECT (SELECT min(directory) FROM artifact WHERE directory > d.id) FROM d WHERE d.id IS NOT NULL)
                    SELECT id FROM d WHERE id IS NOT NULL) ORDER BY value
                    """)
        }
    }

    /// How many artifacts had their names at a moment whose bytes were removed since to make room.
    ///
    /// - Parameter moment: in nanoseconds since 1970.
    public func removed(at moment: Int64) throws -> Int {
        try reading { database in
            try Int.fetchOne(
                database,
                sql: """
                    SELECT count(*) FROM artifact WHERE removed IS NOT NULL AND sealed <= ? AND "left" > ?
                    """, arguments: [moment, moment]) ?? 0
        }
    }

    /// What was sealed in a directory at a moment, by name. What was taken away at its real path since, by hand, is not there.
    ///
    /// - Parameters:
    ///   - moment: in nanoseconds since 1970; what was sealed in that nanosecond is there, and what left its name in it is not.
    ///   - directory: its path on the mount.
    public func production(at moment: Int64, in directory: String) throws -> [PresentArtifact] {
        try reading { database in
            let names = [
                directory, ArtifactRecord.State.sealed.rawValue, Unsealing.superseded.rawValue,
                Unsealing.retracted.rawValue,
            ]
            let numbers = try names.map { try Self.numbers(of: [$0], database).first }
            guard let place = numbers[0] else { return [] }
            let rows = try Row.fetchCursor(
                database,
                sql: """
                    SELECT name, version, size, sha256, sealed, state, removed FROM artifact WHERE directory = ? AND quarantined IS NULL
                    AND sealed <= ? AND ("left" IS NULL OR "left" > ?) AND state IN (?, ?, ?) ORDER BY name, sealed DESC, id DESC
                    """, arguments: [place, moment, moment, numbers[1], numbers[2], numbers[3]])
            var found: [PresentArtifact] = []
            while let row = try rows.next() {
                let name: String = row[0]
                if let last = found.last, last.name.utf8.elementsEqual(name.utf8) { continue }
                let (version, state): (Int64?, Int64?) = (row[1], row[5])
                found.append(
                    PresentArtifact(
                        name: name, version: state == numbers[1] ? nil : version ?? 1, size: row[2],
                        sha256: (row[3] as Data?).map { MessageDigest.hexadecimal($0) }, sealed: row[4],
                        removed: row[6]))
            }
            return found
        }
    }
}
