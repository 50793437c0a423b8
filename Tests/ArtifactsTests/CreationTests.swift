import Artifacts
import SystemPackage
import Testing

private let type = TypeDefinition(name: "scores", layers: [.base], formats: [".tsv"], naming: .chromosome)
private let whole = TypeDefinition(name: "arrays", layers: [.base], formats: [".npy"], kind: .either)

/// Every place that takes or refuses names, by the name that the table below uses.
private let places: [String: Place] = [
    "fixed": .fixed, "production": .production, "sessions": .sessions, "tests": .tests, "scope root": .scopeRoot,
    "typed": .typed(type), "directories": .typed(whole), "plots": .plots, "ordinary": .ordinaryTree, "hidden": .hidden,
]

/// Names by what they mean in a place; `artifact` stands for a name that the place takes.
private let names: [String: NameClass] = [
    "artifact": .artifact(realName: "a"), "transient": .transient, "too long": .invalid(.tooLong),
    "invalid": .invalid(.notInSchema),
]

/// Making something that does not exist, outside frozen sessions. `create` and `mkdir` depend on the name's class.
private let creationTable = """
    | place | create artifact | create transient | create too long | create invalid | mkdir artifact | mkdir transient | mkdir too long | mkdir invalid | symlink | mkfifo |
    | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- | --- |
    | fixed | EINVAL | EINVAL | ENAMETOOLONG | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL | EPERM | EPERM |
    | production | EINVAL | EINVAL | ENAMETOOLONG | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL | EPERM | EPERM |
    | sessions | EINVAL | EINVAL | ENAMETOOLONG | EINVAL | yes | EINVAL | ENAMETOOLONG | EINVAL | EPERM | EPERM |
    | tests | EINVAL | EINVAL | ENAMETOOLONG | EINVAL | yes | EINVAL | ENAMETOOLONG | EINVAL | EPERM | EPERM |
    | scope root | yes | yes | ENAMETOOLONG | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL | EPERM | EPERM |
    | typed | yes | yes | ENAMETOOLONG | EINVAL | EINVAL | yes | ENAMETOOLONG | EINVAL | as create, EPERM in production | EPERM |
    | directories | yes | yes | ENAMETOOLONG | EINVAL | yes | yes | ENAMETOOLONG | EINVAL | as create, EPERM in production | EPERM |
    | plots | yes | yes | ENAMETOOLONG | EINVAL | EINVAL | EINVAL | EINVAL | EINVAL | EPERM | EPERM |
    | ordinary | yes | yes | yes | yes | yes | yes | yes | yes | yes | yes |
    | hidden | EPERM | EPERM | EPERM | EPERM | EPERM | EPERM | EPERM | EPERM | EPERM | EPERM |
    """

private let refusals: [String: Errno] = [
    "EINVAL": .invalidArgument, "EPERM": .notPermitted, "ENAMETOOLONG": .fileNameTooLong,
]

@Suite struct CreationTests {
    @Test func theCodeIsTheTable() throws {
        let table = try #require(MarkdownTable(in: creationTable, headerStarting: ["place"]))
        var compared = 0
        for row in table.rows {
            let place = try #require(places[row[0]])
            for (column, cell) in zip(table.header, row).dropFirst() {
                let words = column.split(separator: " ", maxSplits: 1).map(String.init)
                let creation = try #require(Creation(rawValue: words[0]))
                let classes = words.count == 2 ? [try #require(names[words[1]])] : Array(names.values)
                let isAsCreate = cell == "as create, EPERM in production"
                let given = refusals[cell]
                #expect(
                    (given == nil) == (cell == "yes" || isAsCreate),
                    "the table has a cell that the tests cannot read: '\(cell)'")
                for name in classes {
                    for standing in [Standing.production, .live] {
                        let verdict = OverwritePolicy.judge(creation, named: name, in: place, standing: standing)
                        var answer = given
                        if isAsCreate {
                            let file = OverwritePolicy.judge(.file, named: name, in: place, standing: standing)
                            answer = standing == .live ? file.refusal?.errno : .notPermitted
                        }
                        compared += 1
                        // What is whole already.
                        if standing == .production, place == .ordinaryTree {
                            #expect(verdict == .refused(Refusal(.notPermitted, .productionImmutable)))
                        } else {
                            #expect(verdict.refusal?.errno == answer, "\(column) in \(row[0]), \(standing)")
                        }
                    }
                    let frozen = OverwritePolicy.judge(creation, named: name, in: place, standing: .frozen)
                    #expect(frozen == .refused(Refusal(.notPermitted, .frozenSession)))
                    compared += 1
                }
            }
        }
        #expect(compared == places.count * Creation.allCases.count * names.count * 3)
    }

    /// What a link may say where one may be.
    @Test func linksToSiblings() {
        #expect(OverwritePolicy.judgeLink(to: .artifact(realName: "a")) == .allowed)
        let refused = Verdict.refused(Refusal(.notPermitted, .siblingLinks))
        for other in [NameClass.transient, .invalid(.notInSchema), .invalid(.tooLong)] {
            #expect(OverwritePolicy.judgeLink(to: other) == refused)
        }
        #expect(OverwritePolicy.judgeRenameOfLink(in: .live, isSameDirectory: true) == .allowed)
        #expect(OverwritePolicy.judgeRenameOfLink(in: .live, isSameDirectory: false) == refused)
        #expect(
            OverwritePolicy.judgeRenameOfLink(in: .frozen, isSameDirectory: true)
                == .refused(Refusal(.notPermitted, .frozenSession)))
    }

    @Test func refusedCreationsNameTheRuleThatFits() {
        func rule(_ creation: Creation, _ name: NameClass, _ place: Place) -> Rule? {
            OverwritePolicy.judge(creation, named: name, in: place, standing: .live).refusal?.rule
        }
        #expect(rule(.file, .invalid(.notInSchema), .production) == .invalidName)
        #expect(rule(.file, .invalid(.notASession), .sessions) == .invalidName)
        #expect(rule(.file, .artifact(realName: "20260215_143022"), .sessions) == .invalidName)
        #expect(rule(.directory, .invalid(.notASession), .sessions) == .invalidName)
        #expect(rule(.directory, .invalid(.notInSchema), .production) == .unknownDirectory)
        #expect(rule(.directory, .artifact(realName: "scores.tsv"), .typed(type)) == .unknownDirectory)
        #expect(rule(.symbolicLink, .artifact(realName: "a"), .tests) == .noSpecialFiles)
        #expect(rule(.specialFile, .artifact(realName: "a"), .typed(type)) == .noSpecialFiles)
        #expect(rule(.file, .invalid(.tooLong), .typed(type)) == .nameTooLong)
        #expect(rule(.file, .invalid(.notInSchema), .hidden) == .hiddenEntry)
    }

    @Test func placesTakeTheirOwnNames() throws {
        func classify(_ name: String, _ place: Place) -> NameClass { OverwritePolicy.classify(name, in: place) }
        #expect(classify("scores_x", .typed(type)) == .invalid(.notOfType("scores")))
        #expect(classify("chr1.tsv", .typed(type)) == .artifact(realName: "scores_chr1.tsv"))
        #expect(classify("metadata.json", .scopeRoot) == .artifact(realName: "metadata.json"))
        #expect(classify(".metadata.json.x", .scopeRoot) == .transient)
        #expect(classify("metadata.json.a1B2c3", .scopeRoot) == .transient)
        #expect(classify("metadata.json.a1B2c", .scopeRoot) == .invalid(.notInSessionRoot))
        #expect(classify("notes.txt", .scopeRoot) == .invalid(.notInSessionRoot))
        #expect(classify("loss.png", .plots) == .artifact(realName: "loss.png"))
        #expect(classify("a b.svg", .plots) == .artifact(realName: "a b.svg"))
        #expect(classify("\u{600}.pdf", .plots) == .artifact(realName: "\u{600}.pdf"))
        #expect(classify("loss.png.abc123", .plots) == .transient)
        #expect(classify(".png", .plots) == .transient)
        #expect(classify("loss.jpg", .plots) == .invalid(.notAPlot))
        #expect(classify("20260215_143022", .sessions) == .artifact(realName: "20260215_143022"))
        #expect(classify("current", .sessions) == .invalid(.notASession))
        #expect(classify("test_prediction", .tests) == .artifact(realName: "test_prediction"))
        #expect(classify("a b", .tests) == .invalid(.notATest))
        #expect(classify(".x", .tests) == .invalid(.notATest))
        #expect(classify("any\nthing", .ordinaryTree) == .artifact(realName: "any\nthing"))
        for place in [Place.fixed, .production, .hidden] {
            #expect(classify("a", place) == .invalid(.notInSchema))
        }
        let long = String(repeating: "a", count: 256)
        for (name, place) in places where place != .ordinaryTree {
            #expect(classify(long, place) == .invalid(.tooLong), "\(name)")
            #expect(classify("." + long, place) == .invalid(.tooLong), "\(name)")
        }
        #expect(classify(long, .ordinaryTree) == .artifact(realName: long))
    }

    @Test func directoriesOfTheTreeArePlaces() throws {
        let session = Scope.session(try #require(SessionName("20260215_143022")))
        #expect(TreeLocation.root.place == .fixed)
        #expect(TreeLocation.mode(.production).place == .production)
        #expect(TreeLocation.scope(.production).place == .production)
        #expect(TreeLocation.layer(.production, .meta).place == .production)
        #expect(TreeLocation.mode(.development).place == .sessions)
        #expect(TreeLocation.mode(.test).place == .tests)
        #expect(TreeLocation.scope(session).place == .scopeRoot)
        #expect(TreeLocation.layer(session, .base).place == .fixed)
        #expect(TreeLocation.typed(session, .base, type).place == .typed(type))
        #expect(TreeLocation.free(session, .plots).place == .plots)
        #expect(TreeLocation.free(session, .logs).place == .ordinaryTree)
        #expect(TreeLocation.free(session, .scratch).place == .ordinaryTree)
    }
}
