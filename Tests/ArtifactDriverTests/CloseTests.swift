import FuseKernel
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import ArtifactStore

/// The quick check at `close`.
@Suite struct CloseTests {
    /// Writes a checkpoint and closes it.
    ///
    /// - Returns: what `close` says, and what was refused.
    private func close(_ text: String, checkedBy command: [String]) throws -> (error: Errno?, details: [String]) {
        let harness = try Harness()
        harness.store.checks.start(by: command)
        let parent = try harness.walk(["production", "meta", "meta_checkpoints"])
        let created = try harness.call { request throws(Errno) in
            try "epoch_001.pkl".withEntryName { name throws(Errno) in
                try harness.volume.create(
                    request, parent: parent, name: name, mode: 0o644, flags: OpenFlags(rawValue: O_WRONLY | O_CREAT))
            }
        }
        let (inode, handle) = (created.entry.inode, created.opened.handle)
        let file = try harness.call { request throws(Errno) in
            try harness.volume.write(request, inode: inode, handle: handle, offset: 0, size: text.utf8.count)
        }
        #expect(pwrite(file.rawValue, text, text.utf8.count, 0) == text.utf8.count)
        var error: Errno?
        do throws(Errno) {
            try harness.call { request throws(Errno) in
                try harness.volume.flush(request, inode: inode, handle: handle)
            }
        } catch let found {
            error = found
        }
        return (error, harness.volume.denials.kept(for: .everybody).compactMap(\.detail))
    }

    /// A check that traps ends the process that it runs in, and the mount goes on.
    @Test func aCheckThatTraps() throws {
        let (error, details) = try close("N.", checkedBy: ["/bin/sh", "-c", "kill -ILL $$"])
        #expect(error == .invalidArgument)
        #expect(details.count == 1 && details[0].contains("signal 4"), "\(details)")
    }

    @Test func withoutAProcess() throws {
        #expect(try close("N.", checkedBy: []).error == nil)
        #expect(try close("N", checkedBy: []).error == .invalidArgument)
    }

    /// What waits for another process is not done by a thread that others need.
    @Test func isMoved() throws {
        let harness = try Harness()
        let parents = [
            ("meta", "meta_checkpoints", "a.pkl", true), ("meta", "meta_metrics", "a.json", false),
        ]
        for (layer, type, name, moves) in parents {
            let parent = try harness.walk(["production", layer, type])
            let created = try harness.call { request throws(Errno) in
                try name.withEntryName { name throws(Errno) in
                    try harness.volume.create(
                        request, parent: parent, name: name, mode: 0o644, flags: OpenFlags(rawValue: O_WRONLY | O_CREAT)
                    )
                }
            }
            let (inode, handle) = (created.entry.inode, created.opened.handle)
            let file = try harness.call { request throws(Errno) in
                try harness.volume.write(request, inode: inode, handle: handle, offset: 0, size: 2)
            }
            #expect(pwrite(file.rawValue, "{}", 2, 0) == 2)
            var caller = harness.caller
            caller.isMovable = true
            var error: Errno?
            do throws(Errno) {
                try harness.volume.flush(Request(caller: caller), inode: inode, handle: handle)
            } catch let found {
                error = found
            }
            #expect(error == (moves ? .takesLong : nil), "\(name)")
            // A disk that is synced is waited for.
            do throws(Errno) {
                try harness.volume.sync(Request(caller: caller), inode: inode, handle: handle, dataOnly: true)
                Issue.record("a request's thread waits for the disk")
            } catch let found {
                #expect(found == .takesLong)
            }
        }
    }

    /// A rename that publishes checks as well, and nothing is done before it is moved.
    @Test func aRenameIsMoved() throws {
        let harness = try Harness()
        let parent = try harness.walk(["production", "meta", "meta_checkpoints"])
        let created = try harness.call { request throws(Errno) in
            try "a.pkl.tmp".withEntryName { name throws(Errno) in
                try harness.volume.create(
                    request, parent: parent, name: name, mode: 0o644, flags: OpenFlags(rawValue: O_WRONLY | O_CREAT))
            }
        }
        let (inode, handle) = (created.entry.inode, created.opened.handle)
        let file = try harness.call { request throws(Errno) in
            try harness.volume.write(request, inode: inode, handle: handle, offset: 0, size: 2)
        }
        #expect(pwrite(file.rawValue, "N.", 2, 0) == 2)
        harness.volume.release(inode: inode, handle: handle)
        func rename(_ caller: Caller) -> Errno? {
            do throws(Errno) {
                try "a.pkl.tmp".withEntryName { old throws(Errno) in
                    try "a.pkl".withEntryName { new throws(Errno) in
                        try harness.volume.rename(
                            Request(caller: caller), parent: parent, name: old, newParent: parent, newName: new,
                            flags: [])
                    }
                }
                return nil
            } catch {
                return error
            }
        }
        var caller = harness.caller
        caller.isMovable = true
        #expect(rename(caller) == .takesLong)
        #expect(try harness.list(parent) == ["a.pkl.tmp"])
        #expect(rename(harness.caller) == nil)
        harness.settle()
        let (left, refused) = (try harness.list(parent), harness.volume.denials.kept(for: .everybody).map(\.detail))
        #expect(left == ["a.pkl", "latest"], "\(refused)")
    }

    /// Cutting off much frees many blocks; what is short is cut at once.
    @Test func longFilesAreCutElsewhere() throws {
        let harness = try Harness()
        var caller = harness.caller
        caller.isMovable = true
        for (size, moves) in [(Int64(1) << 20, false), (1 << 30, true)] {
            let parent = harness.parent(.session)
            let name = moves ? "chr2.tsv" : "chr1.tsv"
            let created = try harness.call { request throws(Errno) in
                try name.withEntryName { name throws(Errno) in
                    try harness.volume.create(
                        request, parent: parent, name: name, mode: 0o644, flags: OpenFlags(rawValue: O_RDWR | O_CREAT))
                }
            }
            let (inode, handle) = (created.entry.inode, created.opened.handle)
            func cut(to size: Int64, _ handle: HandleID?, _ caller: Caller) -> Errno? {
                var changes = AttributeChanges()
                changes.size = size
                do throws(Errno) {
                    _ = try harness.volume.setAttributes(
                        Request(caller: caller), inode: inode, changes: changes, handle: handle)
                    return nil
                } catch {
                    return error
                }
            }
            func open(_ caller: Caller) -> Errno? {
                do throws(Errno) {
                    let opened = try harness.volume.open(
                        Request(caller: caller), inode: inode, flags: OpenFlags(rawValue: O_RDWR | O_TRUNC))
                    harness.volume.release(inode: inode, handle: opened.handle)
                    return nil
                } catch {
                    return error
                }
            }
            #expect(cut(to: size, handle, caller) == nil, "longer is no work")
            for handle in [handle, nil] {
                #expect(cut(to: 0, handle, caller) == (moves ? .takesLong : nil))
                #expect(cut(to: size, handle, harness.caller) == nil)
            }
            #expect(open(caller) == (moves ? .takesLong : nil))
            let left = try harness.call { request throws(Errno) in
                try harness.volume.attributes(request, inode: inode, handle: nil).attributes.st_size
            }
            #expect(left == (moves ? off_t(size) : 0), "nothing was done before")
            #expect(open(harness.caller) == nil)
            #expect(try harness.bytes(inode).isEmpty)
            harness.volume.release(inode: inode, handle: handle)
        }
    }
}
