import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import Testing

@testable import ArtifactStore

/// A store that other hosts change.
@Suite struct SharedStoreTests {
    /// A store of several hosts, or of one.
    private func place(hosts: String = "several", cache: Int = 1) throws -> TemporaryStore {
        let place = try TemporaryStore()
        let schema = place.path + "/.artifactfs/schema.yaml"
        let text = SchemaFile.defaultText.replacing("hosts: auto", with: "hosts: \(hosts)")
            .replacing("cache: 5", with: "cache: \(cache)")
        try Self.write(text, to: schema)
        return place
    }

    private static func write(_ text: String, to path: String) throws {
        let file = try FileDescriptor.open(
            path, .writeOnly, options: [.create, .truncate], permissions: .init(rawValue: 0o644))
        defer { try? file.close() }
        try file.writeAll(text.utf8)
    }

    /// The calls of a kind on a name, or on a path that ends with it.
    private func calls(_ call: Faults.Call, _ suffix: String, _ body: () throws -> Void) rethrows -> Int {
        let count = Atomic<Int>(0)
        try Faults.with(
            { made, name in
                if made == call, name.hasSuffix(suffix) { count.add(1, ordering: .relaxed) }
                return nil
            }, body)
        return count.load(ordering: .relaxed)
    }

    @Test func theSchemaSaysIt() throws {
        for (hosts, isShared) in [("several", true), ("one", false), ("auto", false)] {
            let place = try place(hosts: hosts, cache: 7)
            for readOnly in [false, true] {
                let store = try place.open(readOnly: readOnly)
                #expect(store.isShared == isShared, "\(hosts)")
                #expect(store.trustedNanoseconds == (isShared ? 3_500_000_000 : .max))
                store.close()
            }
        }
    }

    /// Where nothing is said the file system says it.
    @Test func theFileSystemSaysIt() throws {
        for (hosts, isShared) in [("auto", true), ("one", false)] {
            let place = try place(hosts: hosts)
            let store = try Faults.with({ call, _ in call == .fileSystem ? .fails(.ioError) : nil }) {
                try place.open()
            }
            #expect(store.isShared == isShared, "\(hosts)")
            store.close()
        }
    }

    /// Who asks whether a name is there for to write asks the server each time: for the directory, so that what was not there is looked for,
    /// and for the name.
    @Test(arguments: [("several", 2), ("one", 0)]) func theServerIsAsked(_ hosts: String, _ times: Int) throws {
        let place = try place(hosts: hosts, cache: 3600)
        let store = try place.open()
        let directory = try store.directory("base_layer").ensure()
        let file = directory.file("gene_manifest.tsv")
        func asked(_ body: () throws -> Void) rethrows -> Int { try calls(.attributes, "/base_layer", body) }
        var count = asked { for _ in 0..<2 where file.exists { Issue.record("it is not there") } }
        #expect(count == times)
        try Self.write("", to: place.path + "/base_layer/gene_manifest.tsv")
        count = try asked {
            if !file.exists { Issue.record("it is there") }
            _ = try file.look()
        }
        #expect(count == times)
        count = try asked { _ = try file.lookToShow() }
        #expect(count == 0, "who only wants to see it has it from what is known")
        count = asked { if (try? directory.file("other.tsv").lookToShow()) != nil { Issue.record("it is not there") } }
        #expect(count == times / 2, "that there is nothing the server has to say")
        store.close()
    }

    /// Without a time each look is one.
    @Test func nothingIsTrusted() throws {
        let place = try place(cache: 0)
        let store = try place.open()
        try Self.write("", to: place.path + "/base_layer/gene_manifest.tsv")
        let file = try store.directory("base_layer").ensure().file("gene_manifest.tsv")
        let count = try calls(.attributes, "/base_layer") { for _ in 0..<3 { _ = try file.lookToShow() } }
        #expect(count == 3)
        store.close()
    }

    // MARK: - Directories that were made anew

    private struct Wrong: Error {}

    private static func isNew(_ isSo: Bool) throws { if !isSo { throw Wrong() } }

    /// What is done in a kept directory, and what it makes.
    private static let works: [(Faults.Call, String, @Sendable (Directory) throws -> Void)] = [
        (.open, "opened", { SystemCall.close(try $0.file("opened").open(O_WRONLY | O_CREAT | O_EXCL, mode: 0o644)) }),
        (.makeDirectory, "made", { try SystemCall.makeDirectory($0.descriptor, "made", 0o755) }),
        (.makeNode, "link", { try SystemCall.makeSymbolicLink($0.descriptor, "link", to: "old") }),
        (.link, "linked", { try SystemCall.link($0.descriptor, "old", $0.descriptor, "linked") }),
        (.rename, "renamed", { try $0.file("old").rename(to: $0.file("renamed")) }),
        (
            .renameWithoutReplacing, "moved",
            { try $0.file("old").rename(to: $0.file("moved"), flags: SystemCall.noReplace) }
        ),
        (.unlink, "", { try $0.file("old").unlink() }),
        (.attributes, "", { try isNew(try $0.file("old").look().attributes.st_size == 3) }),
        (.setMode, "", { try $0.file("old").setMode(0o600) }),
        (.setTimes, "", { try $0.file("old").setTimes(access: timespec(), modification: timespec()) }),
        (.readDirectory, "", { try isNew(try $0.entries().map(\.name) == ["old"]) }),
        (.sync, "", { try SystemCall.sync($0.descriptor) }),
    ]

    /// A store in whose place for a type another host has put another directory; the first one is kept open.
    private func replaced(_ hosts: String, mode: mode_t = 0o755) throws -> (TemporaryStore, Store, Directory) {
        let place = try place(hosts: hosts, cache: 3600)
        let path = place.path + "/meta_layer/predictions"
        #expect(mkdir(path, 0o755) == 0)
        let store = try place.open()
        let directory = try #require(try store.directory("meta_layer/predictions").current())
        #expect(rename(path, place.temporary.path + "/away") == 0)
        #expect(mkdir(path, mode) == 0)
        try Self.write("new", to: path + "/old")
        return (place, store, directory)
    }

    /// Each call on a directory whose server knows it no more is made once more in the one that its path leads to.
    @Test(arguments: 0..<SharedStoreTests.works.count) func aStaleDirectoryIsLookedUpAgain(_ number: Int) throws {
        let (call, name, work) = Self.works[number]
        let (place, store, directory) = try replaced("several")
        let fault = CountedFault(call, 1, .staleNFSFileHandle)
        try fault.during { try work(directory) }
        #expect(fault.counts[call, default: 0] >= 2)
        if !name.isEmpty { #expect(try place.names("meta_layer/predictions").contains(name)) }
        // And stays so, for the same object.
        #expect(try store.directory("meta_layer/predictions").current() === directory)
        #expect(try directory.entries().count == place.names("meta_layer/predictions").count)
        store.close()
    }

    /// It is reported when it is stale again, when the new one lets in others, and in a store that is nobody else's.
    @Test(arguments: [("several", mode_t(0o755), 2), ("several", 0o700, 1), ("one", 0o755, 1)])
    func aStaleDirectoryIsReported(_ hosts: String, _ mode: mode_t, _ attempts: Int) throws {
        let (place, store, directory) = try replaced(hosts, mode: mode)
        defer { withExtendedLifetime(place) {} }
        let made = Atomic<Int>(0)
        let error = Faults.with({ call, name in
            guard call == .makeDirectory, name == "x" else { return nil }
            made.add(1, ordering: .relaxed)
            return .fails(.staleNFSFileHandle)
        }) { () -> Errno? in
            do throws(Errno) { try SystemCall.makeDirectory(directory.descriptor, "x", 0o755) } catch { return error }
            return nil
        }
        #expect(error == .staleNFSFileHandle)
        #expect(made.load(ordering: .relaxed) == attempts)
        store.close()
    }

    /// The number of a descriptor that was closed is nobody's.
    @Test func aClosedDirectoryIsNotLookedUp() throws {
        let directory = try TemporaryDirectory()
        let descriptor = try SystemCall.open(SystemCall.currentDirectory, directory.path, O_RDONLY | O_DIRECTORY)
        defer { SystemCall.close(descriptor) }
        let renewal = CountedRenewal()
        StaleDescriptors.add(descriptor, renewal)
        func fail() {
            let fault = CountedFault(.makeDirectory, 1, .staleNFSFileHandle)
            fault.during { _ = try? SystemCall.makeDirectory(descriptor, "x", 0o755) }
        }
        fail()
        #expect(renewal.count.load(ordering: .relaxed) == 1)
        StaleDescriptors.remove(descriptor)
        fail()
        #expect(renewal.count.load(ordering: .relaxed) == 1)
    }

    private final class CountedRenewal: DescriptorRenewal {
        let count = Atomic<Int>(0)

        func renew() -> Bool {
            count.add(1, ordering: .relaxed)
            return true
        }
    }

    /// Whatever call on whatever directory of the store is answered so once: what is written is published.
    @Test func publishingOutlivesStaleDirectories() throws {
        var number = 0
        for call in [Faults.Call.open, .link, .unlink, .attributes, .sync, .rename, .renameWithoutReplacing] {
            number = 0
            while true {
                number += 1
                let place = try place()
                let store = try place.open()
                let staged = try TemporaryStore.stage(store, table)
                // Warm: the directory is kept.
                _ = try store.directory("base_layer").ensure()
                let made = Atomic<Int>(0)
                let fails = number
                let outcome = Faults.with({ kind, name in
                    // Of directories that are kept: the store's own and files have no other path.
                    switch kind {
                    case call where call == .attributes:
                        guard name == "gene_manifest.tsv" || name.hasSuffix("/base_layer") else { return nil }
                    case call where call == .sync:
                        guard !name.hasSuffix(".jsonl"), !name.contains("/staging/") else { return nil }
                    case call: break
                    default: return nil
                    }
                    return made.add(1, ordering: .relaxed).newValue == fails ? .fails(.staleNFSFileHandle) : nil
                }) { store.publish(TemporaryStore.request(store, staged)) }
                store.close()
                if made.load(ordering: .relaxed) < number { break }
                if case .sealed = outcome { continue }
                Issue.record("the \(number). \(call): \(outcome)")
            }
        }
    }
}
