public import ArtifactRecords

/// What OpenSSF Model Signing v1 says of a file or a directory: the SHA-256 of each file in it.
public struct ModelStatement: Sendable, Hashable {
    /// A file.
    public struct Resource: Sendable, Hashable {
        /// Its path in the directory; `.` of what is a file itself.
        public let name: String
        /// In lower-case hexadecimal digits.
        public let sha256: String

        /// A file.
        public init(name: String, sha256: String) { (self.name, self.sha256) = (name, sha256) }
    }

    /// The name of a file that is no directory's.
    public static let itself = "."
    /// The type of such a statement's predicate.
    public static let predicateType = "https://model_signing/signature/v1.0"

    /// The last part of its path; it says nothing for certain.
    public let name: String
    /// In the order of their paths' parts.
    public let resources: [Resource]
    /// Paths that are left out with all that is in them.
    public let ignored: [String]

    /// A statement of all files.
    public init(name: String, resources: [Resource]) {
        self.name = name
        let parts = resources.map { ($0, $0.name.unicodeScalars.split(separator: "/").map(Array.init)) }
        self.resources = parts.sorted { one, other in
            for (a, b) in zip(one.1, other.1) where a != b { return a.lexicographicallyPrecedes(b) }
            return one.1.count < other.1.count
        }.map(\.0)
        ignored = []
    }

    /// The statement (in-toto, version 1).
    public var json: JSONValue {
        var all = JSONObject.statement(
            of: [JSONObject.subject(name, sha256: Self.digest(of: resources) ?? "")], Self.predicateType)
        let files = resources.map { resource in
            JSONValue.object([
                "name": .string(resource.name), "algorithm": .string("sha256"), "digest": .string(resource.sha256),
            ])
        }
        all["predicate"] = .object([
            "serialization": .object([
                "method": .string("files"), "hash_type": .string("sha256"), "allow_symlinks": .bool(false),
            ]),
            "resources": .array(files),
        ])
        return .object(all)
    }

    /// SHA-256 of all digests, one after the other; nil when one is none.
    private static func digest(of resources: [Resource]) -> String? {
        var all: [UInt8] = []
        all.reserveCapacity(resources.count * 32)
        for resource in resources {
            guard let bytes = bytes(of: resource.sha256) else { return nil }
            all += bytes
        }
        return try? SHA256.digest(all)
    }

    private static func bytes(of digest: String) -> [UInt8]? {
        let digits = Array(digest.utf8)
        guard digits.count == 64 else { return nil }
        var bytes: [UInt8] = []
        for place in stride(from: 0, to: 64, by: 2) {
            guard let high = value(of: digits[place]), let low = value(of: digits[place + 1]) else { return nil }
            bytes.append(high << 4 | low)
        }
        return bytes
    }

    private static func value(of digit: UInt8) -> UInt8? {
        switch digit {
        case UInt8(ascii: "0")...UInt8(ascii: "9"): digit - UInt8(ascii: "0")
        case UInt8(ascii: "a")...UInt8(ascii: "f"): digit - UInt8(ascii: "a") + 10
        default: nil
        }
    }

    // MARK: - Reading

    /// Reads a statement.
    public init(_ statement: JSONValue) throws(EnvelopeFault) {
        let (subjects, predicate) = try statement.parts(of: Self.predicateType)
        guard subjects.count == 1, let subject = subjects.first else { throw EnvelopeFault("has not one subject") }
        let serialization = predicate["serialization"]
        guard serialization?["method"]?.string == "files" else {
            throw EnvelopeFault("is over parts of files (method 'shards'), which is not supported; sign whole files")
        }
        guard serialization?["hash_type"]?.string == "sha256" else {
            throw EnvelopeFault("hashes with something but SHA-256")
        }
        guard case .array(let list)? = predicate["resources"], !list.isEmpty else {
            throw EnvelopeFault("signs no file")
        }
        var resources: [Resource] = []
        var names: Set<[UInt8]> = []
        for one in list {
            guard let name = one["name"]?.string, one["algorithm"]?.string == "sha256",
                let digest = one["digest"]?.string, Self.bytes(of: digest) != nil
            else { throw EnvelopeFault("has a file without a name or a SHA-256") }
            guard names.insert(Array(name.utf8)).inserted else {
                throw EnvelopeFault("has '\(SignedEnvelope.shown(name))' twice")
            }
            resources.append(Resource(name: name, sha256: digest))
        }
        guard subject.sha256 == Self.digest(of: resources) else {
            throw EnvelopeFault("contradicts itself: its subject is not what its files are")
        }
        (name, self.resources) = (subject.name, resources)
        guard case .array(let ignored)? = serialization?["ignore_paths"] else {
            self.ignored = []
            return
        }
        self.ignored = ignored.compactMap(\.string)
    }

    /// What of an artifact's files is not as this says; empty when all is.
    ///
    /// - Parameter files: as they are now.
    /// - Returns: sentences for people, a few of many.
    public func differences(from files: [Resource]) -> [String] {
        var signed: [[UInt8]: String] = [:]
        for resource in resources { signed[Array(resource.name.utf8)] = resource.sha256 }
        var found: [String] = []
        for file in files {
            let name = SignedEnvelope.shown(file.name)
            guard let digest = signed.removeValue(forKey: Array(file.name.utf8)) else {
                if !isIgnored(file.name) { found.append("'\(name)' is not signed") }
                continue
            }
            guard digest != file.sha256 else { continue }
            let what = file.name == Self.itself ? "its SHA-256" : "the SHA-256 of '\(name)'"
            found.append("\(what) is \(file.sha256), and \(digest) is signed")
        }
        for resource in resources where signed[Array(resource.name.utf8)] != nil {
            found.append("'\(SignedEnvelope.shown(resource.name))' is signed, and is not in it")
        }
        return found.count > 3 ? Array(found.prefix(3)) + ["and \(found.count - 3) more"] : found
    }

    /// The files that it leaves out.
    public func leftOut(of files: [Resource]) -> [String] {
        let signed = Set(resources.map { Array($0.name.utf8) })
        return files.map(\.name).filter { !signed.contains(Array($0.utf8)) && isIgnored($0) }
    }

    /// A file that is no directory's cannot be left out.
    private func isIgnored(_ name: String) -> Bool {
        name != Self.itself
            && ignored.contains { path in
                name.utf8.elementsEqual(path.utf8) || name.utf8.starts(with: (path + "/").utf8)
            }
    }
}
