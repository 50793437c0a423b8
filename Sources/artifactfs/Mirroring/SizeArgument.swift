import Queries

/// Numbers of bytes in options.
enum SizeArgument {
    /// Nobody means more.
    private static let most = 1e18

    /// A number of bytes as in a query: `300000`, `300MB`, `1.5GiB`.
    ///
    /// - Parameter option: what an error calls it.
    static func bytes(_ text: String, of option: String) throws -> Int64 {
        guard let count = ByteCount.parse(text), count >= 1 else {
            throw Failure(.usage, "\(option) \(text): that is a number of bytes, such as 300000, 300MB or 1.5GiB")
        }
        guard count < most else { throw Failure(.usage, "\(option) \(text) is more than there is") }
        return Int64(count)
    }
}
