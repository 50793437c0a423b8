/// What a whole-file check learned, for the artifact's record.
public struct FormatFacts: Hashable, Sendable {
    /// A column of a table.
    public struct Column: Hashable, Sendable {
        /// The name; for a nested Parquet column its path, joined by dots.
        public var name: String
        /// The type as text, such as `INT64` or `BYTE_ARRAY (STRING)`; nil where the format has no types (TSV).
        public var type: String?

        /// Makes a column.
        public init(name: String, type: String? = nil) {
            self.name = name
            self.type = type
        }
    }

    /// Rows of a table, its header not counted, or values of JSON Lines; nil for what is neither.
    public var rows: Int64?

    /// The columns in order; nil for what is not a table, and for tables so wide that their names do not belong in
    /// a record (more than ``columnLimit`` columns, or 1 MiB of text). `details["columns"]` then has their number.
    public var columns: [Column]?

    /// What else the format says of itself, by lower-case name: `created_by` and `row_groups` (Parquet), `protocol` and
    /// `pickles` (pickle), `container` (`zip`, `gzip`, ...), `entries` (zip), `top_level` (JSON), `non_finite` (how
    /// many numbers of JSON are NaN or an infinity), `tensors`
    /// (safetensors, TensorFlow), `superblock` (HDF5, its version), `dtype`, `shape` and `order` (NumPy), `arrays` (NumPy's zip).
    public var details: [String: String]

    /// Makes facts; what is not given is not known.
    public init(rows: Int64? = nil, columns: [Column]? = nil, details: [String: String] = [:]) {
        self.rows = rows
        self.columns = columns
        self.details = details
    }

    /// How many columns are recorded by name.
    public static let columnLimit = 16_384

    /// How many bytes of names and types are recorded.
    static let columnTextLimit = 1 << 20
}
