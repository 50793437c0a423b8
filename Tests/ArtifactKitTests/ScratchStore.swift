import ArtifactKit
import Foundation
import Testing

let table = Array("gene_id\tstart\nENSG1\t100\n".utf8)
let other = Array("gene_id\tstart\nENSG2\t200\nENSG3\t300\n".utf8)

/// A store on disk, removed with the last reference.
final class ScratchStore {
    let path: String

    init() throws {
        path = FileManager.default.temporaryDirectory.appending(path: "kit-\(UUID().uuidString)/spliceai_eval").path
        try FileManager.default.createDirectory(atPath: path, withIntermediateDirectories: true)
        try ArtifactManager.makeStore(at: path)
    }

    deinit {
        try? FileManager.default.removeItem(atPath: URL(filePath: path).deletingLastPathComponent().path)
    }

    func real(_ relative: String) -> String { path + "/" + relative }

    func bytes(_ relative: String) -> [UInt8]? { FileManager.default.contents(atPath: real(relative)).map(Array.init) }

    func names(_ relative: String) throws -> [String] {
        try FileManager.default.contentsOfDirectory(atPath: real(relative)).sorted()
    }

    /// The number of a file, by which it is the same one.
    func number(_ relative: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: real(relative))[.systemFileNumber] as? Int
    }

    /// The ledger's lines of an event.
    func ledger(_ event: String) throws -> [[String: Any]] {
        let directory = real(".artifactfs/ledger")
        let text = try FileManager.default.contentsOfDirectory(atPath: directory).map {
            try String(contentsOfFile: directory + "/" + $0, encoding: .utf8)
        }.joined()
        return try text.split(separator: "\n").compactMap {
            try JSONSerialization.jsonObject(with: Data($0.utf8)) as? [String: Any]
        }.filter { $0["event"] as? String == event }
    }

    func mode(_ relative: String) throws -> Int? {
        try FileManager.default.attributesOfItem(atPath: real(relative))[.posixPermissions] as? Int
    }
}

func error(_ body: () throws -> Void) -> ArtifactError? {
    do {
        try body()
        return nil
    } catch { return error as? ArtifactError }
}
