public import ArtifactRecords

/// A statement with its signature: a Sigstore bundle (version 0.3) with a DSSE envelope in it, as OpenSSF Model Signing has it for keys.
public struct SignedEnvelope: Sendable, Hashable {
    private static let mediaType = "application/vnd.dev.sigstore.bundle.v0.3+json"
    private static let payloadType = "application/vnd.in-toto+json"

    /// The statement's text, which is what is signed.
    public let payload: [UInt8]
    /// In DER.
    public let signature: [UInt8]
    /// The key's name (``EllipticKey/id``); nil where it does not say.
    public let key: String?

    /// Signs a statement.
    ///
    /// - Returns: nil when the key cannot.
    public init?(signing statement: JSONValue, with key: EllipticKey) {
        payload = Array(statement.description.utf8)
        guard let signature = key.signature(of: Self.signed(payload)) else { return nil }
        (self.signature, self.key) = (signature, key.id)
    }

    /// What a signature is of (DSSE, "PAE").
    private static func signed(_ payload: [UInt8]) -> [UInt8] {
        Array("DSSEv1 \(payloadType.utf8.count) \(payloadType) \(payload.count) ".utf8) + payload
    }

    /// The whole text of a file.
    public var text: [UInt8] {
        let material: JSONObject = [
            "publicKey": .object(key.map { ["hint": .string($0)] } ?? [:]), "tlogEntries": .array([]),
        ]
        let envelope: JSONObject = [
            "payload": .string(Base64Text.encoded(payload)), "payloadType": .string(Self.payloadType),
            "signatures": .array([
                .object(["sig": .string(Base64Text.encoded(signature)), "keyid": .string("")])
            ]),
        ]
        let bundle: JSONObject = [
            "mediaType": .string(Self.mediaType), "verificationMaterial": .object(material),
            "dsseEnvelope": .object(envelope),
        ]
        return Array("\(JSONValue.object(bundle))\n".utf8)
    }

    /// Reads the text of a file. Nothing of it is believed yet: see ``verify(with:)``.
    public init(reading text: [UInt8]) throws(EnvelopeFault) {
        guard let bundle = JSONValue(parsing: text)?.object else { throw EnvelopeFault("is no JSON object") }
        guard let type = bundle["mediaType"]?.string else {
            throw EnvelopeFault("is no signature: it has no mediaType")
        }
        guard type == Self.mediaType else { throw EnvelopeFault("is of another kind: \(Self.shown(type))") }
        guard let material = bundle["verificationMaterial"]?.object else {
            throw EnvelopeFault("does not say by what it is verified: it has no verificationMaterial")
        }
        guard let named = material["publicKey"]?.object else {
            throw EnvelopeFault("was made with a certificate or an identity, not with a key")
        }
        guard let envelope = bundle["dsseEnvelope"]?.object else {
            throw EnvelopeFault("has no statement: it has no dsseEnvelope")
        }
        guard let payloadType = envelope["payloadType"]?.string, payloadType == Self.payloadType else {
            throw EnvelopeFault("signs no in-toto statement")
        }
        guard let payload = envelope["payload"]?.string.flatMap(Base64Text.decoded) else {
            throw EnvelopeFault("has a statement that is no base64")
        }
        guard case .array(let signatures)? = envelope["signatures"], signatures.count == 1 else {
            throw EnvelopeFault("has not one signature")
        }
        guard let signature = signatures[0]["sig"]?.string.flatMap(Base64Text.decoded) else {
            throw EnvelopeFault("has a signature that is no base64")
        }
        (self.payload, self.signature) = (payload, signature)
        key = named["hint"]?.string
    }

    /// The statement, when a key has signed it.
    public func verify(with key: EllipticKey) throws(EnvelopeFault) -> JSONValue {
        if let name = self.key, !name.isEmpty, name != key.id {
            throw EnvelopeFault("was made with another key: \(Self.shown(name)), and this one is \(key.id)")
        }
        guard key.verifies(signature, of: Self.signed(payload)) else {
            throw EnvelopeFault("is not a signature of its statement by this key")
        }
        guard let statement = JSONValue(parsing: payload) else { throw EnvelopeFault("signs what is no JSON") }
        return statement
    }

    /// A text of somebody else's in a sentence.
    static func shown(_ text: String) -> String { text.utf8.count > 80 ? String(text.prefix(80)) + "..." : text }
}

/// What is wrong with a signature or its statement, for people: it continues "it ...".
public struct EnvelopeFault: Error, Sendable, Hashable, CustomStringConvertible {
    /// The words.
    public let description: String

    init(_ description: String) { self.description = description }
}
