/// Takes secrets out of command lines and of the values of environments, as far as their form shows them: what is written into a record is
/// there for good.
///
/// A password that looks like any other word, such as the second word of `login anna 1234`, nobody can tell.
package enum ArgumentMask {
    /// What stands for a secret.
    package static let mask = "***"

    /// The same arguments without what their names, or their form, say is secret.
    package static func masked(_ arguments: [String]) -> [String] {
        var all: [String] = []
        all.reserveCapacity(arguments.count)
        var isNextSecret = false
        let own = arguments.first.map(ownOptions) ?? []
        for argument in arguments {
            if isNextSecret, !argument.isEmpty {
                all.append(mask)
                isNextSecret = false
                continue
            }
            isNextSecret = isOption(argument) || own.contains(argument)
            // `-pSECRET`.
            if let option = own.first(where: { $0.utf8.count == 2 && argument.utf8.count > 2 && argument.hasPrefix($0) }
            ) {
                all.append(option + mask)
            } else {
                all.append(masked(argument))
            }
        }
        return all
    }

    /// The options of a program whose values are secrets, though their names do not say it.
    private static func ownOptions(_ program: String) -> [String] {
        switch program.utf8.split(separator: UInt8(ascii: "/")).last.flatMap({ String($0) }) ?? "" {
        case "curl": ["-u", "--user", "-U", "--proxy-user"]
        case "sshpass", "mysql", "mysqldump", "mariadb", "mariadb-dump", "mongo", "mongosh", "smbclient": ["-p"]
        case "ldapsearch": ["-w"]
        case "redis-cli": ["-a"]
        default: []
        }
    }

    /// One text, such as a script that was given as an argument.
    package static func masked(_ text: String) -> String {
        var bytes = Array(text.utf8)
        // Most have nothing in them that could lead to one.
        guard bytes.contains(where: { $0 == UInt8(ascii: "=") || $0 == UInt8(ascii: ":") }) || hasToken(bytes) else {
            return text
        }
        maskValues(&bytes)
        maskUserInformation(&bytes)
        maskTokens(&bytes)
        return String(decoding: bytes, as: UTF8.self)
    }

    // MARK: - Names

    /// Words that a name ends with, or that are all of it, whose value is a secret; without `-` and `_`, in small letters.
    private static let secretNames = [
        "password", "passwd", "passphrase", "passwort", "token", "secret", "apikey", "accesskey", "secretkey",
        "accesskeyid", "privatekey", "authkey", "credential", "credentials", "authorization", "bearer", "sessionkey",
        "signature", "oauth", "pwd", "pass", "sastoken", "connectionstring",
    ].map { Array($0.utf8) }

    /// Names with such an ending that say where something is, or what it is called, or how much.
    private static let harmlessNames = [
        "bypass", "compass", "maxtoken", "eostoken", "padtoken", "oldpwd", "multipass", "singlepass",
    ]
    .map { Array($0.utf8) }

    /// Whether an argument is an option whose value is the next one: `--password`, `-token`.
    private static func isOption(_ argument: String) -> Bool {
        guard argument.utf8.first == UInt8(ascii: "-") else { return false }
        return isSecretName(Array(argument.utf8.drop { $0 == UInt8(ascii: "-") })[...])
    }

    /// Whether what a name stands for is a secret.
    package static func isSecretName(_ name: ArraySlice<UInt8>) -> Bool {
        guard name.count <= 64 else { return false }
        var plain: [UInt8] = []
        for byte in name where byte != UInt8(ascii: "-") && byte != UInt8(ascii: "_") {
            plain.append(byte | (byte >= UInt8(ascii: "A") && byte <= UInt8(ascii: "Z") ? 0x20 : 0))
        }
        // The working directory of every shell.
        if plain == Array("pwd".utf8), name.first != UInt8(ascii: "p") { return false }
        guard !harmlessNames.contains(where: { plain.ends(with: $0) }) else { return false }
        return secretNames.contains { plain.ends(with: $0) }
    }

    private static func isNameByte(_ byte: UInt8) -> Bool {
        switch byte {
        case UInt8(ascii: "a")...UInt8(ascii: "z"), UInt8(ascii: "A")...UInt8(ascii: "Z"),
            UInt8(ascii: "0")...UInt8(ascii: "9"), UInt8(ascii: "_"), UInt8(ascii: "-"):
            true
        default: byte >= 0x80
        }
    }

    // MARK: - Values

    /// `NAME=value`, `name: value`, `"name": "value"`, wherever it stands: the value of a secret name.
    private static func maskValues(_ bytes: inout [UInt8]) {
        var result: [UInt8] = []
        result.reserveCapacity(bytes.count)
        var index = 0
        var nameStart: Int?
        while index < bytes.count {
            let byte = bytes[index]
            if isNameByte(byte) {
                if nameStart == nil { nameStart = index }
                result.append(byte)
                index += 1
                continue
            }
            guard let start = nameStart else {
                result.append(byte)
                index += 1
                continue
            }
            nameStart = nil
            let name = bytes[start..<index]
            guard let value = valueStart(bytes, after: index), isSecretName(name) else {
                result.append(byte)
                index += 1
                continue
            }
            result.append(contentsOf: bytes[index..<value])
            result.append(contentsOf: mask.utf8)
            index = valueEnd(bytes, from: value, isLine: name.count >= 13)
        }
        bytes = result
    }

    /// Where a value begins after a name that ends here; nil when there is none.
    private static func valueStart(_ bytes: [UInt8], after index: Int) -> Int? {
        var at = index
        if at < bytes.count, isQuote(bytes[at]) { at += 1 }
        while at < bytes.count, bytes[at] == UInt8(ascii: " ") { at += 1 }
        guard at < bytes.count, bytes[at] == UInt8(ascii: "=") || bytes[at] == UInt8(ascii: ":") else { return nil }
        at += 1
        // Comparisons, and what is asked for where a URL or a namespace goes on.
        if at < bytes.count,
            bytes[at] == UInt8(ascii: "=") || bytes[at] == UInt8(ascii: ":") || bytes[at] == UInt8(ascii: "/")
        {
            return nil
        }
        while at < bytes.count, bytes[at] == UInt8(ascii: " ") { at += 1 }
        if at < bytes.count, isQuote(bytes[at]) { at += 1 }
        return at < bytes.count && !isEnd(bytes[at]) ? at : nil
    }

    /// - Parameter isLine: of a header, whose value has spaces in it: `Authorization: Bearer x`.
    private static func valueEnd(_ bytes: [UInt8], from start: Int, isLine: Bool) -> Int {
        let quote = start > 0 && isQuote(bytes[start - 1]) ? bytes[start - 1] : 0
        var at = start
        while at < bytes.count {
            if quote != 0 ? bytes[at] == quote : isEnd(bytes[at]) && !(isLine && bytes[at] == UInt8(ascii: " ")) {
                break
            }
            at += 1
        }
        return at
    }

    private static func isQuote(_ byte: UInt8) -> Bool { byte == UInt8(ascii: "'") || byte == UInt8(ascii: "\"") }

    private static func isEnd(_ byte: UInt8) -> Bool {
        switch byte {
        case 0...0x20, UInt8(ascii: "'"), UInt8(ascii: "\""), UInt8(ascii: ";"), UInt8(ascii: "&"), UInt8(ascii: ","),
            UInt8(ascii: ")"), UInt8(ascii: "}"), UInt8(ascii: "|"):
            true
        default: false
        }
    }

    // MARK: - URLs

    /// `scheme://user:password@host`: the password, and a user's name that stands alone, which may be a token.
    private static func maskUserInformation(_ bytes: inout [UInt8]) {
        var start = 3
        while start <= bytes.count {
            defer { start += 1 }
            guard bytes[start - 1] == UInt8(ascii: "/"), bytes[start - 2] == UInt8(ascii: "/"),
                bytes[start - 3] == UInt8(ascii: ":")
            else { continue }
            let authority = bytes[start...].prefix {
                $0 > 0x20 && $0 != UInt8(ascii: "/") && $0 != UInt8(ascii: "?") && !isQuote($0)
            }
            guard let at = authority.lastIndex(of: UInt8(ascii: "@")) else { continue }
            let colon = bytes[start..<at].firstIndex(of: UInt8(ascii: ":"))
            let secret = colon.map { $0 + 1 } ?? start
            bytes.replaceSubrange(secret..<at, with: mask.utf8)
        }
    }

    // MARK: - Tokens

    /// How the tokens of services begin, by which they are found in what was published by mistake.
    private static let tokenBeginnings = [
        "ghp_", "gho_", "ghs_", "ghu_", "github_pat_", "glpat-", "xoxb-", "xoxp-", "xoxa-", "hf_", "sk-", "AKIA",
        "ASIA",
        "AIza", "eyJ", "npm_", "pypi-",
    ].map { Array($0.utf8) }

    /// They are that long at least.
    private static let shortestToken = 20

    /// The next word that may be one, from a place on. Of every argument of every process that is asked: nothing is copied.
    private static func token(in bytes: [UInt8], from start: Int) -> Range<Int>? {
        var index = start
        while index < bytes.count {
            var end = index
            while end < bytes.count, isNameByte(bytes[end]) || bytes[end] == UInt8(ascii: ".") { end += 1 }
            if end - index >= shortestToken, tokenBeginnings.contains(where: { begins(bytes, at: index, with: $0) }) {
                return index..<end
            }
            index = max(end, index + 1)
        }
        return nil
    }

    private static func begins(_ bytes: [UInt8], at start: Int, with beginning: [UInt8]) -> Bool {
        for (offset, byte) in beginning.enumerated() where bytes[start + offset] != byte { return false }
        return true
    }

    private static func hasToken(_ bytes: [UInt8]) -> Bool { token(in: bytes, from: 0) != nil }

    private static func maskTokens(_ bytes: inout [UInt8]) {
        var index = 0
        while let word = token(in: bytes, from: index) {
            bytes.replaceSubrange(word, with: mask.utf8)
            index = word.lowerBound + mask.utf8.count
        }
    }
}

extension Collection where Element == UInt8 {
    fileprivate func ends(with other: [UInt8]) -> Bool {
        count >= other.count && suffix(other.count).elementsEqual(other)
    }
}
