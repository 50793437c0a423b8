import FuseKernel
import Glibc
import SystemPackage
import Testing

@testable import ArtifactDriver

/// Links that the kernel does not know of yet.
@Suite struct SiblingLinkTests {
    /// Somebody else has made a link where the kernel thinks that nothing is: it looks again, and follows it.
    @Test func whatIsMadeWhereALinkIs() throws {
        let harness = try Harness()
        let parent = harness.parent(.session)
        try harness.call { request throws(Errno) in
            try "chr2.tsv".withEntryName { name throws(Errno) in
                try "chr1.tsv".withEntryName { target throws(Errno) in
                    _ = try harness.volume.makeSymbolicLink(request, parent: parent, name: name, target: target)
                }
            }
        }
        func create(_ flags: Int32) -> Errno? {
            do throws(Errno) {
                _ = try harness.call { request throws(Errno) in
                    try "chr2.tsv".withEntryName { name throws(Errno) in
                        try harness.volume.create(
                            request, parent: parent, name: name, mode: 0o644, flags: OpenFlags(rawValue: flags))
                    }
                }
                return nil
            } catch { return error }
        }
        #expect(create(O_WRONLY | O_CREAT) == .staleNFSFileHandle)
        #expect(create(O_WRONLY | O_CREAT | O_EXCL) == .fileExists)
        let link = try harness.lookup("chr2.tsv", in: parent)
        let text = try harness.call { request throws(Errno) in try harness.volume.readLink(request, inode: link) }
        #expect(text == Array("chr1.tsv".utf8))
        #expect(try harness.list(parent) == ["chr2.tsv"])
    }
}
