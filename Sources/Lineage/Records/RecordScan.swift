internal import ArtifactRecords

/// Takes out of a ledger's line what lineage needs of its record, without reading the rest of it: command lines, environments and columns are most of
/// a line.
struct RecordScan {
    private let bytes: UnsafeRawBufferPointer
    private var place = 0

    /// The members of a line's record that ``RecordSummary`` reads.
    ///
    /// - Returns: nil where the line is not as the ledger writes it now; then it is to be read whole.
    static func record(in line: ArraySlice<UInt8>) -> JSONObject? {
        line.withUnsafeBytes { bytes in
            var found: JSONObject?
            var scan = RecordScan(bytes)
            let isWhole = scan.members { key, value in
                if key == "record" { found = record(bytes[value]) }
            }
            return isWhole ? found : nil
        }
    }

    private static func record(_ bytes: Slice<UnsafeRawBufferPointer>) -> JSONObject? {
        let bytes = UnsafeRawBufferPointer(rebasing: bytes)
        var found: JSONObject = [:]
        var scan = RecordScan(bytes)
        let isWhole = scan.members { key, value in
            switch key {
            case "artifact": found["artifact"] = some(bytes[value], of: ["path", "version", "sha256"])
            case "times": found["times"] = some(bytes[value], of: ["opened", "sealed"])
            case "inputs": found["inputs"] = JSONValue(parsing: bytes[value])
            case "outside": found["outside"] = JSONValue(parsing: bytes[value])
            case "origin": found["origin"] = JSONValue(parsing: bytes[value])
            default: break
            }
        }
        // Records of earlier versions have no parts, and some of what they say stands beside them.
        guard isWhole, case .object(let artifact)? = found["artifact"], artifact["path"] != nil,
            artifact["sha256"] != nil
        else { return nil }
        return found
    }

    private static func some(_ bytes: Slice<UnsafeRawBufferPointer>, of wanted: Set<String>) -> JSONValue? {
        let bytes = UnsafeRawBufferPointer(rebasing: bytes)
        var found: JSONObject = [:]
        var scan = RecordScan(bytes)
        let isWhole = scan.members { key, value in
            if wanted.contains(key) { found[key] = JSONValue(parsing: bytes[value]) }
        }
        return isWhole ? .object(found) : nil
    }

    private init(_ bytes: UnsafeRawBufferPointer) { self.bytes = bytes }

    // MARK: - JSON, as far as its parts are told apart

    /// Calls with each member of an object.
    ///
    /// - Returns: whether it is one, and nothing follows it.
    private mutating func members(_ body: (String, Range<Int>) -> Void) -> Bool {
        guard take("{") else { return false }
        if take("}") { return isAtEnd }
        repeat {
            skipBlanks()
            let key = place
            guard skipString(), let name = String(validating: bytes[(key + 1)..<(place - 1)], as: UTF8.self), take(":")
            else { return false }
            skipBlanks()
            let start = place
            guard skipValue() else { return false }
            body(name, start..<place)
        } while take(",")
        return take("}") && isAtEnd
    }

    private var isAtEnd: Bool { place == bytes.count }

    private mutating func take(_ character: Unicode.Scalar) -> Bool {
        skipBlanks()
        guard place < bytes.count, bytes[place] == UInt8(ascii: character) else { return false }
        place += 1
        return true
    }

    private mutating func skipBlanks() {
        while place < bytes.count, bytes[place] == 0x20 || bytes[place] == 0x09 { place += 1 }
    }

    private mutating func skipString() -> Bool {
        guard place < bytes.count, bytes[place] == UInt8(ascii: "\"") else { return false }
        place += 1
        while place < bytes.count {
            switch bytes[place] {
            case UInt8(ascii: "\""):
                place += 1
                return true
            case UInt8(ascii: "\\"): place += 2
            default: place += 1
            }
        }
        return false
    }

    /// Passes over a value; of what is in it only that brackets and quotes fit.
    private mutating func skipValue() -> Bool {
        var depth = 0
        repeat {
            guard place < bytes.count else { return false }
            switch bytes[place] {
            case UInt8(ascii: "\""):
                guard skipString() else { return false }
                if depth == 0 { return true }
            case UInt8(ascii: "{"), UInt8(ascii: "["):
                depth += 1
                place += 1
            case UInt8(ascii: "}"), UInt8(ascii: "]"):
                guard depth > 0 else { return true }
                depth -= 1
                place += 1
                if depth == 0 { return true }
            case UInt8(ascii: ","):
                guard depth > 0 else { return true }
                place += 1
            default: place += 1
            }
        } while true
    }
}
