import ArtifactRecords
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Provenance
@testable import SystemCalls

/// What counts as an input outside of the store, and how it is told.
@Suite final class ObserveTests {
    private func shows(_ places: ObservedPlaces, _ path: String) -> Bool { places.show(Array(path.utf8)) }

    @Test(arguments: [
        ("/data/ref/hg38.fa", true), ("/data/ref/deep/er/hg38.fa", true), ("/data/reference/hg38.fa", false),
        ("/data/ref", false), ("/data/hg38.fa", false), ("/home/ada/job.py", true), ("/home/ada/.bashrc", false),
        ("/home/ada/.cache/x/y", false), ("/home/ada/env/lib/python3.11/json/decoder.py", false),
        ("/home/ada/env/lib/site-packages/numpy/core.py", false),
        ("/home/ada/miniconda3/etc/profile.d/conda.sh", false),
        ("/home/ada/lib/tools.py", true), ("/home/ada/lib/R/library/x.R", false), ("/home/ada/libx.so", false),
        ("/home/ada/libx.so.6", false), ("/home/ada/x.pyc", false), ("/home/ada/a.song", true), ("relative", false),
        ("", false),
        ("/usr/share/x.txt", false),
    ])
    func belowNamedDirectories(path: String, isShown: Bool) {
        #expect(shows(ObservedPlaces(directories: ["/data/ref", "/home/"]), path) == isShown)
    }

    @Test(arguments: [
        ("/data/ref/hg38.fa", true), ("/home/ada/job.py", true), ("/usr/lib/x.txt", false), ("/etc/passwd", false),
        ("/tmp/x", false), ("/lib64/x", false), ("/work/usr/x", true), ("/x", true), ("x", false), ("/.x", false),
    ])
    func whereNothingIsNamed(path: String, isShown: Bool) {
        #expect(shows(ObservedPlaces(directories: []), path) == isShown)
        #expect(shows(ObservedPlaces(directories: ["/"]), path) == isShown)
    }

    /// A directory of system files is named: they count.
    @Test func whatIsNamedIsLookedAt() {
        #expect(shows(ObservedPlaces(directories: ["/usr/share"]), "/usr/share/dict/words"))
        #expect(shows(ObservedPlaces(directories: ["/data/.hidden"]), "/data/.hidden/x"))
    }

    @Test func mounts() throws {
        let lines = """
            27 1 254:0 / / rw,relatime - ext4 /dev/vda rw,discard
            28 27 0:30 / /data rw - xfs /dev/vdb rw
            29 28 0:31 / /data/ref\\040x ro,nosuid shared:7 - nfs4 server:/x rw
            30 27 0:32 / /mnt/ro ro,nosuid - fuse.artifactfs /data/s_eval ro,user_id=0,group_id=0
            31 27 0:33 / /mnt/rw rw,nosuid - fuse.artifactfs /data/s_eval rw,user_id=0,group_id=0
            32 27 0:34 / /home/ada/far rw - fuse.sshfs far: rw,user_id=1000,group_id=1000
            33 27 0:35 / /data/proc rw - proc proc rw
            34 27 0:36 / /mnt/false ro - fuse.artifactfs /data/s_eval ro,user_id=1000,group_id=1000
            nonsense
            """.split(separator: "\n")
        let mounts = lines.compactMap { ObservedMount($0) }
        #expect(mounts.count == 8 && mounts[2].mountPoint == "/data/ref x")
        let named = ObservedPlaces(directories: ["/data", "/home", "/mnt/rw"]).watched(
            among: mounts, store: "/data/s_eval")
        // What this driver or some user's program answers for is not asked.
        #expect(named.paths == ["/data", "/home", "/data/ref x"])
        #expect(named.readOnly.map(\.mountPoint) == ["/mnt/ro"])
        let all = ObservedPlaces(directories: ["/"]).watched(among: mounts, store: "/data/s_eval")
        #expect(all.paths == ["/", "/", "/data", "/data/ref x"])
        let usual = ObservedPlaces(directories: []).watched(among: mounts, store: "/data/s_eval")
        #expect(usual.paths == ["/data/s_eval", "/home"])
        for line: Substring in ["", "- - -", "1 2 3 4 5 6 7 - a", "x x x x x x x x x x x x x x x"] {
            #expect(ObservedMount(line) == nil)
        }
    }

    /// How a file is open is told by its number and the flags.
    @Test func descriptors() throws {
        func opening(_ text: String) -> String {
            Array(text.utf8).withUnsafeBytes { "\(ProcFile.opening(of: 7, info: $0))" }
        }
        #expect(opening("pos:\t0\nflags:\t0100000\nmnt_id:\t1\nino:\t7\n") == "toRead")
        #expect(opening("pos:\t0\nflags:\t0100001\nmnt_id:\t1\nino:\t7\n") == "toWrite")
        #expect(opening("pos:\t0\nflags:\t0100002\nmnt_id:\t1\nino:\t7\n") == "toWrite")
        #expect(opening("pos:\t0\nflags:\t0100000\nmnt_id:\t1\nino:\t77\n") == "none")
        #expect(opening("pos:\t0\nflags:\t012000000\nmnt_id:\t1\nino:\t7\n") == "none")
        for text in ["", "flags:\t8\nino:\t7\n", "flags:\tx\nino:\t7", "ino:\t7\n", "\n\n"] {
            #expect(opening(text) == "none")
        }
        let directory = try TemporaryDirectory()
        for name in ["f", "read", "written"] { try write("x", to: directory.path + "/" + name) }
        // A process of its own: this one has more files open, for other tests, than are looked at.
        let child = try Child(
            ["sh", "-c", #"exec 3< "$1/read" 4>> "$1/written"; echo opened; exec sleep 1000"#, "sh", directory.path])
        defer { child.kill() }
        #expect(eventually { child.output == "opened\n" }, "\(child.errors)")
        for (name, expected) in [("f", "none"), ("read", "toRead"), ("written", "toWrite")] {
            let identity = try SystemCall.look(SystemCall.currentDirectory, directory.path + "/" + name).identity
            #expect("\(ProcFile.opening(of: identity.number, by: child.process))" == expected)
        }
    }

    /// Of one artifact a thousand are told, of the many of a program that reads thousands a few, and how many more there are.
    @Test func ofVeryManyTheLastAreTold() throws {
        let writer = ProcessMemory(nil, name: "test", isOfProgram: true, start: 7)
        let directory = try TemporaryDirectory()
        try write("x", to: directory.path + "/f")
        let found = try SystemCall.look(SystemCall.currentDirectory, directory.path + "/f")
        let other = ReadFile(found.identity, path: "production/a", version: nil)
        writer.note(.init(file: other, moment: Moment(time: 1, lastProcess: 0), how: .process))
        let (edges, start) = ProcessMemory.traced([(writer, .max)], most: .max, mostOutside: .max)
        #expect(edges.map(\.file.path) == ["production/a"] && start == 7)
        #expect(writer.outsideShare() == (0, 0) && writer.share() == (1, 0))
        for number in 0..<12_000 {
            var attributes = stat()
            attributes.st_ino = ino_t(number)
            let file = ReadFile(FileIdentity(attributes, born: 0), path: "/data/\(number)", version: nil)
            writer.note(.init(file: file, moment: Moment(time: UInt64(number + 2), lastProcess: 0), how: .process))
        }
        let share = writer.outsideShare()
        #expect(share == (1000, 11_000), "\(share)")
        let told = ProcessMemory.traced([(writer, .max)], most: .max, mostOutside: share.told).edges.map(\.file.path)
        #expect(told.count == 1001 && told.contains("/data/11999") && !told.contains("/data/10999"))
        while writer.outsideShare().told == 1000 {}
        #expect(writer.outsideShare().told == 32)
        // Somebody of whom it was not seen when it began.
        let unseen = ProcessMemory(nil, name: "", isOfProgram: nil)
        #expect(ProcessMemory.traced([(writer, .max), (unseen, .max)], most: 0, mostOutside: 0).start == nil)
    }

    /// What the kernel tells is read without trust.
    @Test func eventsOfAnyBytes() {
        var random = SplitMix64(seed: 7)
        for _ in 0..<2000 {
            var bytes = (0..<Int.random(in: 0...200, using: &random)).map { _ in
                UInt8.random(in: 0...255, using: &random)
            }
            // Lengths that may be.
            if bytes.count > 26, Bool.random(using: &random) {
                bytes.replaceSubrange(0..<8, with: [UInt8(clamping: bytes.count), 0, 0, 0, 3, 0, 24, 0])
                bytes[24] = UInt8.random(in: 0...5, using: &random)
                bytes[26] = UInt8(clamping: bytes.count - 24)
                if bytes.count > 27 { bytes[27] = 0 }
            }
            for event in SystemCall.FileEvent.all(in: bytes) {
                #expect(event.handle.count <= bytes.count && event.directory.count <= bytes.count)
            }
        }
    }

    /// Without the right to it, or without a directory, it says so.
    @Test func aDirectoryThatIsNot() {
        let model = ProcessModel(mountPoint: "", reader: PatientReader())
        #expect(throws: Errno.self) {
            _ = try OutsideObserver(
                ObservedPlaces(directories: ["/nowhere/at/all"]), store: "/", model, PatientReader(),
                shown: { _, _, _ in nil })
        }
    }
}
