public import SystemPackage

extension LedgerReader {
    /// What the ledgers say that mirrors have of an artifact.
    ///
    /// - Parameter path: on the mount.
    public func mirrored(
        _ path: String
    ) throws(Errno) -> [(line: LedgerLine, mirrored: LedgerEvent.MirroredObjects)] {
        let event = Array("\"event\":\"\(LedgerEvent.Name.mirrored.rawValue)\"".utf8)
        var needle = Array("\":".utf8)
        JSONValue.write(path, to: &needle)
        var all: [(line: LedgerLine, mirrored: LedgerEvent.MirroredObjects)] = []
        try forEachLine { bytes in
            guard Self.contains(bytes, event), Self.contains(bytes, needle), let line = LedgerLine(parsing: bytes),
                case .mirrored(let mirrored) = line.event
            else { return }
            all.append((line, mirrored))
        }
        return all
    }
}
