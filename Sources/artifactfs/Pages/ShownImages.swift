import ArtifactRecords
import ArtifactWeb
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// What a page shows of files: images, and the ends of logs. No path leads out of the store, and no link is followed.
struct ShownImages {
    private let maker: PageMaker

    init(_ maker: PageMaker) { self.maker = maker }

    private static let types = [
        ".png": "image/png", ".svg": "image/svg+xml", ".jpg": "image/jpeg", ".jpeg": "image/jpeg", ".gif": "image/gif",
        ".webp": "image/webp",
    ]
    private static let largest = 32 << 20
    private static let mostImages = 200
    private static let logLength = 16 << 10

    /// The media type of an image; nil of what a browser does not show as one.
    static func type(of name: String) -> String? {
        let lower = name.lowercased()
        return types.first { lower.hasSuffix($0.key) }?.value
    }

    /// `/image?path=PATH` of an artifact, `/image?session=ID&plot=NAME` of what a session has in `plots/`.
    func image(_ target: PageTarget) throws -> MadePage {
        let path: String
        if let session = target["session"], let plot = target["plot"] {
            guard let directory = Self.directory(.plots, ofSession: session),
                case .artifact = UntypedDirectory.classifyPlot(plot)
            else { throw Failure(.cannotAnswer, "there is no plot \(plot) of a session \(session)") }
            path = directory + "/" + plot
        } else {
            path = target["path"] ?? ""
            guard maker.schema.isArtifact(path) else {
                throw Failure(.cannotAnswer, "\(path) is no artifact of production")
            }
        }
        guard let type = Self.type(of: path) else { throw Failure(.cannotAnswer, "\(path) is no image that is shown") }
        guard let bytes = try contents(path, atMost: Self.largest) else {
            throw Failure(.cannotAnswer, "\(path) is not there, is not yours to read, or is too large to be shown")
        }
        return MadePage(type: type, body: bytes)
    }

    /// The images that a session has in `plots/`.
    func images(ofSession session: String?) -> [RunView.Image] {
        names(ofSession: session).map { name in
            .init(name: name, source: PageTarget("/image", [("session", session), ("plot", name)]).text)
        }
    }

    /// The same with their bytes in them, as far as there is room.
    ///
    /// - Parameter room: in bytes; what is taken is taken off.
    /// - Returns: also what is left out, in words.
    func ownImages(ofSession session: String?, _ room: inout Int) -> (images: [RunView.Image], notes: [String]) {
        var notes: [String] = []
        let images: [RunView.Image] = names(ofSession: session).compactMap { name in
            guard let session, let directory = Self.directory(.plots, ofSession: session),
                let type = Self.type(of: name),
                let bytes = (try? contents(directory + "/" + name, atMost: min(room, 8 << 20))) ?? nil
            else {
                notes.append("The image \(name) is left out: it cannot be read, or is too large for a page.")
                return nil
            }
            room -= bytes.count
            return .init(name: name, source: "data:\(type);base64," + Base64Text.encoded(bytes))
        }
        return (images, notes)
    }

    private func names(ofSession session: String?) -> [String] {
        guard let session, let directory = Self.directory(.plots, ofSession: session) else { return [] }
        let full = maker.place.location(of: directory, maker.schema)
        let answer = Patience.find(on: maker.place.mount) {
            Array(Paths.names(full).sorted().joined(separator: "\0").utf8)
        }
        let names = (answer ?? []).split(separator: 0).map { String(decoding: $0, as: UTF8.self) }
        return Array(names.filter { Self.type(of: $0) != nil }.prefix(Self.mostImages))
    }

    /// The end of what a run has said; nil where it was not kept, or is not this user's to read.
    func log(of run: String, session: String?) -> String? {
        guard let session, let directory = Self.directory(.logs, ofSession: session), !run.contains("/") else {
            return nil
        }
        guard let bytes = (try? contents("\(directory)/\(run).log", atMost: 1 << 20)) ?? nil, !bytes.isEmpty else {
            return nil
        }
        let end = bytes.suffix(Self.logLength)
        return (end.count < bytes.count ? "...\n" : "") + String(decoding: end, as: UTF8.self)
    }

    /// As the mount shows it.
    private static func directory(_ name: UntypedDirectory, ofSession session: String) -> String? {
        SessionName(session).map { StoreLayout.shownDirectory(of: .session($0)) + "/" + name.rawValue }
    }

    /// The bytes of a file of the store by its path on the mount; nil where it cannot be read, or is longer.
    func contents(_ path: String, atMost limit: Int) throws -> [UInt8]? {
        guard let found = try head(path, atMost: limit), !found.isCut else { return nil }
        return found.bytes
    }

    /// The beginning of a file; nil where it cannot be read.
    func head(_ path: String, atMost limit: Int) throws -> (bytes: [UInt8], isCut: Bool)? {
        let place = maker.place
        let top = place.mount?.mountPoint ?? place.store ?? ""
        let full = place.location(of: path, maker.schema)
        guard full.utf8.starts(with: (top + "/").utf8), limit > 0 else { return nil }
        let rest = Paths.rest(of: full, in: top)
        let answer = Patience.find(within: 20_000, on: place.mount) { Self.read(rest, in: top, limit) }
        guard let answer else { throw MountEntry.silence(on: full) }
        guard let first = answer.first else { return nil }
        return (Array(answer.dropFirst()), first == 1)
    }

    /// - Returns: 1 for what is longer, else 0, and the bytes; nothing where it cannot be read.
    private static func read(_ path: String, in top: String, _ limit: Int) -> [UInt8] {
        guard let root = try? SystemCall.open(SystemCall.currentDirectory, top, O_RDONLY | O_DIRECTORY) else {
            return []
        }
        defer { SystemCall.close(root) }
        guard let file = try? SystemCall.openFile(beneath: root, path, O_RDONLY | O_NONBLOCK) else { return [] }
        defer { SystemCall.close(file) }
        guard let found = try? SystemCall.attributes(file), found.isRegular else { return [] }
        var bytes: [UInt8] = []
        while bytes.count < limit {
            guard let more = try? SystemCall.bytes(file, atMost: min(65_536, limit - bytes.count)) else { return [] }
            if more.isEmpty { break }
            bytes += more
        }
        return [Int64(found.st_size) > Int64(bytes.count) ? 1 : 0] + bytes
    }
}
