internal import ArtifactRecords
internal import GRDB

/// The tables of a catalog. It is an index: all of it is in the ledgers too, and it is made anew when anything about it is not as it should be.
enum CatalogTables {
    /// What `PRAGMA user_version` has. Another number is another catalog, which is made anew.
    static let version = 5

    /// Texts that come often have numbers. A text is found by its hash: an index over long commands would be as large as they are.
    static let create = """
        CREATE TABLE text(id INTEGER PRIMARY KEY, hash INTEGER NOT NULL, value TEXT NOT NULL);
        CREATE TABLE ledger(
            host TEXT PRIMARY KEY, file TEXT NOT NULL, offset INTEGER NOT NULL, seq INTEGER NOT NULL, hash TEXT NOT NULL
        ) WITHOUT ROWID;
        CREATE TABLE artifact(
            id INTEGER PRIMARY KEY,
            directory INTEGER, name TEXT, type INTEGER, layer INTEGER, mode INTEGER, "key" INTEGER, format INTEGER,
            version INTEGER, session INTEGER, test INTEGER, run INTEGER, experiment INTEGER, user INTEGER, host INTEGER,
            program INTEGER, command INTEGER, "commit" BLOB, dirty INTEGER, size INTEGER, "rows" INTEGER,
            "columns" INTEGER, sealed INTEGER, opened INTEGER, state INTEGER, sha256 BLOB, note INTEGER,
            quarantined TEXT, intent TEXT, ledger INTEGER, file INTEGER, offset INTEGER, length INTEGER, "left" INTEGER,
            removed INTEGER);
        CREATE TABLE leaving(
            directory INTEGER, name TEXT, sha256 BLOB, state INTEGER NOT NULL, "left" INTEGER,
            version INTEGER);
        CREATE TABLE removing(directory INTEGER, name TEXT, version INTEGER NOT NULL, removed INTEGER);
        CREATE TABLE input(
            artifact INTEGER NOT NULL, path INTEGER NOT NULL, version INTEGER, how INTEGER, sha256 BLOB);
        CREATE TABLE run(
            id INTEGER PRIMARY KEY, experiment INTEGER, user INTEGER, host INTEGER, session INTEGER, command INTEGER,
            "commit" BLOB, dirty INTEGER, begun INTEGER, seconds REAL, status INTEGER, signal INTEGER, ended INTEGER,
            note INTEGER);
        CREATE TABLE parameter(run INTEGER NOT NULL, name INTEGER NOT NULL, number REAL, text INTEGER);
        CREATE TABLE metric(
            artifact INTEGER, run INTEGER, session INTEGER, name INTEGER NOT NULL, first REAL, last REAL, low REAL,
            high REAL, steps BLOB);
        CREATE TABLE trouble(lines INTEGER NOT NULL);
        INSERT INTO trouble VALUES (0);
        CREATE TABLE measured(id INTEGER PRIMARY KEY);
        CREATE TABLE session(id INTEGER PRIMARY KEY, begun INTEGER, metadata INTEGER, ended INTEGER NOT NULL DEFAULT 0);
        CREATE INDEX text_hash ON text(hash);
        CREATE INDEX artifact_quarantined ON artifact(quarantined) WHERE quarantined IS NOT NULL;
        CREATE INDEX artifact_intent ON artifact(intent) WHERE intent IS NOT NULL;
        CREATE INDEX input_artifact ON input(artifact);
        CREATE INDEX session_goes_on ON session(id) WHERE ended = 0;
        CREATE INDEX parameter_run ON parameter(run);
        CREATE INDEX metric_artifact ON metric(artifact) WHERE artifact IS NOT NULL;
        CREATE INDEX metric_session ON metric(session) WHERE session IS NOT NULL;
        """

    /// What no filling asks for: made after the first one, which is quicker than before it.
    static let index = """
        CREATE INDEX artifact_path ON artifact(directory, name);
        CREATE INDEX artifact_type ON artifact(type, "key");
        CREATE INDEX artifact_key ON artifact("key");
        CREATE INDEX artifact_session ON artifact(session) WHERE session IS NOT NULL;
        CREATE INDEX artifact_run ON artifact(run) WHERE run IS NOT NULL;
        CREATE INDEX artifact_experiment ON artifact(experiment) WHERE experiment IS NOT NULL;
        CREATE INDEX artifact_user ON artifact(user);
        CREATE INDEX artifact_command ON artifact(command);
        CREATE INDEX artifact_note ON artifact(note) WHERE note IS NOT NULL;
        CREATE INDEX artifact_commit ON artifact("commit") WHERE "commit" IS NOT NULL;
        CREATE INDEX artifact_size ON artifact(size);
        CREATE INDEX artifact_rows ON artifact("rows") WHERE "rows" IS NOT NULL;
        CREATE INDEX artifact_sealed ON artifact(sealed);
        CREATE INDEX artifact_removed ON artifact(removed) WHERE removed IS NOT NULL;
        CREATE INDEX artifact_sha256 ON artifact(sha256);
        CREATE INDEX input_path ON input(path);
        CREATE INDEX run_begun ON run(begun);
        CREATE INDEX run_session ON run(session);
        CREATE INDEX parameter_name ON parameter(name, number);
        CREATE INDEX metric_name ON metric(name, last);
        CREATE INDEX metric_run ON metric(run) WHERE run IS NOT NULL;
        """

    /// How many sealed artifacts there are of each type, and their bytes: counted once after the first filling, and kept from then on. Counting
    /// a million takes longer than people wait at a prompt.
    static let count = """
        CREATE TABLE inventory(
            layer INTEGER, type INTEGER, artifacts INTEGER NOT NULL, bytes INTEGER NOT NULL, PRIMARY KEY(layer, type));
        INSERT INTO inventory SELECT ifnull(layer, 0), ifnull(type, 0), count(*), ifnull(sum(size), 0) FROM artifact
            WHERE state = (\(sealed)) GROUP BY 1, 2;
        CREATE TRIGGER artifact_sealed_more AFTER INSERT ON artifact WHEN NEW.state = (\(sealed)) BEGIN
            INSERT INTO inventory VALUES (ifnull(NEW.layer, 0), ifnull(NEW.type, 0), 1, ifnull(NEW.size, 0))
            ON CONFLICT(layer, type) DO UPDATE SET artifacts = artifacts + 1, bytes = bytes + excluded.bytes; END;
        CREATE TRIGGER artifact_sealed_less AFTER DELETE ON artifact WHEN OLD.state = (\(sealed)) BEGIN
            UPDATE inventory SET artifacts = artifacts - 1, bytes = bytes - ifnull(OLD.size, 0)
            WHERE layer = ifnull(OLD.layer, 0) AND type = ifnull(OLD.type, 0); END;
        CREATE TRIGGER artifact_sealed_no_more AFTER UPDATE OF state ON artifact
            WHEN OLD.state = (\(sealed)) AND NEW.state != OLD.state BEGIN
            UPDATE inventory SET artifacts = artifacts - 1, bytes = bytes - ifnull(OLD.size, 0)
            WHERE layer = ifnull(OLD.layer, 0) AND type = ifnull(OLD.type, 0); END;
        """

    private static let sealed =
        "SELECT id FROM text WHERE hash = \(hash(ArtifactRecord.State.sealed.rawValue)) AND value = '\(ArtifactRecord.State.sealed.rawValue)'"

    /// Takes all of it out, of whatever version it is.
    static func drop(_ database: Database) throws {
        for kind in ["view", "trigger", "index", "table"] {
            let names = try String.fetchAll(
                database, sql: "SELECT name FROM sqlite_master WHERE type = ? AND name NOT LIKE 'sqlite_%'",
                arguments: [kind])
            for name in names {
                let quoted = name.split(separator: "\"", omittingEmptySubsequences: false).joined(separator: "\"\"")
                try database.execute(sql: "DROP \(kind.uppercased()) IF EXISTS \"\(quoted)\"")
            }
        }
    }

    /// A text's hash, the same on every machine (FNV-1a, 64 bits).
    static func hash(_ text: String) -> Int64 {
        var hash: UInt64 = 0xcbf2_9ce4_8422_2325
        for byte in text.utf8 { hash = (hash ^ UInt64(byte)) &* 0x100_0000_01b3 }
        return Int64(bitPattern: hash)
    }
}
