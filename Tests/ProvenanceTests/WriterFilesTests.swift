import Artifacts
import Glibc
import TestSupport
import Testing

import Provenance

/// What is seen of a thread that closes a file, again and again: its kept `/proc` files are never another's.
@Suite struct WriterFilesTests {
    @Test func aProgramThatBecomesAnother() throws {
        let files = WriterFiles()
        let child = try Child(["sh", "-c", "read line < /dev/null; sleep 0.3; exec sleep 60"])
        #expect(eventually { files.look(at: child.process).program == "sh" })
        #expect(eventually { files.look(at: child.process).program == "sleep" })
        #expect(files.look(at: child.process).ending == .running)
        child.kill()
        #expect(files.look(at: child.process).program == "", "reaped: nobody's")
        #expect(files.look(at: child.process).ending == .unknown)
        #expect(files.look(at: 0).program == "")
    }

    @Test func moreProgramsThanAreKept() throws {
        let files = WriterFiles()
        let children = try (0..<20).map { _ in try Child(["sleep", "60"]) }
        for _ in 0..<3 {
            for child in children {
                #expect(eventually { files.look(at: child.process).program == "sleep" })
            }
        }
        let open = try names(in: "/proc/self/fd").filter { descriptor in
            var buffer = [CChar](repeating: 0, count: 256)
            let count = readlink("/proc/self/fd/" + descriptor, &buffer, buffer.count)
            guard count > 0 else { return false }
            let target = String(decoding: buffer[..<count].map { UInt8(bitPattern: $0) }, as: UTF8.self)
            return children.contains { target.hasPrefix("/proc/\($0.process)/") }
        }
        #expect(open.count <= 16, "\(open.count) descriptors")
        for child in children { child.kill() }
        for child in children { #expect(files.look(at: child.process).program == "") }
    }
}
