/// What `model.save("name.keras")` writes: a ZIP archive with `config.json` and `model.weights.h5` (keras/src/saving/saving_lib.py, which
/// reads no archive without them; some versions write `model.weights.npz`). Before Keras 3 the same name could be an HDF5 file.
enum KerasFile {
    private static let weights: Set<[UInt8]> = [Array("model.weights.h5".utf8), Array("model.weights.npz".utf8)]
    private static let configuration = Array("config.json".utf8)

    static func checkQuickly(_ source: some ByteSource) throws(FormatError) {
        if try isHDF5(source) { try HDF5File.check(source) } else { _ = try ZipDirectory(of: source) }
    }

    static func facts(of source: some ByteSource) throws(FormatError) -> FormatFacts {
        if try isHDF5(source) {
            return FormatFacts(details: ["container": "hdf5", "superblock": String(try HDF5File.check(source))])
        }
        let directory = try ZipDirectory(of: source)
        var hasWeights = false
        var hasConfiguration = false
        try directory.checkEntries(of: source) { (entry) throws(FormatError) in
            if weights.contains(entry.name) { hasWeights = true }
            if entry.name == configuration { hasConfiguration = true }
        }
        guard hasWeights, hasConfiguration else {
            throw .invalid(
                reason: "it is a ZIP archive without \(hasConfiguration ? "model.weights.h5" : "config.json"), "
                    + "which every Keras model has")
        }
        return FormatFacts(details: ["container": "zip", "entries": String(directory.entries)])
    }

    private static func isHDF5(_ source: some ByteSource) throws(FormatError) -> Bool {
        let head = try source.head(8)
        if head == HDF5File.signature { return true }
        guard head.starts(with: [0x50, 0x4B, 0x03, 0x04]) else {
            throw .invalid(
                reason: "it begins with \"\(Excerpt.text(head))\", neither a ZIP archive (Keras) nor an HDF5 file")
        }
        return false
    }
}
