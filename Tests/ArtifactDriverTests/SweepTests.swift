import Artifacts
import FuseKernel
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import ArtifactStore

/// What a mount that lives for long does about leftovers: its own old temporary files, and what killed mounts left.
@Suite struct SweepTests {
    /// Makes a file that is open to write.
    private func create(_ name: String, _ harness: Harness) throws(Errno) -> (inode: InodeNumber, handle: HandleID) {
        let created = try harness.call { request throws(Errno) in
            try name.withEntryName { entry throws(Errno) in
                try harness.volume.create(
                    request, parent: harness.parent(.production), name: entry, mode: 0o644,
                    flags: OpenFlags(rawValue: O_WRONLY | O_CREAT))
            }
        }
        let descriptor = try harness.call { request throws(Errno) in
            try harness.volume.write(
                request, inode: created.entry.inode, handle: created.opened.handle, offset: 0, size: 1)
        }
        if pwrite(descriptor.rawValue, "x", 1, 0) != 1 { throw Errno.ioError }
        return (created.entry.inode, created.opened.handle)
    }

    /// What a driver leaves that is killed: nobody holds its staging directory's lock.
    private func leaveStaging(_ harness: Harness) throws -> String {
        let staging = harness.directory.path + "/store/.artifactfs/staging/killed"
        try #require(mkdir(staging, 0o700) == 0)
        try write("kept", to: staging + "/a-1-production%2Fbase%2Fgene_manifest%2Fgene_manifest.tsv")
        try write("old", to: staging + "/t-2-production%2Fbase%2Fgene_manifest%2Ftmp1")
        return staging
    }

    @Test func oldTemporaryFilesGo() throws {
        let harness = try Harness()
        let closed = try create("tmp_closed", harness)
        let open = try create("tmp_open", harness)
        harness.volume.release(inode: closed.inode, handle: closed.handle)
        let empty = try create("chr1.tsv.part", harness)
        harness.volume.release(inode: empty.inode, handle: empty.handle)
        #expect(try harness.list(harness.parent(.production)) == ["chr1.tsv.part", "tmp_closed", "tmp_open"])
        harness.volume.sweep(keepingSeconds: 1000)
        #expect(try harness.list(harness.parent(.production)).count == 3, "none is old")
        harness.volume.sweep(keepingSeconds: -10)
        #expect(try harness.list(harness.parent(.production)) == ["tmp_open"], "which somebody still writes")
        #expect(throws: Errno.noSuchFileOrDirectory) {
            try harness.lookup("tmp_closed", in: harness.parent(.production))
        }
        let staged = try #require(harness.store.staging).directory.entries().map(\.name).filter { $0 != ".lock" }
        #expect(staged.count == 1 && staged.first?.hasSuffix("tmp_open") == true, "\(staged)")
        let ledger = try contents(
            harness.directory.path + "/store/.artifactfs/ledger/" + names(in: ledgers(harness))[0])
        #expect(ledger.split(separator: "\n").filter { $0.contains("removed-transient") }.count == 2)
        harness.volume.release(inode: open.inode, handle: open.handle)
        harness.volume.sweep(keepingSeconds: -10)
        #expect(try harness.list(harness.parent(.production)) == [])
    }

    /// An empty artifact stays as long as a temporary file, unless somebody has it open.
    @Test func oldEmptyFilesGo() throws {
        let harness = try Harness()
        func createEmpty(_ name: String) throws -> (inode: InodeNumber, handle: HandleID) {
            let created = try harness.call { request throws(Errno) in
                try name.withEntryName { entry throws(Errno) in
                    try harness.volume.create(
                        request, parent: harness.parent(.production), name: entry, mode: 0o644,
                        flags: OpenFlags(rawValue: O_WRONLY | O_CREAT))
                }
            }
            return (created.entry.inode, created.opened.handle)
        }
        let (closed, open) = (try createEmpty("chr1.tsv"), try createEmpty("chr2.tsv"))
        harness.volume.release(inode: closed.inode, handle: closed.handle)
        harness.volume.sweep(keepingSeconds: 1000)
        #expect(try harness.list(harness.parent(.production)) == ["chr1.tsv", "chr2.tsv"])
        harness.volume.sweep(keepingSeconds: -10)
        #expect(try harness.list(harness.parent(.production)) == ["chr2.tsv"])
        let denials = harness.volume.denials.kept(for: .everybody)
        #expect(denials.map(\.refusal.rule) == [.emptyFile] && denials.first?.path.hasSuffix("chr1.tsv") == true)
        harness.volume.release(inode: open.inode, handle: open.handle)
    }

    private func ledgers(_ harness: Harness) -> String { harness.directory.path + "/store/.artifactfs/ledger" }

    /// With the first close when it is time, not before, and with none when nobody uses the mount.
    @Test func killedMountsAreSettledWithAClose() throws {
        let harness = try Harness()
        let staging = try leaveStaging(harness)
        let quarantine = harness.directory.path + "/store/.artifactfs/quarantine"
        func close() throws {
            let file = try create("tmp1", harness)
            harness.volume.release(inode: file.inode, handle: file.handle)
            harness.settle()
        }
        try close()
        #expect(try names(in: quarantine).isEmpty, "not yet: the store was opened a moment ago")
        harness.volume.nextSweep.store(0, ordering: .relaxed)
        try close()
        #expect(try names(in: quarantine).contains { $0.contains("gene_manifest.tsv") })
        #expect(try names(in: staging + ".left").filter { $0.hasPrefix("t-") }.count == 1, "young temporary files stay")
        #expect(try harness.list(harness.parent(.production)) == ["tmp1"], "its own are its own")
        harness.volume.sweep(keepingSeconds: -10)
        #expect(!exists(staging) && !exists(staging + ".left"))
        #expect(harness.volume.nextSweep.load(ordering: .relaxed) > Clock.monotonic() + 1_000_000_000)
    }
}
