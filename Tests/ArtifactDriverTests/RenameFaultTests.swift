import FuseKernel
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import ArtifactDriver
@testable import ArtifactStore

/// A rename that fails loses nothing: neither what was to be moved nor what was to be replaced.
@Suite struct RenameFaultTests {
    private static let bytes = Array("gene\tscore\nA\t1\n".utf8)
    private static let replaced = Array("gene\tscore\nZ\t9\nY\t8\n".utf8)

    /// What is renamed onto what.
    enum Flow: String, CaseIterable, Sendable {
        case liveOntoLive, liveOntoAnotherScope, liveOntoTransient
        case promotion, promotionOntoEmpty, promotionToTransient, promotionOntoTransient
        case transientToValid, transientOntoEmpty, transientOntoTransient, transientOntoLive, openTransientOntoLive
        case emptyToValid

        var source: Model.Name {
            switch self {
            case .liveOntoLive, .liveOntoAnotherScope, .liveOntoTransient, .promotion, .promotionOntoEmpty,
                .promotionToTransient, .promotionOntoTransient:
                .init(place: .session, text: "chr1.tsv")
            case .transientToValid, .transientOntoEmpty, .transientOntoTransient:
                .init(place: .production, text: "tmpfile")
            case .transientOntoLive, .openTransientOntoLive: .init(place: .session, text: "tmpfile")
            case .emptyToValid: .init(place: .production, text: "chr1.tsv")
            }
        }

        var target: Model.Name {
            switch self {
            case .liveOntoLive, .transientOntoLive, .openTransientOntoLive: .init(place: .session, text: "chr2.tsv")
            case .liveOntoAnotherScope: .init(place: .test, text: "chr2.tsv")
            case .liveOntoTransient: .init(place: .session, text: "x.part")
            case .promotion, .promotionOntoEmpty, .transientToValid, .transientOntoEmpty, .emptyToValid:
                .init(place: .production, text: "chr2.tsv")
            case .promotionToTransient, .promotionOntoTransient, .transientOntoTransient:
                .init(place: .production, text: "x.part")
            }
        }

        var isOpen: Bool { self == .openTransientOntoLive }
        var sourceBytes: [UInt8] { self == .emptyToValid ? [] : bytes }
        /// Nil when nothing has the name.
        var targetBytes: [UInt8]? {
            switch self {
            case .promotion, .promotionToTransient, .transientToValid, .emptyToValid: nil
            case .promotionOntoEmpty, .transientOntoEmpty: []
            case .liveOntoLive, .liveOntoAnotherScope, .liveOntoTransient, .promotionOntoTransient,
                .transientOntoTransient, .transientOntoLive, .openTransientOntoLive:
                replaced
            }
        }
    }

    /// A file as the mount shows it.
    private struct Shown: Equatable {
        let bytes: [UInt8]
        let state: String
    }

    @Test(arguments: Flow.allCases) func everyCallMayFail(flow: Flow) throws {
        let made = Mutex<[Faults.Call: Int]>([:])
        do {
            let harness = try Self.prepare(flow)
            try Faults.with({ call, _ in
                made.withLock { $0[call, default: 0] += 1 }
                return nil
            }) { try Self.rename(flow, harness) }
            try Self.expectRenamed(flow, harness, "nothing fails")
        }
        // Whether a file system is local is no call that fails.
        let counts = made.withLock { $0 }.filter { $0.key != .fileSystem }
        #expect(counts[.rename, default: 0] > 0, "the flow makes calls: \(counts)")
        for (call, count) in counts {
            for number in 1...count {
                let what = Comment("\(flow): the \(number). \(call.rawValue) fails")
                try Self.run(flow, call, number, .fails(.ioError), what)
            }
        }
        // The reply is lost: done it is all the same.
        for call in [Faults.Call.rename, .unlink] {
            for number in 0..<counts[call, default: 0] {
                let what = Comment("\(flow): the reply to the \(number + 1). \(call.rawValue) is lost")
                try Self.run(flow, call, number + 1, .isDoneAndFails(.ioError), what)
            }
        }
    }

    private static func run(
        _ flow: Flow, _ call: Faults.Call, _ number: Int, _ fault: Faults.Fault, _ what: Comment
    ) throws {
        let harness = try prepare(flow)
        let before = try (shown(flow.source, harness), shown(flow.target, harness))
        let lists = try Model.Place.allCases.map { try harness.list(harness.parent($0)) }
        let left = Atomic<Int>(number)
        do {
            try Faults.with({ made, _ in
                made == call && left.subtract(1, ordering: .relaxed).newValue == 0 ? fault : nil
            }) { try rename(flow, harness) }
        } catch {
            let after = try (shown(flow.source, harness), shown(flow.target, harness))
            #expect(after.0 == before.0, "the source; \(what)")
            #expect(after.1 == before.1, "the target; \(what)")
            #expect(try Model.Place.allCases.map { try harness.list(harness.parent($0)) } == lists, what)
            // Nothing is taken or half done: it can be tried again.
            #expect(throws: Never.self, what) { try rename(flow, harness) }
        }
        try expectRenamed(flow, harness, what)
    }

    private static func expectRenamed(_ flow: Flow, _ harness: Harness, _ what: Comment) throws {
        harness.settle()
        #expect(try shown(flow.source, harness) == nil, what)
        #expect(try shown(flow.target, harness)?.bytes == flow.sourceBytes, what)
        let isProduction = flow.target.place.isProduction && Model.meaning(flow.target.text) == .valid
        if isProduction, !flow.sourceBytes.isEmpty {
            #expect(try shown(flow.target, harness)?.state == "sealed", what)
        }
    }

    // MARK: - What is done

    private static func prepare(_ flow: Flow) throws -> Harness {
        let harness = try Harness(in: "/dev/shm")
        try make(flow.source, flow.sourceBytes, isOpen: flow.isOpen, harness)
        if let bytes = flow.targetBytes { try make(flow.target, bytes, isOpen: false, harness) }
        harness.settle()
        return harness
    }

    private static func make(
        _ name: Model.Name, _ bytes: [UInt8], isOpen: Bool, _ harness: Harness
    ) throws {
        let volume = harness.volume
        let created = try harness.call { request throws(Errno) in
            try name.text.withEntryName { entry throws(Errno) in
                try volume.create(
                    request, parent: harness.parent(name.place), name: entry, mode: 0o644,
                    flags: OpenFlags(rawValue: O_WRONLY | O_CREAT | O_EXCL))
            }
        }
        let (inode, handle) = (created.entry.inode, created.opened.handle)
        let descriptor = try harness.call { request throws(Errno) in
            try volume.write(request, inode: inode, handle: handle, offset: 0, size: bytes.count)
        }
        #expect(pwrite(descriptor.rawValue, bytes, bytes.count, 0) == bytes.count)
        guard !isOpen else { return }
        try harness.call { request throws(Errno) in try volume.flush(request, inode: inode, handle: handle) }
        volume.release(inode: inode, handle: handle)
    }

    private static func rename(_ flow: Flow, _ harness: Harness) throws(Errno) {
        try harness.call { request throws(Errno) in
            try flow.source.text.withEntryName { old throws(Errno) in
                try flow.target.text.withEntryName { new throws(Errno) in
                    try harness.volume.rename(
                        request, parent: harness.parent(flow.source.place), name: old,
                        newParent: harness.parent(flow.target.place), newName: new, flags: [])
                }
            }
        }
    }

    private static func shown(_ name: Model.Name, _ harness: Harness) throws(Errno) -> Shown? {
        let inode: InodeNumber
        do throws(Errno) { inode = try harness.lookup(name.text, in: harness.parent(name.place)) } catch {
            guard error == .noSuchFileOrDirectory else { throw error }
            return nil
        }
        let state = try harness.call { request throws(Errno) in
            try "user.artifact.state".withEntryName { entry throws(Errno) in
                try harness.volume.extendedAttribute(request, inode: inode, name: entry)
            }
        }
        return Shown(bytes: try harness.bytes(inode), state: String(decoding: state, as: UTF8.self))
    }
}
