internal import ArtifactRecords
internal import Artifacts
internal import FoundationEssentials
internal import GRDB

/// What was made from something that is not what it was.
extension Catalog {
    /// A sealed artifact that was made from a former version, or from such an artifact.
    public struct StaleArtifact: Sendable, Hashable {
        /// On the mount.
        public let path: String
        /// How many steps there are between it and what has left its name, from 1.
        public let depth: Int
        /// What it was made from, as its record names it: what has left its name, or an artifact that is stale itself.
        public let inputs: [StaleInput]
        /// The command that made it; nil where it is not known.
        public let command: String?
    }

    /// What such an artifact was made from.
    public struct StaleInput: Sendable, Hashable {
        /// On the mount.
        public let path: String
        /// Which version of its path it is; nil of what is stale itself, or not numbered.
        public let version: Int64?
        /// How it left its name; nil of what is stale itself.
        public let left: String?
        /// When, in nanoseconds since 1970.
        public let time: Int64?
    }

    fileprivate struct Former {
        let path: String
        let version: Int64?
        let sha256: Data?
        let state: String
        let sealed: Int64
        let left: Int64?
    }

    fileprivate struct User {
        let id: Int64
        let path: String
        let sha256: Data?
        let sealed: Int64
        let command: String?
        /// As it names its input.
        let version: Int64?
        let read: Data?
    }

    /// All artifacts that are stale, those first that were made from what has left its name itself. Inputs that are only possible do not count, nor
    /// does what has its name again with the same bytes.
    public func stale() throws -> [StaleArtifact] {
        try reading { database in
            var found: [Int64: (user: User, depth: Int, inputs: Set<StaleInput>)] = [:]
            var order: [Int64] = []
            var next: [User] = []
            func note(_ user: User, _ depth: Int, _ input: StaleInput) {
                if found[user.id] == nil {
                    found[user.id] = (user, depth, [])
                    order.append(user.id)
                    next.append(user)
                }
                if found[user.id]?.depth == depth { found[user.id]?.inputs.insert(input) }
            }
            for former in try Self.formers(database) where try !Self.isBack(former, database) {
                let input = StaleInput(
                    path: former.path, version: former.version, left: former.state, time: former.left)
                for user in try Self.users(of: former.path, database) where former.isRead(by: user) {
                    note(user, 1, input)
                }
            }
            var depth = 1
            while !next.isEmpty {
                depth += 1
                let last = next
                next = []
                for made in last {
                    let input = StaleInput(path: made.path, version: nil, left: nil, time: nil)
                    for user in try Self.users(of: made.path, database)
                    where user.read.map({ $0 == made.sha256 }) ?? (user.sealed >= made.sealed) && user.id != made.id {
                        note(user, depth, input)
                    }
                }
            }
            return order.compactMap { id in
                found[id].map { user, depth, inputs in
                    StaleArtifact(
                        path: user.path, depth: depth,
                        inputs: inputs.sorted { ($0.path, $0.version ?? 0) < ($1.path, $1.version ?? 0) },
                        command: user.command)
                }
            }
        }
    }

    private static func formers(_ database: Database) throws -> [Former] {
        let states = Unsealing.allCases.map(\.rawValue)
        let numbers = try numbers(of: states, database)
        guard !numbers.isEmpty else { return [] }
        let marks = numbers.map { _ in "?" }.joined(separator: ",")
        return try Row.fetchAll(
            database,
            sql: """
                SELECT \(text("directory")), name, version, sha256, \(text("state")), sealed, "left" FROM artifact
                WHERE state IN (\(marks)) ORDER BY sealed, id
                """, arguments: StatementArguments(numbers)
        ).compactMap { row in
            guard let directory: String = row[0], let name: String = row[1], let state: String = row[4],
                let sealed: Int64 = row[5]
            else { return nil }
            return Former(
                path: directory + "/" + name, version: row[2], sha256: row[3], state: state, sealed: sealed,
                left: row[6])
        }
    }

    /// Whether what has the name now has the same bytes.
    private static func isBack(_ former: Former, _ database: Database) throws -> Bool {
        let (directory, name) = CatalogPath.parts(of: former.path)
        return try Bool.fetchOne(
            database.cachedStatement(
                sql: """
                    SELECT EXISTS(SELECT 1 FROM artifact WHERE directory = (SELECT id FROM text WHERE hash = ? AND value = ?)
                    AND name = ? AND sha256 = ? AND state = (SELECT id FROM text WHERE hash = ? AND value = ?))
                    """),
            arguments: [
                CatalogTables.hash(directory), directory, name, former.sha256,
                CatalogTables.hash(ArtifactRecord.State.sealed.rawValue), ArtifactRecord.State.sealed.rawValue,
            ]) ?? false
    }

    /// The sealed artifacts that were made from a path for certain.
    private static func users(of path: String, _ database: Database) throws -> [User] {
        let (sealed, guess) = (ArtifactRecord.State.sealed.rawValue, ArtifactRecord.How.job.rawValue)
        return try Row.fetchAll(
            database.cachedStatement(
                sql: """
                    SELECT DISTINCT a.id, \(text("a.directory")), a.name, a.sha256, a.sealed, \(text("a.command")), i.version, i.sha256
                    FROM input i JOIN artifact a ON a.id = i.artifact
                    WHERE i.path = (SELECT id FROM text WHERE hash = ? AND value = ?)
                    AND i.how IS NOT (SELECT id FROM text WHERE hash = ? AND value = ?)
                    AND a.state = (SELECT id FROM text WHERE hash = ? AND value = ?) ORDER BY a.sealed, a.id
                    """),
            arguments: [
                CatalogTables.hash(path), path, CatalogTables.hash(guess), guess, CatalogTables.hash(sealed), sealed,
            ]
        ).compactMap { row in
            guard let id: Int64 = row[0], let directory: String = row[1], let name: String = row[2],
                let sealed: Int64 = row[4]
            else { return nil }
            return User(
                id: id, path: directory + "/" + name, sha256: row[3], sealed: sealed, command: row[5], version: row[6],
                read: row[7])
        }
    }
}

extension Catalog.Former {
    /// Whether an artifact names it, by its hash, else by its version, else by the time in which it had its name.
    fileprivate func isRead(by user: Catalog.User) -> Bool {
        if let read = user.read { return read == sha256 }
        if let version = user.version { return version == self.version }
        return user.sealed >= sealed && left.map { user.sealed < $0 } ?? true
    }
}
