import ArtifactFormats
import ArtifactRecords
import Glibc
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// A file of holes has the hash of its bytes, and its holes are not read.
@Suite struct SparseFileTests {
    private static let size = 192 << 20

    /// Data at places and of lengths that fit no block.
    private func file(_ directory: TemporaryDirectory, _ pieces: [(offset: Int, length: Int)], size: Int) throws
        -> FileDescriptor
    {
        let file = try FileDescriptor.open(
            directory.path + "/sparse", .readWrite, options: [.create, .exclusiveCreate],
            permissions: .init(rawValue: 0o600))
        for (number, piece) in pieces.enumerated() {
            let bytes = (0..<piece.length).map { UInt8(truncatingIfNeeded: $0 &* 31 &+ number &+ 1) }
            try file.writeAll(toAbsoluteOffset: Int64(piece.offset), bytes)
        }
        try #require(ftruncate(file.rawValue, off_t(size)) == 0)
        return file
    }

    /// What this thread has read, in bytes (proc_pid_io(5)).
    private func bytesRead() throws -> Int {
        let file = try FileDescriptor.open("/proc/thread-self/io", .readOnly)
        defer { try? file.close() }
        let text = String(decoding: try SystemCall.bytes(file, at: 0, count: 4096), as: UTF8.self)
        let line = try #require(text.split(separator: "\n").first { $0.hasPrefix("rchar: ") })
        return try #require(Int(line.dropFirst(7)))
    }

    @Test(
        arguments: ["/tmp", "/dev/shm"],
        [
            [], [(0, 1)], [(0, 70_000), (100 << 20, 5), (size - 3, 3)], [(size - 1, 1)],
            [(5 << 20, 300_001), (6 << 20, 4096), (6 << 20 + 8192, 1)],
        ])
    func hash(parent: String, pieces: [(offset: Int, length: Int)]) throws {
        let directory = try TemporaryDirectory(in: parent)
        let file = try file(directory, pieces, size: Self.size)
        defer { try? file.close() }
        let before = try bytesRead()
        let found = try FileSource(descriptor: file, count: Int64(Self.size)).sha256()
        let read = try bytesRead() - before
        // Counted as small, a file is read as it is.
        #expect(try found == FileSource(descriptor: file, count: 0).sha256())
        #expect(read < 8 << 20 || !isTrusted(file), "\(read) bytes were read")
        var counted = 0
        var hash = try SHA256()
        _ = try FormatCheck.notEmpty.checkWhole(FileSource(descriptor: file, count: Int64(Self.size))) { chunk in
            counted += chunk.count
            hash.update(chunk)
        }
        #expect(try counted == Self.size && hash.finish() == found)
    }

    private func isTrusted(_ file: FileDescriptor) -> Bool {
        lseek(file.rawValue, 0, 4) < off_t(Self.size)
    }

    /// What a file loses or gets while it is read is seen, as without holes.
    @Test(arguments: ["/tmp", "/dev/shm"]) func aFileThatChanges(parent: String) throws {
        let directory = try TemporaryDirectory(in: parent)
        let file = try file(directory, [], size: Self.size)
        defer { try? file.close() }
        let source = FileSource(descriptor: file, count: Int64(Self.size))
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 4096, alignment: 16)
        defer { buffer.deallocate() }
        #expect(try source.read(at: 0, into: buffer) == 4096)
        #expect(try source.read(at: Int64(Self.size) - 5, into: buffer) == 5)
        #expect(try source.read(at: Int64(Self.size), into: buffer) == 0)
        let fresh = FileSource(descriptor: file, count: Int64(Self.size))
        try #require(ftruncate(file.rawValue, 1 << 20) == 0)
        #expect(try fresh.read(at: 2 << 20, into: buffer) == 0)
        #expect(throws: FormatError.self) { try FormatCheck.notEmpty.checkWhole(fresh) { _ in } }
    }

    @Test func publishes() throws {
        let place = try TemporaryStore(in: "/dev/shm")
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, "")
        let file = try staged.open(O_RDWR)
        try #require(ftruncate(file.rawValue, off_t(Self.size)) == 0)
        try file.close()
        let outcome = store.publish(TemporaryStore.request(store, staged, check: .notEmpty))
        guard case .sealed(let sha256, let size, _) = outcome else {
            Issue.record("\(outcome)")
            return
        }
        // 192 MiB of zeros, by sha256sum(1).
        #expect(size == Int64(Self.size))
        #expect(sha256 == "46b23b74b0d431993099b9ccef75ac4e30dc48305089aa236b6ff1de97fed713")
        store.close()
    }

    /// A copy has the bytes, and where it may be trusted that there are holes it has holes.
    @Test(
        arguments: ["/tmp", "/dev/shm"],
        [
            [], [(0, 1)], [(0, 70_000), (100 << 20, 5), (size - 3, 3)], [(size - 1, 1)],
            [(5 << 20, 300_001), (6 << 20, 4096), (6 << 20 + 8192, 1)],
        ])
    func aCopyStaysSparse(parent: String, pieces: [(offset: Int, length: Int)]) throws {
        let directory = try TemporaryDirectory(in: parent)
        let file = try file(directory, pieces, size: Self.size)
        defer { try? file.close() }
        for isWhole in [true, false] {
            let copy = try FileDescriptor.open(
                directory.path + "/copy-\(isWhole)", .readWrite, options: [.create, .exclusiveCreate],
                permissions: .init(rawValue: 0o600))
            defer { try? copy.close() }
            // Where blocks cannot be given over in the kernel they are read and written.
            try Faults.with({ call, _ in call == .copyRange && !isWhole ? .fails(.improperLink) : nil }) {
                try FileCopy.copyBytes(file, to: copy)
            }
            let (found, made) = (try SystemCall.attributes(file), try SystemCall.attributes(copy))
            #expect(found.st_size == made.st_size)
            #expect(try FileSource(copy).sha256() == FileSource(file).sha256())
            #expect(!isTrusted(file) || made.st_blocks <= found.st_blocks + 64, "\(made.st_blocks), \(found.st_blocks)")
        }
    }

    /// The same of files without holes, and of empty ones.
    @Test(arguments: ["/tmp", "/dev/shm"], [0, 1, 70_000, 5_000_001]) func aCopyOfAnyFile(parent: String, size: Int)
        throws
    {
        let directory = try TemporaryDirectory(in: parent)
        let file = try file(directory, [(0, size)], size: size)
        defer { try? file.close() }
        for error in [nil, Errno.improperLink] {
            let copy = try FileDescriptor.open(
                directory.path + "/copy-\(error == nil)", .readWrite, options: [.create, .exclusiveCreate],
                permissions: .init(rawValue: 0o600))
            defer { try? copy.close() }
            try Faults.with({ call, _ in call == .copyRange ? error.map { .fails($0) } : nil }) {
                try FileCopy.copyBytes(file, to: copy)
            }
            #expect(
                try SystemCall.bytes(copy, at: 0, count: size + 1) == SystemCall.bytes(file, at: 0, count: size + 1))
        }
    }
}
