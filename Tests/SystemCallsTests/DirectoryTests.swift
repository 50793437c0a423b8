import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import SystemCalls

/// Directories, paths and clocks.
@Suite struct DirectoryTests {
    @Test func everyNameIsToldOnceWithItsType() throws {
        let temporary = try TemporaryDirectory()
        let directory = try SystemCall.open(SystemCall.currentDirectory, temporary.path, O_RDONLY | O_DIRECTORY)
        defer { SystemCall.close(directory) }
        for number in 0..<300 {
            SystemCall.close(try SystemCall.open(directory, "file\(number)", O_WRONLY | O_CREAT | O_EXCL, 0o600))
        }
        try SystemCall.makeDirectory(directory, "below", 0o700)
        try SystemCall.makeSymbolicLink(directory, "link", to: "nowhere")
        // What was read of the descriptor before is nothing to it.
        for _ in 0..<2 {
            var found: [String: UInt32] = [:]
            try SystemCall.forEachName(in: directory) { name, number, type throws(Errno) in
                #expect(number != 0)
                #expect(found.updateValue(type, forKey: String(cString: name)) == nil)
            }
            #expect(found.count == 304)
            #expect(found["below"] == S_IFDIR && found["link"] == S_IFLNK && found["file7"] == S_IFREG)
            #expect(found["."] == S_IFDIR && found[".."] == S_IFDIR)
        }
        // An error of the caller's ends it.
        var count = 0
        #expect(throws: Errno.overflow) {
            try SystemCall.forEachName(in: directory) { _, _, _ throws(Errno) in
                count += 1
                throw Errno.overflow
            }
        }
        #expect(count == 1)
        // A descriptor that names it only.
        let named = try SystemCall.openPath(temporary.path, in: SystemCall.currentDirectory)
        defer { SystemCall.close(named) }
        var names = 0
        try SystemCall.forEachName(in: named) { _, _, _ in names += 1 }
        #expect(names == 304)
    }

    @Test func pathsOfDescriptorsLeadBack() throws {
        let temporary = try TemporaryDirectory()
        let directory = try SystemCall.openPath(temporary.path, in: SystemCall.currentDirectory)
        defer { SystemCall.close(directory) }
        let found = String(decoding: try SystemCall.path(of: directory), as: UTF8.self)
        #expect(found == temporary.path)
        for number in [0, 7, 10, 99, 100, Int32.max] {
            let path = try SystemCall.withPath(of: FileDescriptor(rawValue: number)) { path throws(Errno) in
                String(cString: path)
            }
            #expect(path == "/proc/self/fd/\(number)")
        }
        #expect(SystemCall.openProcFile(0, "stat") == nil && SystemCall.openProcFile(-1, "stat") == nil)
        let file = try #require(SystemCall.openProcFile(getpid(), "comm"))
        defer { SystemCall.close(file) }
        #expect(try SystemCall.bytes(file, atMost: 64).last == UInt8(ascii: "\n"))
        // Too long for any file of /proc: not there, and nothing is overrun.
        #expect(
            SystemCall.openProcFile(
                getpid(), "a-name-that-is-much-longer-than-any-that-there-is-in-the-directory-of-a-process") == nil)
    }

    @Test func timeGoesOn() {
        let (time, before) = (Clock.now(), Clock.monotonic())
        #expect(Clock.monotonic() >= before)
        #expect((0...60).contains(Clock.secondsSince(time)))
        #expect(Clock.secondsSince(timespec(tv_sec: .max, tv_nsec: 0)) < 0)
        #expect(Clock.secondsSince(timespec(tv_sec: .min, tv_nsec: 0)) == .max)
    }
    /// The time of a change of a file may lie before what was asked of the clock before the change, by no more than is said.
    @Test func changesAreNotEarlierThanIsSaid() throws {
        let temporary = try TemporaryDirectory()
        var (least, ticks, last) = (UInt64.max, 0, timespec())
        while ticks < 20 {
            let before = Clock.now()
            // A new one each time: what was asked for the time of a change is told a finer one of the next (Linux 6.13).
            let file = try SystemCall.open(
                SystemCall.currentDirectory, temporary.path, O_RDWR | O_DIRECTORY | 0o20_000_000, 0o600)  // O_TMPFILE
            defer { SystemCall.close(file) }
            let changed = try SystemCall.attributes(file).st_ctim
            let (early, said) = (Clock.nanoseconds(from: changed, to: before), Clock.lagOfChanges())
            #expect(early <= said, "\(early)")
            least = min(least, said)
            if (changed.tv_sec, changed.tv_nsec) != (last.tv_sec, last.tv_nsec) { ticks += 1 }
            last = changed
        }
        #expect(least < 100_000_000, "what may be so early tells nothing")
    }
}
