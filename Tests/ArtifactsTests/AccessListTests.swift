import Testing

@testable import Artifacts

/// Access lists as bytes, and what a new file gets of a default one. That the kernel does the same is tested on the mount.
@Suite struct AccessListTests {
    private static let small = AccessList([.init(.owner, 7), .init(.owningGroup, 5), .init(.others, 0)])
    private static let large = AccessList([
        .init(.owner, 7), .init(.user, 7, id: 61002), .init(.owningGroup, 5), .init(.group, 6, id: .max - 1),
        .init(.mask, 6), .init(.others, 1),
    ])

    @Test func bytesThereAndBack() {
        for list in [Self.small, Self.large, AccessList([])] {
            #expect(AccessList(attribute: list.attribute) == list)
        }
        #expect(Self.large.attribute.count == 4 + 6 * 8)
        #expect(Array(Self.large.attribute[12..<20]) == [2, 0, 7, 0, 0x4a, 0xee, 0, 0])
    }

    @Test func whatIsNoListIsNone() {
        let whole = Self.large.attribute
        for count in 0..<whole.count where count != 0 && (count - 4) % 8 != 0 {
            #expect(AccessList(attribute: Array(whole[..<count])) == nil, "\(count) bytes")
        }
        for (place, byte) in [(0, 1), (0, 0), (3, 1), (4, 0x40), (5, 1), (6, 8), (7, 1)] as [(Int, UInt8)] {
            var bytes = whole
            bytes[place] = byte
            #expect(AccessList(attribute: bytes) == nil, "byte \(place)")
        }
    }

    /// Against the rules, said another way, for every mode.
    @Test func whatAFileInherits() {
        for mode in UInt32(0)...0o777 {
            let (bits, list) = Self.small.inherited(mode: mode)
            #expect(bits == mode & 0o750 && list == nil)
            let (masked, more) = Self.large.inherited(mode: mode)
            #expect(masked == mode & 0o761)
            let permissions = more?.entries.map(\.permissions)
            #expect(
                permissions == [
                    UInt16(mode >> 6 & 7), 7, 5, 6, UInt16(mode >> 3 & 6), UInt16(mode & 1),
                ])
        }
    }
}
