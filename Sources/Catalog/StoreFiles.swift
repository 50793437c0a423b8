internal import ArtifactRecords
internal import Artifacts
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Files of a store that a catalog reads beside the ledgers: metrics, and what sessions say of themselves. They are people's: no link is followed,
/// nothing is waited for, and of very large ones nothing is read.
struct StoreFiles {
    private let root: FileDescriptor

    /// In bytes.
    private static let largest: Int64 = 16 << 20

    /// - Parameter root: the store's directory, open as long as this is used.
    init(_ root: FileDescriptor) { self.root = root }

    /// What a file of metrics says; nil where it cannot be read, or is too large.
    func measured(_ directory: String, _ name: String, _ format: String?) -> MeasuredValues? {
        contents(directory + "/" + name).flatMap { MeasuredValues(of: $0, format) }
    }

    private static let sessions = StoreLayout.directory(of: .mode(.development))

    /// The sessions that have a directory.
    func sessions() -> [String] {
        guard let directory = openFile(Self.sessions, O_RDONLY | O_DIRECTORY) else { return [] }
        defer { SystemCall.close(directory) }
        var names: [String] = []
        try? SystemCall.forEachName(in: directory) { name, _, _ in
            if let text = String(validatingCString: name), SessionName(text) != nil { names.append(text) }
        }
        return names.sorted()
    }

    /// When what a session says of itself was changed, in nanoseconds since 1970; nil where it says nothing.
    func modified(_ session: String) -> Int64? {
        guard SessionName(session) != nil,
            let file = openFile("\(Self.sessions)/\(session)/\(StoreLayout.metadataName)", O_RDONLY)
        else { return nil }
        defer { SystemCall.close(file) }
        guard let attributes = try? SystemCall.attributes(file), attributes.isRegular else { return nil }
        return Clock.nanoseconds(attributes.st_mtim)
    }

    func mayGoOn(_ session: String) -> Bool { SessionMarker.mayGoOn(session, in: root) }

    /// What a session's `metadata.json` says.
    func metadata(of session: String) -> JSONValue? {
        contents("\(Self.sessions)/\(session)/\(StoreLayout.metadataName)").flatMap { JSONValue(parsingWithNaN: $0) }
    }

    private func openFile(_ path: String, _ flags: Int32) -> FileDescriptor? {
        try? SystemCall.openFile(beneath: root, path, flags | O_NONBLOCK)
    }

    private func contents(_ path: String) -> [UInt8]? {
        guard let file = openFile(path, O_RDONLY) else { return nil }
        defer { SystemCall.close(file) }
        guard let found = try? SystemCall.attributes(file), found.isRegular, Int64(found.st_size) <= Self.largest
        else { return nil }
        return try? SystemCall.bytes(file, at: 0, count: Int(found.st_size))
    }
}
