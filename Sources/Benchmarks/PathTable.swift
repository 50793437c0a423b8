/// Many paths as C strings in one piece of memory, so that a timed loop allocates nothing.
final class PathTable {
    /// A run of consecutive paths of a table, which must outlive it.
    struct Slice {
        let base: UnsafePointer<CChar>
        let stride: Int
        let count: Int

        @inline(__always) subscript(index: Int) -> UnsafePointer<CChar> { base + index * stride }

        /// One of `parts` equal pieces; the last takes what is left.
        func part(_ index: Int, of parts: Int) -> Slice {
            let size = count / parts
            let first = index * size
            return Slice(
                base: base + first * stride, stride: stride, count: index == parts - 1 ? count - first : size)
        }
    }

    private let bytes: UnsafeMutablePointer<CChar>
    let all: Slice

    /// Writes down `count` paths.
    init(count: Int, _ path: (Int) -> String) {
        let strings = (0..<count).map(path)
        let stride = (strings.lazy.map(\.utf8.count).max() ?? 0) + 1
        bytes = .allocate(capacity: max(1, count * stride))
        bytes.initialize(repeating: 0, count: max(1, count * stride))
        for (index, string) in strings.enumerated() {
            for (offset, byte) in string.utf8.enumerated() {
                bytes[index * stride + offset] = CChar(bitPattern: byte)
            }
        }
        all = Slice(base: UnsafePointer(bytes), stride: stride, count: count)
    }

    deinit { bytes.deallocate() }
}
