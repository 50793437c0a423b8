internal import ArtifactRecords
internal import Glibc
internal import SystemCalls
public import SystemPackage

/// Objects, one at a time. A key here is all of it, with the prefix.
extension Bucket {
    /// What is under a key; nil when nothing is.
    ///
    /// - Parameter version: one of its versions; nil for the newest.
    public func facts(of key: String, version: String? = nil) throws(StorageFault) -> ObjectFacts? {
        let answer = try ask(
            BucketRequest(
                method: "HEAD", key: key, query: place.dialect.query(version: version),
                headers: place.dialect == .s3 ? [("x-amz-checksum-mode", "ENABLED")] : []), accepting: [404])
        guard answer.status != 404 else { return nil }
        guard let length = answer.headers["content-length"], let size = Int64(length), size >= 0 else {
            throw StorageFault(.other, place.shown(key), "the server does not say how large it is")
        }
        // What was sent in parts has a sum of the parts' sums, unless the server says otherwise; its tag has their number.
        let hasParts = answer.headers["etag"]?.contains("-") ?? false
        let isWhole = answer.headers["x-amz-checksum-type"].map { $0 == "FULL_OBJECT" } ?? !hasParts
        let sum = isWhole ? answer.headers["x-amz-checksum-sha256"].flatMap(Self.digest) : nil
        return ObjectFacts(
            size: size, sha256: sum, toldSHA256: answer.headers[place.dialect.told],
            version: versionName(answer))
    }

    /// Which version an answer is of; nil where it says none, or what is no name of one.
    func versionName(_ answer: ServerAnswer) -> String? {
        guard let text = answer.headers[place.dialect.version], text != "null", (1...1024).contains(text.utf8.count),
            text.utf8.allSatisfy({ (0x21...0x7E).contains($0) })
        else { return nil }
        return text
    }

    /// A version of an object, if it is what it should be by what the server says; nil of any other, and where the server does not tell.
    public func kept(
        _ key: String, version: String, size: Int64, sha256: String
    ) throws(StorageFault) -> Put? {
        let found: ObjectFacts?
        do throws(StorageFault) { found = try facts(of: key, version: version) } catch {
            // Who may read an object may perhaps not read its versions; and what is no version's name here is none.
            guard [.denied, .other, .missing].contains(error.kind) else { throw error }
            return nil
        }
        guard let found, found.size == size, (found.sha256 ?? found.toldSHA256) == sha256 else { return nil }
        return Put(isNew: false, version: version)
    }

    /// A checksum as servers write it, in hexadecimal digits; nil of one that is none of 32 bytes, as that of parts is.
    private static func digest(_ text: String) -> String? {
        Base64Text.decoded(text).flatMap { $0.count == 32 ? MessageDigest.hexadecimal($0) : nil }
    }

    static func base64(_ digest: String) -> String {
        var bytes: [UInt8] = []
        var rest = digest.utf8[...]
        while rest.count >= 2 {
            bytes.append(UInt8(String(decoding: rest.prefix(2), as: UTF8.self), radix: 16) ?? 0)
            rest = rest.dropFirst(2)
        }
        return Base64Text.encoded(bytes)
    }

    /// What came of giving something a name.
    public struct Put: Sendable, Hashable {
        /// Whether it was sent; else the same was there.
        public let isNew: Bool
        /// Which of the object's versions it is, where the bucket keeps them.
        public let version: String?
    }

    /// Gives bytes a name, if nothing has it.
    ///
    /// - Throws: ``StorageFault/Kind/differs`` when something else has it.
    @discardableResult
    public func put(_ bytes: [UInt8], as key: String) throws(StorageFault) -> Put {
        let hash = newHash
        let sha256: String
        do throws(Errno) {
            try hash.add(bytes)
            sha256 = try hash.finish()
        } catch { throw StorageFault(.local, place.shown(key), "its SHA-256 cannot be had: \(error)") }
        return try put(.bytes(bytes), as: key, sha256: sha256, hash)
    }

    /// Gives a file's bytes a name, if nothing has it, in one request. The server compares them with their SHA-256.
    ///
    /// - Parameters:
    ///   - file: open to read; it is read from its beginning.
    ///   - sha256: that all its bytes have, in lower-case hexadecimal digits.
    /// - Throws: ``StorageFault/Kind/differs`` when something else has the name, ``StorageFault/Kind/local`` when the file has another SHA-256.
    func put(_ file: FileDescriptor, size: Int64, sha256: String, as key: String) throws(StorageFault) -> Put {
        let hash = newHash
        let found: String
        let body: RequestBody
        do throws(Errno) {
            if size < Self.worthAsking {
                // Read once for both.
                let bytes = try SystemCall.bytes(file, at: 0, count: Int(size))
                try hash.add(bytes)
                body = .bytes(bytes)
            } else {
                try hash.add(file)
                body = .file(file, offset: 0, count: size)
            }
            found = try hash.finish()
        } catch { throw StorageFault(.local, place.shown(key), "the file cannot be read: \(error)") }
        try Self.check(found, sha256, place.shown(key))
        return try put(body, as: key, sha256: sha256, hash)
    }

    /// What is not what it should be is not sent.
    static func check(_ found: String, _ sha256: String, _ place: String) throws(StorageFault) {
        guard found != sha256 else { return }
        throw StorageFault(
            .local, place, "the file's SHA-256 is \(found), and should be \(sha256): it was not sent")
    }

    /// What is sent without being asked for first, in bytes: the server says itself that it is there.
    static let worthAsking: Int64 = 1 << 20

    /// Of what is sent in one request: where the server compares no SHA-256, an MD5 as well.
    private var newHash: ByteHash { ByteHash(withMD5: place.dialect == .gcs) }

    private func put(
        _ body: RequestBody, as key: String, sha256: String, _ hash: ByteHash
    ) throws(StorageFault) -> Put {
        var headers = [place.dialect.ifNew, (place.dialect.told, sha256)]
        if !retentionHeaders.isEmpty {
            // Nothing is kept for a time that has no checksum, and the server wants to hear the name of it.
            headers += retentionHeaders + [("x-amz-sdk-checksum-algorithm", "SHA256")]
        }
        switch place.dialect {
        case .s3: headers.append(("x-amz-checksum-sha256", Self.base64(sha256)))
        case .gcs:
            // Where the system's policy forbids MD5, the SHA-256 is in the signature still.
            if let md5 = hash.finishMD5() { headers.append(("content-md5", Base64Text.encoded(md5))) }
        }
        let answer = try ask(
            BucketRequest(method: "PUT", key: key, headers: headers, body: body, payload: sha256), accepting: [412])
        guard answer.status == 412 else { return Put(isNew: true, version: versionName(answer)) }
        return try wasThere(key, body.count, sha256)
    }

    /// Something has the name: what was sent before and whose answer was lost, or somebody else's.
    func wasThere(_ key: String, _ size: Int64, _ sha256: String) throws(StorageFault) -> Put {
        guard let found = try facts(of: key) else {
            throw StorageFault(.taken, place.shown(key), "something had the name, and is not there any more; try again")
        }
        try compare(found, size, sha256, key)
        return Put(isNew: false, version: found.version)
    }

    /// Compares by the hash, the server's own where it has one. Where nothing says it, all is read.
    func compare(_ found: ObjectFacts, _ size: Int64, _ sha256: String, _ key: String) throws(StorageFault) {
        let isSame: Bool
        if found.size != size {
            isSame = false
        } else if let known = found.sha256 ?? found.toldSHA256 {
            isSame = known == sha256
        } else {
            isSame = try self.sha256(of: key) == sha256
        }
        guard isSame else {
            throw StorageFault(
                .differs, place.shown(key),
                "other bytes have this name there (\(found.size), SHA-256 \(found.sha256 ?? found.toldSHA256 ?? "not told")), and not the \(size) "
                    + "with SHA-256 \(sha256): another program wrote it; nothing was overwritten")
        }
    }

    /// Reads all of an object, for its SHA-256.
    ///
    /// - Parameter version: one of its versions; nil for the newest.
    public func sha256(of key: String, version: String? = nil) throws(StorageFault) -> String {
        var hash = ByteHash()
        _ = try ask(
            BucketRequest(method: "GET", key: key, query: place.dialect.query(version: version)),
            restart: { () throws(Errno) in hash = ByteHash() },
            take: { bytes throws(Errno) in try hash.add(bytes) })
        do throws(Errno) { return try hash.finish() } catch {
            throw StorageFault(.local, place.shown(key), "its SHA-256 cannot be had: \(error)")
        }
    }

    /// A small object; nil when there is none.
    ///
    /// - Parameters:
    ///   - version: one of its versions; nil for the newest.
    ///   - limit: the most that is read, in bytes.
    public func bytes(
        of key: String, version: String? = nil, limit: Int = 1 << 30
    ) throws(StorageFault) -> [UInt8]? {
        var bytes: [UInt8] = []
        let answer = try ask(
            BucketRequest(method: "GET", key: key, query: place.dialect.query(version: version)), accepting: [404],
            restart: { () throws(Errno) in bytes = [] },
            take: { more throws(Errno) in
                guard bytes.count + more.count <= limit else { throw Errno(rawValue: EFBIG) }
                bytes += more
            })
        if answer.status == 404 {
            if AnswerXML(answer.body)?["Code"] == "NoSuchBucket" {
                throw StorageFault(
                    .noBucket, place.shown(key), "GET was refused: NoSuchBucket (404): there is no such bucket")
            }
            return nil
        }
        return bytes
    }

    /// Writes an object's bytes to a file, from where the file ends already.
    ///
    /// - Parameters:
    ///   - file: open to read and write.
    ///   - size: that the object has, in bytes.
    ///   - version: one of its versions; nil for the newest.
    /// - Returns: the SHA-256 of the whole file.
    public func get(
        _ key: String, to file: FileDescriptor, size: Int64, version: String? = nil
    ) throws(StorageFault) -> String {
        func local(_ error: Errno) -> StorageFault {
            StorageFault(.local, place.shown(key), "it cannot be written here: \(error)")
        }
        do throws(Errno) {
            if Int64(try SystemCall.attributes(file).st_size) > size { try SystemCall.truncate(file, to: 0) }
        } catch { throw local(error) }
        for attempt in 0..<Self.tries {
            var place: Int64
            do throws(Errno) { place = Int64(try SystemCall.attributes(file).st_size) } catch { throw local(error) }
            if place == size { break }
            let first = place
            do throws(StorageFault) {
                _ = try ask(
                    BucketRequest(
                        method: "GET", key: key, query: self.place.dialect.query(version: version),
                        headers: first > 0 ? [("range", "bytes=\(first)-\(size - 1)")] : []),
                    restart: { () throws(Errno) in
                        try SystemCall.truncate(file, to: first)
                        place = first
                    },
                    take: { bytes throws(Errno) in
                        guard place + Int64(bytes.count) <= size else { throw Errno(rawValue: EFBIG) }
                        var rest = bytes
                        while !rest.isEmpty {
                            let written = try SystemCall.write(file, at: place, rest)
                            place += Int64(written)
                            rest = UnsafeRawBufferPointer(rebasing: rest[written...])
                        }
                    })
            } catch {
                guard error.kind == .unreachable, attempt + 1 < Self.tries, place > first else { throw error }
            }
        }
        let hash = ByteHash()
        do throws(Errno) {
            try hash.add(file)
            return try hash.finish()
        } catch { throw local(error) }
    }

    /// The objects whose keys begin with something, page by page.
    ///
    /// - Parameter body: told of each; it ends the list with false.
    public func forEach(
        withPrefix prefix: String, _ body: (_ key: String, _ size: Int64) -> Bool
    ) throws(StorageFault) {
        var next: String?
        // A server that never ends is not believed.
        for _ in 0..<1_000_000 {
            var query = [("list-type", "2"), ("prefix", prefix), ("encoding-type", "url")]
            if let next { query.append(("continuation-token", next)) }
            let answer = try ask(BucketRequest(method: "GET", key: "", query: query))
            guard let page = ObjectPage(answer.body) else {
                throw StorageFault(.other, place.shown(prefix), "the server's list cannot be read")
            }
            for one in page.objects where !body(one.key, one.size) { return }
            guard let token = page.next, token != next else { return }
            next = token
        }
    }
}

/// A page of a list of objects (ListObjectsV2).
public struct ObjectPage: Sendable, Hashable {
    /// An object.
    public struct Object: Sendable, Hashable {
        /// All of its key.
        public let key: String
        /// In bytes.
        public let size: Int64
    }

    /// In the order of their keys.
    public let objects: [Object]
    /// What the next page is asked for with; nil of the last.
    public let next: String?

    /// Reads an answer; nil of what is none.
    public init?(_ bytes: [UInt8]) {
        guard let list = AnswerXML(bytes), list.name == "ListBucketResult" else { return nil }
        var objects: [Object] = []
        let isEncoded = list["EncodingType"] == "url"
        for one in list.elements where one.name == "Contents" {
            guard let key = one["Key"], let text = one["Size"], let size = Int64(text), size >= 0 else { return nil }
            guard let decoded = isEncoded ? Self.decoded(key) : key else { return nil }
            objects.append(Object(key: decoded, size: size))
        }
        self.objects = objects
        let token = list["NextContinuationToken"] ?? ""
        next = list["IsTruncated"] == "true" && !token.isEmpty ? token : nil
    }

    /// `+` is a blank, as servers have it in lists.
    private static func decoded(_ text: String) -> String? {
        ObjectKey.percentDecoded(text) { $0 == UInt8(ascii: "+") ? UInt8(ascii: " ") : $0 }
            .flatMap { String(validating: $0, as: UTF8.self) }
    }
}

/// A SHA-256 that is reckoned piece by piece, in closures too.
final class ByteHash {
    private var hash: SHA256?
    private var md5: MessageDigest?

    /// - Parameter withMD5: whether an MD5 is reckoned as well.
    init(withMD5: Bool = false) {
        hash = try? SHA256()
        if withMD5 { md5 = try? MessageDigest(.md5) }
    }

    func add(_ bytes: UnsafeRawBufferPointer) throws(Errno) {
        guard hash != nil else { throw .noFunction }
        hash?.update(bytes)
        md5?.update(bytes)
    }

    func add(_ bytes: [UInt8]) throws(Errno) {
        guard hash != nil else { throw .noFunction }
        bytes.withUnsafeBytes { bytes in
            hash?.update(bytes)
            md5?.update(bytes)
        }
    }

    /// All of a file, or a part of it.
    func add(_ file: FileDescriptor, from offset: Int64 = 0, count: Int64 = .max) throws(Errno) {
        let buffer = UnsafeMutableRawBufferPointer.allocate(byteCount: 1 << 18, alignment: 64)
        defer { buffer.deallocate() }
        var left = count
        var place = offset
        while left > 0 {
            let part = UnsafeMutableRawBufferPointer(rebasing: buffer[..<Int(min(left, 1 << 18))])
            let got = try SystemCall.read(file, at: place, into: part)
            if got == 0 { break }
            try add(UnsafeRawBufferPointer(rebasing: part[..<got]))
            (place, left) = (place &+ Int64(got), left - Int64(got))
        }
    }

    /// The digest; once.
    func finish() throws(Errno) -> String {
        guard var hash = hash.take() else { throw .noFunction }
        return try hash.finish()
    }

    /// The MD5, once; nil where it was not wanted, or the system has none.
    func finishMD5() -> [UInt8]? {
        guard var md5 = md5.take() else { return nil }
        return try? md5.finish()
    }
}
