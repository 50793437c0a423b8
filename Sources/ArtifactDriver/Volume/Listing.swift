internal import FuseKernel
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// The names in a directory, with what each is: about thirty bytes a name and the name itself, in two pieces of memory.
struct Listing: RandomAccessCollection, Sendable {
    /// One name.
    struct Element {
        /// The name as text; nil when it is not UTF-8.
        let name: String?
        let number: UInt64
        /// `S_IFMT` bits, 0 when not known.
        let type: UInt32
    }

    /// A name after the other: its number, its type, its bytes, a NUL.
    private var bytes: [UInt8] = []
    private var places: [UInt32] = []

    private static var headSize: Int { MemoryLayout<UInt64>.size + 1 }

    var startIndex: Int { 0 }
    var endIndex: Int { places.count }

    subscript(index: Int) -> Element {
        withEntry(at: index) { name, number, type in Element(name: name.string, number: number, type: type) }
    }

    /// How much memory it takes.
    var size: Int { bytes.capacity + places.capacity * MemoryLayout<UInt32>.size }

    /// Adds a name.
    ///
    /// - Throws: `EOVERFLOW` when there are gigabytes of names.
    mutating func add(_ name: UnsafeRawBufferPointer, number: UInt64, type: UInt32) throws(Errno) {
        guard let place = UInt32(exactly: bytes.count) else { throw Errno(rawValue: EOVERFLOW) }
        places.append(place)
        withUnsafeBytes(of: number.littleEndian) { bytes.append(contentsOf: $0) }
        bytes.append(UInt8(truncatingIfNeeded: type >> 12))
        bytes.append(contentsOf: name)
        bytes.append(0)
    }

    mutating func add(_ name: String, number: UInt64, type: UInt32) throws(Errno) {
        var name = name
        let result = name.withUTF8 { utf8 -> Errno? in
            do throws(Errno) {
                try add(UnsafeRawBufferPointer(utf8), number: number, type: type)
                return nil
            } catch { return error }
        }
        if let result { throw result }
    }

    init() {}

    /// The names in a directory, `.` and `..` among them.
    init(of directory: FileDescriptor) throws(Errno) {
        try SystemCall.forEachName(in: directory) { name, number, type throws(Errno) in
            try add(EntryName(name).bytes, number: number, type: type)
        }
        compact()
    }

    /// Takes no more memory than it needs.
    mutating func compact() {
        bytes = Self.compacted(bytes)
        places = Self.compacted(places)
    }

    private static func compacted<Value>(_ values: [Value]) -> [Value] {
        guard values.capacity > values.count + values.count / 8 else { return values }
        return Array(unsafeUninitializedCapacity: values.count) { buffer, count in
            count = buffer.initialize(from: values).index
        }
    }

    /// Runs with a name, its number and its type.
    func withEntry<Result>(at index: Int, _ body: (EntryName, UInt64, UInt32) -> Result) -> Result {
        bytes.withUnsafeBytes { all in
            let start = all[Int(places[index])...]
            var number: UInt64 = 0
            for byte in start.prefix(MemoryLayout<UInt64>.size).reversed() { number = number << 8 | UInt64(byte) }
            let type = UInt32(start[start.startIndex + MemoryLayout<UInt64>.size]) << 12
            let name = UnsafeRawBufferPointer(rebasing: start.dropFirst(Self.headSize))
            // A NUL ends it: `add`.
            return withUnsafePointer(to: CChar(0)) { empty in
                body(EntryName(name.assumingMemoryBound(to: CChar.self).baseAddress ?? empty), number, type)
            }
        }
    }
}

extension EntryName {
    /// Whether it is `.` or `..`.
    var isDot: Bool {
        pointer[0] == 46 && (pointer[1] == 0 || pointer[1] == 46 && pointer[2] == 0)
    }
}

/// When a directory's listing was made, as far as anything tells that it would be another now.
struct ListingState: Equatable, Sendable {
    private let device: UInt64
    private let number: UInt64
    private let modified: Int
    private let modifiedNanoseconds: Int
    private let changed: Int
    private let changedNanoseconds: Int
    /// Of staged files' names (`Namespace.stagedChanges`).
    private let staged: UInt64
    /// In a shared store: the span of time that it was made in.
    private let span: UInt64

    /// Nil while the directory's clock may not have moved since the last change in it: what comes now may go unseen.
    ///
    /// - Parameter trusted: for how many nanoseconds it may be trusted. In a shared store, where it is less than for ever, times are other
    ///   hosts', and known too late: only that time counts.
    init?(_ attributes: stat, staged: UInt64, trusted: UInt64) {
        if trusted == .max {
            let now = Clock.now()
            let age = (now.tv_sec &- attributes.st_ctim.tv_sec, now.tv_nsec - attributes.st_ctim.tv_nsec)
            guard age.0 > 1 || age.0 == 1 && age.1 > 0 else { return nil }
            span = 0
        } else {
            guard trusted > 0 else { return nil }
            span = Clock.monotonic() / trusted
        }
        device = UInt64(attributes.st_dev)
        number = UInt64(attributes.st_ino)
        (modified, modifiedNanoseconds) = (attributes.st_mtim.tv_sec, attributes.st_mtim.tv_nsec)
        (changed, changedNanoseconds) = (attributes.st_ctim.tv_sec, attributes.st_ctim.tv_nsec)
        self.staged = staged
    }
}
