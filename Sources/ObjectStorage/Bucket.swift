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
    /// Where it is.
    public let place: BucketPlace
    let region: String
    private let chain: CredentialChain
    private var credentials: Credentials?
    private let transfer: Transfer
    /// How far the server's clock is from this one's, in seconds.
    private var skew = 0

    /// How often something is tried.
    static let tries = 7
    /// What is waited at most after the first try, and after any, in milliseconds.
    private static let (firstWait, longestWait): (UInt32, UInt32) = (100, 20_000)

    /// - Parameter limit: the most that is sent in a second, in bytes; nil without a limit.
    public init(_ place: BucketPlace, region: String? = nil, chain: CredentialChain, limit: Int64? = nil)
        throws(StorageFault)
    {
        guard let transfer = Transfer() else { throw StorageFault(.other, place.url, "libcurl cannot be used") }
        (self.place, self.chain, self.transfer) = (place, chain, transfer)
        self.region = region ?? chain.region
        transfer.limit = limit ?? 0
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
            do throws(TransferFault) {
                if hasAsked {
                    do throws(Errno) { try restart() } catch { throw TransferFault.local(error) }
                }
                hasAsked = true
                answer = try once(request, take)
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
            if code == "RequestTimeTooSkewed", learnTime(answer) { continue }
            if code == "ExpiredToken" || code == "RequestExpired" || code == "TokenRefreshRequired" {
                credentials = nil
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
    private static func wait(after attempt: Int) {
        let longest = min(longestWait, firstWait << UInt32(min(attempt - 1, 12)))
        usleep(UInt32.random(in: longest / 2...longest) * 1000)
    }

    private func once(
        _ request: BucketRequest, _ take: ((UnsafeRawBufferPointer) throws(Errno) -> Void)?
    ) throws(TransferFault) -> ServerAnswer {
        let credentials: Credentials
        do throws(CredentialFault) {
            if let known = self.credentials { credentials = known } else { credentials = try chain.credentials() }
        } catch { throw .network(error.text, mayPass: false) }
        self.credentials = credentials
        let (base, host, path) = place.target(request.key, region: region)
        let time = Self.time(movedBy: skew)
        var headers = request.headers
        headers += [("host", host), ("x-amz-date", time), ("x-amz-content-sha256", request.payload)]
        if let token = credentials.sessionToken { headers.append(("x-amz-security-token", token)) }
        guard
            let authorization = RequestSigner(region: region).authorization(
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
        do throws(CredentialFault) { credentials = try chain.credentials() } catch {
            throw StorageFault(.noCredentials, place.url, error.text)
        }
    }

    private static func time(movedBy seconds: Int) -> String {
        var now = Clock.now()
        now.tv_sec = now.tv_sec &+ seconds
        // 2015-08-30T12:36:00.000000000Z
        return String(TimeText.rfc3339(now).prefix { $0 != "." }.filter { $0 != "-" && $0 != ":" }) + "Z"
    }

    /// Goes by the server's clock from now on; false when it did already, or the server does not say.
    private func learnTime(_ answer: ServerAnswer) -> Bool {
        guard skew == 0, let date = answer.headers["date"] else { return false }
        let theirs = curl_getdate(date, nil)
        guard theirs >= 0 else { return false }
        skew = theirs &- Clock.now().tv_sec
        return skew != 0
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
            text += "; the bucket is in region \(region), and \(self.region) was asked: set AWS_REGION"
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
