/// NumPy's `.npy` (numpy.lib.format, versions 1 to 3): a header that tells the array's type and shape, then as many bytes as that is. An
/// array of Python objects is a pickle instead, which is walked.
enum NumPyFile {
    static let magic: [UInt8] = [0x93] + Array("NUMPY".utf8)

    static func checkQuickly(_ source: some ByteSource) throws(FormatError) {
        let header = try NumPyHeader(of: source)
        if case .raw(let length) = header.data {
            try NumPyHeader.compare(length, with: source.count - header.length)
        }
    }

    static func checkWhole(
        _ source: some ByteSource, _ eachChunk: (UnsafeRawBufferPointer) -> Void
    ) throws(FormatError) -> FormatFacts {
        var scanner = NumPyScanner(count: source.count)
        try pass(over: source, through: &scanner, eachChunk)
        return FormatFacts(details: try scanner.finish().details)
    }
}

/// What a `.npy` header says.
struct NumPyHeader {
    enum Data: Equatable {
        /// So many bytes.
        case raw(Int64)
        /// A pickle of the objects.
        case objects
    }

    /// How long it is: where the array begins.
    let length: Int64
    let data: Data
    let details: [String: String]

    /// The magic bytes, the version and the longer of the two lengths.
    static let prefixLength = 12
    /// No type has a longer description; NumPy itself reads ten thousand bytes unless it is told to trust the file.
    static let longest = 1 << 20

    init(of source: some ByteSource) throws(FormatError) {
        let head = try source.head(Self.prefixLength)
        let length = try Self.length(of: head)
        guard Int64(length) <= source.count else { throw Self.cut }
        self = try NumPyHeader(try source.head(length))
    }

    /// How many bytes the whole header has, by its first ones: ``prefixLength`` of them where the file has so many.
    static func length(of head: [UInt8]) throws(FormatError) -> Int {
        let known = min(head.count, NumPyFile.magic.count)
        guard head[..<known] == NumPyFile.magic[..<known] else {
            throw .invalid(reason: "it begins with \"\(Excerpt.text(head.prefix(8)))\", a NumPy array with \\x93NUMPY")
        }
        guard head.count >= 10 else { throw cut }
        guard (1...3).contains(head[6]), head[7] == 0 else {
            throw .invalid(reason: "its NumPy format \(head[6]).\(head[7]) is not one of 1.0, 2.0 and 3.0")
        }
        let width = head[6] == 1 ? 2 : 4
        guard head.count >= 8 + width else { throw cut }
        let text = ZipDirectory.number(head, 8, width)
        guard text <= UInt64(longest) else {
            throw .invalid(reason: "its NumPy header would be \(text) bytes long, no array's is")
        }
        return 8 + width + Int(text)
    }

    private static let cut = FormatError.invalid(reason: "it ends inside its NumPy header: it is cut short")

    /// Reads a header that is there to its end.
    init(_ bytes: [UInt8]) throws(FormatError) {
        length = Int64(bytes.count)
        var reader = NumPyHeaderReader(bytes[(bytes[6] == 1 ? 10 : 12)...])
        let type = try reader.header()
        var items: Int64 = type.itemSize
        // An empty dimension is an empty array, whatever the others are.
        if type.shape.contains(0) { items = 0 }
        for dimension in type.shape where items != 0 {
            let (product, overflow) = items.multipliedReportingOverflow(by: dimension)
            guard !overflow else {
                throw .invalid(reason: "its NumPy header tells of more bytes than any file has")
            }
            items = product
        }
        data = type.hasObjects ? .objects : .raw(items)
        var details = ["dtype": type.text, "shape": type.shape.map(String.init).joined(separator: "x")]
        if type.shape.isEmpty { details["shape"] = "scalar" }
        if type.isFortran { details["order"] = "fortran" }
        self.details = details
    }

    /// That as much is there as the header tells.
    static func compare(_ told: Int64, with found: Int64) throws(FormatError) {
        guard told != found else { return }
        throw .invalid(
            reason: "its NumPy header tells of \(counted(told, "byte")) of data, there are \(found)"
                + (found < told ? ": it is cut short" : "; one array a file is expected, several are an .npz"))
    }
}

/// Checks an array in pieces of any size.
struct NumPyScanner: ChunkScanner {
    private var head: [UInt8] = []
    private var needed = NumPyHeader.prefixLength
    private var knowsLength = false
    private var header: NumPyHeader?
    private var pickle: PickleScanner?
    private let count: Int64
    private var seen: Int64 = 0

    /// - Parameter count: how long the file is.
    init(count: Int64) { self.count = count }

    mutating func consume(_ chunk: UnsafeRawBufferPointer) throws(FormatError) {
        seen += Int64(chunk.count)
        var index = 0
        while header == nil {
            let length = min(needed - head.count, chunk.count - index)
            head.append(contentsOf: chunk[index..<(index + length)])
            index += length
            guard head.count == needed else { return }
            if knowsLength {
                try begin()
            } else {
                needed = try NumPyHeader.length(of: head)
                knowsLength = true
                // The shortest header of version 1 is no longer than what was read; its end is then in it.
                if needed <= head.count {
                    throw .invalid(reason: "its NumPy header is too short to tell a type and a shape")
                }
            }
        }
        if index < chunk.count, pickle != nil {
            try Self.explaining { () throws(FormatError) in
                try pickle?.consume(UnsafeRawBufferPointer(rebasing: chunk[index...]))
            }
        }
    }

    private mutating func begin() throws(FormatError) {
        let header = try NumPyHeader(head)
        self.header = header
        head = []
        if header.data == .objects { pickle = PickleScanner(count: count - header.length) }
    }

    /// What the array is, when it ends here.
    func finish() throws(FormatError) -> NumPyHeader {
        guard let header else {
            _ = try NumPyHeader.length(of: head)
            throw .invalid(reason: "it ends inside its NumPy header: it is cut short")
        }
        switch header.data {
        case .raw(let length): try NumPyHeader.compare(length, with: seen - header.length)
        case .objects:
            try Self.explaining { () throws(FormatError) in _ = try pickle?.finish() }
        }
        return header
    }

    private static func explaining(_ body: () throws(FormatError) -> Void) throws(FormatError) {
        do throws(FormatError) {
            try body()
        } catch {
            guard case .invalid(let reason) = error else { throw error }
            throw .invalid(reason: "the pickle of its Python objects is not whole: \(reason)")
        }
    }
}

/// Reads the Python literal of a header: a dictionary of strings, numbers, words, tuples and lists.
private struct NumPyHeaderReader {
    struct ArrayType {
        var itemSize: Int64 = 0
        var hasObjects = false
        var isFortran = false
        var shape: [Int64] = []
        var text = ""
    }

    private let bytes: ArraySlice<UInt8>
    private var index: Int

    init(_ bytes: ArraySlice<UInt8>) {
        self.bytes = bytes
        index = bytes.startIndex
    }

    /// How deep a structured type may nest.
    private static let depthLimit = 32
    /// NumPy's own limit is 64 dimensions.
    private static let mostDimensions = 64

    private func damaged(_ what: String) -> FormatError { .invalid(reason: "its NumPy header has \(what)") }

    private mutating func next() -> UInt8? {
        while index < bytes.endIndex, JSONText.isBlank(bytes[index]) { index += 1 }
        return index < bytes.endIndex ? bytes[index] : nil
    }

    private mutating func skip(_ character: Unicode.Scalar) -> Bool {
        guard next() == UInt8(ascii: character) else { return false }
        index += 1
        return true
    }

    private mutating func take(_ character: Unicode.Scalar) throws(FormatError) {
        guard skip(character) else {
            let found = next().map { Excerpt.quoted($0) } ?? "its end"
            throw damaged("\(found) where '\(character)' is expected")
        }
    }

    mutating func header() throws(FormatError) -> ArrayType {
        var type = ArrayType()
        var seen: Set<String> = []
        try take("{")
        while !skip("}") {
            let key = String(decoding: try string(), as: UTF8.self)
            guard seen.insert(key).inserted else { throw damaged("a key twice") }
            try take(":")
            switch key {
            case "descr":
                _ = next()
                let start = index
                type.itemSize = try description(&type.hasObjects, depth: 0)
                type.text = Excerpt.text(Self.withoutQuotes(bytes[start..<index]))
            case "fortran_order": type.isFortran = try truth()
            case "shape": type.shape = try tuple()
            default: throw damaged("a key that is none of descr, fortran_order and shape")
            }
            if !skip(",") {
                try take("}")
                break
            }
        }
        guard seen.count == 3 else { throw damaged("not all of descr, fortran_order and shape") }
        guard next() == nil else { throw damaged("more than a dictionary") }
        guard bytes.last == 0x0A else { throw damaged("no newline at its end") }
        return type
    }

    private static func withoutQuotes(_ text: ArraySlice<UInt8>) -> ArraySlice<UInt8> {
        guard let first = text.first, first == UInt8(ascii: "'") || first == UInt8(ascii: "\""), text.count >= 2 else {
            return text
        }
        return text.dropFirst().dropLast()
    }

    /// A type's description: a type string, `(description, shape)`, or a list of fields. Returns how many bytes an item has.
    private mutating func description(_ hasObjects: inout Bool, depth: Int) throws(FormatError) -> Int64 {
        guard depth < Self.depthLimit else { throw damaged("a type that nests deeper than \(Self.depthLimit) levels") }
        if skip("[") {
            var size: Int64 = 0
            while !skip("]") {
                let (sum, overflow) = size.addingReportingOverflow(try field(&hasObjects, depth: depth))
                guard !overflow else { throw damaged("a type of more bytes than any file has") }
                size = sum
                if !skip(",") {
                    try take("]")
                    break
                }
            }
            return size
        }
        if skip("(") {
            let size = try description(&hasObjects, depth: depth + 1)
            try take(",")
            let total = try times(size, try shape())
            _ = skip(",")
            try take(")")
            return total
        }
        return try typeString(&hasObjects)
    }

    /// `(name, description)` or `(name, description, shape)`; a name may be `(title, name)`.
    private mutating func field(_ hasObjects: inout Bool, depth: Int) throws(FormatError) -> Int64 {
        try take("(")
        if skip("(") {
            _ = try string()
            try take(",")
            _ = try string()
            try take(")")
        } else {
            _ = try string()
        }
        try take(",")
        var size = try description(&hasObjects, depth: depth + 1)
        if skip(","), next() != UInt8(ascii: ")") { size = try times(size, try shape()) }
        _ = skip(",")
        try take(")")
        return size
    }

    private func times(_ size: Int64, _ shape: [Int64]) throws(FormatError) -> Int64 {
        var size = size
        for dimension in shape {
            let (product, overflow) = size.multipliedReportingOverflow(by: dimension)
            guard !overflow else { throw damaged("a type of more bytes than any file has") }
            size = product
        }
        return size
    }

    /// `<f8`, `|S10`, `<U3`, `<M8[ns]`, `|O`: returns how many bytes an item has.
    private mutating func typeString(_ hasObjects: inout Bool) throws(FormatError) -> Int64 {
        let text = try string()
        let unknown = damaged("the type \"\(Excerpt.text(text))\", which NumPy does not write")
        var rest = text[...]
        if let first = rest.first, "<>|=".utf8.contains(first) { rest.removeFirst() }
        guard let kind = rest.popFirst() else { throw unknown }
        let digits = rest.prefix { JSONText.isDigit($0) }
        guard digits.count <= 10 else { throw unknown }
        let size = digits.reduce(Int64(0)) { $0 * 10 + Int64($1 - UInt8(ascii: "0")) }
        let unit = rest.dropFirst(digits.count)
        let isTime = kind == UInt8(ascii: "M") || kind == UInt8(ascii: "m")
        guard unit.isEmpty || (isTime && unit.first == UInt8(ascii: "[") && unit.last == UInt8(ascii: "]")) else {
            throw unknown
        }
        if kind == UInt8(ascii: "O") {
            hasObjects = true
            return 8
        }
        let sizes: [Int64]
        switch UnicodeScalar(kind) {
        case "?" where digits.isEmpty: return 1
        case "b": sizes = [1]
        case "i", "u": sizes = [1, 2, 4, 8]
        case "f": sizes = [2, 4, 8, 12, 16]
        case "c": sizes = [8, 16, 24, 32]
        case "M", "m": sizes = [8]
        case "S", "V", "a": sizes = [size]
        case "U":
            guard !digits.isEmpty else { throw unknown }
            return size * 4
        default: throw unknown
        }
        guard !digits.isEmpty, sizes.contains(size) else { throw unknown }
        return size
    }

    private mutating func truth() throws(FormatError) -> Bool {
        for (word, value) in [("True", true), ("False", false)] {
            _ = next()
            if bytes[index...].starts(with: word.utf8) {
                index += word.utf8.count
                return value
            }
        }
        throw damaged("a fortran_order that is neither True nor False")
    }

    /// One number, or a tuple.
    private mutating func shape() throws(FormatError) -> [Int64] {
        if let first = next(), JSONText.isDigit(first) { return [try number()] }
        return try tuple()
    }

    private mutating func tuple() throws(FormatError) -> [Int64] {
        var numbers: [Int64] = []
        try take("(")
        while !skip(")") {
            guard numbers.count < Self.mostDimensions else {
                throw damaged("more than \(Self.mostDimensions) dimensions")
            }
            numbers.append(try number())
            if !skip(",") {
                try take(")")
                break
            }
        }
        return numbers
    }

    private mutating func number() throws(FormatError) -> Int64 {
        guard let first = next(), JSONText.isDigit(first) else { throw damaged("a shape that is not of numbers") }
        var value: Int64 = 0
        while index < bytes.endIndex, JSONText.isDigit(bytes[index]) {
            let (tens, overflow) = value.multipliedReportingOverflow(by: 10)
            let (sum, carry) = tens.addingReportingOverflow(Int64(bytes[index] - UInt8(ascii: "0")))
            guard !overflow, !carry else { throw damaged("a dimension that no array has") }
            value = sum
            index += 1
        }
        // Python 2 wrote long numbers so.
        if index < bytes.endIndex, bytes[index] == UInt8(ascii: "L") { index += 1 }
        return value
    }

    /// A string in either quotes; what is escaped in it does not matter here.
    private mutating func string() throws(FormatError) -> [UInt8] {
        if next() == UInt8(ascii: "u") { index += 1 }
        guard let quote = next(), quote == UInt8(ascii: "'") || quote == UInt8(ascii: "\"") else {
            throw damaged("no string where one is expected")
        }
        index += 1
        var text: [UInt8] = []
        while index < bytes.endIndex, bytes[index] != quote {
            if bytes[index] == 0x5C { index += 1 }
            guard index < bytes.endIndex else { break }
            text.append(bytes[index])
            index += 1
        }
        guard index < bytes.endIndex else { throw damaged("a string that does not end") }
        index += 1
        return text
    }
}
