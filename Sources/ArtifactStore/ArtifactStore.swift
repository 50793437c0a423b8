public import Artifacts
public import SystemPackage
public import Glibc
public enum Durability: String, Sendable { case synced, relaxed }
public enum StoreError: Error { case system(String, Errno) }
public final class Directory: Sendable { public let descriptor: FileDescriptor; init(d: FileDescriptor) { descriptor = d }
    public func isLinked() throws(Errno) -> Bool { true } }
public final class RealDirectory: Sendable {
    public let path: String = ""
    public func current() throws(Errno) -> Directory? { nil }
    public func refresh() throws(Errno) -> Directory? { nil }
    public func ensure() throws(Errno) -> Directory { throw Errno.ioError }
    public func nearestExistingAttributes() throws(Errno) -> stat { throw Errno.ioError }
    public func removeIfEmpty() throws(Errno) {}
}
public struct RealFile: Sendable { public let directory: Directory; public let name: String
    public init(directory: Directory, name: String) { self.directory = directory; self.name = name }
    public func open(_ flags: Int32, mode: UInt32 = 0) throws(Errno) -> FileDescriptor { throw Errno.ioError }
    public func attributes() throws(Errno) -> stat { throw Errno.ioError }
    public func unlink() throws(Errno) {}
    public func rename(to: RealFile, flags: UInt32) throws(Errno) {}
}
public struct Staging: Sendable {
    public func create(hint: String, isTransient: Bool, mode: UInt32, owner: (user: UInt32, group: UInt32)?) throws(Errno) -> (file: RealFile, descriptor: FileDescriptor) { throw Errno.ioError }
    public func restage(_ file: RealFile, hint: String, isTransient: Bool) throws(Errno) -> RealFile { file }
    public func take(_ file: RealFile, hint: String, isTransient: Bool) throws(Errno) -> RealFile { file }
}
public indirect enum JSONValue: Sendable { case string(String), integer(Int), boolean(Bool), null, object([(String, JSONValue)])
    public var text: String { "" } }
public enum Timestamp { public static func text(_ t: timespec) -> String { "" } }
public struct ContentCheck: Sendable { public init?(fileName: String) { nil } }
public struct RecordDraft: Sendable {
    public var type: String?; public var layer: Layer?; public var mode: Mode?; public var group: UInt32 = 0; public var process: Int32 = 0
    public var opened: timespec?; public var closed: timespec?; public var origin: String?
    public init(virtualPath: String, writer: UInt32) {}
}
public struct PublishRequest: Sendable { public init(staged: RealFile, target: RealDirectory, name: String, check: ContentCheck?, record: RecordDraft, origin: RealFile?) {} }
public enum PublishOutcome: Sendable { case sealed(sha256: String), quarantined(reason: String), restored(reason: String) }
public final class Store: Sendable {
    public let schema = ArtifactSchema.builtIn; public let schemaText = ""; public let path = ""; public let isReadOnly = false; public let durability = Durability.synced
    public let rootDirectory: Directory = Directory(d: FileDescriptor(rawValue: 0))
    public func directory(_ path: String) -> RealDirectory { RealDirectory() }
    public func directory(for: TreeLocation) -> RealDirectory { RealDirectory() }
    public func staging() throws(Errno) -> Staging { throw Errno.readOnlyFileSystem }
    public func sessions() throws(Errno) -> [SessionName] { [] }
    public func tests() throws(Errno) -> [TestName] { [] }
    public func beginSession() throws(StoreError) -> SessionName { throw .system("", .ioError) }
    public func beginSession(named: SessionName, mode: UInt32, owner: (user: UInt32, group: UInt32)?) throws(Errno) {}
    public func resumeSession(_: SessionName) throws(StoreError) {}
    public func makeTest(_: TestName, mode: UInt32, owner: (user: UInt32, group: UInt32)?) throws(Errno) {}
    public func removeTest(_: TestName) throws(Errno) {}
    public func publish(_ request: PublishRequest) -> PublishOutcome { .quarantined(reason: "") }
    public func quarantine(_ f: RealFile, reason: String, record: RecordDraft) {}
    public func quickProblem(of: FileDescriptor, check: ContentCheck) throws(Errno) -> String? { nil }
    public func close() {}
}
