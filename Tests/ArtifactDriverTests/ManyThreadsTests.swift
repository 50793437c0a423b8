import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import ArtifactStore
@testable import FuseKernel

/// A program on a volume, from any thread.
private struct Program: Sendable {
    let volume: Volume
    let caller: Caller

    init(_ volume: Volume, _ harness: Harness) {
        self.volume = volume
        caller = harness.caller
    }

    func call<Result>(_ body: (borrowing Request) throws(Errno) -> Result) throws(Errno) -> Result {
        try body(Request(caller: caller))
    }

    func walk(_ path: [String]) throws(Errno) -> InodeNumber {
        var inode = InodeNumber.root
        for name in path {
            inode = try call { request throws(Errno) in
                try name.withEntryName { entry throws(Errno) in
                    try volume.lookup(request, parent: inode, name: entry).inode
                }
            }
        }
        return inode
    }

    /// Opens, reads and closes a directory, as READDIRPLUS or as READDIR.
    func list(_ inode: InodeNumber, details: Bool) throws(Errno) {
        let opened = try call { request throws(Errno) in try volume.openDirectory(request, inode: inode) }
        defer { volume.releaseDirectory(inode: inode, handle: opened.handle) }
        for offset in [Int64(0), 1, 0, .max, .min, -1] {
            var buffer = DirectoryBuffer(wantsAttributes: details, size: 4096)
            try call { request throws(Errno) in
                try volume.readDirectory(request, inode: inode, handle: opened.handle, offset: offset, into: &buffer)
            }
        }
    }
}

/// Lists, looks up, opens and publishes from many threads at once, as a kernel with many programs does, among files that bear the
/// strangest times.
@Suite(.serialized) struct ManyThreadsTests {
    /// Times that a file may bear in memory, where the kernel keeps what it is told.
    private static let times: [Int64] = [.min, .min + 1, -1, 0, 1 << 31, 1 << 34, .max - 1, .max]

    /// - Returns: the time that the file system kept.
    @discardableResult
    private func setTime(_ seconds: Int64, of path: String) throws -> Int64 {
        let times = [timespec](repeating: timespec(tv_sec: Int(seconds), tv_nsec: 999_999_999), count: 2)
        try #require(utimensat(AT_FDCWD, path, times, 0) == 0)
        var found = stat()
        try #require(stat(path, &found) == 0)
        return Int64(found.st_mtim.tv_sec)
    }

    /// What another thread told the kernel after this one looked at the clock is later than "now".
    @Test(arguments: [UInt64.max, UInt64.max - 1, UInt64(1)]) func aListingThatWasToldOfLater(told: UInt64) throws {
        let harness = try Harness()
        let volume = try harness.readOnlyVolume()
        defer { volume.stop() }
        let program = Program(volume, harness)
        let inode = try program.walk(["production", "base", "analysis_sequences"])
        guard case .tree(let directory) = try volume.inode(inode) else {
            Issue.record("no directory")
            return
        }
        directory.lastDetails.store(told, ordering: .relaxed)
        try program.list(inode, details: true)
        let after = directory.lastDetails.load(ordering: .relaxed)
        #expect(told == 1 ? after > 1 : after == told, "what comes later was just told")
    }

    @Test(arguments: times) func aDirectoryOfAnyTime(seconds: Int64) throws {
        let harness = try Harness(in: "/dev/shm")
        let volume = try harness.readOnlyVolume()
        defer { volume.stop() }
        let kept = try setTime(seconds, of: harness.store.path + "/base_layer")
        #expect(kept == seconds, "tmpfs keeps every time")
        let program = Program(volume, harness)
        let inode = try program.walk(["production", "base", "analysis_sequences"])
        let opened = try program.call { request throws(Errno) in try volume.openDirectory(request, inode: inode) }
        // The kernel may keep a listing of a directory that has not changed for a while.
        #expect(opened.traits.contains(.cacheDirectory) == (seconds <= 1 << 30), "\(seconds)")
        volume.releaseDirectory(inode: inode, handle: opened.handle)
    }

    @Test func manyThreadsAtOnce() throws {
        let harness = try Harness(in: "/dev/shm")
        let readOnly = try harness.readOnlyVolume()
        defer { readOnly.stop() }
        let base = harness.store.path + "/base_layer"
        for (index, time) in Self.times.enumerated() {
            try write("a\tb\n1\t2\n", to: base + "/analysis_sequences_chrUn_T\(index).tsv")
            try setTime(time, of: base + "/analysis_sequences_chrUn_T\(index).tsv")
        }
        let checkpoints = harness.store.path + "/meta_layer/checkpoints"
        try #require(mkdir(checkpoints, 0o755) == 0)
        for (index, time) in Self.times.enumerated() {
            try write("N.", to: checkpoints + "/epoch_\(index).pkl")
            try setTime(time, of: checkpoints + "/epoch_\(index).pkl")
        }
        try setTime(.min, of: base)
        try setTime(.max, of: checkpoints)
        let failures = Mutex<[String]>([])
        let threads = 8
        let rounds = 32
        let done = PosixSemaphore()
        let programs = [Program(harness.volume, harness), Program(readOnly, harness)]
        let production = harness.parent(.production)
        for thread in 0..<threads {
            let worker = WorkerThread(name: "test") { [self] in
                do throws(Errno) {
                    for round in 0..<rounds { try work(programs, production, thread, round) }
                } catch {
                    failures.withLock { $0.append("thread \(thread): \(error)") }
                }
                done.post()
            }
            try #require(worker).detach()
        }
        for _ in 0..<threads { done.wait() }
        #expect(failures.withLock { $0 } == [])
        harness.settle()
        let published = try names(in: base).filter { $0.hasPrefix("analysis_sequences_chrUn_N") }
        #expect(published.count == threads * rounds / 4)
    }

    private func work(_ programs: [Program], _ production: InodeNumber, _ thread: Int, _ round: Int) throws(Errno) {
        for program in programs {
            let volume = program.volume
            let inode = try program.walk(["production", "base", "analysis_sequences"])
            try program.list(inode, details: true)
            // The kernel forgets and asks anew: "just told" is over at any moment.
            if round % 8 == 0, case .tree(let directory) = try volume.inode(inode) {
                directory.lastDetails.store(thread % 2 == 0 ? 0 : Clock.monotonic() &+ 1_000_000, ordering: .relaxed)
            }
            try program.list(
                try program.walk(["production", "meta", "meta_checkpoints"]),
                details: round % 2 == 0)
            let file = try program.walk(["production", "base", "analysis_sequences", "chrUn_T\(round % 8).tsv"])
            _ = try program.call { request throws(Errno) in try volume.attributes(request, inode: file, handle: nil) }
            let source = try program.call { request throws(Errno) in
                try volume.read(request, inode: file, handle: HandleID(rawValue: 0), offset: 0, size: 100)
            }
            if case .openedFile(let descriptor) = source { try? descriptor.close() }
            let status = try program.walk([".artifactfs", "status.json"])
            _ = try program.call { request throws(Errno) in try volume.attributes(request, inode: status, handle: nil) }
            volume.forget(file, lookups: 1)
        }
        guard round % 4 == 0 else { return }
        let program = programs[0]
        let created = try program.call { request throws(Errno) in
            try "chrUn_N\(thread)_\(round).tsv".withEntryName { entry throws(Errno) in
                try program.volume.create(
                    request, parent: production, name: entry, mode: 0o644,
                    flags: OpenFlags(rawValue: O_WRONLY | O_CREAT))
            }
        }
        let (inode, handle) = (created.entry.inode, created.opened.handle)
        let descriptor = try program.call { request throws(Errno) in
            try program.volume.write(request, inode: inode, handle: handle, offset: 0, size: 8)
        }
        if pwrite(descriptor.rawValue, "a\tb\n1\t2\n", 8, 0) != 8 { throw Errno.ioError }
        try program.call { request throws(Errno) in try program.volume.flush(request, inode: inode, handle: handle) }
        program.volume.release(inode: inode, handle: handle)
    }
}
