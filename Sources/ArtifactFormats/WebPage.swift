/// A page that a server sent where a file was expected, saved under the file's name: it may be UTF-8 and have one column in each line.
enum WebPage {
    /// What a page begins with, in small letters.
    private static let beginnings = ["<!doctype", "<html", "<head", "<body", "<title", "<script", "<!--", "<?xml"].map {
        Array($0.utf8)
    }
    /// How much of a file tells.
    static let window = 1024

    /// Refuses what begins as a page, after a byte order mark and blanks.
    static func refuse(_ head: some Collection<UInt8>) throws(FormatError) {
        var text = head.prefix(window)[...]
        if text.starts(with: [0xEF, 0xBB, 0xBF]) { text = text.dropFirst(3) }
        let start = text.drop { JSONText.isBlank($0) }.prefix(20)
        guard start.first == UInt8(ascii: "<") else { return }
        let small = start.map { (0x41...0x5A).contains($0) ? $0 | 0x20 : $0 }
        guard beginnings.contains(where: { small.starts(with: $0) }) else { return }
        throw .invalid(
            reason: "it begins with \"\(Excerpt.text(start))\": a web page, such as a server's error page, "
                + "and not the data that its name tells")
    }
}
