import FuseKernel
import Glibc
import Testing

/// The numbers of several file systems on one mount.
@Suite struct InodeSpaceTests {
    private static let indices: [UInt32] = [0, 1, 2, 0x7fff_ffff, .max]
    private static let numbers: [UInt64] = [1, 2, 16, 0x8000_0000, 0xffff_ffff]

    @Test func numbersComeBackAsTheyWent() {
        var seen: Set<UInt64> = []
        for index in Self.indices {
            let space = InodeSpace(index: index, salt: 7)
            for number in Self.numbers {
                let sent = space.onMount(InodeNumber(rawValue: number))
                #expect(InodeSpace.index(of: sent) == index && InodeSpace.own(sent).rawValue == number)
                #expect(seen.insert(sent.rawValue).inserted)
            }
        }
        #expect(InodeSpace(index: 0, salt: 0).onMount(.root) == .root)
    }

    /// Two stores with the same file of the same number are two files to cp(1).
    @Test func whatStatShowsDiffers() {
        let spaces = [InodeSpace(index: 1, salt: 0x1234_5678), InodeSpace(index: 2, salt: 0xfeed_0000_0000_0001)]
        for number in Self.numbers + [0, 0x1234_5678, .max] {
            #expect(spaces[0].shown(number) != spaces[1].shown(number))
            for space in spaces { #expect(space.shown(number) != 0, "readdir(3) leaves out what is 0") }
        }
        var attributes = stat()
        attributes.st_ino = 5
        let entry = Entry(
            inode: InodeNumber(rawValue: 3), generation: 9, attributes: attributes, entryTimeout: 1,
            attributesTimeout: 2)
        let sent = spaces[0].onMount(entry)
        #expect(sent.inode.rawValue == 1 << 32 | 3 && sent.generation == 9 && sent.entryTimeout == 1)
        #expect(UInt64(sent.attributes.st_ino) == spaces[0].shown(5))
        let none = Entry(
            inode: InodeNumber(rawValue: 0), attributes: stat(), entryTimeout: 1, attributesTimeout: 0)
        #expect(spaces[0].onMount(none).inode.rawValue == 0, "no such name stays so")
    }
}
