/// Numbers of bytes in options.
enum SizeArgument {
    /// A number of bytes, or one with K, M, G or T.
    ///
    /// - Parameter option: what an error calls it.
    static func bytes(_ text: String, of option: String) throws -> Int64 {
        let units: [Character: Int64] = ["K": 1 << 10, "M": 1 << 20, "G": 1 << 30, "T": 1 << 40]
        let unit = text.last.flatMap { units[Character($0.uppercased())] }
        let digits = unit == nil ? text[...] : text.dropLast()
        guard let number = Int64(digits), number > 0, digits.allSatisfy(\.isNumber) else {
            throw Failure(.usage, "\(option) \(text): that is a number of bytes, or one with K, M, G or T")
        }
        let (bytes, isOver) = number.multipliedReportingOverflow(by: unit ?? 1)
        guard !isOver else { throw Failure(.usage, "\(option) \(text) is more than there is") }
        return bytes
    }
}
