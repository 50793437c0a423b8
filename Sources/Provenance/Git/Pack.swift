internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// A pack and its index of version 2 (gitformat-pack(5)), as far as it takes to read one commit.
struct Pack {
    private let name: [UInt8]
    private let directory: HeldFile
    private let walk: PathWalk
    private let format: ObjectFormat

    /// How many deltas in a row are followed; git makes 50.
    private static let mostDeltas = 256
    /// The most bytes of deltas together.
    private static let limit = 8 << 20

    init(_ name: [UInt8], in directory: HeldFile, _ walk: PathWalk, _ format: ObjectFormat) {
        self.name = name
        self.directory = directory
        self.walk = walk
        self.format = format
    }

    /// What a commit says.
    ///
    /// - Returns: nil when the pack does not have it.
    func commit(_ id: ObjectID) throws(Errno) -> [UInt8]? {
        try withFile(".idx") { index throws(Errno) -> [UInt8]? in
            guard let start = try offset(of: id.bytes, in: index) else { return nil }
            return try withFile(".pack") { pack throws(Errno) in try commit(at: start, pack, index) }
        }
    }

    private func withFile<Result>(
        _ suffix: String, _ body: (DescriptorSource) throws(Errno) -> Result
    ) throws(Errno) -> Result {
        try walk.follow(name + Array(suffix.utf8), from: directory).file.reading { open, attributes throws(Errno) in
            try body(DescriptorSource(descriptor: open, count: Int64(attributes.st_size)))
        }
    }

    // MARK: - The index

    private func number(_ index: DescriptorSource, at offset: Int64) throws(Errno) -> Int64 {
        try index.exactly(4, at: offset).reduce(0) { $0 << 8 | Int64($1) }
    }

    /// Where an object begins in the pack.
    private func offset(of id: [UInt8], in index: DescriptorSource) throws(Errno) -> Int64? {
        guard try index.exactly(8, at: 0) == [0xFF, 0x74, 0x4F, 0x63, 0, 0, 0, 2], let first = id.first else {
            throw .invalidArgument
        }
        let count = try number(index, at: 8 + 255 * 4)
        var low = first == 0 ? 0 : try number(index, at: 8 + (Int64(first) - 1) * 4)
        var high = try number(index, at: 8 + Int64(first) * 4)
        guard low <= high, high <= count else { throw .invalidArgument }
        let ids: Int64 = 8 + 1024
        let length = Int64(format.length)
        while low < high {
            let middle = low + (high - low) / 2
            let found = try index.exactly(format.length, at: ids + middle * length)
            if found == id {
                let offsets = ids + count * (length + 4)
                let offset = try number(index, at: offsets + middle * 4)
                guard offset & 0x8000_0000 != 0 else { return offset }
                let place = offsets + count * 4 + (offset & 0x7FFF_FFFF) * 8
                let (upper, lower) = (try number(index, at: place), try number(index, at: place + 4))
                guard upper < 0x8000_0000 else { throw .invalidArgument }
                return upper << 32 | lower
            }
            if found.lexicographicallyPrecedes(id) { low = middle + 1 } else { high = middle }
        }
        return nil
    }

    // MARK: - The objects

    private func commit(at start: Int64, _ pack: DescriptorSource, _ index: DescriptorSource) throws(Errno) -> [UInt8] {
        var deltas: [[UInt8]] = []
        var size = 0
        var offset = start
        while deltas.count <= Self.mostDeltas {
            var header = ObjectHeader(try pack.exactly(Int(clamping: min(64, pack.count - offset)), at: offset))
            guard let kind = header.kind() else { throw .invalidArgument }
            let base: Int64
            switch kind {
            case 1:
                var content = try pack.decompressed(at: offset + Int64(header.length), limit: CommitReader.limit)
                while let delta = deltas.popLast() {
                    guard let next = PackDelta.apply(delta, to: content, limit: CommitReader.limit) else {
                        throw .invalidArgument
                    }
                    content = next
                }
                return content
            case 6:
                guard let distance = header.distance(), distance > 0, distance <= offset else { throw .invalidArgument }
                base = offset - distance
            case 7:
                guard let id = header.bytes(format.length), let found = try self.offset(of: id, in: index) else {
                    throw .invalidArgument
                }
                base = found
            default: throw .invalidArgument
            }
            let delta = try pack.decompressed(at: offset + Int64(header.length), limit: CommitReader.limit)
            size += delta.count
            guard size <= Self.limit else { throw .fileTooLarge }
            deltas.append(delta)
            offset = base
        }
        throw .fileTooLarge
    }
}

/// What stands before an object in a pack.
private struct ObjectHeader {
    private let all: [UInt8]
    private(set) var length = 0

    init(_ bytes: [UInt8]) { all = bytes }

    private mutating func byte() -> UInt8? {
        guard length < all.count else { return nil }
        defer { length += 1 }
        return all[length]
    }

    /// The kind; the size after it is not needed.
    mutating func kind() -> UInt8? {
        guard var byte = byte() else { return nil }
        let kind = byte >> 4 & 7
        while byte & 0x80 != 0 {
            guard length <= 10, let next = self.byte() else { return nil }
            byte = next
        }
        return kind
    }

    mutating func distance() -> Int64? {
        guard var byte = byte() else { return nil }
        var value = Int64(byte & 0x7F)
        while byte & 0x80 != 0 {
            guard value < 1 << 48, let next = self.byte() else { return nil }
            byte = next
            value = (value + 1) << 7 | Int64(byte & 0x7F)
        }
        return value
    }

    mutating func bytes(_ count: Int) -> [UInt8]? {
        guard all.count - length >= count else { return nil }
        defer { length += count }
        return Array(all[length..<length + count])
    }
}

/// How an object differs from another one (gitformat-pack(5), "Deltified representation").
enum PackDelta {
    /// - Returns: nil when the delta is not for this base, is none, or makes more than `limit` bytes.
    static func apply(_ delta: [UInt8], to base: [UInt8], limit: Int) -> [UInt8]? {
        var index = 0
        guard size(delta, &index) == base.count, let size = size(delta, &index), size <= limit else { return nil }
        var result: [UInt8] = []
        result.reserveCapacity(size)
        while index < delta.count {
            let command = delta[index]
            index += 1
            if command & 0x80 != 0 {
                var (offset, count) = (0, 0)
                for bit in 0..<7 where command & 1 << UInt8(bit) != 0 {
                    guard index < delta.count else { return nil }
                    if bit < 4 {
                        offset |= Int(delta[index]) << (8 * bit)
                    } else {
                        count |= Int(delta[index]) << (8 * (bit - 4))
                    }
                    index += 1
                }
                if count == 0 { count = 0x10000 }
                guard offset <= base.count, count <= base.count - offset, count <= size - result.count else {
                    return nil
                }
                result += base[offset..<offset + count]
            } else {
                let count = Int(command)
                guard count > 0, count <= delta.count - index, count <= size - result.count else { return nil }
                result += delta[index..<index + count]
                index += count
            }
        }
        return result.count == size ? result : nil
    }

    private static func size(_ delta: [UInt8], _ index: inout Int) -> Int? {
        var value = 0
        var shift = 0
        while index < delta.count, shift < 42 {
            let byte = delta[index]
            index += 1
            value |= Int(byte & 0x7F) << shift
            if byte & 0x80 == 0 { return value }
            shift += 7
        }
        return nil
    }
}
