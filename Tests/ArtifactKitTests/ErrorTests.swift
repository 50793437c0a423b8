import ArtifactKit
import Artifacts
import SystemPackage
import Testing

@Suite struct ErrorTests {
    @Test func whatPeopleRead() {
        let exists = ArtifactError.exists(path: "/s/spliceai_eval/base_layer/a.tsv", mode: .production)
        #expect(
            exists.description
                == "Artifact exists and overwrite not allowed: /s/spliceai_eval/base_layer/a.tsv\n"
                + "Mode: production (production artifacts are immutable)")
        let missing = ArtifactError.notFound(path: "/s/a.tsv", layer: .base, baseModel: "spliceai")
        #expect(missing.description == "Artifact not found: /s/a.tsv\nExpected in base layer for spliceai")
    }

    /// What happened stands in the first line with the file or name, what to know or do in the second.
    @Test func everyErrorSaysWhatAndWhich() {
        let errors: [(ArtifactError, String)] = [
            (.unknownType("x_y", known: ["a", "b"]), "x_y"),
            (.notInLayer(type: "x_y", layer: .meta, has: [.base]), "x_y"),
            (.unknownFormat(type: "a", format: ".x_y", known: [".tsv"]), "x_y"),
            (.invalidName("x_y", type: "a", names: "a.tsv"), "x_y"),
            (.chromosomeAndName(type: "x_y"), "x_y"),
            (.invalidScope("x_y", mode: .development), "x_y"), (.invalidScope("x_y", mode: .test), "x_y"),
            (.notInProduction("x_y"), "x_y"),
            (.refused(Refusal(.notPermitted, .frozenSession), path: "x_y"), "x_y"),
            (.notPublished(path: "x_y", reason: "no header"), "x_y"),
            (.unusableStore(path: "x_y", reason: "no base_layer"), "x_y"),
        ]
        for (error, name) in errors {
            let lines = error.description.split(separator: "\n")
            #expect(lines.count == 2, "\(error)")
            #expect(lines.first?.contains(name) == true, "\(error)")
        }
        #expect(ArtifactError.system(.noSpace, path: "/s/a.tsv").description == "/s/a.tsv: No space left on device")
    }
}
