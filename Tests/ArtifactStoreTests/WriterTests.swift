import Glibc
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// Nothing is sealed that somebody can still write to.
@Suite struct WriterTests {
    /// A program that has a file open in some way, and keeps it until it is killed.
    private static let program = """
        import mmap, os, signal, sys
        path, way = sys.argv[1:]
        file = os.open(path, os.O_RDONLY if way == 'reading' else os.O_RDWR)
        if way == 'mapping':
            memory = mmap.mmap(file, 0, mmap.MAP_SHARED, mmap.PROT_READ | mmap.PROT_WRITE)
            os.close(file)
        print('ready', flush=True)
        signal.pause()
        """

    @Test(arguments: ["/tmp", "/dev/shm"], ["mapping", "writing", "reading"])
    func waitsForWriters(parent: String, way: String) throws {
        let place = try TemporaryStore(in: parent)
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, table)
        let mount = try #require(store.staging?.mountID)
        let path = place.path + "/.artifactfs/staging/\(mount)/" + staged.name
        let child = try Child(["/usr/bin/python3", "-c", Self.program, path, way])
        #expect(eventually { child.output == "ready\n" }, "\(child.errors)")
        let descriptor = try staged.open(O_RDONLY)
        defer { SystemCall.close(descriptor) }
        for isOpen in [true, false] {
            var request = TemporaryStore.request(store, staged)
            request.requiresNoWriters = true
            // Opened by the store, or by the driver.
            if isOpen { request.descriptor = descriptor }
            if way == "reading" { break }
            guard case .stillOpen = store.publish(request) else {
                Issue.record("published, though it can be written to")
                return
            }
            #expect((try? staged.attributes().permissions) == 0o644, "nothing was done")
        }
        if way != "reading" { child.kill() }
        var request = TemporaryStore.request(store, staged)
        request.requiresNoWriters = true
        guard case .sealed = store.publish(request) else {
            Issue.record("not published")
            return
        }
        #expect(try place.quarantined() == [])
    }

    /// Where there are no leases, or not for us, it is as if nobody asked.
    @Test(arguments: [Errno.invalidArgument, .notSupported, .permissionDenied, .noLocks])
    func withoutLeases(error: Errno) throws {
        let place = try TemporaryStore()
        let store = try place.open()
        var request = TemporaryStore.request(store, try TemporaryStore.stage(store, table))
        request.requiresNoWriters = true
        let outcome = Faults.with({ call, _ in call == .lease ? .fails(error) : nil }) { store.publish(request) }
        guard case .sealed = outcome else {
            Issue.record("\(outcome)")
            return
        }
    }
}
