import SystemPackage

@testable import ArtifactDriver

/// One step of a random stream. Indices wrap around what there is, so that a stream stays meaningful when steps are taken out of it.
enum Step: CustomStringConvertible {
    case create(Model.Name, exclusive: Bool, truncating: Bool)
    case openToWrite(Model.Name, truncating: Bool)
    case write(handle: Int, Content)
    case close(handle: Int)
    case unlink(Model.Name)
    case truncate(Model.Name, size: Int)
    case rename(Model.Name, Model.Name, noReplace: Bool)

    enum Content: String, CaseIterable {
        case header = "gene\tscore\n"
        case row = "ENSG1\t0.5\n"
        case ragged = "ENSG2\n"
        case unfinished = "ENSG3\t0."
        var bytes: [UInt8] { Array(rawValue.utf8) }
    }

    var description: String {
        switch self {
        case .create(let name, let exclusive, let truncating):
            "create \(name)\(exclusive ? " O_EXCL" : "")\(truncating ? " O_TRUNC" : "")"
        case .openToWrite(let name, let truncating): "open \(name) to write\(truncating ? " O_TRUNC" : "")"
        case .write(let handle, let content): "write handle \(handle) \(content)"
        case .close(let handle): "close handle \(handle)"
        case .unlink(let name): "unlink \(name)"
        case .truncate(let name, let size): "truncate \(name) to \(size)"
        case .rename(let from, let to, let noReplace): "rename \(from) to \(to)\(noReplace ? " RENAME_NOREPLACE" : "")"
        }
    }

    static func random(_ generator: inout some RandomNumberGenerator) -> Step {
        func name() -> Model.Name {
            let place = Model.Place.allCases.randomElement(using: &generator) ?? .production
            // Few names, so that operations meet; names of the schema more often than others.
            let index = Int.random(in: 0..<10, using: &generator)
            let text = Model.names[index < 5 ? index % 2 : index - 1].text
            return Model.Name(place: place, text: text)
        }
        switch Int.random(in: 0..<20, using: &generator) {
        case 0..<5:
            return .create(
                name(), exclusive: .random(using: &generator), truncating: .random(using: &generator))
        case 5..<7: return .openToWrite(name(), truncating: .random(using: &generator))
        case 7..<11:
            let weighted: [Content] = [.header, .header, .row, .row, .row, .ragged, .unfinished]
            return .write(
                handle: Int.random(in: 0..<8, using: &generator),
                weighted.randomElement(using: &generator) ?? .row)
        case 11..<15: return .close(handle: Int.random(in: 0..<8, using: &generator))
        case 15..<17: return .unlink(name())
        case 17: return .truncate(name(), size: Int.random(in: 0..<40, using: &generator))
        default: return .rename(name(), name(), noReplace: Int.random(in: 0..<4, using: &generator) == 0)
        }
    }
}
