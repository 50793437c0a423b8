internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// Uploads in parts.
extension Bucket {
    /// How large a part is, in bytes; larger where there would be too many.
    public static let partSize: Int64 = 16 << 20
    private static let mostParts: Int64 = 10_000

    func putParts(
        of file: FileDescriptor, _ size: Int64, _ sha256: String, _ key: String, _ wanted: Int64,
        _ begun: (String) throws(StorageFault) -> Void
    ) throws(StorageFault) -> Put {
        let partSize = max(wanted, size / (Self.mostParts - 1) + 1)
        let answer = try ask(
            BucketRequest(
                method: "POST", key: key, query: [("uploads", "")],
                headers: [("x-amz-checksum-algorithm", "SHA256"), (Self.told, sha256)]))
        guard let upload = AnswerXML(answer.body)?["UploadId"], !upload.isEmpty else {
            throw StorageFault(.other, place.shown(key), "the server gives no number to an upload in parts")
        }
        try begun(upload)
        do throws(StorageFault) {
            let parts = try sendParts(of: file, size, partSize, sha256, key, upload)
            return try complete(parts, size, sha256, key, upload)
        } catch {
            // What is left of it would cost, and nobody would see it.
            try? abort(upload, of: key)
            throw error
        }
    }

    private func sendParts(
        of file: FileDescriptor, _ size: Int64, _ partSize: Int64, _ sha256: String, _ key: String, _ upload: String
    ) throws(StorageFault) -> String {
        let whole = ByteHash()
        var parts = ""
        var (offset, number): (Int64, Int64) = (0, 1)
        while offset < size {
            let count = min(partSize, size - offset)
            let digest: String
            do throws(Errno) {
                let part = ByteHash()
                try part.add(file, from: offset, count: count)
                digest = try part.finish()
                try whole.add(file, from: offset, count: count)
            } catch { throw StorageFault(.local, place.shown(key), "the file cannot be read: \(error)") }
            let answer = try ask(
                BucketRequest(
                    method: "PUT", key: key, query: [("partNumber", "\(number)"), ("uploadId", upload)],
                    headers: [("x-amz-checksum-sha256", Self.base64(digest))],
                    body: .file(file, offset: offset, count: count), payload: digest))
            guard let tag = answer.headers["etag"] else {
                throw StorageFault(.other, place.shown(key), "the server gives no ETag to part \(number)")
            }
            parts +=
                "<Part><PartNumber>\(number)</PartNumber><ETag>\(Self.escaped(tag))</ETag>"
                + "<ChecksumSHA256>\(Self.base64(digest))</ChecksumSHA256></Part>"
            (offset, number) = (offset + count, number + 1)
        }
        let found: String
        do throws(Errno) { found = try whole.finish() } catch {
            throw StorageFault(.local, place.shown(key), "its SHA-256 cannot be had: \(error)")
        }
        try Self.check(found, sha256, place.shown(key))
        return parts
    }

    private func complete(
        _ parts: String, _ size: Int64, _ sha256: String, _ key: String, _ upload: String
    ) throws(StorageFault) -> Put {
        let body = Array(
            "<CompleteMultipartUpload xmlns=\"http://s3.amazonaws.com/doc/2006-03-01/\">\(parts)</CompleteMultipartUpload>"
                .utf8)
        let hash = ByteHash()
        let payload: String
        do throws(Errno) {
            try hash.add(body)
            payload = try hash.finish()
        } catch { throw StorageFault(.local, place.shown(key), "the request cannot be signed: \(error)") }
        let answer = try ask(
            BucketRequest(
                method: "POST", key: key, query: [("uploadId", upload)], headers: [("if-none-match", "*")],
                body: .bytes(body), payload: payload), accepting: [404, 412])
        switch answer.status {
        case 412:
            let put = try wasThere(key, size, sha256)
            try? abort(upload, of: key)
            return put
        // An answer that was lost: what was asked for the first time is done.
        case 404: return try wasThere(key, size, sha256)
        default:
            // A success that turned out to be none while it was written.
            if let said = AnswerXML(answer.body), said.name == "Error" {
                throw StorageFault(
                    .other, place.shown(key),
                    "the parts were not put together: \(said["Code"] ?? "no code"): \(said["Message"] ?? "no message")")
            }
            return .made
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
