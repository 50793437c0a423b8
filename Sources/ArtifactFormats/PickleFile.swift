/// Python pickles and what is made of them. Nothing is ever executed: opcodes are walked for their lengths.
///
/// Accepted, from strict to weak:
/// - pickles of protocols 0 to 5, one or several in a row (`pickle.dump` into one file repeatedly); the last byte of the file is the
///   STOP of the last one, so a file cut anywhere inside a pickle is refused;
/// - a ZIP archive (`torch.save` since PyTorch 1.6, TorchScript): its directory and every entry's range are checked;
/// - PyTorch's older format: five pickles, the first of them PyTorch's magic number, then raw tensors, whose
///   lengths only an unpickler knows; the five are walked, the rest is taken as it is;
/// - joblib's: numpy arrays stand raw in the middle of the stream. From the first one on nothing can be walked, and only the
///   last byte (STOP) is checked;
/// - a compressed pickle (`joblib.dump(compress=...)`): gzip, zlib, joblib's older `ZF` and LZMA alone are decompressed, and their content is
///   walked; of bzip2, xz, zstd and lz4 the frames are followed to their end.
enum PickleFile {
    enum Shape: Equatable {
        case pickle
        case legacyTorch
        case zip
        case compressed(Compression)
    }

    enum Compression: String {
        case gzip
        case zlib
        /// zlib behind a header of joblib's.
        case zfile
        case lzma
        case bzip2
        case xz
        case zstd
        case lz4
    }

    /// PyTorch's `MAGIC_NUMBER` 0x1950a86a20f9469cfc6c (torch/serialization.py) as the argument of LONG1.
    static let torchMagic: [UInt8] = [0x6C, 0xFC, 0x9C, 0x46, 0xF9, 0x20, 0x6A, 0xA8, 0x50, 0x19]

    static func checkQuickly(_ source: some ByteSource) throws(FormatError) {
        switch try shape(of: source) {
        case .pickle:
            let last = try source.tail(1)
            guard last == [PickleOpcode.stop] else {
                throw .invalid(
                    reason: "it does not end with the pickle opcode STOP, but with \"\(Excerpt.text(last))\": "
                        + "the pickle is cut short")
            }
        case .zip: _ = try ZipDirectory(of: source)
        case .compressed(.gzip): try GzipStream.checkEnd(of: source)
        case .compressed(.bzip2): try CompressedFrames.checkBzip2(source)
        case .legacyTorch, .compressed: break
        }
    }

    static func checkWhole(
        _ source: some ByteSource, _ eachChunk: (UnsafeRawBufferPointer) -> Void
    ) throws(FormatError) -> FormatFacts {
        switch try shape(of: source) {
        case .pickle, .legacyTorch:
            var scanner = PickleScanner(count: source.count)
            try pass(over: source, through: &scanner, eachChunk)
            return try scanner.finish()
        case .zip:
            let directory = try ZipDirectory(of: source)
            try directory.checkEntries(of: source)
            try pass(over: source, eachChunk)
            return FormatFacts(details: ["container": "zip", "entries": String(directory.entries)])
        case .compressed(let compression):
            let facts = try facts(of: source, compression)
            try pass(over: source, eachChunk)
            return facts
        }
    }

    private static func facts(
        of source: some ByteSource, _ compression: Compression
    ) throws(FormatError) -> FormatFacts {
        var content = CompressedPickle()
        var facts = FormatFacts()
        switch compression {
        case .gzip:
            try GzipStream.checkEnd(of: source)
            try GzipStream.decompress(source) { (chunk) throws(FormatError) in try content.take(chunk) }
            facts = try content.finish()
        case .zlib:
            try GzipStream.decompressZlib(source) { (chunk) throws(FormatError) in try content.take(chunk) }
            facts = try content.finish()
        case .zfile:
            let (length, start) = try zfileHeader(of: source)
            let stream = SliceSource(source, start..<source.count)
            try GzipStream.decompressZlib(stream) { (chunk) throws(FormatError) in try content.take(chunk) }
            guard content.count == length else {
                throw .invalid(
                    reason: "its header tells of \(counted(length, "byte")), decompressed it has \(content.count)")
            }
            facts = try content.finish()
        case .lzma:
            var stream = try LZMAStream(source)
            try stream.decompress { (chunk) throws(FormatError) in try content.take(chunk) }
            facts = try content.finish()
        case .bzip2: try CompressedFrames.checkBzip2(source)
        case .xz: try CompressedFrames.checkXZ(source)
        case .zstd: try CompressedFrames.checkZstandard(source)
        case .lz4: try CompressedFrames.checkLZ4(source)
        }
        facts.details["container"] = compression.rawValue
        return facts
    }

    /// joblib's format before 0.10: `ZF`, the length as a hexadecimal number in 19 columns, by Python 2 a blank more, then zlib.
    private static func zfileHeader(of source: some ByteSource) throws(FormatError) -> (length: Int64, start: Int64) {
        let head = try source.head(22)
        let digits = head.dropFirst(4).prefix(17).prefix { $0 != 0x20 }
        guard head.count == 22, head[4..<21].dropFirst(digits.count).allSatisfy({ $0 == 0x20 }),
            let length = Int64(String(decoding: digits.prefix { $0 != 0x4C }, as: UTF8.self), radix: 16), length >= 0
        else { throw .invalid(reason: "its header as joblib wrote it (ZF) is damaged or cut short") }
        return (length, head[21] == 0x20 ? 22 : 21)
    }

    private static func shape(of source: some ByteSource) throws(FormatError) -> Shape {
        let head = try source.head(40)
        guard let first = head.first else { throw .invalid(reason: "it is empty") }
        if head.starts(with: [0x50, 0x4B, 0x03, 0x04]) { return .zip }
        let signatures: [(Compression, [UInt8])] = [
            (.gzip, [0x1F, 0x8B, 0x08]), (.bzip2, [0x42, 0x5A, 0x68]), (.xz, [0xFD, 0x37, 0x7A, 0x58, 0x5A, 0x00]),
            (.lz4, [0x04, 0x22, 0x4D, 0x18]), (.zlib, [0x78, 0x01]), (.zlib, [0x78, 0x5E]), (.zlib, [0x78, 0x9C]),
            (.zlib, [0x78, 0xDA]), (.zstd, [0x28, 0xB5, 0x2F, 0xFD]), (.zfile, Array("ZF0x".utf8)),
            // What every preset of LZMA begins with; no pickle goes on with a zero after its `]`.
            (.lzma, [0x5D, 0x00]),
        ]
        // A compressed file has at least a header and a check sum.
        if let (name, _) = signatures.first(where: { head.starts(with: $0.1) }), source.count >= 8 {
            return .compressed(name)
        }
        if first == PickleOpcode.proto {
            guard head.count >= 2, (2...5).contains(head[1]) else {
                throw .invalid(reason: "its pickle protocol is not one of 0 to 5")
            }
            let magic = [0x8A, 0x0A] + torchMagic
            return head.indices.contains { head[$0...].starts(with: magic) } ? .legacyTorch : .pickle
        }
        guard PickleOpcode.argument(of: first) != .unknown, first != PickleOpcode.stop else {
            throw .invalid(
                reason: "it begins with \"\(Excerpt.text(head.prefix(8)))\", "
                    + "neither a pickle nor a ZIP archive (PyTorch)")
        }
        return .pickle
    }
}

/// What comes out of a compressed file: pickles, or an archive of PyTorch's, of which the compression's check sum says enough.
private struct CompressedPickle {
    private(set) var count: Int64 = 0
    private var isArchive = false
    private var scanner = PickleScanner(count: .max)

    mutating func take(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {
        if count == 0 { isArchive = chunk.starts(with: [0x50, 0x4B, 0x03, 0x04]) }
        count += Int64(chunk.count)
        if !isArchive {
            try explaining { (scanner) throws(FormatError) in try scanner.consume(chunk) }
        }
    }

    mutating func finish() throws(FormatError) -> FormatFacts {
        if isArchive { return FormatFacts() }
        var facts = FormatFacts()
        try explaining { (scanner) throws(FormatError) in facts = try scanner.finish() }
        return facts
    }

    private mutating func explaining(
        _ body: (inout PickleScanner) throws(FormatError) -> Void
    ) throws(FormatError) {
        do throws(FormatError) {
            try body(&scanner)
        } catch {
            guard case .invalid(let reason) = error else { throw error }
            throw .invalid(reason: "what is compressed in it is no whole pickle: \(reason)")
        }
    }
}

/// The opcodes of pickle protocols 0 to 5 (CPython's Lib/pickletools.py), as far as lengths need them.
enum PickleOpcode {
    static let stop = UInt8(ascii: ".")
    static let build = UInt8(ascii: "b")
    static let global = UInt8(ascii: "c")
    static let proto: UInt8 = 0x80
    static let frame: UInt8 = 0x95
    static let long1: UInt8 = 0x8A

    /// What follows an opcode.
    enum Argument: Equatable {
        case unknown
        case fixed(Int)
        case lines(Int)
        /// A length of so many bytes, then as many bytes as it says.
        case counted(Int)
        /// The same with a signed length.
        case countedSigned
    }

    static func argument(of opcode: UInt8) -> Argument {
        switch opcode {
        case 0x80: .fixed(1)
        case 0x81, 0x85...0x89, 0x8F...0x94, 0x97, 0x98: .fixed(0)
        case 0x82: .fixed(1)
        case 0x83: .fixed(2)
        case 0x84: .fixed(4)
        case 0x8A, 0x8C: .counted(1)
        case 0x8B: .countedSigned
        case 0x8D, 0x8E, 0x96: .counted(8)
        case 0x95: .fixed(8)
        default:
            switch UnicodeScalar(opcode) {
            case "(", ".", "0", "1", "2", "N", "Q", "R", "a", "b", "d", "}", "e", "l", "]", "o", "s", "t", ")", "u":
                .fixed(0)
            case "K", "h", "q": .fixed(1)
            case "M": .fixed(2)
            case "J", "j", "r": .fixed(4)
            case "G": .fixed(8)
            case "F", "I", "L", "P", "S", "V", "g", "p": .lines(1)
            case "c", "i": .lines(2)
            case "U", "C": .counted(1)
            case "X", "B": .counted(4)
            case "T": .countedSigned
            default: .unknown
            }
        }
    }
}

/// Walks pickle opcodes in pieces of any size; large arguments are passed over, not kept.
struct PickleScanner: ChunkScanner {
    private enum State {
        case opcode
        /// So many bytes of argument are left.
        case skip(Int64)
        /// So many bytes of a fixed argument or length are left to be gathered in `number`.
        case number(Int, of: Int)
        case lines(Int)
        /// After a STOP: the end, or another pickle.
        case between
        /// What cannot be walked: raw arrays.
        case opaque
    }

    private enum Opaque { case torch, joblib }

    /// What joblib's raw arrays announce themselves with.
    private static let joblibModule = Array("joblib.numpy_pickle".utf8)

    private let count: Int64
    private var state = State.opcode
    private var offset: Int64 = 0
    private var opcode: UInt8 = 0
    private var opcodeOffset: Int64 = 0
    private var number: UInt64 = 0
    private var pickles: Int64 = 0
    private var version: UInt8 = 0
    private var startsWithProto = false
    private var isFirstOpcode = true
    private var isTorch = false
    private var namesJoblib = false
    private var opaque: Opaque?
    private var lastByte: UInt8 = 0
    /// How many bytes of `watched` the argument under way has matched; -1 when it is not watched or does not match.
    private var matched = -1
    private var watched: [UInt8] = []

    /// - Parameter count: the file's length, which bounds every argument.
    init(count: Int64) { self.count = count }

    mutating func consume(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {
        guard let last = chunk.last else { return }
        let start = offset
        var index = 0
        while index < chunk.count {
            offset = start + Int64(index)
            switch state {
            case .opcode, .between:
                try begin(chunk[index])
                index += 1
            case .number(let left, let size):
                number |= UInt64(chunk[index]) << UInt64(8 * (size - left))
                index += 1
                state = .number(left - 1, of: size)
                if left == 1 {
                    offset += 1
                    try endNumber()
                }
            case .skip(let left):
                let length = Int(min(left, Int64(chunk.count - index)))
                if matched >= 0 { match(chunk[index..<(index + length)]) }
                index += length
                state = .skip(left - Int64(length))
                if Int64(length) == left { endArgument() }
            case .lines(let left):
                let rest = chunk[index...]
                let end = rest.firstIndex(of: 0x0A)
                if matched >= 0 { match(rest[..<(end ?? chunk.count)]) }
                index = end.map { $0 + 1 } ?? chunk.count
                guard end != nil else { break }
                noteMatch()
                matched = -1
                state = .lines(left - 1)
                if left == 1 { state = .opcode }
            case .opaque:
                index = chunk.count
            }
        }
        offset = start + Int64(chunk.count)
        lastByte = last
    }

    /// What the file is, when it ends here.
    func finish() throws(FormatError) -> FormatFacts {
        var facts = FormatFacts(details: ["protocol": String(version), "pickles": String(pickles)])
        switch opaque {
        case .torch: facts.details["container"] = "torch"
        case .joblib:
            guard lastByte == PickleOpcode.stop else { throw cutShort }
            facts.details["container"] = "joblib"
            facts.details["pickles"] = nil
        case nil:
            guard case .between = state else { throw cutShort }
            // Five pickles and no tensors is a PyTorch file too; fewer are the start of one.
            if isTorch {
                throw .invalid(reason: "it holds \(counted(pickles, "pickle")) of PyTorch's five, it is cut short")
            }
        }
        return facts
    }

    private var cutShort: FormatError {
        .invalid(reason: "it ends before the pickle opcode STOP: the pickle is cut short")
    }

    private mutating func begin(_ byte: UInt8) throws(FormatError) {
        if case .between = state {
            guard startsWithProto ? byte == PickleOpcode.proto : byte != PickleOpcode.stop else {
                throw .invalid(
                    reason: "it goes on with \(Excerpt.quoted(byte)) at byte \(offset), after the pickle's STOP")
            }
            isFirstOpcode = true
        }
        if isFirstOpcode {
            startsWithProto = byte == PickleOpcode.proto
            isFirstOpcode = false
        }
        opcode = byte
        opcodeOffset = offset
        number = 0
        switch PickleOpcode.argument(of: byte) {
        case .unknown:
            throw .invalid(reason: "byte \(offset) is \(Excerpt.hex(byte)), which is not a pickle opcode")
        case .fixed(0):
            endOperation()
        case .fixed(let size), .counted(let size):
            state = .number(size, of: size)
        case .countedSigned:
            state = .number(4, of: 4)
        case .lines(let lines):
            state = .lines(lines)
            if byte == PickleOpcode.global { watch(Self.joblibModule) }
        }
    }

    /// A fixed argument or a length is complete; `offset` is that of the byte after it.
    private mutating func endNumber() throws(FormatError) {
        switch PickleOpcode.argument(of: opcode) {
        case .counted(let size):
            try beginArgument(of: size == 8 ? Int64(exactly: number) : Int64(number))
        case .countedSigned:
            try beginArgument(of: number <= UInt64(Int32.max) ? Int64(number) : nil)
        default:
            if opcode == PickleOpcode.proto {
                guard number <= 5 else { throw .invalid(reason: "its pickle protocol \(number) is not one of 0 to 5") }
                if pickles == 0 { version = UInt8(number) }
            } else if opcode == PickleOpcode.frame, number > UInt64(count - offset) {
                throw beyondEnd(String(number))
            }
            state = .opcode
        }
    }

    private mutating func beginArgument(of length: Int64?) throws(FormatError) {
        guard let length, length <= count - offset else { throw beyondEnd(length.map(String.init) ?? "too many") }
        if opcode == PickleOpcode.long1, pickles == 0, length == 10 {
            watch(PickleFile.torchMagic)
        } else if length == Int64(Self.joblibModule.count) {
            watch(Self.joblibModule)
        }
        state = .skip(length)
        if length == 0 { endArgument() }
    }

    private mutating func endArgument() {
        noteMatch()
        matched = -1
        state = .opcode
    }

    private func beyondEnd(_ length: String) -> FormatError {
        .invalid(
            reason: "the pickle opcode \(Excerpt.hex(opcode)) at byte \(opcodeOffset) is followed by \(length) bytes "
                + "by its own account, more than the file has: it is cut short")
    }

    /// An operation without an argument is complete; some change what follows.
    private mutating func endOperation() {
        state = .opcode
        if opcode == PickleOpcode.stop {
            pickles += 1
            state = .between
            if isTorch, pickles == 5 {
                opaque = .torch
                state = .opaque
            }
        } else if opcode == PickleOpcode.build, namesJoblib {
            // joblib writes an array's bytes right after the BUILD of its NumpyArrayWrapper.
            opaque = .joblib
            state = .opaque
        }
    }

    // MARK: Arguments that mean something

    private mutating func watch(_ bytes: [UInt8]) {
        watched = bytes
        matched = 0
    }

    private mutating func match(_ bytes: Slice<UnsafeRawBufferPointer>) {
        for byte in bytes {
            guard matched < watched.count, watched[matched] == byte else {
                matched = -1
                return
            }
            matched += 1
        }
    }

    private mutating func noteMatch() {
        guard matched > 0, matched == watched.count else { return }
        if watched == Self.joblibModule { namesJoblib = true } else { isTorch = true }
    }
}
