/// How near two words are.
enum Spelling {
    /// How many letters are to be put in, taken out or changed (Levenshtein).
    static func distance(_ one: String, _ other: String) -> Int {
        let (one, other) = (Array(one.utf8.prefix(64)), Array(other.utf8.prefix(64)))
        var row = Array(0...other.count)
        for (i, a) in one.enumerated() {
            var before = row[0]
            row[0] = i + 1
            for (j, b) in other.enumerated() {
                let cost = min(row[j] + 1, row[j + 1] + 1, before + (a == b ? 0 : 1))
                (before, row[j + 1]) = (row[j + 1], cost)
            }
        }
        return row[other.count]
    }
}
