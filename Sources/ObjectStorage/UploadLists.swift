internal import ArtifactRecords

/// A part that a server has.
public struct KeptPart: Sendable, Hashable {
    /// From 1.
    public let number: Int64
    /// In bytes.
    public let size: Int64
    /// As it is written when the parts are put together.
    public let tag: String
    /// In lower-case hexadecimal digits; nil where the server does not say.
    public let sha256: String?

    /// The MD5 that its tag says, in lower-case hexadecimal digits; nil of a tag that says something else, as with the server's own encryption.
    public var md5: String? {
        let digits = tag.filter { $0 != "\"" }
        return digits.utf8.count == 32 && digits.utf8.allSatisfy({ ($0 as UInt8).isDigit }) ? digits : nil
    }
}

extension UInt8 {
    fileprivate var isDigit: Bool { (0x30...0x39).contains(self) || (0x61...0x66).contains(self) }
}

/// A page of the parts that an upload has (ListParts).
public struct PartPage: Sendable, Hashable {
    /// As the server has them.
    public let parts: [KeptPart]
    /// What the next page is asked for with; nil of the last.
    public let next: String?

    /// Reads an answer; nil of what is none.
    public init?(_ bytes: [UInt8]) {
        // The second is moto's name of it.
        guard let list = AnswerXML(bytes), ["ListPartsResult", "ListPartsResponse"].contains(list.name) else {
            return nil
        }
        var parts: [KeptPart] = []
        for one in list.elements where one.name == "Part" {
            guard let number = one["PartNumber"].flatMap(Int64.init), number > 0,
                let size = one["Size"].flatMap(Int64.init), size >= 0, let tag = one["ETag"]
            else { return nil }
            let sum = one["ChecksumSHA256"].flatMap(Base64Text.decoded)
            parts.append(
                KeptPart(
                    number: number, size: size, tag: tag,
                    sha256: sum.flatMap { $0.count == 32 ? MessageDigest.hexadecimal($0) : nil }))
        }
        self.parts = parts
        let marker = list["NextPartNumberMarker"] ?? ""
        next = list["IsTruncated"] == "true" && !marker.isEmpty ? marker : nil
    }
}

/// A page of the uploads that a bucket has (ListMultipartUploads).
public struct UploadPage: Sendable, Hashable {
    /// An upload that has begun.
    public struct Upload: Sendable, Hashable {
        /// All of its key.
        public let key: String
        /// The number that the server has given it.
        public let upload: String
    }

    /// Behind which one the next page begins.
    public struct Marker: Sendable, Hashable {
        let key, upload: String
    }

    /// As the server has them.
    public let uploads: [Upload]
    /// What the next page is asked for with; nil of the last.
    public let next: Marker?

    /// Reads an answer; nil of what is none.
    public init?(_ bytes: [UInt8]) {
        guard let list = AnswerXML(bytes), list.name == "ListMultipartUploadsResult" else { return nil }
        var uploads: [Upload] = []
        for one in list.elements where one.name == "Upload" {
            guard let key = one["Key"], let upload = one["UploadId"], !upload.isEmpty else { return nil }
            uploads.append(Upload(key: key, upload: upload))
        }
        self.uploads = uploads
        let key = list["NextKeyMarker"] ?? ""
        next =
            list["IsTruncated"] == "true" && !key.isEmpty
            ? Marker(key: key, upload: list["NextUploadIdMarker"] ?? "") : nil
    }
}
