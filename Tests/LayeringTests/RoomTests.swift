import TestSupport
import Testing

/// The driver's rooms: what kind of inode it is, is asked in one place.
@Suite struct RoomTests {
    /// The five kinds of inode, as a switch names them.
    static let kinds = ["case .tree", "case .artifact", "case .free", "case .made", "case .kept"]

    /// `Volume/` dispatches, `Inodes/` says what kinds there are; what is done with one kind is in that kind's room. Sessions and paths for
    /// people look at kinds and do nothing with them.
    @Test func onlyTheVolumeDispatchesByKind() throws {
        var dispatching = 0
        for file in try SourceTree.swiftFiles(below: "Sources/ArtifactDriver") {
            guard Self.kinds.allSatisfy(file.mentions) else { continue }
            let code = file.lines.map { SourceTree.code($0) }
            let named = Self.kinds.filter { kind in code.contains { $0.contains(kind) } }
            guard named.count == Self.kinds.count else { continue }
            let room = file.path.split(separator: "/").dropFirst(2).first.map(String.init) ?? ""
            #expect(["Volume", "Inodes"].contains(room), "\(file.path) switches over every kind of inode")
            dispatching += 1
        }
        #expect(dispatching > 2, "the test reads the switches")
    }

    /// Every file of the driver is in a room.
    @Test func everyFileIsInARoom() throws {
        let rooms: Set<String> = [
            "ArtifactTree", "DirectoryArtifacts", "Recalling", "Documentation.docc", "FreeTree", "Inodes", "Made",
            "Processes",
            "RootTree", "Sealing", "Sessions", "Views", "Volume",
        ]
        let files = try SourceTree.swiftFiles(below: "Sources/ArtifactDriver")
        #expect(files.count > 40)
        for file in files {
            let room = file.path.split(separator: "/").dropFirst(2).first.map(String.init) ?? ""
            #expect(rooms.contains(room), "\(file.path) is in no room")
        }
    }

    /// Which rule refuses, and with which errno, the pure core says: who acts asks it.
    @Test func refusalsAreMadeInTheCore() throws {
        for file in try SourceTree.swiftFiles(below: "Sources")
        where !file.path.hasPrefix("Sources/Artifacts/") && file.mentions("Refusal(") {
            for (number, line) in file.lines.enumerated() where SourceTree.calls(SourceTree.code(line), "Refusal") {
                Issue.record("\(file.path):\(number + 1): ask the policy")
            }
        }
    }

    /// Which errors mean that there is no room is said once.
    @Test func wantOfRoomIsSaidOnce() throws {
        for file in try SourceTree.swiftFiles(below: "Sources")
        where file.path != "Sources/Artifacts/DiskRoom.swift" && file.mentions("diskQuotaExceeded") {
            for (number, line) in file.lines.enumerated() where SourceTree.code(line).contains("diskQuotaExceeded") {
                Issue.record("\(file.path):\(number + 1): ask DiskRoom")
            }
        }
    }

    /// From a name to a published file there is one way (`StoreView`); only what makes names classifies them by itself.
    @Test func onlyViewsFindPublishedFiles() throws {
        let other: Set<String> = ["ArtifactTree/Artifact+Create.swift", "Inodes/Inode.swift", "Sealing/Seal.swift"]
        for file in try SourceTree.swiftFiles(below: "Sources/ArtifactDriver") {
            let place = file.path.split(separator: "/").dropFirst(2).joined(separator: "/")
            guard !place.hasPrefix("Views/"), !other.contains(place), file.mentions("OverwritePolicy.classify(") else {
                continue
            }
            for (number, line) in file.lines.enumerated()
            where SourceTree.code(line).contains("OverwritePolicy.classify(") {
                Issue.record("\(file.path):\(number + 1): ask the view")
            }
        }
    }
}

/// One name is one thing, wherever it is read.
@Suite struct NameTests {
    /// Types that are parts of another type and are named for what they are to it (`AccessList.Entry`).
    static let parts: Set<String> = ["Entry", "Kind", "Place", "State", "Target", "Transfer", "Work", "Writer"]

    @Test func noTwoTypesHaveOneName() throws {
        var places: [String: Set<String>] = [:]
        for file in try SourceTree.swiftFiles(below: "Sources") {
            for line in file.lines {
                let words = SourceTree.code(line).split(whereSeparator: { " :<({".contains($0) }).map(String.init)
                guard !words.contains("private"), !words.contains("fileprivate"),
                    let keyword = words.firstIndex(where: { Self.keywords.contains($0) }),
                    words[..<keyword].allSatisfy({ Self.modifiers.contains($0) || $0.hasPrefix("@") }),
                    keyword + 1 < words.count
                else { continue }
                let name = words[keyword + 1]
                if name.first?.isUppercase == true, !Self.parts.contains(name) {
                    places[name, default: []].insert(file.path)
                }
            }
        }
        #expect(places.count > 200, "the test reads the types")
        for (name, files) in places where files.count > 1 { Issue.record("\(name): \(files.sorted())") }
    }

    private static let keywords: Set<String> = ["struct", "class", "enum", "protocol", "typealias", "actor"]
    private static let modifiers: Set<String> = ["public", "package", "internal", "final", "indirect"]
}
