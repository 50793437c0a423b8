import Artifacts
import FuseKernel
import Glibc
import Provenance
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver

/// What the driver reads of the kernel gets 0, -1 and the extremes in every number: one trap ends everybody's mount.
@Suite struct NumberTests {
    private static let texts = [
        "0", "1", "-1", "127", "128", "255", "256", "-128", "32767", "-32768", "65535", "2147483647", "2147483648",
        "-2147483648",
        "4294967295", "9223372036854775807", "9223372036854775808", "-9223372036854775808", "18446744073709551615",
        "99999999999999999999999999", "", "-", "+1", "x",
    ]

    /// A line of `/proc/<pid>/stat` of a process that ends with a status.
    private static func line(_ change: (inout [String]) -> Void) -> [UInt8] {
        var fields = (1...52).map { "\($0)" }
        fields[1] = "(a) b)"
        fields[2] = "Z"
        fields[8] = "4"
        fields[51] = "256"
        change(&fields)
        return Array((fields.joined(separator: " ") + "\n").utf8)
    }

    private func ending(_ line: [UInt8]) -> WriterEnding { line.withUnsafeBytes { WriterEnding.parse($0) } }

    /// The kernel's side of a handle has its upper sixteen bits for who opened it, and takes them away.
    @Test func handlesOfReaders() {
        for number in [1, 7, (1 << 47) - 1] as [UInt64] {
            let handle = HandleID(reading: number)
            #expect(handle.rawValue < 1 << 48 && handle.isReader && handle.readingNumber == number)
        }
        #expect(HandleID(rawValue: 0).isReader && HandleID(rawValue: 0).readingNumber == nil)
        #expect(!HandleID(rawValue: 7).isReader)
    }

    @Test func statLinesOfAnyNumbers() {
        #expect(ending(Self.line { _ in }) == .failed(status: 1))
        for place in 0..<52 {
            for text in Self.texts {
                let line = Self.line { $0[place] = text }
                _ = ending(line)
                for end in stride(from: 0, through: line.count, by: 7) { _ = ending(Array(line[..<end])) }
            }
        }
        for line in ["", ")", "1 (", "1 (a)", "1 (a) ", ")))", "\n", " "] {
            #expect(ending(Array(line.utf8)) == (line.contains(")") ? .running : .unknown))
        }
    }

    @Test func groupsOfAnyNumbers() {
        #expect(ProcFile.groups(inStatus: Array("Name:\ta\nGroups:\t0 4294967295 \nX:\t1\n".utf8)) == [0, .max])
        for text in Self.texts {
            for line in ["Groups:\t\(text)\n", "Groups:\(text)", "Name:\tGroups:\nGroups:\t1 \(text) 2 \n"] {
                _ = ProcFile.groups(inStatus: Array(line.utf8))
            }
        }
    }

    /// An access list is an attribute that a file's owner writes.
    @Test func accessListsOfAnyNumbers() {
        let list: [UInt8] = [
            2, 0, 0, 0, 1, 0, 7, 0, 255, 255, 255, 255, 2, 0, 6, 0, 232, 3, 0, 0, 16, 0, 5, 0, 0, 0, 0, 0,
        ]
        #expect(AccessList(attribute: list)?.attribute == list)
        for place in list.indices {
            for byte: UInt8 in [0, 1, 127, 128, 255] {
                var changed = list
                changed[place] = byte
                for length in [list.count, place, place + 1] {
                    guard let read = AccessList(attribute: Array(changed[..<length])) else { continue }
                    for mode: UInt32 in [0, 0o777, .max] {
                        _ = (read.inherited(mode: mode), read.withoutWriting.attribute)
                    }
                }
            }
        }
    }

    /// One event: descriptor, mask, cookie, length, name.
    private static func event(_ numbers: [UInt32], _ name: [UInt8]) -> [UInt8] {
        numbers.flatMap { number in (0..<4).map { UInt8(truncatingIfNeeded: number >> (8 * UInt32($0))) } } + name
    }

    private func batch(_ bytes: [UInt8]) -> OutsideChanges.Batch {
        var batch = OutsideChanges.Batch()
        bytes.withUnsafeBytes { OutsideChanges.parse($0, into: &batch) }
        return batch
    }

    @Test func inotifyEventsOfAnyNumbers() {
        let name = Array("chr1.tsv".utf8) + [0, 0, 0, 0, 0, 0, 0, 0]
        let second = Self.event([2, 0x100, 0, 16], name)
        #expect(batch(Self.event([1, 0x100, 0, 16], name) + second).names == [1: ["chr1.tsv"], 2: ["chr1.tsv"]])
        let extremes: [UInt32] = [
            0, 1, 15, 16, 17, 127, 128, 255, 256, 32_767, 32_768, 65_535, 0x7FFF_FFFF, 0x8000_0000, .max, .max - 15,
        ]
        for place in 0..<4 {
            for value in extremes {
                var numbers: [UInt32] = [1, 0x100, 0, 16]
                numbers[place] = value
                // A length that is no multiple of four puts the next event where a word should not be.
                let bytes = Self.event(numbers, name) + second
                for start in 0..<4 { _ = batch([UInt8](repeating: 7, count: start) + bytes) }
                for end in bytes.indices { _ = batch(Array(bytes[..<end])) }
            }
        }
    }

    @Test func processNumbersOfAnyKind() {
        for number in [Int32.min, .min + 1, -1, 0, .max] {
            #expect(ProcFile.processID(ofThread: number) == nil)
            #expect(ProcFile.program(ofThread: number) == "")
            #expect(WriterFiles().look(at: number).ending == .unknown)
            withUnsafeTemporaryAllocation(byteCount: 64, alignment: 1) { buffer in
                #expect(ProcFile.read(number, "stat", into: buffer) == nil)
            }
        }
    }

    /// Every handler with every number that the kernel could send; what is no inode or no handle gets an error.
    @Test(arguments: [false, true]) func requestsOfAnyNumbers(readOnly: Bool) throws {
        let harness = try Harness()
        let volume = try readOnly ? harness.readOnlyVolume() : harness.volume
        defer { if readOnly { volume.stop() } }
        let extremes: [UInt64] = [0, 1, 2, 3, 1 << 31, 1 << 32, 1 << 32 + 1, 1 << 62, 1 << 63, .max - 1, .max]
        let offsets = extremes.map { Int64(bitPattern: $0) }
        var inodes = extremes.map { InodeNumber(rawValue: $0) }
        for path in [[".artifactfs"], [".artifactfs", "status.json"], ["production", "base", "analysis_sequences"]] {
            var inode = InodeNumber.root
            for name in path {
                inode = try harness.call { request throws(Errno) in
                    try name.withEntryName { name throws(Errno) in
                        try volume.lookup(request, parent: inode, name: name).inode
                    }
                }
            }
            inodes.append(inode)
        }
        for inode in inodes {
            for handle in extremes.map({ HandleID(rawValue: $0) }) {
                for offset in offsets {
                    harness.ask { try volume.read($0, inode: inode, handle: handle, offset: offset, size: 10) }
                    harness.ask { try volume.read($0, inode: inode, handle: handle, offset: 0, size: Int(offset)) }
                    harness.ask { try volume.write($0, inode: inode, handle: handle, offset: offset, size: 10) }
                    harness.ask {
                        try volume.seek(
                            $0, inode: inode, handle: handle, offset: offset, whence: Int32(truncatingIfNeeded: offset))
                    }
                    harness.ask {
                        try volume.allocate(
                            $0, inode: inode, handle: handle, mode: Int32(truncatingIfNeeded: offset), offset: offset,
                            length: offset)
                    }
                    harness.ask {
                        try volume.copyRange(
                            $0,
                            RangeCopy(
                                source: (inode, handle, offset), destination: (inode, handle, offset),
                                length: Int(offset)))
                    }
                }
                harness.ask { try volume.flush($0, inode: inode, handle: handle) }
                harness.ask { try volume.sync($0, inode: inode, handle: handle, dataOnly: true) }
                volume.releaseDirectory(inode: inode, handle: handle)
            }
            harness.ask { try volume.attributes($0, inode: inode, handle: nil) }
            harness.ask { try volume.statistics($0, inode: inode) }
            harness.ask { try volume.open($0, inode: inode, flags: OpenFlags(rawValue: -1)) }
        }
        for inode in inodes where inode != .root { for lookups in extremes { volume.forget(inode, lookups: lookups) } }
        harness.ask { try volume.attributes($0, inode: .root, handle: nil) }
    }
}
