import ArtifactRecords
import Artifacts
import Glibc
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactStore

/// A driver that is killed before it has published what its writers had finished, and files that somebody still writes to.
@Suite struct FinishedTests {
    private static let hint = "production/base/splice_errors/chr1.tsv"
    private static let real = "base_layer/splice_errors_chr1.tsv"

    /// A store with a file in the staging directory of a mount that was killed.
    private func kill(
        _ place: TemporaryStore, _ text: String, isFinished: Bool = true, boot: String? = nil
    ) throws -> String {
        let store = try place.open()
        let staging = try #require(store.staging)
        var file = try TemporaryStore.stage(store, text, hint: Self.hint)
        if isFinished { file = try #require(staging.finish(file, process: 4711)) }
        let directory = ".artifactfs/staging/" + staging.mountID + "/"
        if let boot {
            let lock = try place.read(directory + Staging.lockName)
            #expect(lock.contains(Machine.boot))
            let words = lock.split(separator: Machine.boot, omittingEmptySubsequences: false)
            try place.write(directory + Staging.lockName, words.joined(separator: boot))
        }
        return directory + file.name
    }

    @Test(arguments: ["/tmp", "/dev/shm"], Durability.allCases)
    func whatWasFinishedIsPublished(parent: String, durability: Durability) throws {
        let place = try TemporaryStore(in: parent)
        let staged = try kill(place, table)
        #expect(staged.contains("/f-1.4711-production"))
        let store = try place.open(durability: durability)
        #expect(store.recovery.finished == [Self.real] && store.recovery.quarantined == [])
        #expect(try place.read(Self.real) == table)
        #expect(try place.attributes(Self.real).permissions == 0o444)
        let sealed = try #require(try place.events("sealed").first)
        let record = try #require(sealed["record"])
        #expect(
            record["artifact"]?["path"]?.string == Self.hint && record["artifact"]?["content"]?["rows"] == .integer(2)
                && record["artifact"]?["key"] == .string("chr1"))
        #expect(
            record["writer"]?["pid"] == .integer(4711)
                && record["writer"]?["uid"] == .integer(Int64(geteuid()))
                && record["writer"]?["exit"]?.string == "unknown")
        #expect(try place.names(".artifactfs/reserved") == [])
        try place.verifyLedger()
        store.close()
        #expect(try place.names(".artifactfs/staging") == [])
    }

    @Test func whatWasNotFinishedIsKept() throws {
        let place = try TemporaryStore()
        _ = try kill(place, table, isFinished: false)
        #expect(try place.open().recovery.quarantined == [Self.hint])
        #expect(try !place.exists(Self.real) && place.quarantined() == [table])
    }

    /// The name survives a power loss, the bytes may not, and half a table may pass for a whole one.
    @Test func notInAnotherRunOfTheMachine() throws {
        let place = try TemporaryStore()
        _ = try kill(place, table, boot: "before")
        #expect(try place.open().recovery.quarantined == [Self.hint])
        #expect(try !place.exists(Self.real) && place.quarantined() == [table])
    }

    @Test func whatFailsItsCheckIsNot() throws {
        let place = try TemporaryStore()
        _ = try kill(place, "a\tb\n1\n")
        #expect(try place.open().recovery.quarantined == [Self.hint])
        #expect(try place.events("quarantined").first?["reason"]?.string?.contains("line 2") == true)
        // And what comes second.
        try place.write(Self.real, "first")
        _ = try kill(place, table)
        #expect(try place.open().recovery.quarantined == [Self.hint])
        #expect(try place.read(Self.real) == "first" && place.quarantined() == ["a\tb\n1\n", table].sorted())
    }

    private static let program = """
        import mmap, os, signal, sys
        path, way = sys.argv[1:]
        file = os.open(path, os.O_RDWR)
        if way == 'mapping':
            memory = mmap.mmap(file, 0)
            os.close(file)
        print('ready', flush=True)
        signal.pause()
        """

    /// A program goes on writing where the kernel moves the bytes, though the driver is dead.
    @Test(arguments: [(table, "mapping"), ("", "writing")])
    func whatSomebodyWritesToIsLeft(text: String, way: String) throws {
        let place = try TemporaryStore()
        let staged = try kill(place, text, isFinished: !text.isEmpty)
        let child = try Child(["/usr/bin/python3", "-c", Self.program, place.path + "/" + staged, way])
        #expect(eventually { child.output == "ready\n" }, "\(child.errors)")
        let store = try place.open()
        #expect(store.recovery.isEmpty && place.exists(staged))
        child.kill()
        #expect(store.recoverAgain().finished == (text.isEmpty ? [] : [Self.real]))
        #expect(!place.exists(staged))
    }

    /// The same at the end of a mount whose program is not at its end.
    @Test func anEmptyFileThatIsOpenIsLeftAtTheEnd() throws {
        let place = try TemporaryStore()
        do {
            let store = try place.open()
            let (file, descriptor) = try #require(store.staging).create(hint: Self.hint, mode: 0o644)
            store.close()
            #expect(file.exists)
            try SystemCall.write(descriptor, Array(table.utf8))
            SystemCall.close(descriptor)
        }
        #expect(try place.open().recovery.quarantined == [Self.hint])
        #expect(try place.quarantined() == [table])
    }
}
