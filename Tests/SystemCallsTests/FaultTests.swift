import Glibc
import Synchronization
import SystemPackage
import TestSupport
import Testing

@testable import SystemCalls

/// A test makes any call fail, and nobody else's.
@Suite struct FaultTests {
    private func withFile(_ body: (FileDescriptor, FileDescriptor, String) throws -> Void) throws {
        let temporary = try TemporaryDirectory()
        let directory = try SystemCall.open(SystemCall.currentDirectory, temporary.path, O_RDONLY | O_DIRECTORY)
        defer { SystemCall.close(directory) }
        let file = try SystemCall.open(directory, "file", O_RDWR | O_CREAT | O_EXCL, 0o600)
        defer { SystemCall.close(file) }
        try body(directory, file, temporary.path)
    }

    /// One of each kind that is made of files and directories.
    private static let calls: [(Faults.Call, @Sendable (FileDescriptor, FileDescriptor) throws -> Void)] = [
        (.open, { directory, _ in SystemCall.close(try SystemCall.open(directory, "file", O_RDONLY)) }),
        (.open, { directory, _ in SystemCall.close(try SystemCall.openPath("file", in: directory)) }),
        (.open, { _, file in SystemCall.close(try SystemCall.reopen(file, O_RDONLY)) }),
        (.open, { directory, _ in SystemCall.close(try SystemCall.openBeneath(directory, "file", O_RDONLY)) }),
        (.makeDirectory, { directory, _ in try SystemCall.makeDirectory(directory, "made", 0o700) }),
        (.makeNode, { directory, _ in try SystemCall.makeNode(directory, "fifo", S_IFIFO | 0o600, device: 0) }),
        (.makeNode, { directory, _ in try SystemCall.makeSymbolicLink(directory, "symbolic", to: "file") }),
        (.rename, { directory, _ in try SystemCall.rename(directory, "file", directory, "file", 0) }),
        (
            .renameWithoutReplacing,
            { directory, _ in
                try SystemCall.rename(directory, "file", directory, "other", SystemCall.noReplace)
                try SystemCall.rename(directory, "other", directory, "file", SystemCall.noReplace)
            }
        ),
        (.link, { directory, _ in try SystemCall.link(directory, "file", directory, "linked") }),
        (.link, { directory, file in try SystemCall.link(file, directory, "linked-too") }),
        (.unlink, { directory, _ in try SystemCall.unlink(directory, "linked") }),
        (.readLink, { _, file in _ = try SystemCall.path(of: file) }),
        (.attributes, { _, file in _ = try SystemCall.attributes(file) }),
        (.attributes, { directory, _ in _ = try SystemCall.attributes(directory, "file") }),
        (.attributes, { _, file in _ = try SystemCall.look(file) }),
        (.attributes, { directory, _ in _ = try SystemCall.look(directory, "file") }),
        (.setMode, { _, file in try SystemCall.setMode(file, 0o640) }),
        (.setMode, { directory, _ in try SystemCall.setMode(directory, "file", 0o640) }),
        (.setMode, { _, file in try SystemCall.setMode(ofPath: file, 0o640) }),
        (.setOwner, { _, file in try SystemCall.setOwner(file, user: nil, group: nil) }),
        (.setOwner, { _, file in try SystemCall.setOwner(ofPath: file, user: nil, group: nil) }),
        (.setTimes, { _, file in try SystemCall.setTimes(file, access: Clock.now(), modification: Clock.now()) }),
        (
            .setTimes,
            { _, file in try SystemCall.setTimes(ofPath: file, access: Clock.now(), modification: Clock.now()) }
        ),
        (.checkAccess, { _, file in try SystemCall.checkAccess(file, R_OK) }),
        (.statistics, { _, file in _ = try SystemCall.statistics(file) }),
        (.setAttribute, { _, file in try SystemCall.setExtendedAttribute("user.note", [1, 2], of: file) }),
        (.getAttribute, { _, file in _ = try SystemCall.extendedAttribute("user.note", of: file) }),
        (
            .listAttributes,
            { _, file in
                try SystemCall.withPath(of: file) { path throws(Errno) in
                    _ = try SystemCall.extendedAttributeNames(ofPath: path)
                }
            }
        ),
        (
            .removeAttribute,
            { _, file in
                try SystemCall.withPath(of: file) { path throws(Errno) in
                    try SystemCall.removeExtendedAttribute("user.note", ofPath: path)
                }
            }
        ),
        (.readDirectory, { directory, _ in try SystemCall.forEachName(in: directory) { _, _, _ in } }),
        (.write, { _, file in try SystemCall.write(file, [1, 2, 3]) }),
        (.read, { _, file in _ = try SystemCall.bytes(file, at: 0, count: 3) }),
        (.seek, { _, file in _ = try SystemCall.data(in: file, from: 0) }),
        (.truncate, { _, file in try SystemCall.truncate(file, to: 10) }),
        (.truncate, { _, file in try SystemCall.truncate(ofPath: file, to: 10) }),
        (.allocate, { _, file in try SystemCall.allocate(file, mode: 0, offset: 0, length: 4096) }),
        (
            .copyRange,
            { _, file in
                _ = try SystemCall.copyRange(file, from: 0, to: file, at: 100, count: 5)
            }
        ),
        (.sync, { _, file in try SystemCall.sync(file) }), (.sync, { _, file in try SystemCall.syncData(file) }),
        (.lock, { _, file in try SystemCall.lock(file, waiting: false) }),
        (.process, { _, _ in SystemCall.close(try SystemCall.openProcess(getpid())) }),
        (.descriptor, { _, _ in SystemCall.close(try SystemCall.makeEvent()) }),
    ]

    @Test func everyCallFailsAsItIsTold() throws {
        try withFile { directory, file, _ in
            for (call, body) in Self.calls {
                #expect(throws: Errno.noSpace, "\(call)") {
                    try Faults.with({ made, _ in made == call ? .fails(.noSpace) : nil }) { try body(directory, file) }
                }
                #expect(throws: Never.self, "\(call)") {
                    try Faults.with({ _, _ in nil }) { try body(directory, file) }
                }
            }
        }
    }

    @Test func callsAreToldByNameAndByPath() throws {
        try withFile { directory, file, path in
            let seen = Mutex<[String]>([])
            try Faults.with({ _, name in
                seen.withLock { $0.append(name) }
                return nil
            }) {
                _ = try SystemCall.attributes(directory, "file")
                _ = try SystemCall.attributes(file)
                try SystemCall.rename(directory, "file", directory, "other", 0)
                _ = try SystemCall.attributes(file)
            }
            #expect(seen.withLock { $0 } == ["file", path + "/file", "other", path + "/other"])
        }
    }

    @Test func whatIsDoneAndSaysOtherwiseIsDone() throws {
        try withFile { directory, _, _ in
            #expect(throws: Errno.ioError) {
                try Faults.with({ call, _ in call == .makeDirectory ? .isDoneAndFails(.ioError) : nil }) {
                    try SystemCall.makeDirectory(directory, "made", 0o700)
                }
            }
            let made = try SystemCall.attributes(directory, "made")
            #expect(made.isDirectory)
        }
    }

    /// A call on a thread of its own.
    private final class Look: Sendable {
        let descriptor: FileDescriptor
        let error = Mutex<Errno?>(nil)

        init(_ descriptor: FileDescriptor) { self.descriptor = descriptor }

        func run() {
            do throws(Errno) { _ = try SystemCall.attributes(descriptor) } catch {
                self.error.withLock { $0 = error }
            }
        }
    }

    /// Other threads' calls go on as always, also while a test uses faults.
    @Test func otherThreadsDoNotMeetThem() throws {
        try withFile { _, file, _ in
            let look = Look(file)
            try Faults.with({ _, _ in .fails(.ioError) }) {
                var thread = pthread_t()
                let made = pthread_create(
                    &thread, nil,
                    { argument in
                        guard let argument else { return nil }
                        Unmanaged<Look>.fromOpaque(argument).takeUnretainedValue().run()
                        return nil
                    }, Unmanaged.passUnretained(look).toOpaque())
                try #require(made == 0)
                pthread_join(thread, nil)
                #expect(throws: Errno.ioError) { try SystemCall.attributes(file) }
            }
            #expect(look.error.withLock { $0 } == nil)
        }
    }
}
