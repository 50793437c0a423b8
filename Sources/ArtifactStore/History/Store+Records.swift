public import ArtifactRecords
internal import Artifacts
public import Glibc
internal import SystemCalls
public import SystemPackage

/// The records of artifacts, found by their real files: no directory and no ledger is read whole.
extension Store {
    /// The extended attribute of a real file that tells where its record is. Who may read the file may read it.
    public static let placeAttribute = LedgerNote.attribute

    /// What the ledgers say of what has a real name now; nil when they say nothing that fits it.
    ///
    /// - Parameters:
    ///   - file: its name, and where.
    ///   - directory: relative to the store.
    ///   - attributes: of what has the name.
    ///   - place: its ``placeAttribute``; nil where it has none. Then the ledgers' ends are looked through.
    public func line(
        of file: RealFile, in directory: String, _ attributes: stat, place: [UInt8]?
    ) throws(Errno) -> LedgerLine? {
        let ledgers: Directory
        do throws(Errno) {
            if let writable {
                ledgers = writable.ledgers
            } else {
                ledgers = try root.directory(StoreLayout.privateDirectory).directory(StoreFormat.ledger)
            }
        } catch .noSuchFileOrDirectory { return nil }
        let finder = RecordFinder(root: root, ledgers: ledgers, schema: schema, shown: nil)
        return try finder.line(in: directory, name: file.name, attributes, note: place)
    }
}
