internal import ArtifactRecords
internal import CCurl
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What a server says of an object.
public struct ObjectFacts: Sendable, Hashable {
    /// In bytes.
    public let size: Int64
    /// The SHA-256 of all its bytes by the server's own reckoning, in lower-case hexadecimal digits; nil where it does not say, as of what was
    /// sent in parts.
    public let sha256: String?
    /// The SHA-256 that was told with it when it was sent.
    public let toldSHA256: String?
    /// Which of an object's versions it is, where the bucket keeps them.
    public let version: String?
}

/// A bucket as one thread asks it. What fails for a moment is tried again.
public final class Bucket {
    /// What it has in common with those of other threads.
    public let access: BucketAccess
    private let transfer: Transfer

    /// Where it is.
    public var place: BucketPlace { access.place }

    /// How often something is tried.
    static let tries = 7
    /// What is waited at most after the first try, and after any, in milliseconds.
    private static let (firstWait, longestWait): (UInt32, UInt32) = (100, 20_000)

    /// A connection of the calling thread's own.
    public init(_ access: BucketAccess) throws(StorageFault) {
        guard let transfer = Transfer(pace: access.pace) else {
            throw StorageFault(.other, access.place.url, "libcurl cannot be used")
        }
        (self.access, self.transfer) = (access, transfer)
    }

    // MARK: - Asking

    /// A request.
    struct BucketRequest {
        var method: String
        var key: String
        var query: [(String, String)] = []
        /// Names in lower case.
        var headers: [(String, String)] = []
        var body = RequestBody.nothing
        var payload = RequestSigner.noBody
    }

    /// Asks once and again, until there is an answer that is no passing trouble.
    ///
    /// - Parameters:
    ///   - accepted: further statuses than 2xx that are answers.
    ///   - restart: called before it is asked again, for who has taken something of an answer.
    func ask(
        _ request: BucketRequest, accepting accepted: Set<Int> = [],
        restart: () throws(Errno) -> Void = {}, take: ((UnsafeRawBufferPointer) throws(Errno) -> Void)? = nil
    ) throws(StorageFault) -> ServerAnswer {
        var last: StorageFault?
        var hasAsked = false
        for attempt in 0..<Self.tries {
            if attempt > 0 { Self.wait(after: attempt) }
            let answer: ServerAnswer
            let credentials: Credentials
            do throws(CredentialFault) { credentials = try access.credentials() } catch {
                throw StorageFault(.noCredentials, place.url, error.text)
            }
            let now = access.time()
            let asked = now.tv_sec
            do throws(TransferFault) {
                if hasAsked {
                    do throws(Errno) { try restart() } catch { throw TransferFault.local(error) }
                }
                hasAsked = true
                answer = try once(request, credentials, Self.text(of: now), take)
            } catch {
                switch error {
                case .network(let text, let mayPass):
                    last = StorageFault(
                        .unreachable, place.shown(request.key), "\(request.method) had no answer: \(text)")
                    if mayPass { continue }
                case .local(let errno):
                    last = StorageFault(
                        .local, place.shown(request.key), "\(request.method) was given up here: \(errno)")
                }
                break
            }
            if (200..<300).contains(answer.status) || accepted.contains(answer.status) { return answer }
            let (fault, code) = fault(request, answer)
            last = fault
            if code == "RequestTimeTooSkewed", learnTime(answer, asked) { continue }
            if code == "ExpiredToken" || code == "RequestExpired" || code == "TokenRefreshRequired" {
                access.forget(credentials)
                continue
            }
            guard Self.passes(answer.status, code) else { break }
        }
        guard let last else { throw StorageFault(.other, place.shown(request.key), "\(request.method) was not tried") }
        throw last
    }

    /// What may be otherwise in a moment.
    private static func passes(_ status: Int, _ code: String?) -> Bool {
        switch status {
        case 408, 409, 429, 500, 502, 503, 504: code != "BucketNotEmpty" && code != "OwnershipControlsNotFoundError"
        case 400:
            ["RequestTimeout", "SlowDown", "IncompleteBody", "BadDigest", "XAmzContentSHA256Mismatch"].contains(code)
        default: false
        }
    }

    /// Longer after each try, and of a random length, so that many who wait do not come back together.
    static func wait(after attempt: Int) {
        let longest = min(longestWait, firstWait << UInt32(min(attempt - 1, 12)))
        usleep(UInt32.random(in: longest / 2...longest) * 1000)
    }

    private func once(
        _ request: BucketRequest, _ credentials: Credentials, _ time: String,
        _ take: ((UnsafeRawBufferPointer) throws(Errno) -> Void)?
    ) throws(TransferFault) -> ServerAnswer {
        let (base, host, path) = place.target(request.key, region: access.region)
        var headers = request.headers
        let ours = place.dialect.prefix
        headers += [("host", host), (ours + "date", time), (ours + "content-sha256", request.payload)]
        // Google's keys have none.
        if place.dialect == .s3, let token = credentials.sessionToken {
            headers.append((ours + "security-token", token))
        }
        guard
            let authorization = place.dialect.signer(region: access.region).authorization(
                request.method, path: path, query: request.query, headers: headers, payload: request.payload,
                time: time, by: credentials)
        else { throw .network("OpenSSL cannot sign", mayPass: false) }
        headers.append(("authorization", authorization))
        let query = RequestSigner.text(of: request.query)
        return try transfer.ask(
            request.method, base + path + (query.isEmpty ? "" : "?" + query),
            headers: headers.map { "\($0.0): \($0.1)" },
            body: request.body, take: take)
    }

    /// Whether there are credentials, before anything is asked.
    public func check() throws(StorageFault) {
        do throws(CredentialFault) { _ = try access.credentials() } catch {
            throw StorageFault(.noCredentials, place.url, error.text)
        }
    }

    private static func text(of time: timespec) -> String {
        // 2015-08-30T12:36:00.000000000Z
        String(TimeText.rfc3339(time).prefix { $0 != "." }.filter { $0 != "-" && $0 != ":" }) + "Z"
    }

    /// Goes by the server's clock from now on; false when it did already, or the server does not say.
    private func learnTime(_ answer: ServerAnswer, _ asked: Int) -> Bool {
        guard let date = answer.headers["date"] else { return false }
        let theirs = curl_getdate(date, nil)
        return theirs >= 0 && access.learn(time: theirs, asked: asked)
    }

    /// What an answer that is none says, and its code.
    private func fault(_ request: BucketRequest, _ answer: ServerAnswer) -> (StorageFault, code: String?) {
        let said = AnswerXML(answer.body)
        let error = said?.name == "Error" ? said : nil
        let code = error?["Code"] ?? (answer.status == 404 && request.method == "HEAD" ? "NotFound" : nil)
        let message = error?["Message"].map { ": " + $0 } ?? ""
        var text = "\(request.method) was refused: \(code ?? "no code") (\(answer.status))\(message)"
        if answer.status == 301 || answer.status == 307 || code == "AuthorizationHeaderMalformed",
            let region = answer.headers["x-amz-bucket-region"] ?? error?["Region"]
        {
            text += "; the bucket is in region \(region), and \(access.region) was asked: set AWS_REGION"
        }
        let kind: StorageFault.Kind =
            switch (answer.status, code) {
            case (_, "NoSuchBucket"): .noBucket
            case (404, _): .missing
            case (401, _), (403, _): .denied
            case (412, _): .taken
            default: .other
            }
        return (StorageFault(kind, place.shown(request.key), text), code)
    }
}
