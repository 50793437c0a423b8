internal import ArtifactRecords
internal import SystemCalls
internal import SystemPackage

/// Uploads in parts, a request at a time.
extension Bucket {
    /// How large a part is, in bytes; larger where there would be too many.
    public static let partSize: Int64 = 16 << 20
    private static let mostParts: Int64 = 10_000

    /// How large the parts of a file are, in bytes; always the same of the same size.
    static func partSize(of size: Int64) -> Int64 { max(partSize, size / (mostParts - 1) + 1) }

    /// Begins an upload in parts, and returns its number.
    func begin(_ key: String, sha256: String) throws(StorageFault) -> String {
        let answer = try ask(
            BucketRequest(
                method: "POST", key: key, query: [("uploads", "")],
                headers: [("x-amz-checksum-algorithm", "SHA256"), (place.dialect.told, sha256)] + retentionHeaders))
        guard let upload = AnswerXML(answer.body)?["UploadId"], !upload.isEmpty else {
            throw StorageFault(.other, place.shown(key), "the server gives no number to an upload in parts")
        }
        return upload
    }

    /// What an upload in parts has, by the parts' numbers; nil when there is no such upload.
    func parts(of upload: String, _ key: String) throws(StorageFault) -> [Int64: KeptPart]? {
        var all: [Int64: KeptPart] = [:]
        var marker: String?
        // A server that never ends is not believed.
        for _ in 0..<Self.mostParts {
            var query = [("uploadId", upload)]
            if let marker { query.append(("part-number-marker", marker)) }
            let answer = try ask(BucketRequest(method: "GET", key: key, query: query), accepting: [404])
            guard answer.status != 404 else { return nil }
            guard let page = PartPage(answer.body) else {
                throw StorageFault(.other, place.shown(key), "the server's list of parts cannot be read")
            }
            for part in page.parts { all[part.number] = part }
            guard let next = page.next, next != marker else { break }
            marker = next
        }
        return all
    }

    /// Uploads in parts that have begun and are not ended, of keys that begin with something, by their keys.
    public func uploads(withPrefix prefix: String) throws(StorageFault) -> [String: [String]] {
        var all: [String: [String]] = [:]
        var marker: UploadPage.Marker?
        for _ in 0..<Self.mostParts {
            var query = [("uploads", ""), ("prefix", prefix)]
            if let marker { query += [("key-marker", marker.key), ("upload-id-marker", marker.upload)] }
            let answer = try ask(BucketRequest(method: "GET", key: "", query: query))
            guard let page = UploadPage(answer.body) else {
                throw StorageFault(.other, place.shown(prefix), "the server's list of uploads cannot be read")
            }
            for one in page.uploads { all[one.key, default: []].append(one.upload) }
            guard let next = page.next, next != marker else { break }
            marker = next
        }
        return all
    }

    /// Sends a part. The server compares it with its SHA-256.
    ///
    /// - Returns: its tag.
    func send(
        _ number: Int64, of upload: String, _ key: String, _ file: FileDescriptor, offset: Int64, count: Int64,
        sha256: String
    ) throws(StorageFault) -> String {
        let answer = try ask(
            BucketRequest(
                method: "PUT", key: key, query: [("partNumber", "\(number)"), ("uploadId", upload)],
                headers: [("x-amz-checksum-sha256", Self.base64(sha256))],
                body: .file(file, offset: offset, count: count), payload: sha256))
        guard let tag = answer.headers["etag"] else {
            throw StorageFault(.other, place.shown(key), "the server gives no ETag to part \(number)")
        }
        return tag
    }

    /// Puts the parts together under the key, if nothing has it.
    ///
    /// - Parameter parts: their tags and SHA-256, from the first on.
    /// - Returns: nil when the upload is to begin anew: another request for the key came between (409), or there is no such upload any more,
    ///   and nothing has the key.
    func complete(
        _ parts: [(tag: String, sha256: String)], _ size: Int64, _ sha256: String, _ key: String, _ upload: String
    ) throws(StorageFault) -> Put? {
        var text = "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">"
        for (place, part) in parts.enumerated() {
            text +=
                "<Part><PartNumber>\(place + 1)</PartNumber><ETag>\(Self.escaped(part.tag))</ETag>"
                + "<ChecksumSHA256>\(Self.base64(part.sha256))</ChecksumSHA256></Part>"
        }
        let body = Array((text + "</CompleteMultipartUpload>").utf8)
        let payload: String
        do throws(Errno) { payload = try SHA256.digest(body) } catch {
            throw StorageFault(.local, place.shown(key), "the request cannot be signed: \(error)")
        }
        let answer = try ask(
            BucketRequest(
                method: "POST", key: key, query: [("uploadId", upload)], headers: [place.dialect.ifNew],
                body: .bytes(body), payload: payload), accepting: [404, 409, 412])
        switch answer.status {
        // Whether the upload is there still nobody says: it is not used again.
        case 409:
            try? abort(upload, of: key)
            return try facts(of: key) == nil ? nil : try wasThere(key, size, sha256)
        case 412:
            let put = try wasThere(key, size, sha256)
            try? abort(upload, of: key)
            return put
        // An answer that was lost: what was asked for the first time is done.
        case 404:
            if AnswerXML(answer.body)?["Code"] == "NoSuchBucket" {
                throw StorageFault(.noBucket, place.shown(key), "POST was refused: NoSuchBucket (404)")
            }
            return try facts(of: key) == nil ? nil : try wasThere(key, size, sha256)
        default:
            // A success that turned out to be none while it was written.
            if let said = AnswerXML(answer.body), said.name == "Error" {
                throw StorageFault(
                    .other, place.shown(key),
                    "the parts were not put together: \(said["Code"] ?? "no code"): \(said["Message"] ?? "no message")")
            }
            return Put(isNew: true, version: versionName(answer))
        }
    }

    /// Gives up an upload in parts; one that is not there any more is none.
    public func abort(_ upload: String, of key: String) throws(StorageFault) {
        _ = try ask(BucketRequest(method: "DELETE", key: key, query: [("uploadId", upload)]), accepting: [404])
    }

    private static func escaped(_ text: String) -> String {
        text.map { $0 == "&" ? "&amp;" : $0 == "<" ? "&lt;" : $0 == ">" ? "&gt;" : String($0) }.joined()
    }
}
