import ArtifactKit
import Artifacts
import Foundation
import Glibc
import SystemPackage
import Testing

/// Artifacts that are directories, without a mount.
@Suite struct DirectoryTests {
    private static let production = "meta_layer/checkpoints/checkpoint-1"
    private static let test = "meta_layer/tests/t/checkpoints/checkpoint-1"

    /// A store, and a directory to be saved.
    private static func prepare(_ mode: ArtifactManager.SaveMode = .test("t")) throws -> (
        ScratchStore, ArtifactManager, origin: String
    ) {
        let store = try ScratchStore()
        let origin = store.path + "/../checkpoint"
        try FileManager.default.createDirectory(atPath: origin + "/sub", withIntermediateDirectories: true)
        try Data("{}\n".utf8).write(to: URL(filePath: origin + "/config.json"))
        try Data("weights".utf8).write(to: URL(filePath: origin + "/sub/w 1"))
        return (store, try ArtifactManager(store: store.path, mode: mode), origin)
    }

    @Test func isSavedLoadedAndPromoted() throws {
        let (store, manager, origin) = try Self.prepare()
        let path = try manager.save(fromDirectory: origin, as: .metaCheckpoints, name: "checkpoint-1")
        #expect(path == store.real(Self.test))
        #expect(try manager.directoryPath(of: .metaCheckpoints, name: "checkpoint-1") == path)
        let loaded = try manager.loadDirectory(.metaCheckpoints, name: "checkpoint-1")
        #expect(try loaded.path == path && loaded.files() == ["config.json", "sub/w 1"])
        #expect(try loaded.load("sub/w 1") == Array("weights".utf8))
        for wrong in ["", "/", "..", "../checkpoint-1/config.json", "sub/../config.json", "sub/", "no"] {
            #expect(throws: ArtifactError.self, "\(wrong)") { try loaded.load(wrong) }
        }
        // Again: what was there is replaced whole.
        try Data("more".utf8).write(to: URL(filePath: origin + "/sub/new"))
        unlink(origin + "/config.json")
        try manager.save(fromDirectory: origin, as: .metaCheckpoints, name: "checkpoint-1")
        #expect(
            try manager.loadDirectory(.metaCheckpoints, name: "checkpoint-1").files() == ["sub/new", "sub/w 1"])
        #expect(try store.names("meta_layer/tests/t/checkpoints") == ["checkpoint-1"])

        let number = try store.number(Self.test)
        #expect(
            try manager.promoteDirectory(.metaCheckpoints, name: "checkpoint-1") == store.real(Self.production))
        #expect(try store.number(Self.production) == number, "it is moved and not copied")
        #expect(try store.bytes(Self.test) == nil && store.mode(Self.production + "/sub/new") == 0o444)
        let record = try #require(try store.ledger("sealed").last?["record"] as? [String: Any])
        let artifact = try #require(record["artifact"] as? [String: Any])
        #expect(artifact["kind"] as? String == "directory" && artifact["key"] as? String == "checkpoint-1")
        #expect(
            (record["origin"] as? [String: Any])?["path"] as? String
                == "test/t/meta/meta_checkpoints/checkpoint-1")
        #expect(
            error { try manager.promoteDirectory(.metaCheckpoints, name: "checkpoint-1") }
                == .notFound(path: path, layer: .meta, baseModel: "spliceai"))
        try manager.save(fromDirectory: origin, as: .metaCheckpoints, name: "checkpoint-1")
        #expect(
            error { try manager.promoteDirectory(.metaCheckpoints, name: "checkpoint-1") }
                == .exists(path: store.real(Self.production), mode: .production))
        #expect(try manager.loadDirectory(.metaCheckpoints, name: "checkpoint-1").files().count == 2)
    }

    @Test func productionTakesAWholeOneOnce() throws {
        let (store, manager, origin) = try Self.prepare(.production)
        let path = try manager.save(fromDirectory: origin, as: .trainingData, chromosome: "1", format: "zarr")
        #expect(path == store.real("base_layer/training_data_chr1.zarr"))
        let loaded = try manager.loadDirectory(.trainingData, chromosome: "1", format: "zarr")
        #expect(try loaded.load("config.json") == Array("{}\n".utf8))
        #expect(try store.mode("base_layer/training_data_chr1.zarr/sub") == 0o555)
        #expect(
            error { try manager.save(fromDirectory: origin, as: .trainingData, chromosome: "1", format: "zarr") }
                == .exists(path: path, mode: .production))
        // Of what is not whole nothing is there, and the bytes are kept.
        try Data("{".utf8).write(to: URL(filePath: origin + "/config.json"))
        let failed = error { try manager.save(fromDirectory: origin, as: .metaCheckpoints, name: "checkpoint-1") }
        guard case .notPublished(_, let reason)? = failed else {
            Issue.record("\(String(describing: failed))")
            return
        }
        #expect(reason.hasPrefix("'config.json' in it: ") && reason.contains(".artifactfs/quarantine/"))
        #expect(store.bytes(Self.production) == nil)
        #expect(try store.names(".artifactfs/staging").count == 1)
        #expect(try store.names(".artifactfs/reserved") == [])
    }

    /// What is refused is where it was, as it was.
    @Test func whatIsNotWholeIsNotPromoted() throws {
        let (store, manager, origin) = try Self.prepare()
        try manager.save(fromDirectory: origin, as: .metaCheckpoints, name: "checkpoint-1")
        try Data("{".utf8).write(to: URL(filePath: store.real(Self.test) + "/config.json"))
        chmod(store.real(Self.test) + "/sub/w 1", 0o640)
        let failed = error { try manager.promoteDirectory(.metaCheckpoints, name: "checkpoint-1") }
        guard case .notPublished? = failed else {
            Issue.record("\(String(describing: failed))")
            return
        }
        #expect(try store.mode(Self.test + "/sub/w 1") == 0o640)
        #expect(try store.names(Self.test) == ["config.json", "sub"] && store.bytes(Self.production) == nil)
        #expect(try store.names(".artifactfs/quarantine") == [])
    }

    @Test func namesAndKinds() throws {
        let (store, manager, origin) = try Self.prepare()
        #expect(
            error { try manager.save(fromDirectory: origin, as: .geneManifest) }
                == .invalidName(
                    "gene_manifest", type: "gene_manifest",
                    names: try #require(manager.schema.type(named: "gene_manifest")).nameHint))
        #expect(
            error { _ = try manager.directoryPath(of: .metaCheckpoints, name: "x", format: "tsv") }?.description
                .contains(".zarr") == true)
        #expect(throws: ArtifactError.self) { try manager.save(fromDirectory: origin + "/no", as: .metaCheckpoints) }
        #expect(throws: ArtifactError.self) {
            try manager.save(fromDirectory: origin + "/config.json", as: .metaCheckpoints)
        }
        // A file is no directory, and the other way round.
        try manager.save(Array("N.".utf8), as: .metaCheckpoints, name: "a", format: "pt")
        try manager.save(fromDirectory: origin, as: .metaCheckpoints, name: "b", format: "pt")
        #expect(
            error { _ = try manager.loadDirectory(.metaCheckpoints, name: "a", format: "pt") }
                == .system(.notDirectory, path: store.real("meta_layer/tests/t/checkpoints/a.pt")))
        #expect(throws: ArtifactError.self) { try manager.load(.metaCheckpoints, name: "b", format: "pt") }
        #expect(throws: ArtifactError.self) {
            try manager.save(fromDirectory: origin, as: .metaCheckpoints, name: "a", format: "pt")
        }
        #expect(store.bytes("meta_layer/tests/t/checkpoints/a.pt") == Array("N.".utf8))
        #expect(try store.names("meta_layer/tests/t/checkpoints") == ["a.pt", "b.pt"])
    }

    /// In a session a link to a file beside it is read as on the mount; any other leads nowhere.
    @Test func linksToASibling() throws {
        let (store, manager, _) = try Self.prepare()
        let directory = store.real("meta_layer/tests/t/checkpoints/")
        try manager.save(Array("N.".utf8), as: .metaCheckpoints, name: "epoch_1")
        try manager.save(table, as: .trainingData, chromosome: "1", layer: .meta, format: "tsv")
        try Data("secret".utf8).write(to: URL(filePath: store.path + "/../secret"))
        for (target, name) in [
            ("epoch_1.pkl", "last.pkl"), ("last.pkl", "best.pkl"), ("none.pkl", "broken.pkl"), ("loop.pkl", "loop.pkl"),
            (store.path + "/../secret", "out.pkl"), ("../training_data_chr1.tsv", "up.pkl"), ("../../../x", "far.pkl"),
        ] {
            #expect(symlink(target, directory + name) == 0)
        }
        for name in ["last", "best"] {
            #expect(try manager.load(.metaCheckpoints, name: name) == Array("N.".utf8), "\(name)")
        }
        for name in ["broken", "loop", "out", "up", "far"] {
            #expect(throws: ArtifactError.self, "\(name)") { try manager.load(.metaCheckpoints, name: name) }
        }
        // What it leads to is promoted under its own name only.
        #expect(throws: ArtifactError.self) { try manager.promote(.metaCheckpoints, name: "last") }
        #expect(
            try manager.promote(.metaCheckpoints, name: "epoch_1") == store.real("meta_layer/checkpoints/epoch_1.pkl"))
    }
}
