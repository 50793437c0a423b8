internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What the driver's own directory in a store says of itself.
enum StoreFormat {
    /// The formats that this version reads and writes. A store is of the first until an artifact is superseded or retracted in it; what knows
    /// that one only would take a version that recovery finds for a leftover. It is of the third from when several hosts may use it: what does not
    /// know leases would settle what mounts of other hosts have that live. It is of the fourth from when an artifact is evicted: what does not know that shows
    /// nothing under its name, and leaves it out of a mirror's next snapshot.
    static let versions = 1...4
    /// The format of a new store.
    static let first = 1
    /// The one that knows of former versions.
    static let withVersions = 2
    /// The one that knows of leases as well.
    static let withLeases = 3
    /// The one that knows of evicted artifacts as well.
    static let withEvictions = 4
    /// The marker's name in `.artifactfs`.
    static let fileName = "format"
    /// The schema's name in `.artifactfs`.
    static let schemaName = "schema.yaml"
    static let staging = "staging"
    static let quarantine = "quarantine"
    static let ledger = "ledger"
    static let sessions = "sessions"
    static let reserved = "reserved"
    static let unsynced = "unsynced"
    static let manifests = "manifests"
    static let attestations = "attestations"
    static let spare = "spare"
    static let versionsDirectory = "versions"
    static let tags = "tags"
    static let evicted = "evicted"
    static let evicting = "evicting"
    /// Where two hosts try what a file system can, while they do.
    static let probe = "probe"
    /// What they have found.
    static let sharedName = "shared.json"
    /// Held while a mount opens the store: recovery and making a staging directory.
    static let lockName = "lock"

    /// The marker's text.
    static func text(of version: Int) -> String { "artifactfs store, format \(version)\n" }

    /// The format that a marker says; nil of one that this version does not know.
    static func version(_ marker: String) -> Int? { versions.first { text(of: $0) == marker } }

    /// Says of a store that it has former versions, leases, or evicted artifacts, from now on: nothing else in it changes.
    ///
    /// - Parameters:
    ///   - own: `.artifactfs`.
    ///   - format: the one that it is of from now on, or a later one.
    static func raise(_ own: Directory, to format: Int) throws(Errno) {
        let marker = own.file(fileName)
        let now = try marker.open(O_RDONLY | O_NONBLOCK)
        defer { SystemCall.close(now) }
        let text = String(decoding: try SystemCall.bytes(now, at: 0, count: 4096), as: UTF8.self)
        guard let version = version(text) else { throw .notSupported }
        guard version < format else { return }
        // Hosts that mount it for the first time at once write the same, each under a name of its own.
        try WholeFile.write(Array(Self.text(of: format).utf8), to: marker, isAlone: format == withVersions)
    }
}
