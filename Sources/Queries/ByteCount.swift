/// Sizes as people write them.
public enum ByteCount {
    /// The bytes of a unit: `kB`, `MB`, ... of thousands, `KiB`, `MiB`, ... of 1024, without regard to case; nil of none.
    static func unit(_ text: String) -> Double? {
        switch text.lowercased() {
        case "", "b", "byte", "bytes": 1
        case "k", "kb": 1e3
        case "m", "mb": 1e6
        case "g", "gb": 1e9
        case "t", "tb": 1e12
        case "kib": 1024
        case "mib": 1_048_576
        case "gib": 1_073_741_824
        case "tib": 1_099_511_627_776
        default: nil
        }
    }

    /// A number of bytes; nil of what is none.
    public static func parse(_ text: String) -> Double? {
        let unit = text.utf8.reversed().prefix { !"0123456789.".utf8.contains($0) }.count
        let number = String(decoding: text.utf8.dropLast(unit), as: UTF8.self)
        guard let count = QueryParser.number(number), count >= 0,
            let factor = self.unit(String(decoding: text.utf8.suffix(unit), as: UTF8.self))
        else { return nil }
        return count * factor
    }
}
