public import ArtifactRecords

/// What all statements of in-toto (version 1) have.
extension JSONObject {
    static let statementType = "https://in-toto.io/Statement/v1"

    /// A statement without its predicate.
    public static func statement(of subjects: [JSONObject], _ predicateType: String) -> JSONObject {
        [
            "_type": .string(statementType), "subject": .array(subjects.map { .object($0) }),
            "predicateType": .string(predicateType),
        ]
    }

    /// What a statement is about, or what that was made from.
    public static func subject(_ name: String, sha256: String) -> JSONObject {
        ["name": .string(name), "digest": .object(["sha256": .string(sha256)])]
    }
}

extension JSONValue {
    /// The type of a statement's predicate; nil of what is no statement.
    public var predicateType: String? {
        self["_type"]?.string == JSONObject.statementType ? self["predicateType"]?.string : nil
    }

    /// A statement's subjects and its predicate.
    func parts(
        of type: String
    ) throws(EnvelopeFault) -> (subjects: [NamedDigest], predicate: JSONObject) {
        guard let found = predicateType else { throw EnvelopeFault("signs no in-toto statement") }
        guard found == type else { throw EnvelopeFault("is about something else: \(SignedEnvelope.shown(found))") }
        guard case .array(let list)? = self["subject"] else { throw EnvelopeFault("has no subject") }
        var subjects: [NamedDigest] = []
        for one in list {
            guard let subject = NamedDigest(one) else {
                throw EnvelopeFault("has a subject without a name or a SHA-256")
            }
            subjects.append(subject)
        }
        guard let predicate = self["predicate"]?.object else {
            throw EnvelopeFault("says nothing: it has no predicate")
        }
        return (subjects, predicate)
    }
}

/// Something with its SHA-256.
public struct NamedDigest: Sendable, Hashable {
    /// What it is called.
    public let name: String
    /// In lower-case hexadecimal digits.
    public let sha256: String

    init?(_ json: JSONValue) {
        guard let name = json["name"]?.string, let digest = json["digest"]?["sha256"]?.string else { return nil }
        (self.name, sha256) = (name, digest)
    }
}
