import Artifacts
import FuseKernel
import Glibc
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import ArtifactStore
@testable import SystemCalls

/// SEMANTICS 2.2 with processes that are played: every order of closing, ending, and opening again.
@Suite struct PlayedProcessTests {
    private typealias Played = PlayedProcesses.Played

    /// A driver whose callers are played.
    private struct Stage {
        let harness: Harness
        let name: String

        init(_ processes: PlayedProcesses, settleSeconds: Int = 2, name: String = "chr1.tsv") throws {
            self.name = name
            harness = try Harness(publishing: .exit, settleSeconds: settleSeconds, processes: processes)
        }

        func caller(_ process: Int32) -> Caller {
            Caller(user: geteuid(), group: getegid(), process: process, umask: 0o022)
        }

        func create(by process: Int32) throws -> Created {
            try name.withEntryName { name throws(Errno) in
                try harness.volume.create(
                    Request(caller: caller(process)), parent: harness.parent(.production), name: name, mode: 0o644,
                    flags: OpenFlags(rawValue: O_WRONLY))
            }
        }

        func open(_ inode: InodeNumber, _ flags: Int32, by process: Int32) throws(Errno) -> Opened {
            try harness.volume.open(
                Request(caller: caller(process)), inode: inode, flags: OpenFlags(rawValue: flags))
        }

        func write(_ text: String, to inode: InodeNumber, _ handle: HandleID, by process: Int32) throws {
            let file = try harness.volume.write(
                Request(caller: caller(process)), inode: inode, handle: handle, offset: 0, size: text.utf8.count)
            let bytes = Array(text.utf8)
            #expect(Glibc.lseek(file.rawValue, 0, SEEK_END) >= 0)
            #expect(Glibc.write(file.rawValue, bytes, bytes.count) == bytes.count)
        }

        func close(_ inode: InodeNumber, _ handle: HandleID, by process: Int32) throws {
            try harness.volume.flush(Request(caller: caller(process)), inode: inode, handle: handle)
            harness.volume.release(inode: inode, handle: handle)
        }

        func rename(to newName: String, by process: Int32) throws {
            let parent = harness.parent(.production)
            try name.withEntryName { name throws(Errno) in
                try newName.withEntryName { newName throws(Errno) in
                    try harness.volume.rename(
                        Request(caller: caller(process)), parent: parent, name: name, newParent: parent,
                        newName: newName, flags: [])
                }
            }
        }

        func make(by process: Int32) throws -> InodeNumber {
            let created = try create(by: process)
            try write("a\tb\n1\t2\n", to: created.entry.inode, created.opened.handle, by: process)
            try close(created.entry.inode, created.opened.handle, by: process)
            return created.entry.inode
        }

        var real: String { real(name) }
        func real(_ name: String) -> String { harness.store.path + "/base_layer/analysis_sequences_" + name }
        var isSealed: Bool { isSealed(name) }
        func isSealed(_ name: String) -> Bool { ((try? modeOf(real(name))) ?? 0o222) & 0o222 == 0 }
        var isKept: Bool { isKept(name) }
        func isKept(_ name: String) -> Bool {
            let kept = (try? names(in: harness.store.path + "/.artifactfs/quarantine")) ?? []
            return kept.contains { $0.hasSuffix(".reason.json") } && access(real(name), F_OK) != 0
        }

        func isSettling(_ inode: InodeNumber) throws -> Bool {
            guard case .artifact(let file) = try harness.volume.inode(inode) else { return false }
            return file.state.withLock { if case .settling = $0.phase { true } else { false } }
        }

        private func modeOf(_ path: String) throws(Errno) -> UInt32 {
            try SystemCall.attributes(atPath: path).st_mode
        }
    }

    /// A file's release comes when its writer has gone on: what others did to it by then is not the writer's.
    @Test(arguments: [false, true]) func whatIsChangedBeforeTheRelease(isChanged: Bool) throws {
        let processes = PlayedProcesses([try Played(11, session: 1, program: "sort")])
        let stage = try Stage(processes)
        let directory = stage.harness.parent(.session)
        let created = try stage.name.withEntryName { name throws(Errno) in
            try stage.harness.volume.create(
                Request(caller: stage.caller(11)), parent: directory, name: name, mode: 0o644,
                flags: OpenFlags(rawValue: O_WRONLY))
        }
        let (inode, handle) = (created.entry.inode, created.opened.handle)
        try stage.write("a\tb\n1\t2\n", to: inode, handle, by: 11)
        try stage.harness.volume.flush(Request(caller: stage.caller(11)), inode: inode, handle: handle)
        if isChanged { try stage.write("3\t4\n", to: inode, handle, by: 12) }
        stage.harness.volume.release(inode: inode, handle: handle)
        #expect(processes.made.withLock(\.count) == (isChanged ? 0 : 1))
    }

    /// The kernel tells of a last close when the program has gone on, and perhaps when the next one has begun anew: what became of the first is
    /// nobody's concern then, unless it shows that it is not done.
    @Test(arguments: [false, true], [false, true])
    func whoBeginsAnewBeforeTheRelease(isLast: Bool, goesOn: Bool) throws {
        let (first, second) = (try Played(11, session: 1, program: "sh"), try Played(12, session: 1, program: "sh"))
        let mover = try Played(13, session: 1, program: "mv")
        let stage = try Stage(PlayedProcesses([first, second, mover]), name: "chr1.tsv.tmp")
        let created = try stage.create(by: 11)
        let (inode, handle) = (created.entry.inode, created.opened.handle)
        func flush(_ handle: HandleID, by process: Int32) throws {
            try stage.harness.volume.flush(Request(caller: stage.caller(process)), inode: inode, handle: handle)
        }
        try stage.write("a\tb\n", to: inode, handle, by: 11)
        try flush(handle, by: 11)
        if !goesOn { first.end(.failed(status: 1)) }
        let other = try stage.open(inode, O_WRONLY | O_TRUNC, by: 12).handle
        if goesOn {
            try stage.write("a\tb\n", to: inode, handle, by: 11)
            first.end(.killed(signal: 9))
            try flush(handle, by: 11)
        }
        try stage.write("a\tb\n1\t2\n", to: inode, other, by: 12)
        try flush(other, by: 12)
        for handle in isLast ? [other, handle] : [handle, other] {
            stage.harness.volume.release(inode: inode, handle: handle)
        }
        second.end(.succeeded)
        try stage.rename(to: "chr1.tsv", by: 13)
        mover.end(.succeeded)
        #expect(eventually { goesOn ? stage.isKept("chr1.tsv") : stage.isSealed("chr1.tsv") })
    }

    @Test func aWriterThatEndsWell() throws {
        let writer = try Played(11, session: 1, program: "python3")
        let stage = try Stage(PlayedProcesses([writer]))
        _ = try stage.make(by: 11)
        #expect(!stage.isSealed)
        writer.end(.succeeded)
        #expect(eventually { stage.isSealed })
    }

    @Test(arguments: [WriterEnding.failed(status: 1), .killed(signal: 15)])
    func aWriterThatFailsAfterItsClose(_ ending: WriterEnding) throws {
        let writer = try Played(11, session: 1, program: "python3")
        let stage = try Stage(PlayedProcesses([writer]))
        _ = try stage.make(by: 11)
        writer.end(ending)
        #expect(eventually { stage.isKept })
    }

    @Test func whoWritesThroughAPipeCounts() throws {
        let writer = try Played(11, session: 1, program: "awk")
        let first = try Played(12, session: 1, program: "prog")
        let stage = try Stage(PlayedProcesses([writer, first], pipes: [11: [12]]))
        let inode = try stage.make(by: 11)
        writer.end(.succeeded)
        #expect(try stage.isSettling(inode), "one of two has ended")
        first.end(.failed(status: 2))
        #expect(eventually { stage.isKept })
    }

    @Test func anEarlierWriterCounts() throws {
        let (first, second) = (
            try Played(11, session: 1, program: "sh"), try Played(12, session: 1, program: "awk")
        )
        let stage = try Stage(PlayedProcesses([first, second]))
        let inode = try stage.make(by: 11)
        let again = try stage.open(inode, O_WRONLY | O_APPEND, by: 12)
        first.end(.killed(signal: 9))
        try stage.write("3\t4\n", to: inode, again.handle, by: 12)
        try stage.close(inode, again.handle, by: 12)
        second.end(.succeeded)
        #expect(eventually { stage.isKept })
    }

    /// Who tries and is refused changes nothing: the file goes on settling, and the one who failed is no maker of it.
    @Test func aRenameThatFails() throws {
        let (writer, mover) = (
            try Played(11, session: 1, program: "python3"), try Played(12, session: 1, program: "mv")
        )
        let stage = try Stage(PlayedProcesses([writer, mover]))
        let inode = try stage.make(by: 11)
        #expect(throws: Errno.invalidArgument) { try stage.rename(to: "no such name", by: 12) }
        #expect(try stage.isSettling(inode))
        mover.end(.failed(status: 1))
        writer.end(.succeeded)
        #expect(eventually { stage.isSealed })
    }

    /// The same when the system fails, at whatever call: a name that it has taken by then is free again too.
    @Test func aRenameThatFailsOnItsWay() throws {
        let counts = Mutex<[Faults.Call: Int]>([:])
        func run(_ call: Faults.Call?, _ number: Int) throws {
            let what = Comment("the \(number). \(call?.rawValue ?? "") fails")
            let (writer, mover) = (
                try Played(11, session: 1, program: "python3"), try Played(12, session: 1, program: "mv")
            )
            // Nothing is over before the test says so.
            let stage = try Stage(PlayedProcesses([writer, mover]), settleSeconds: 60)
            let inode = try stage.make(by: 11)
            let left = Atomic<Int>(number)
            do {
                try Faults.with({ made, _ in
                    if call == nil { counts.withLock { $0[made, default: 0] += 1 } }
                    guard made == call, left.subtract(1, ordering: .relaxed).newValue == 0 else { return nil }
                    return .fails(.ioError)
                }) { try stage.rename(to: "chr2.tsv", by: 12) }
                mover.end(.succeeded)
                writer.end(.succeeded)
                #expect(eventually { stage.isSealed("chr2.tsv") }, what)
            } catch {
                #expect(try stage.isSettling(inode), what)
                mover.end(.failed(status: 1))
                writer.end(.succeeded)
                #expect(eventually { stage.isSealed }, what)
            }
        }
        try run(nil, 0)
        let calls = counts.withLock { $0 }.filter { $0.key != .fileSystem }
        #expect(calls[.rename, default: 0] > 0, "\(calls)")
        for (call, count) in calls { for number in 1...count { try run(call, number) } }
    }

    @Test func othersWaitOrAreBusy() throws {
        let writer = try Played(11, session: 1, program: "python3")
        let other = try Played(21, session: 2, program: "cat")
        let friend = try Played(31, session: 1, program: "cat")
        let stage = try Stage(PlayedProcesses([writer, other, friend]))
        let created = try stage.create(by: 11)
        let (inode, handle) = (created.entry.inode, created.opened.handle)
        try stage.write("a\tb\n1\t2\n", to: inode, handle, by: 11)
        #expect(throws: Errno.resourceBusy) { try stage.open(inode, O_RDONLY, by: 21) }
        try stage.close(inode, handle, by: 11)
        #expect(throws: Errno.resourceBusy) { try stage.open(inode, O_RDONLY, by: 21) }
        #expect(throws: Errno.notPermitted) { try stage.open(inode, O_WRONLY | O_APPEND, by: 21) }
        #expect(throws: Errno.fileExists) { try stage.open(inode, O_WRONLY | O_TRUNC, by: 11) }
        let read = try stage.open(inode, O_RDONLY, by: 31)
        stage.harness.volume.release(inode: inode, handle: read.handle)
        writer.end(.succeeded)
        #expect(eventually { stage.isSealed })
    }

    /// Nobody knows how it ends: it is published all the same, after its time, and the record says so.
    @Test func whatCannotBeSeenIsUnknown() throws {
        let stage = try Stage(PlayedProcesses([]))
        _ = try stage.make(by: 11)
        #expect(eventually(within: 30) { stage.isSealed })
        stage.harness.volume.seals.drain()
        let ledgers = stage.harness.store.path + "/.artifactfs/ledger"
        let lines = try names(in: ledgers).map { try contents(ledgers + "/" + $0) }.joined()
        #expect(lines.contains("\"event\":\"sealed\"") && lines.contains("\"exit\":\"unknown\""))
    }
}
