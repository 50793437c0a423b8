internal import Glibc

/// The names of users, by their numbers.
enum UserNames {
    /// Where a user has no name, the number.
    static func name(_ user: Int64) -> String {
        guard let id = UInt32(exactly: user), let entry = getpwuid(id), let name = entry.pointee.pw_name else {
            return "\(user)"
        }
        return String(cString: name)
    }
}
