import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import FuseKernel

/// What the binding reads of the kernel and moves for it, with every number that does not fit.
@Suite struct NumberTests {
    /// INIT as the kernel sends it: a header of 40 bytes, then `fuse_init_in`.
    @Test func initMessagesOfAnyNumbers() {
        let extremes: [UInt32] = [0, 1, 26, 127, 128, 255, 256, 32_767, 32_768, 65_535, 0x7FFF_FFFF, 0x8000_0000, .max]
        var options = MountOptions(mountPoint: "/nowhere", fileSystemName: "x")
        for extra in [
            [], ["max_read=0"], ["max_read=4294967295"], ["max_read=4294967296"], ["max_read=-1"], ["max_read="],
        ] {
            options.extra = extra
            for place in stride(from: 0, to: 104, by: 4) {
                for value in extremes {
                    let negotiation = Negotiation(options)
                    var message = [UInt8](repeating: 0, count: 104)
                    message[4] = 26
                    message[8] = 1
                    message.replaceSubrange(place..<(place + 4), with: Self.bytes(value))
                    for length in [0, 39, 40, 55, 56, 59, 60, 61, 104] {
                        message.withUnsafeBytes {
                            negotiation.received(UnsafeRawBufferPointer(rebasing: $0[..<length]))
                        }
                    }
                    answer(negotiation, value)
                }
            }
        }
    }

    /// The reply to INIT goes out by way of the negotiation, in vectors of any length.
    private func answer(_ negotiation: Negotiation, _ value: UInt32) {
        var header = [UInt8](repeating: 0, count: 16)
        header[8] = 1
        for length in [0, 15, 16, 24, 63, 64] {
            var body = [UInt8](repeating: 0, count: 64)
            body.replaceSubrange(12..<16, with: Self.bytes(value))
            header.withUnsafeMutableBytes { header in
                body.withUnsafeMutableBytes { body in
                    var vectors = [
                        iovec(iov_base: header.baseAddress, iov_len: length < 16 ? length : 16),
                        iovec(iov_base: body.baseAddress, iov_len: length),
                    ]
                    for count: Int32 in [0, 1, 2, -1, .min] {
                        vectors.withUnsafeMutableBufferPointer {
                            if let first = $0.baseAddress { negotiation.sending(first, count: count) }
                        }
                    }
                }
            }
        }
    }

    private static func bytes(_ value: UInt32) -> [UInt8] {
        (0..<4).map { UInt8(truncatingIfNeeded: value >> (8 * UInt32($0))) }
    }

    @Test func directoryRepliesOfAnySize() {
        for size in [Int.min, -1, 0, 1, 23, 24, 120, 4096, 1 << 20, 1 << 32, .max] {
            for wantsAttributes in [false, true] {
                var buffer = DirectoryBuffer(wantsAttributes: wantsAttributes, size: size)
                var added = 0
                "a name".withCString { name in
                    for next in [Int64.min, -1, 0, .max] where added < 4 {
                        if buffer.add(name: EntryName(name), inodeNumber: .max, type: .max, nextOffset: next) {
                            added += 1
                        }
                    }
                }
                #expect((added == 4) == (size >= 4096), "\(size)")
                #expect(buffer.bytes.count <= max(size, 1))
            }
        }
    }

    @Test func transfersAtAnyOffset() throws {
        let directory = try TemporaryDirectory()
        try write("0123456789", to: directory.path + "/file")
        let file = try FileDescriptor.open(directory.path + "/file", .readWrite)
        defer { try? file.close() }
        let caller = Caller(user: geteuid(), group: getegid(), process: getpid(), umask: 0)
        var memory = [UInt8](repeating: 0, count: 64)
        for offset in [Int.min, .min + 1, -1, 0, 5, .max - 64, .max - 1, .max] {
            let count = memory.withUnsafeMutableBytes { memory in try? Transfer.read(file, memory, at: offset) }
            #expect(count == (offset == 0 ? 10 : offset == 5 ? 5 : offset < 0 ? nil : count), "\(offset)")
            if offset != 0, offset != 5 {
                #expect(throws: Errno.self) {
                    try memory.withUnsafeBytes { try Transfer.write($0, file, at: offset, for: caller) }
                }
            }
        }
        for size in [Int.min, -1, 0, 1, 1 << 20, 1 << 20 + 1, .max] {
            TransferBuffer.withBuffer(size) { #expect($0.count == (size == .max ? 0 : max(0, size))) }
        }
    }
}
