internal import CCurl
internal import Glibc
internal import SystemCalls
internal import SystemPackage

/// What a request sends.
enum RequestBody {
    case nothing
    case bytes([UInt8])
    /// A part of a file, which is read while it is sent.
    case file(FileDescriptor, offset: Int64, count: Int64)

    var count: Int64 {
        switch self {
        case .nothing: 0
        case .bytes(let bytes): Int64(bytes.count)
        case .file(_, _, let count): count
        }
    }
}

/// What a server answered.
struct ServerAnswer {
    var status = 0
    /// Names in lower case.
    var headers: [String: String] = [:]
    /// What was not given to who asked: of an error, and where nobody takes it.
    var body: [UInt8] = []
}

/// Why there is no answer.
enum TransferFault: Error {
    /// Of libcurl: what it says, for people, and whether trying again may help.
    case network(String, mayPass: Bool)
    /// Who takes the answer, or the file that is sent, has trouble.
    case local(Errno)
}

/// One connection to a server, for one thread at a time: libcurl's easy interface. What it has open is used again.
final class Transfer {
    /// The longest answer that is kept in memory, in bytes.
    private static let longestAnswer = 32 << 20
    /// Seconds until a connection, and in which not one byte comes, before it is given up.
    private static let (connecting, silence) = (15, 60)

    private static let isReady = curl_global_init(Int(CURL_GLOBAL_ALL)) == CURLE_OK

    private let handle: UnsafeMutableRawPointer
    private let pace: SendPace?
    private let patience: (connecting: Int, all: Int)?

    /// - Parameter patience: until there is a connection, and until all is done, in milliseconds; nil of what may take as long as something comes.
    ///   With it nothing goes by a proxy.
    /// - Returns: nil when libcurl cannot.
    init?(pace: SendPace?, patience: (connecting: Int, all: Int)? = nil) {
        guard Self.isReady, let handle = curl_easy_init() else { return nil }
        (self.handle, self.pace, self.patience) = (handle, pace, patience)
    }

    deinit { curl_easy_cleanup(handle) }

    /// What is under way; libcurl's callbacks see it.
    private final class Exchange {
        let body: RequestBody
        let take: ((UnsafeRawBufferPointer) throws(Errno) -> Void)?
        var sent: Int64 = 0
        var answer = ServerAnswer()
        var trouble: Errno?

        let pace: SendPace?

        init(_ body: RequestBody, _ pace: SendPace?, _ take: ((UnsafeRawBufferPointer) throws(Errno) -> Void)?) {
            (self.body, self.pace, self.take) = (body, pace, take)
        }

        func give(_ buffer: UnsafeMutableRawBufferPointer) -> Int {
            let room = min(buffer.count, Int(clamping: body.count - sent), pace?.most ?? .max)
            guard room > 0 else { return 0 }
            pace?.wait(room)
            var got = 0
            switch body {
            case .nothing: return 0
            case .bytes(let bytes):
                bytes.withUnsafeBytes { all in
                    let part = UnsafeRawBufferPointer(rebasing: all[Int(sent)..<Int(sent) + room])
                    buffer.copyMemory(from: part)
                }
                got = room
            case .file(let file, let offset, _):
                do throws(Errno) {
                    got = try SystemCall.read(
                        file, at: offset &+ sent, into: UnsafeMutableRawBufferPointer(rebasing: buffer[..<room]))
                    // It is shorter than it was.
                    if got == 0 { throw .ioError }
                } catch {
                    trouble = error
                    return Int(CURL_READFUNC_ABORT)
                }
            }
            sent += Int64(got)
            return got
        }

        func receive(_ bytes: UnsafeRawBufferPointer) -> Bool {
            if let take, (200..<300).contains(answer.status) {
                do throws(Errno) { try take(bytes) } catch {
                    trouble = error
                    return false
                }
                return true
            }
            guard answer.body.count + bytes.count <= Transfer.longestAnswer else {
                trouble = Errno(rawValue: EFBIG)
                return false
            }
            answer.body += bytes
            return true
        }

        func hear(_ line: String) {
            if line.hasPrefix("HTTP/") {
                // The last one counts: 100 comes before it.
                answer = ServerAnswer()
                let words = line.split(separator: " ")
                answer.status = words.count > 1 ? Int(words[1]) ?? 0 : 0
                return
            }
            guard let colon = line.firstIndex(of: ":") else { return }
            let value = line[line.index(after: colon)...].drop { $0 == " " || $0 == "\t" }
            var end = value
            while end.last?.isWhitespace == true { end = end.dropLast() }
            answer.headers[line[..<colon].lowercased()] = String(end)
        }
    }

    /// Asks a server.
    ///
    /// - Parameters:
    ///   - headers: whole lines.
    ///   - take: gets the body of a success, piece by piece.
    func ask(
        _ method: String, _ url: String, headers: [String], body: RequestBody,
        take: ((UnsafeRawBufferPointer) throws(Errno) -> Void)? = nil
    ) throws(TransferFault) -> ServerAnswer {
        let exchange = Exchange(body, pace, take)
        curl_easy_reset(handle)
        var lines: UnsafeMutablePointer<curl_slist>?
        defer { curl_slist_free_all(lines) }
        // No waiting for "100 Continue", and no header that libcurl would add unsigned.
        for line in headers + ["Expect:", "Content-Type:"] {
            guard let more = curl_slist_append(lines, line) else { throw .local(.noMemory) }
            lines = more
        }
        var reason = [CChar](repeating: 0, count: Int(CURL_ERROR_SIZE))
        let code = reason.withUnsafeMutableBufferPointer { reason in
            withExtendedLifetime(exchange) {
                prepare(method, url, lines, exchange, UnsafeMutableRawPointer(reason.baseAddress))
                let code = curl_easy_perform(handle)
                ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, nil)
                return code
            }
        }
        if let trouble = exchange.trouble { throw .local(trouble) }
        guard code == CURLE_OK else {
            let text = String(decoding: reason.prefix { $0 != 0 }.map { UInt8(bitPattern: $0) }, as: UTF8.self)
            throw .network(
                text.isEmpty ? String(cString: curl_easy_strerror(code)) : text,
                mayPass: !Self.lasting.contains(code.rawValue))
        }
        return exchange.answer
    }

    /// What stays as it is, however often it is tried.
    private static let lasting: Set<UInt32> = [
        CURLE_URL_MALFORMAT.rawValue, CURLE_UNSUPPORTED_PROTOCOL.rawValue, CURLE_PEER_FAILED_VERIFICATION.rawValue,
        CURLE_SSL_CACERT_BADFILE.rawValue,
    ]

    private func prepare(
        _ method: String, _ url: String, _ lines: UnsafeMutablePointer<curl_slist>?, _ exchange: Exchange,
        _ reason: UnsafeMutableRawPointer?
    ) {
        let context = Unmanaged.passUnretained(exchange).toOpaque()
        ccurl_set_pointer(handle, CURLOPT_ERRORBUFFER, reason)
        ccurl_set_text(handle, CURLOPT_URL, url)
        ccurl_set_text(handle, CURLOPT_PROTOCOLS_STR, "http,https")
        ccurl_set_text(handle, CURLOPT_CUSTOMREQUEST, method)
        ccurl_set_number(handle, CURLOPT_PATH_AS_IS, 1)
        ccurl_set_number(handle, CURLOPT_NOSIGNAL, 1)
        ccurl_set_number(handle, CURLOPT_CONNECTTIMEOUT, Self.connecting)
        if let patience {
            ccurl_set_number(handle, CURLOPT_CONNECTTIMEOUT_MS, patience.connecting)
            ccurl_set_number(handle, CURLOPT_TIMEOUT_MS, patience.all)
            ccurl_set_text(handle, CURLOPT_PROXY, "")
        }
        ccurl_set_number(handle, CURLOPT_LOW_SPEED_LIMIT, 1)
        ccurl_set_number(handle, CURLOPT_LOW_SPEED_TIME, Self.silence)
        ccurl_set_number(handle, CURLOPT_BUFFERSIZE, 256 << 10)
        ccurl_set_pointer(handle, CURLOPT_HTTPHEADER, UnsafeMutableRawPointer(lines))
        if method == "HEAD" { ccurl_set_number(handle, CURLOPT_NOBODY, 1) }
        if method == "PUT" || method == "POST" {
            ccurl_set_number(handle, CURLOPT_UPLOAD, 1)
            ccurl_set_number(handle, CURLOPT_UPLOAD_BUFFERSIZE, 256 << 10)
            ccurl_set_size(handle, CURLOPT_INFILESIZE_LARGE, curl_off_t(exchange.body.count))
        }
        ccurl_set_transfer(handle, CURLOPT_READFUNCTION) { buffer, size, count, context in
            guard let buffer, let context else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
            return exchange.give(UnsafeMutableRawBufferPointer(start: buffer, count: size &* count))
        }
        ccurl_set_pointer(handle, CURLOPT_READDATA, context)
        // A connection that was closed meanwhile: all is sent again on another.
        ccurl_set_seek(handle) { context, offset, origin in
            guard let context, origin == SEEK_SET, offset >= 0 else { return CURL_SEEKFUNC_CANTSEEK }
            Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue().sent = Int64(offset)
            return CURL_SEEKFUNC_OK
        }
        ccurl_set_pointer(handle, CURLOPT_SEEKDATA, context)
        ccurl_set_transfer(handle, CURLOPT_WRITEFUNCTION) { buffer, size, count, context in
            guard let buffer, let context else { return 0 }
            let exchange = Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue()
            return exchange.receive(UnsafeRawBufferPointer(start: buffer, count: size &* count)) ? size &* count : 0
        }
        ccurl_set_pointer(handle, CURLOPT_WRITEDATA, context)
        ccurl_set_transfer(handle, CURLOPT_HEADERFUNCTION) { buffer, size, count, context in
            guard let buffer, let context else { return 0 }
            let bytes = UnsafeRawBufferPointer(start: buffer, count: size &* count)
            Unmanaged<Exchange>.fromOpaque(context).takeUnretainedValue().hear(String(decoding: bytes, as: UTF8.self))
            return size &* count
        }
        ccurl_set_pointer(handle, CURLOPT_HEADERDATA, context)
    }
}
