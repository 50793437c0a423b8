import Artifacts
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

@Suite struct StoreTests {
    @Test func makesAStoreOnce() throws {
        let temporary = try TemporaryDirectory()
        let path = temporary.path + "/a/b/store"
        #expect(try Store.create(at: path) == .made)
        #expect(try Store.create(at: path) == .unchanged)
        let store = try Store(at: path, readOnly: false, durability: .relaxed)
        #expect(store.schema == .builtIn)
        #expect(store.schemaText == SchemaFile.defaultText)
        let own = try SystemCall.attributes(FileDescriptor(rawValue: AT_FDCWD), path + "/.artifactfs")
        #expect(own.permissions == 0o700)
    }

    @Test func refusesWhatIsNotAStore() throws {
        let temporary = try TemporaryDirectory()
        #expect(mkdir(temporary.path + "/home", 0o755) == 0)
        let create = #expect(throws: StoreError.self) { try Store.create(at: temporary.path) }
        #expect(create?.description.contains("not empty") == true)
        let open = #expect(throws: StoreError.self) {
            try Store(at: temporary.path, readOnly: false, durability: .synced)
        }
        #expect(open?.description.contains("artifactfs init") == true)
        #expect(try Directory(owning: .open(temporary.path, .readOnly)).entries().map(\.name) == ["home"])
        #expect(throws: StoreError.self) { try Store.create(at: "/proc/version/x") }
        #expect(throws: StoreError.self) { try Store(at: "/proc/version", readOnly: true, durability: .synced) }
        #expect(throws: StoreError.self) { try Store(at: "/nowhere", readOnly: true, durability: .synced) }
    }

    @Test func adoptsALayerAndLeavesItAloneWhenReadOnly() throws {
        let temporary = try TemporaryDirectory()
        #expect(mkdir(temporary.path + "/meta_layer", 0o755) == 0)
        let reading = try Store(at: temporary.path, readOnly: true, durability: .synced)
        #expect(reading.staging == nil)
        #expect(throws: StoreError.self) { try reading.beginSession() }
        let root = Directory(owning: try .open(temporary.path, .readOnly))
        #expect(try root.entries().count == 1)
        let store = try Store(at: temporary.path, readOnly: false, durability: .synced)
        #expect(store.staging != nil)
        #expect(Set(try root.entries().map(\.name)) == ["meta_layer", ".artifactfs"])
    }

    @Test func refusesAnotherFormat() throws {
        let place = try TemporaryStore()
        try place.write(".artifactfs/format", "artifactfs store, format 5\n")
        let error = #expect(throws: StoreError.self) { try place.open() }
        #expect(error?.description.contains("format 5") == true)
    }

    @Test(arguments: ["base_layer", "meta_layer", ".artifactfs"])
    func refusesALayerThatIsALink(name: String) throws {
        let temporary = try TemporaryDirectory()
        #expect(mkdir(temporary.path + "/base_layer", 0o755) == 0)
        if name == "base_layer" { rmdir(temporary.path + "/base_layer") }
        #expect(symlink("/etc", temporary.path + "/" + name) == 0)
        for attempt in 0..<2 {
            let error = #expect(throws: StoreError.self) {
                if attempt == 0 {
                    try Store.create(at: temporary.path)
                } else {
                    _ = try Store(at: temporary.path, readOnly: false, durability: .synced)
                }
            }
            #expect(error?.description.contains("\(name) is a symbolic link") == true)
        }
    }

    @Test func followsNoLinkPutThereLater() throws {
        let place = try TemporaryStore()
        let outside = try TemporaryDirectory()
        let store = try place.open()
        let staged = try TemporaryStore.stage(store, table)
        #expect(rmdir(place.path + "/base_layer") == 0)
        #expect(symlink(outside.path, place.path + "/base_layer") == 0)
        guard case .quarantined = store.publish(TemporaryStore.request(store, staged)) else {
            Issue.record("published through a link")
            return
        }
        #expect(try Directory(owning: .open(outside.path, .readOnly)).entries().isEmpty)
        #expect(try place.quarantined() == [table])
        #expect(throws: Errno.self) { try store.directory("base_layer/dev").ensure() }
        #expect(throws: Errno.self) { try RealDirectory.openByComponents("base_layer", beneath: store.root) }
        #expect(throws: Errno.self) { try store.directory("meta_layer/../../x").ensure() }
    }

    @Test func findsADirectoryMadeAnew() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let directory = store.directory("base_layer/dev/x")
        #expect(try directory.current() == nil)
        let first = try directory.ensure()
        #expect(try directory.current() === first)
        #expect(store.directory("base_layer/dev/x") === directory)
        #expect(rmdir(place.path + "/base_layer/dev/x") == 0)
        #expect(try directory.refresh() == nil)
        #expect(mkdir(place.path + "/base_layer/dev/x", 0o700) == 0)
        let second = try #require(try directory.refresh())
        #expect(second !== first)
        #expect(rmdir(place.path + "/base_layer/dev/x") == 0)
        #expect(try directory.ensure() !== second)
    }

    @Test func newDirectoriesTakeTheirParentsAttributes() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let isRoot = geteuid() == 0
        if isRoot { #expect(chown(place.path + "/base_layer", 1234, 2345) == 0) }
        #expect(chmod(place.path + "/base_layer", 0o2751) == 0)
        let directory = store.directory("base_layer/dev/x/predictions")
        let before = try directory.tell()
        _ = try directory.ensure()
        let after = try place.attributes("base_layer/dev/x/predictions")
        #expect(after.permissions == 0o2751)
        #expect(after.permissions == before.permissions)
        #expect(after.st_uid == before.st_uid)
        #expect(after.st_gid == before.st_gid)
        if isRoot { #expect(after.st_uid == 1234 && after.st_gid == 2345) }
    }

    /// A directory has its name some calls before it has its owner and its mode: no other thread takes it for somebody else's then, nor
    /// tells the kernel who may look into it.
    @Test func nobodySeesADirectoryInTheMaking() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        #expect(chmod(place.path + "/base_layer", 0o755) == 0)
        let directory = store.directory("base_layer/dev/x")
        let again = RealDirectory(path: directory.path, root: store.root, isSynced: false, budget: store.descriptors)
        _ = try directory.tell()
        let isNamed = Atomic(false)
        let looker = Atomic<Int32>(0)
        let isSeen = Atomic(false)
        let found = Mutex<(current: Result<Bool, Errno>, mode: UInt32)?>(nil)
        runThreads(2) { thread in
            if thread == 0 {
                Faults.with({ call, path in
                    guard call == .setMode, path.hasSuffix("/dev/x") else { return nil }
                    isNamed.store(true, ordering: .sequentiallyConsistent)
                    // Until the other has seen it, or waits for this one.
                    while !isSeen.load(ordering: .sequentiallyConsistent),
                        !Self.sleeps(looker.load(ordering: .sequentiallyConsistent))
                    {
                        sched_yield()
                    }
                    return nil
                }) { _ = try? directory.ensure(asTold: true) }
            } else {
                looker.store(Self.ownThread(), ordering: .sequentiallyConsistent)
                while !isNamed.load(ordering: .sequentiallyConsistent) { sched_yield() }
                let current = Result { () throws(Errno) in try directory.current() != nil }
                let mode = (try? again.tell())?.permissions ?? 0
                found.withLock { $0 = (current, mode) }
                isSeen.store(true, ordering: .sequentiallyConsistent)
            }
        }
        let (current, mode) = try #require(found.withLock { $0 })
        #expect(current == .success(true))
        #expect(mode == 0o755)
    }

    private static func ownThread() -> Int32 {
        var buffer = [CChar](repeating: 0, count: 64)
        let count = readlink("/proc/thread-self", &buffer, buffer.count)
        let path = String(decoding: buffer.prefix(max(count, 0)).map { UInt8(bitPattern: $0) }, as: UTF8.self)
        return path.split(separator: "/").last.flatMap { Int32($0) } ?? 0
    }

    /// Whether a thread waits for something.
    private static func sleeps(_ thread: Int32) -> Bool {
        guard let stat = try? contents("/proc/self/task/\(thread)/stat"), let end = stat.lastIndex(of: ")") else {
            return false
        }
        return stat[end...].dropFirst(2).first == "S"
    }

    /// Another mount removes directories and makes them again, and nobody's work may stop for that. One that lets in others than the one
    /// that was told of is not it.
    @Test func whatTakesADirectorysPlaceLetsInTheSame() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let directory = store.directory("base_layer/dev")
        let path = place.path + "/base_layer/dev"
        _ = try directory.ensure()
        _ = try directory.tell()
        #expect(rmdir(path) == 0)
        #expect(try directory.verified() == nil)
        let made = try directory.ensure(asTold: true)
        #expect(try directory.verified() === made)
        #expect(rename(path, path + ".other") == 0 && mkdir(path, 0o700) == 0)
        #expect(chmod(path, try SystemCall.attributes(made.descriptor).permissions) == 0)
        let second = try #require(try directory.verified())
        #expect(second !== made)
        for (mode, isSame) in [(0o700, false), (0o755, true), (0o777, false)] as [(mode_t, Bool)] {
            #expect(chmod(path, 0o755) == 0)
            _ = try directory.tell()
            #expect(rmdir(path) == 0 && mkdir(path, 0o700) == 0 && chmod(path, mode) == 0)
            if isSame {
                #expect(try directory.ensure(asTold: true) === directory.verified())
            } else {
                #expect(throws: Errno.staleNFSFileHandle) { try directory.verified() }
                #expect(throws: Errno.staleNFSFileHandle) { try directory.ensure(asTold: true) }
            }
        }
        // Nor is there one to be made with other rights than those of which the kernel was told.
        #expect(chmod(path, 0o700) == 0)
        _ = try directory.tell()
        #expect(rmdir(path) == 0)
        #expect(throws: Errno.staleNFSFileHandle) { try directory.ensure(asTold: true) }
    }

    /// Who finds a new directory, and who is to make it, does what others do at the same time.
    @Test func manyThreadsMakeADirectory() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let errors = Mutex<[Errno]>([])
        for round in 0..<200 {
            let directory = store.directory("base_layer/dev/s\(round)/predictions")
            _ = try directory.tell()
            runThreads(3) { thread in
                do throws(Errno) {
                    if thread > 0 { _ = try directory.ensure(asTold: true) } else { _ = try directory.verified() }
                } catch { errors.withLock { $0.append(error) } }
            }
        }
        #expect(errors.withLock { $0 } == [])
    }

    @Test func stagesForAnother() throws {
        let place = try TemporaryStore()
        let store = try place.open()
        let owner: (UInt32, UInt32) = geteuid() == 0 ? (1234, 2345) : (geteuid(), getegid())
        let staging = try #require(store.staging)
        let (file, descriptor) = try staging.create(hint: "production/x", mode: 0o666, owner: owner)
        defer { SystemCall.close(descriptor) }
        let attributes = try file.attributes()
        #expect((attributes.st_uid, attributes.st_gid) == owner)
        #expect(attributes.permissions == 0o666)
    }

    @Test(arguments: ["/tmp", "/dev/shm"])
    func filesAreHandledByName(parent: String) throws {
        let place = try TemporaryStore(in: parent)
        let directory = try place.open().directory("base_layer").ensure()
        let file = directory.file("a")
        SystemCall.close(try file.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600))
        try file.truncate(to: 10)
        try file.setMode(0o640)
        try file.setTimes(access: timespec(tv_sec: 1, tv_nsec: 2), modification: timespec(tv_sec: 3, tv_nsec: 4))
        let found = try file.attributes()
        #expect(found.st_size == 10 && found.permissions == 0o640)
        #expect(found.st_mtim.tv_sec == 3 && found.st_mtim.tv_nsec == 4)
        let value = [UInt8](repeating: 7, count: 1000)
        try file.setExtendedAttribute("user.a", to: value)
        #expect(try file.extendedAttribute("user.a") == value)
        #expect(try file.extendedAttributes().contains("user.a"))
        #expect(throws: Errno.fileExists) { try file.setExtendedAttribute("user.a", to: [], flags: 1) }
        try file.removeExtendedAttribute("user.a")
        #expect(throws: Errno.noData) { try file.extendedAttribute("user.a") }
        let other = directory.file("b")
        SystemCall.close(try other.open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o600))
        #expect(throws: Errno.fileExists) { try file.rename(to: other, flags: SystemCall.noReplace) }
        try file.rename(to: other)
        #expect(try directory.entries().map(\.name) == ["b"])
        #expect(symlink("b", place.path + "/base_layer/link") == 0)
        #expect(throws: Errno.tooManySymbolicLinkLevels) { try directory.file("link").open(O_RDONLY) }
        #expect(throws: Errno.self) { try directory.file("link").setMode(0) }
        #expect(throws: Errno.self) { try directory.file("link").setExtendedAttribute("user.a", to: []) }
    }
}
