/// The check that a file of one format gets before it may be an artifact.
///
/// | check | ``checkQuickly(_:)`` | ``checkWhole(_:eachChunk:)`` |
/// | --- | --- | --- |
/// | ``table(_:)`` | first and last 64 KiB, final newline; compressed, what the end of gzip tells | every row; rows and columns |
/// | ``parquet`` | `PAR1` at both ends, a footer length that fits | the footer's metadata |
/// | ``json`` | first and last non-blank bytes | parses |
/// | ``jsonLines`` | the first lines, and the last one | every line parses; rows |
/// | ``pickle`` | start and end | the opcode stream is walked, never executed |
/// | ``safetensors`` | a header length that fits; of a short header all | the header, whose tensors end where the file does |
/// | ``hdf5`` | the superblock, whose end of the file is in the file | the same |
/// | ``keras`` | a zip's end record and directory | every entry's place; `config.json` and weights are there |
/// | ``npy`` | the header, and as many bytes as its type and shape are | the same; of Python objects the pickle is walked |
/// | ``npz`` | a zip's end record and directory | every array, stored or deflated |
/// | ``tensorIndex`` | the footer | every block's check sum, and its entries |
/// | ``png``, ``pdf`` | signature and end marker | the same |
/// | ``notEmpty`` | at least one byte | the same |
public enum FormatCheck: Hashable, Sendable, CaseIterable {
    /// Tab-separated values.
    case table(TableForm)
    /// Apache Parquet.
    case parquet
    /// One JSON document.
    case json
    /// One JSON document a line.
    case jsonLines
    /// A Python pickle, or what PyTorch and joblib make of one.
    case pickle
    /// Tensors by Hugging Face's safetensors.
    case safetensors
    /// HDF5.
    case hdf5
    /// A Keras model.
    case keras
    /// One NumPy array.
    case npy
    /// NumPy arrays in a ZIP archive.
    case npz
    /// The index of a TensorFlow checkpoint (tensor bundle).
    case tensorIndex
    /// A PNG image.
    case png
    /// A PDF document.
    case pdf
    /// Any content, but some.
    case notEmpty

    /// Tab-separated values with a header line.
    public static let tsv = FormatCheck.table(TableForm())

    /// Every check, a table's in each form.
    public static let allCases: [FormatCheck] =
        TableForm.all.map { .table($0) } + [
            .parquet, .json, .jsonLines, .pickle, .safetensors, .hdf5, .keras, .npy, .npz, .tensorIndex, .png, .pdf,
            .notEmpty,
        ]

    /// The check for a file name extension, with or without its dot, case-sensitive; ``notEmpty`` for one not known.
    ///
    /// - Parameter table: what tables look like, when the extension is one of theirs.
    public init(fileExtension: String, table: TableForm = TableForm()) {
        let name = fileExtension.hasPrefix(".") ? fileExtension.dropFirst() : fileExtension[...]
        switch name {
        case "tsv": self = .table(table)
        case "tsv.gz", "tsv.bgz":
            var form = table
            form.isCompressed = true
            self = .table(form)
        case "parquet": self = .parquet
        case "json": self = .json
        case "jsonl": self = .jsonLines
        case "pkl", "pt", "ckpt": self = .pickle
        case "safetensors": self = .safetensors
        case "h5", "hdf5": self = .hdf5
        case "keras": self = .keras
        case "npy": self = .npy
        case "npz": self = .npz
        case "index": self = .tensorIndex
        case "png": self = .png
        case "pdf": self = .pdf
        default: self = .notEmpty
        }
    }

    /// Whether the checks follow lengths and places that the file tells, so that nobody can say of them at a glance that they never
    /// trap. They then belong where their death is only a refusal, the quick one as well.
    public var isIntricate: Bool {
        switch self {
        case .parquet, .pickle, .safetensors, .hdf5, .keras, .npy, .npz, .tensorIndex: true
        case .table(let form): form.isCompressed
        case .json, .jsonLines, .png, .pdf, .notEmpty: false
        }
    }

    /// Whether the whole check looks at more than the quick one.
    public var isWorthWholeCheck: Bool {
        switch self {
        case .table, .json, .jsonLines, .parquet, .pickle, .safetensors, .keras, .npy, .npz, .tensorIndex: true
        case .hdf5, .png, .pdf, .notEmpty: false
        }
    }

    /// Checks what bounded work can: at most a few hundred KiB are read, whatever the file's size. What `close` does with
    /// a large file.
    ///
    /// - Throws: ``FormatError/invalid(reason:)`` for content that no valid file could have, or
    ///   ``FormatError/unreadable(_:)``.
    public func checkQuickly(_ source: some ByteSource) throws(FormatError) {
        guard source.count > 0 else { throw .invalid(reason: "it is empty") }
        switch self {
        case .table(let form): try TSV.checkQuickly(source, form)
        case .parquet: _ = try ParquetFile.footer(of: source)
        case .json: try JSONText.checkQuickly(source)
        case .jsonLines: try JSONText.checkLinesQuickly(source)
        case .pickle: try PickleFile.checkQuickly(source)
        case .safetensors: try SafetensorsFile.checkQuickly(source)
        case .hdf5: try HDF5File.check(source)
        case .keras: try KerasFile.checkQuickly(source)
        case .npy: try NumPyFile.checkQuickly(source)
        case .npz: try NumPyArchive.checkQuickly(source)
        case .tensorIndex: try TensorIndexFile.checkQuickly(source)
        case .png: try ImageFile.checkPNG(source)
        case .pdf: try ImageFile.checkPDF(source)
        case .notEmpty: break
        }
    }

    /// Whether the quick check looks at everything that the whole one does.
    public func isWholeQuickly(_ source: some ByteSource) -> Bool {
        guard case .table(let form) = self, !form.isCompressed else { return false }
        return (1...Int64(TSV.window)).contains(source.count)
    }

    /// Checks the whole file, once from its first byte to its last; what `close` does with most files, and sealing.
    ///
    /// - Parameter eachChunk: gets every byte in order, in pieces of any size, while they are in the cache (the store
    ///   hashes there). When the check fails it may not have got them all.
    /// - Throws: ``FormatError/invalid(reason:)`` or ``FormatError/unreadable(_:)``.
    public func checkWhole(
        _ source: some ByteSource, eachChunk: (UnsafeRawBufferPointer) -> Void
    ) throws(FormatError) -> FormatFacts {
        // The quick check is a cheap way to fail before gigabytes are read, and it makes its reasons the first reasons. Of a short table
        // it is the whole one.
        if !isWholeQuickly(source) { try checkQuickly(source) }
        switch self {
        case .table(let form) where form.isCompressed:
            let facts = try TSV.compressedFacts(of: source, form)
            try pass(over: source, eachChunk)
            return facts
        case .table(let form):
            try WebPage.refuse(try source.head(WebPage.window))
            var scanner = TSVScanner(form)
            try pass(over: source, through: &scanner, eachChunk)
            return try scanner.finish()
        case .json, .jsonLines:
            var scanner = JSONScanner(self == .json ? .oneValue : .lines)
            try pass(over: source, through: &scanner, eachChunk)
            return try scanner.finish()
        case .parquet:
            let facts = try ParquetFile.facts(of: source)
            try pass(over: source, eachChunk)
            return facts
        case .pickle:
            return try PickleFile.checkWhole(source, eachChunk)
        case .safetensors:
            let facts = try SafetensorsFile.facts(of: source)
            try pass(over: source, eachChunk)
            return facts
        case .hdf5:
            let version = try HDF5File.check(source)
            try pass(over: source, eachChunk)
            return FormatFacts(details: ["superblock": String(version)])
        case .keras:
            let facts = try KerasFile.facts(of: source)
            try pass(over: source, eachChunk)
            return facts
        case .npy:
            return try NumPyFile.checkWhole(source, eachChunk)
        case .npz:
            let facts = try NumPyArchive.facts(of: source)
            try pass(over: source, eachChunk)
            return facts
        case .tensorIndex:
            let facts = try TensorIndexFile.facts(of: source)
            try pass(over: source, eachChunk)
            return facts
        case .png, .pdf, .notEmpty:
            try pass(over: source, eachChunk)
            return FormatFacts()
        }
    }
}

/// A check that sees the file in pieces of any size, in order.
protocol ChunkScanner {
    /// Takes the next bytes.
    mutating func consume(_ chunk: UnsafeRawBufferPointer) throws(FormatError)
}

/// Nothing to check in the bytes themselves.
struct NoScanner: ChunkScanner {
    func consume(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {}
}

/// Small enough to stay in the second-level cache for the check and the hash, large enough that reads cost nothing.
private let chunkSize = 256 * 1024

/// The one sequential pass.
func pass(
    over source: some ByteSource, through scanner: inout some ChunkScanner,
    _ eachChunk: (UnsafeRawBufferPointer) -> Void
) throws(FormatError) {
    let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: chunkSize, alignment: 64)
    defer { buffer.deallocate() }
    let count = source.count
    var offset: Int64 = 0
    while true {
        let got = try source.readSome(at: offset, into: buffer)
        if got == 0 { break }
        offset += Int64(got)
        guard offset <= count else { throw .changedWhileRead }
        let chunk = UnsafeRawBufferPointer(rebasing: buffer[..<got])
        try scanner.consume(chunk)
        eachChunk(chunk)
    }
    guard offset == count else { throw .changedWhileRead }
}

/// The pass for formats whose check needs no look at every byte.
func pass(over source: some ByteSource, _ eachChunk: (UnsafeRawBufferPointer) -> Void) throws(FormatError) {
    var scanner = NoScanner()
    try pass(over: source, through: &scanner, eachChunk)
}
