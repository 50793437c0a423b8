import Artifacts
import Foundation
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

@Suite struct SessionTests {
    @Test func neverTwoOfOneName() throws {
        let place = try TemporaryStore()
        let stores = try (0..<5).map { _ in try place.open() }
        let names = Mutex<[SessionName]>([])
        runThreads(50) { index in
            do throws(StoreError) {
                let name = try stores[index % 5].beginSession()
                names.withLock { $0.append(name) }
            } catch { Issue.record(error) }
        }
        let taken = names.withLock { $0 }
        #expect(taken.count == 50)
        #expect(Set(taken).count == 50)
        for store in stores { store.close() }
        // Also not after they have ended.
        let later = try place.open()
        #expect(try !taken.contains(later.beginSession()))
        #expect(throws: Errno.fileExists) { try later.beginSession(named: taken[0]) }
    }

    @Test func skipsADirectoryMadeWithoutTheDriver() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let name = try #require(SessionName("20200101_000000"))
        _ = try store.directory("meta_layer/dev/20200101_000000").ensure()
        #expect(throws: Errno.fileExists) { try store.beginSession(named: name) }
        #expect(try store.sessions() == [name])
    }

    @Test func resumesWhatNoOtherMountHas() throws {
        let place = try TemporaryStore()
        let first = try place.open()
        let name = try first.beginSession()
        let second = try place.open()
        #expect { try second.resumeSession(name) } throws: { error in
            if case StoreError.inUse = error { true } else { false }
        }
        first.close()
        try second.resumeSession(name)
        let missing = try #require(SessionName("20200101_000000"))
        #expect { try second.resumeSession(missing) } throws: { error in
            if case StoreError.notFound = error { true } else { false }
        }
        _ = try second.directory("base_layer/dev/20200101_000000").ensure()
        try second.resumeSession(missing)
    }

    /// Who has forked to run a program has the locks too until its exec: a store that is closed, or a session that is left, is free all
    /// the same. A second descriptor of the same open file is what a forked child has.
    @Test func aForkedChildHoldsNoLockOfAStoreThatIsClosed() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let (left, kept) = (try store.beginSession(), try store.beginSession())
        let mount = try #require(store.staging).mountID
        var childs: [CInt] = []
        defer { for descriptor in childs { close(descriptor) } }
        for number in try names(in: "/proc/self/fd") {
            guard let descriptor = CInt(number),
                let target = try? FileManager.default.destinationOfSymbolicLink(atPath: "/proc/self/fd/" + number),
                target.hasPrefix(place.path + "/.artifactfs/")
            else { continue }
            childs.append(fcntl(descriptor, F_DUPFD_CLOEXEC, 0))
        }
        #expect(
            childs.count > 3 && !childs.contains(-1), "its staging directory's lock and the markers of two sessions")
        let other = try place.open()
        store.endSession(left)
        try other.resumeSession(left)
        store.close()
        try other.resumeSession(kept)
        _ = try place.open()
        #expect(!exists(place.path + "/.artifactfs/staging/" + mount), "which is a dead mount's now")
    }

    /// What a mount has moved away from takes no descriptor, and another may have it; its name stays taken.
    @Test func aSessionThatIsLeftIsLetGo() throws {
        let place = try TemporaryStore()
        let (store, other) = (try place.open(), try place.open())
        let name = try store.beginSession()
        #expect { try other.resumeSession(name) } throws: { error in
            if case StoreError.inUse = error { true } else { false }
        }
        store.endSession(name)
        #expect(throws: Errno.fileExists) { try store.beginSession(named: name) }
        try other.resumeSession(name)
        #expect(store.heldSessions.withLock { $0.isEmpty } && other.heldSessions.withLock { $0.count } == 1)
    }

    @Test func makesAndRemovesTests() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let name = try #require(TestName("prediction"))
        try store.makeTest(name, mode: 0o750, owner: (geteuid(), getegid()))
        #expect(try place.attributes("base_layer/tests/prediction").permissions == 0o750)
        #expect(throws: Errno.fileExists) {
            try store.makeTest(name, mode: 0o750, owner: (geteuid(), getegid()))
        }
        #expect(try store.tests() == [name])
        _ = try store.directory("base_layer/tests/prediction/plots").ensure()
        let checkpoints = try store.directory("meta_layer/tests/prediction/checkpoints").ensure()
        let file = checkpoints.file("a.pkl")
        SystemCall.close(try file.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600))
        #expect(throws: Errno.directoryNotEmpty) { try store.removeTest(name) }
        #expect(place.exists("base_layer/tests/prediction/plots"))
        try file.unlink()
        try store.removeTest(name)
        #expect(try store.tests() == [])
        #expect(throws: Errno.noSuchFileOrDirectory) { try store.removeTest(name) }
    }

    /// What was made for the first test goes with the last; what somebody set up stays.
    @Test func theDirectoryOfTestsGoesWithTheLast() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let names = [try #require(TestName("one")), try #require(TestName("two"))]
        for name in names { try store.makeTest(name, mode: 0o755, owner: (geteuid(), getegid())) }
        _ = try store.directory("meta_layer/tests/one/checkpoints").ensure()
        try store.removeTest(names[0])
        #expect(place.exists("base_layer/tests/two") && !place.exists("meta_layer/tests"))
        try store.removeTest(names[1])
        #expect(try place.names("base_layer").isEmpty && place.names("meta_layer").isEmpty)

        // Made again through what this store remembers of the directory.
        try store.makeTest(names[0], mode: 0o755, owner: (geteuid(), getegid()))
        try #require(chmod(place.path + "/base_layer/tests", 0o1777) == 0)
        try store.removeTest(names[0])
        #expect(try place.attributes("base_layer/tests").permissions == 0o1777, "it says who may make tests")
    }

    /// A test can be made while another mount removes the last one.
    @Test func testsComeAndGoAtOnce() async throws {
        let place = try TemporaryStore()
        let stores = [try place.open(), try place.open()]
        await withTaskGroup(of: [String].self) { group in
            for (index, store) in stores.enumerated() {
                group.addTask {
                    guard let name = TestName("t\(index)") else { return ["no name"] }
                    var problems: [String] = []
                    for _ in 0..<300 {
                        do throws(Errno) {
                            try store.makeTest(name, mode: 0o755, owner: (geteuid(), getegid()))
                            try store.removeTest(name)
                        } catch { problems.append("\(error)") }
                    }
                    return problems
                }
            }
            for await problems in group { #expect(problems == []) }
        }
        #expect(try place.names("base_layer").isEmpty)
    }
}
