internal import Artifacts
internal import FoundationEssentials

/// What `metadata.json` holds: keys as in Python, with underscores.
struct ExperimentMetadata<Config: Encodable, Metrics: Encodable>: Encodable {
    let experimentName: String
    let createdAt: String
    let config: Config
    let metrics: Metrics

    enum CodingKeys: String, CodingKey {
        case experimentName = "experiment_name"
        case createdAt = "created_at"
        case config, metrics
    }

    /// The file's bytes: indented, keys sorted, so that two experiments can be compared line by line.
    func json() throws(ArtifactError) -> [UInt8] {
        let encoder = JSONEncoder()
        encoder.outputFormatting = [.prettyPrinted, .sortedKeys, .withoutEscapingSlashes]
        // A loss that ran away is a result too; JSON has no number for it.
        encoder.nonConformingFloatEncodingStrategy = .convertToString(
            positiveInfinity: "Infinity", negativeInfinity: "-Infinity", nan: "NaN")
        do { return Array(try encoder.encode(self)) + [UInt8(ascii: "\n")] } catch {
            throw .notEncodable(String(describing: error))
        }
    }
}

/// A time as `YYYY-MM-DDTHH:MM:SSZ`, or an empty text for years after 9999.
func isoTime(secondsSince1970 seconds: Int64) -> String {
    guard let name = SessionName(secondsSince1970: seconds) else { return "" }
    let digits = name.description.filter { $0 != "_" }.map(String.init)
    func part(_ range: Range<Int>) -> String { digits[range].joined() }
    return "\(part(0..<4))-\(part(4..<6))-\(part(6..<8))T\(part(8..<10)):\(part(10..<12)):\(part(12..<14))Z"
}
