import FuseKernel
import Glibc
import SystemPackage
import Testing

/// The binding against the kernel: a mirror of a directory, mounted, used by child processes. Twice: with the kernel moving the bytes
/// of files, and with the session doing it.
@Suite(.serialized, .enabled(if: canMount, "needs /dev/fuse"))
struct FuseKernelTests {
    /// Runs a Python program with the mount as its directory; it fails by an exception.
    private func python(_ mounted: Mounted, _ program: String) throws {
        let outcome = try Shell.python(
            "import os, sys, errno, mmap, ctypes, stat\nos.chdir(sys.argv[1])\n" + program, mounted.point)
        #expect(outcome.status == 0, "\(outcome.output)")
    }

    @Test(arguments: [true, false])
    func filesAreWhatWasWritten(passthrough: Bool) throws {
        let mounted = try Mounted(passthrough: passthrough)
        try python(
            mounted,
            """
            data = os.urandom(3 << 20) + b'tail'
            with open('f', 'wb') as f: f.write(data)
            assert open('f', 'rb').read() == data
            assert os.stat('f').st_size == len(data)
            with open('f', 'ab') as f: f.write(b'more')
            with open('f', 'r+b') as f:
                f.seek(5); f.write(b'X'); f.flush()
                f.seek(0); assert f.read(8) == data[:5] + b'X' + data[6:8]
            assert os.stat('f').st_size == len(data) + 4
            os.truncate('f', 10); assert os.stat('f').st_size == 10
            open('f', 'w').close(); assert os.stat('f').st_size == 0
            """)
        #expect(mounted.fileSystem.connection?.hasPassthrough == (passthrough && getuid() == 0))
        if mounted.fileSystem.connection?.hasPassthrough == true {
            #expect(mounted.fileSystem.connection?.passthroughObstacle == nil)
            #expect(mounted.fileSystem.calls("read") == 0)
            #expect(mounted.fileSystem.calls("write") == 0)
        } else {
            #expect(mounted.fileSystem.connection?.passthroughObstacle?.isEmpty == false)
            #expect(mounted.fileSystem.calls("write") > 0)
        }
        #expect(eventually { mounted.fileSystem.openHandles == 0 })
    }
}
