import SystemPackage

/// A plain model of what the mount shows: one dictionary, no files, no threads. The only other definition of correctness.
///
/// It states SEMANTICS 2's table by itself, so that a mistake in the policy core or in the driver shows as a difference.
struct Model {
    /// The directories that the streams work in.
    enum Place: Int, CaseIterable {
        case production, otherProduction, session, test
        var isProduction: Bool { self == .production || self == .otherProduction }
    }

    enum State: String {
        case transient, writing, empty, sealed, live
    }

    final class File {
        var bytes: [UInt8] = []
        var isSealed = false
        var writers = 0
        /// Where it is named; nil once it is removed.
        var name: Name?
    }

    struct Name: Hashable, CustomStringConvertible {
        var place: Place
        var text: String
        var description: String { "\(place)/\(text)" }
    }

    /// What a name means, by a table of the names that the streams use.
    enum Meaning { case valid, transient, invalid }

    static let names: [(text: String, meaning: Meaning)] = [
        ("chr1.tsv", .valid), ("chr2.tsv", .valid), ("chrUn_K.1.tsv", .valid),
        ("tmpfile", .transient), (".chr1.tsv.swp", .transient), ("chr1.tsv.a1B2c3", .transient), ("x.part", .transient),
        ("notes.txt", .invalid), ("chr1.parquet", .invalid),
    ]

    static func meaning(_ text: String) -> Meaning { names.first { $0.text == text }?.meaning ?? .invalid }

    var files: [Name: File] = [:]

    func state(of file: File) -> State {
        guard let name = file.name else { return .transient }
        if Self.meaning(name.text) == .transient { return .transient }
        guard name.place.isProduction else { return .live }
        if file.isSealed { return .sealed }
        return file.writers > 0 ? .writing : .empty
    }

    /// Whether the bytes are a whole TSV: a header, as many columns in every row, and a final newline.
    static func isWhole(_ bytes: [UInt8]) -> Bool {
        guard bytes.last == UInt8(ascii: "\n"), !bytes.contains(0) else { return false }
        let rows = bytes.split(separator: UInt8(ascii: "\n"), omittingEmptySubsequences: false).dropLast()
        let columns = Set(rows.map { $0.filter { $0 == UInt8(ascii: "\t") }.count })
        let header = rows.first ?? []
        return columns.count == 1 && header.contains { $0 != UInt8(ascii: "\t") }
    }

    // MARK: - Operations: nil is success

    mutating func create(_ name: Name, exclusive: Bool, truncating: Bool) -> (Errno?, File?) {
        if let file = files[name] {
            if exclusive { return (.fileExists, nil) }
            let error = openToWrite(file, truncating: truncating)
            return (error, error == nil ? file : nil)
        }
        if Self.meaning(name.text) == .invalid { return (.invalidArgument, nil) }
        let file = File()
        file.name = name
        file.writers = 1
        files[name] = file
        return (nil, file)
    }

    func openToWrite(_ file: File, truncating: Bool) -> Errno? {
        switch (state(of: file), truncating) {
        case (.writing, true), (.sealed, true): return .fileExists
        case (.sealed, false): return .notPermitted
        case (.writing, false), (.transient, _), (.empty, _), (.live, _):
            if truncating { file.bytes = [] }
            file.writers += 1
            return nil
        }
    }

    /// The last close of the last writer publishes, or refuses what is not whole.
    ///
    /// - Returns: what `close` says.
    mutating func close(_ file: File) -> Errno? {
        let state = state(of: file)
        file.writers -= 1
        let bad = state == .writing && !file.bytes.isEmpty && !Self.isWhole(file.bytes)
        if state == .writing, file.writers == 0, !file.bytes.isEmpty { publish(file) }
        return bad ? .invalidArgument : nil
    }

    private mutating func publish(_ file: File) {
        guard let name = file.name else { return }
        if Self.isWhole(file.bytes) {
            file.isSealed = true
        } else {
            files[name] = nil
            file.name = nil
        }
    }

    mutating func unlink(_ name: Name) -> Errno? {
        guard let file = files[name] else { return .noSuchFileOrDirectory }
        if state(of: file) == .sealed { return .notPermitted }
        files[name] = nil
        file.name = nil
        return nil
    }

    mutating func truncate(_ name: Name, size: Int) -> Errno? {
        guard let file = files[name] else { return .noSuchFileOrDirectory }
        switch state(of: file) {
        case .writing, .sealed: return .notPermitted
        case .transient, .empty, .live:
            resize(file, size)
            return nil
        }
    }

    func resize(_ file: File, _ size: Int) {
        if file.bytes.count > size {
            file.bytes.removeLast(file.bytes.count - size)
        } else {
            file.bytes += [UInt8](repeating: 0, count: size - file.bytes.count)
        }
    }

    mutating func rename(_ from: Name, _ to: Name, noReplace: Bool) -> Errno? {
        guard let file = files[from] else { return .noSuchFileOrDirectory }
        let target = files[to]
        if let target, noReplace || target === file { return noReplace ? .fileExists : nil }
        switch state(of: file) {
        case .writing: return .resourceBusy
        case .sealed: return .notPermitted
        case .transient, .empty, .live: break
        }
        if Self.meaning(to.text) == .invalid { return .invalidArgument }
        if let target {
            switch state(of: target) {
            case .writing, .sealed: return .fileExists
            case .transient, .empty, .live: break
            }
        }
        let isProductionName = to.place.isProduction && Self.meaning(to.text) == .valid
        let publishes = isProductionName && file.writers == 0 && !file.bytes.isEmpty
        if publishes, !Self.isWhole(file.bytes) { return .invalidArgument }
        target?.name = nil
        files[from] = nil
        files[to] = file
        file.name = to
        if publishes { file.isSealed = true }
        return nil
    }
}
