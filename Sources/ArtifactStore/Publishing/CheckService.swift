internal import ArtifactFormats
internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// What a process does that checks files for a driver (`CheckProcesses`).
public enum CheckService {
    /// More memory than any check needs; a file that makes one want more is refused by that.
    private static let memory = 4 << 30

    /// Checks what comes by the socket, one file after the other, until the driver closes it.
    ///
    /// A request is one byte with the open file: the check's place among `FormatCheck.allCases`, and `quick` for the quick check. The
    /// answer is its length in eight bytes and a JSON object.
    public static func serve(socket: Int32) {
        SystemCall.confine(memory: memory)
        let socket = FileDescriptor(rawValue: socket)
        while true {
            guard case let (request, file?)?? = try? SystemCall.receive(from: socket) else { return }
            let place = Int(request & ~quick)
            guard place < FormatCheck.allCases.count else { return }
            let check = FormatCheck.allCases[place]
            let answer =
                request & quick == 0 ? CheckAnswer(of: check, file) : CheckAnswer(ofAQuick: check, file)
            SystemCall.close(file)
            let text = Array(answer.json.description.utf8)
            let length = (0..<8).map { UInt8(truncatingIfNeeded: text.count >> (8 * $0)) }
            do throws(Errno) { try SystemCall.send(length + text, to: socket) } catch { return }
        }
    }

    /// In a request's byte.
    static let quick: UInt8 = 0x80

    /// A check in a request's byte.
    static func place(of check: FormatCheck) -> UInt8? {
        FormatCheck.allCases.firstIndex(of: check).flatMap { $0 < Int(quick) ? UInt8($0) : nil }
    }
}

/// What a quick check says of a file.
public enum QuickAnswer: Sendable, Equatable {
    /// Nothing speaks against it.
    case fits
    case refused(String)
    case unreadable(Errno)
    /// There was no answer in time. The whole check decides, before publishing.
    case unknown
}

/// What a whole check found in bytes that have a hash.
public struct CheckedContents: Sendable {
    let check: FormatCheck
    let sha256: String
    let facts: FormatFacts
    /// How many bytes.
    let count: Int64
}

/// What a whole check says of a file that is not to be published yet.
public enum ContentsAnswer: Sendable {
    case passed(CheckedContents)
    case refused(String)
    case unreadable(Errno)
    /// There was no answer in time.
    case unknown

    init(_ answer: CheckAnswer, of check: FormatCheck) {
        switch answer {
        case .passed(let sha256, let facts, let hashed):
            self = .passed(CheckedContents(check: check, sha256: sha256, facts: facts, count: hashed))
        case .refused(let reason): self = .refused(reason)
        case .unreadable(let errno): self = .unreadable(errno)
        }
    }
}

/// What became of the check of a whole file, or of a quick one: that knows no hash and no facts.
enum CheckAnswer: Sendable, Equatable {
    /// `hashed` bytes were read.
    case passed(sha256: String, facts: FormatFacts, hashed: Int64)
    case refused(String)
    case unreadable(Errno)

    /// Checks a file, here.
    init(of check: FormatCheck, _ descriptor: FileDescriptor) {
        do {
            let attributes = try SystemCall.attributes(descriptor)
            var hash = try SHA256()
            var hashed: Int64 = 0
            let source = FileSource(descriptor: descriptor, count: Int64(attributes.st_size))
            let facts = try check.checkWhole(source) { chunk in
                hash.update(chunk)
                hashed &+= Int64(chunk.count)
            }
            self = .passed(sha256: try hash.finish(), facts: facts, hashed: hashed)
        } catch let error as FormatError {
            switch error {
            case .invalid(let reason): self = .refused(reason)
            case .unreadable(let errno): self = .unreadable(errno)
            }
        } catch {
            self = .unreadable(error as? Errno ?? .ioError)
        }
    }

    /// Checks quickly, here.
    init(ofAQuick check: FormatCheck, _ descriptor: FileDescriptor) {
        do {
            let attributes = try SystemCall.attributes(descriptor)
            try check.checkQuickly(FileSource(descriptor: descriptor, count: Int64(attributes.st_size)))
            self = .passed(sha256: Self.noHash, facts: FormatFacts(), hashed: 0)
        } catch let error as FormatError {
            switch error {
            case .invalid(let reason): self = .refused(reason)
            case .unreadable(let errno): self = .unreadable(errno)
            }
        } catch {
            self = .unreadable(error as? Errno ?? .ioError)
        }
    }

    private static let noHash = String(repeating: "0", count: 64)

    var json: JSONValue {
        switch self {
        case .passed(let sha256, let facts, let hashed):
            var object: JSONObject = ["sha256": .string(sha256), "hashed": .integer(hashed)]
            object.add("rows", facts.rows.map { .integer($0) })
            object.add(
                "columns", facts.columns.map { .array($0.map { .array([.string($0.name), .string($0.type ?? "")]) }) })
            var details = JSONObject()
            for (name, value) in facts.details { details.add(name, .string(value)) }
            object.add("details", .object(details))
            return .object(object)
        case .refused(let reason): return .object(["refused": .string(reason)])
        case .unreadable(let errno): return .object(["errno": .integer(Int64(errno.rawValue))])
        }
    }

    /// Nil for what no check says: then its process is not to be trusted.
    init?(_ json: JSONValue) {
        if let reason = json["refused"]?.string {
            self = .refused(reason)
        } else if let errno = json["errno"]?.integer.flatMap(Int32.init(exactly:)), errno > 0 {
            self = .unreadable(Errno(rawValue: errno))
        } else {
            guard let sha256 = json["sha256"]?.string, sha256.utf8.count == 64, let hashed = json["hashed"]?.integer,
                case .object(let details)? = json["details"]
            else { return nil }
            var facts = FormatFacts(rows: json["rows"]?.integer)
            if case .array(let columns)? = json["columns"] {
                facts.columns = columns.compactMap { column in
                    guard case .array(let parts) = column, parts.count == 2, let name = parts[0].string else {
                        return nil
                    }
                    let type = parts[1].string ?? ""
                    return FormatFacts.Column(name: name, type: type.isEmpty ? nil : type)
                }
            }
            for (name, value) in details.sorted { facts.details[name] = value.string }
            self = .passed(sha256: sha256, facts: facts, hashed: hashed)
        }
    }
}
