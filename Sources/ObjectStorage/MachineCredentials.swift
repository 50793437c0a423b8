internal import ArtifactRecords

/// Credentials that the machine has for what runs on it: a container's, or an instance's role (IMDSv2). They are asked for over HTTP, from an
/// address that leads out of no network.
struct MachineCredentials {
    let environment: [String: String]
    /// Reads a small file; nil of one that cannot be read.
    let read: @Sendable (String) -> String?

    /// Where a container's come from when only a path is named, and where an instance's do.
    private static let (containers, instance) = ("http://169.254.170.2", "http://169.254.169.254")
    /// Whom a container's token may be told without encryption, by AWS's rule: this machine, and what serves its containers.
    private static let near = ["127.0.0.1", "localhost", "[::1]", "169.254.170.2", "169.254.170.23", "[fd00:ec2::23]"]

    private func value(_ name: String) -> String? { environment[name].flatMap { $0.isEmpty ? nil : $0 } }

    /// What there is; nil where the machine has none.
    func credentials() throws(CredentialFault) -> Credentials? {
        if let found = try ofContainer() { return found }
        guard value("AWS_EC2_METADATA_DISABLED")?.lowercased() != "true" else { return nil }
        return try ofInstance()
    }

    private func ofContainer() throws(CredentialFault) -> Credentials? {
        let url: String
        if let path = value("AWS_CONTAINER_CREDENTIALS_RELATIVE_URI") {
            url = Self.containers + path
        } else if let whole = value("AWS_CONTAINER_CREDENTIALS_FULL_URI") {
            url = whole
        } else {
            return nil
        }
        guard Self.isNear(url) else {
            throw CredentialFault(
                text:
                    "AWS_CONTAINER_CREDENTIALS_FULL_URI is neither https:// nor http:// to this machine: nothing was asked there"
            )
        }
        var token = value("AWS_CONTAINER_AUTHORIZATION_TOKEN")
        if let file = value("AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE") {
            guard let text = read(file) else {
                throw CredentialFault(text: "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE cannot be read: \(file)")
            }
            token = text.split(whereSeparator: \.isNewline).first.map(String.init)
        }
        // A line break would begin a header of its own.
        guard token?.utf8.allSatisfy({ $0 >= 32 }) ?? true else {
            throw CredentialFault(text: "the token for the container's credentials has a line break in it")
        }
        guard let answer = Self.ask("GET", url, token.map { ["Authorization: " + $0] } ?? []) else {
            throw CredentialFault(text: "the container's credentials were asked for, and nothing answered")
        }
        return try Self.understand(answer, "the container's credentials")
    }

    private func ofInstance() throws(CredentialFault) -> Credentials? {
        let named = value("AWS_EC2_METADATA_SERVICE_ENDPOINT") ?? Self.instance
        let place = (named.last == "/" ? String(named.dropLast()) : named) + "/latest"
        // Most machines are no instances: then nobody answers.
        guard
            let token = Self.text(
                Self.ask("PUT", place + "/api/token", ["X-aws-ec2-metadata-token-ttl-seconds: 21600"]))
        else { return nil }
        let headers = ["X-aws-ec2-metadata-token: " + token]
        let roles = place + "/meta-data/iam/security-credentials/"
        guard let role = Self.text(Self.ask("GET", roles, headers)) else {
            throw CredentialFault(text: "this instance has no role: give it one, or name credentials")
        }
        guard let answer = Self.ask("GET", roles + ObjectKey.percentEncoded(role), headers) else {
            throw CredentialFault(
                text: "the credentials of the instance's role '\(role)' were asked for, and nothing answered")
        }
        return try Self.understand(answer, "the instance's role '\(role)'")
    }

    private static func isNear(_ url: String) -> Bool {
        if url.hasPrefix("https://") { return true }
        guard url.hasPrefix("http://") else { return false }
        let rest = url.dropFirst("http://".count)
        let host = rest.prefix { !"/?#".contains($0) }
        // Who has a name before the place would be sent elsewhere than it looks.
        return near.contains { host == $0 || host.hasPrefix($0 + ":") && !host.contains("@") }
    }

    /// Asks, for a few seconds at most; nil where there is no answer.
    private static func ask(_ method: String, _ url: String, _ headers: [String]) -> ServerAnswer? {
        guard let transfer = Transfer(pace: nil, patience: patience) else { return nil }
        return try? transfer.ask(method, url, headers: headers, body: .nothing)
    }

    /// Until there is a connection, and until there is an answer, in milliseconds.
    private static let patience = (connecting: 1000, all: 5000)

    /// One word of an answer, which is to be a header or a part of a path.
    private static func text(_ answer: ServerAnswer?) -> String? {
        guard let answer, answer.status == 200, let text = String(validating: answer.body, as: UTF8.self),
            let word = text.split(whereSeparator: \.isNewline).first, !word.isEmpty, word.utf8.count <= 4096
        else { return nil }
        return String(word)
    }

    private static func understand(_ answer: ServerAnswer, _ whose: String) throws(CredentialFault) -> Credentials {
        guard answer.status == 200, let told = JSONValue(parsing: answer.body),
            let access = told["AccessKeyId"]?.string, let secret = told["SecretAccessKey"]?.string
        else { throw CredentialFault(text: "\(whose): what answers tells none (\(answer.status))") }
        return Credentials(accessKey: access, secret: secret, sessionToken: told["Token"]?.string)
    }
}
