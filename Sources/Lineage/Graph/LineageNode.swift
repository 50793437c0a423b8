public import ArtifactRecords

/// An artifact, or what one was made from.
public struct LineageNode: Sendable {
    /// What it is.
    public enum Nature: String, Sendable {
        /// An artifact with a record.
        case artifact
        /// A file of the store without a record: of a session or a test, or of which the record is gone.
        case file
        /// A file that is not in the store.
        case outside
    }

    /// What it is.
    public var nature: Nature
    /// On the mount, relative to it; of what is outside, the file's own.
    public var path: String
    /// From 1.
    public var version: Int64?
    /// SHA-256 of its bytes.
    public var sha256: String?
    /// Of an artifact: its record. It is there once the lineage is complete.
    public var record: ArtifactRecord?
    /// Whether something else was sealed at its path since.
    public var isSuperseded = false
    /// When its bytes were removed to make room, as text; nil while they are there, or where that is not known.
    public var removed: String?
    /// Whether it has a record that this user may not read.
    public var isHidden = false
    /// Whether somebody looked what it was made from.
    public var knowsInputs = false
    /// Whether it was asked for.
    public var isAsked = false
    /// How many edges from what it was made from were left out because they are too far up.
    public var moreAbove = 0
    /// How many edges to what was made from it were left out because they are too far down.
    public var moreBelow = 0
    /// How many edges were left out because they are only possible.
    public var possible = 0
    /// Of a file outside: its size in bytes.
    public var size: Int64?
    /// Of a file outside: when it was changed last, as text.
    public var modified: String?
}

/// That an artifact was made from something.
public struct LineageEdge: Sendable {
    /// By what the two were brought together.
    public enum Match: String, Sendable {
        /// What was read has the same hash as what was sealed.
        case sha256
        /// The version is the same.
        case version
        /// The path only: which bytes were read is not known.
        case path
        /// There is no record to compare with.
        case none
    }

    /// What was read: its place among the nodes.
    public let from: Int
    /// What was made: its place among the nodes.
    public let to: Int
    /// How it is known; nil where the record does not say.
    public let how: ArtifactRecord.How?
    /// When it was opened, as text.
    public let at: String?
    /// By what the record of what was read was found.
    public let match: Match
    /// The path by which it was read, where that is another: it was promoted from there, or is a directory that this is in.
    public let readAs: String?
}
