/// The address of a remote as it may be shown: without whatever could be a credential (git-fetch(1), "GIT URLS").
enum RemoteAddress {
    private static let limit = 2048

    /// - Returns: nil where it cannot be told what is a credential, for an address that is a command (`ext::`), and for what is no text.
    static func shown(_ address: [UInt8]) -> String? {
        guard address.count <= limit, let text = String(validating: address, as: UTF8.self), !text.isEmpty,
            text.unicodeScalars.allSatisfy({ $0.value >= 0x20 && !(0x7F...0x9F).contains($0.value) })
        else { return nil }
        let scheme = text.prefix { isOfScheme($0) }
        let rest = text[scheme.endIndex...]
        if !scheme.isEmpty, rest.hasPrefix("://") { return withScheme(String(scheme), rest.dropFirst(3)) }
        // Another program's, which may take anything, such as a command line.
        if !scheme.isEmpty, rest.hasPrefix("::") { return nil }
        return withoutScheme(text)
    }

    private static func isOfScheme(_ character: Character) -> Bool {
        character.isASCII && (character.isLetter || character.isNumber || "+-.".contains(character))
    }

    /// `scheme://user:password@host:port/path?query#fragment`: user, password, query and fragment are left out.
    private static func withScheme(_ scheme: String, _ rest: Substring) -> String? {
        // A file's path is all path.
        if scheme.lowercased() == "file" { return rest.contains("@") ? nil : scheme + "://" + rest }
        guard !rest.contains(" ") else { return nil }
        let plain = rest.prefix { $0 != "?" && $0 != "#" }
        let slash = plain.firstIndex(of: "/") ?? plain.endIndex
        let (authority, path) = (plain[..<slash], plain[slash...])
        let host = authority.lastIndex(of: "@").map { authority[authority.index(after: $0)...] } ?? authority
        // A password with a slash in it looks like a port that is none, or like a query with an @.
        guard !host.isEmpty, hasPortOrNone(host), !path.contains("@"),
            authority.contains("@") || !rest[plain.endIndex...].contains("@")
        else { return nil }
        return scheme + "://" + host + path
    }

    private static func hasPortOrNone(_ host: Substring) -> Bool {
        // What is in brackets is an address of IPv6.
        let after = host.lastIndex(of: "]").map { host[host.index(after: $0)...] } ?? host
        guard let colon = after.firstIndex(of: ":") else { return true }
        return after[after.index(after: colon)...].allSatisfy { $0.isASCII && $0.isNumber }
    }

    /// A path, or `user@host:path`.
    private static func withoutScheme(_ text: String) -> String? {
        let slash = text.firstIndex(of: "/") ?? text.endIndex
        guard text[..<slash].contains(":") else { return text }
        guard !text.contains(" ") else { return nil }
        let address = text[..<slash].lastIndex(of: "@").map { text[text.index(after: $0)...] } ?? text[...]
        guard !address.contains("@"), !address.hasPrefix(":"), address.contains(":") else { return nil }
        return String(address)
    }
}

extension GitConfig {
    /// The address of the remote that a branch is of, as it may be shown: its own, else `origin`, else the only one there is.
    ///
    /// - Parameter branch: nil when none is checked out.
    func remote(ofBranch branch: [UInt8]?) -> String? {
        let own = branch.flatMap { value("branch", of: $0, "remote") }
        if let own { return remote(named: own) }
        let names = subsections(of: "remote").filter { !values("remote", of: $0, "url").isEmpty }
        let origin = Array("origin".utf8)
        if names.contains(origin) { return remote(named: origin) }
        return names.count == 1 ? names.first.flatMap { remote(named: $0) } : nil
    }

    /// Of several addresses the first is the one that is fetched from; an empty one begins the list anew.
    private func remote(named name: [UInt8]) -> String? {
        let addresses = values("remote", of: name, "url").compactMap { $0 }
        let counting = addresses.lastIndex(of: []).map { addresses[addresses.index(after: $0)...] } ?? addresses[...]
        if let first = counting.first { return RemoteAddress.shown(first) }
        // A branch may name an address instead of a remote; `.` is this repository.
        guard addresses.isEmpty, name.contains(UInt8(ascii: "/")) || name.contains(UInt8(ascii: ":")) else {
            return nil
        }
        return RemoteAddress.shown(name)
    }
}
