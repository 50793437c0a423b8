import ArtifactRecords
import ArtifactStore
import Artifacts
import Catalog
import Glibc
import Queries
import SystemCalls

/// Sealed artifacts that somebody names by paths or by a query.
struct ChosenArtifacts {
    /// As their records have them.
    let all: [Proving.Sealed]
    /// How many are there of which this user is shown no record.
    let withoutRecord: Int
    private let place: StorePlace
    private let schema: ArtifactSchema

    /// The store that is meant: a path that is there says itself which one it is in.
    static func place(of words: [String], _ store: StoreArguments) throws -> StorePlace {
        guard store.store == nil, let first = words.first, isThere(first), let found = try? StorePlace.find(first)
        else { return try store.place() }
        return found
    }

    /// - Parameters:
    ///   - words: paths, or a query; all of production where there is none.
    ///   - takesVersions: whether what has left its name counts, where all is meant and this user reads the ledgers.
    init(_ place: StorePlace, words: [String], takesVersions: Bool = false) throws {
        (self.place, schema) = (place, try place.schema())
        let paths = try Self.paths(words, place, schema)
        let all = takesVersions ? Self.withVersions : ""
        let asked = try AskedQuery(
            paths != nil ? "" : words.isEmpty ? all : words.joined(separator: " "), .artifacts,
            columns: "path,sha256,size,state,version,removed", sort: nil)
        var found: [Proving.Sealed] = []
        var isOfLedgers = true
        // What asks a mount comes before the catalog, which has threads.
        let shown = paths == nil && words.isEmpty ? try Self.shown(place) : []
        try place.asking { catalog in
            found = []
            isOfLedgers = catalog.path != nil
            var seen: Set<String> = []
            for path in paths ?? [""] {
                let before = found.count
                try catalog.find(
                    paths == nil ? asked.query : Self.query(path, takesVersions), .artifacts, columns: asked.columns
                ) {
                    row in
                    let isSealed = row[3].text == ArtifactRecord.State.sealed.rawValue
                    let version: Int64? = if !isSealed, case .integer(let number) = row[4] { number } else { nil }
                    guard seen.insert("\(row[0].text)@\(version ?? 0)").inserted else { return true }
                    let size: Int64? = if case .integer(let size) = row[2] { size } else { nil }
                    found.append(
                        Proving.Sealed(
                            path: row[0].text, sha256: row[1] == .unknown ? nil : row[1].text, size: size,
                            version: version, removed: Self.time(row[5])))
                    return true
                }
                if paths != nil, found.count == before, !seen.contains(path + "@0") {
                    throw Failure(
                        .cannotAnswer,
                        isOfLedgers
                            ? "\(path.isEmpty ? place.path : path) is not sealed, as far as the ledgers tell"
                            : "of \(path.isEmpty ? place.path : path) no record is shown to you")
                }
            }
        }
        guard !found.isEmpty else {
            throw Failure(
                .cannotAnswer,
                words.isEmpty ? "nothing is sealed yet" : "nothing was found of \(words.joined(separator: " "))")
        }
        withoutRecord = isOfLedgers ? 0 : Set(shown).subtracting(found.map(\.path)).count
        self.all = found
    }

    private static func time(_ value: CatalogValue) -> Int64? {
        if case .time(let time) = value { time } else { nil }
    }

    /// What is there, and what was.
    static let withVersions = "state in (\(states.joined(separator: ", ")))"
    private static let states = [ArtifactRecord.State.sealed.rawValue] + Unsealing.allCases.map(\.rawValue)

    /// The paths on the mount that words name, of artifacts and directories; nil of a query.
    private static func paths(_ words: [String], _ place: StorePlace, _ schema: ArtifactSchema) throws -> [String]? {
        let areThere = words.map { schema.isArtifact($0) || isThere($0) || looksLikePath($0) }
        guard !words.isEmpty, areThere.contains(true) else { return nil }
        guard !areThere.contains(false) else {
            throw Failure(.usage, "paths and a query do not go together: ask for one of them")
        }
        return try words.map { word in
            if schema.isArtifact(word) { return word }
            // The top of a mount or a store is all of it.
            if let found = try? StorePlace.find(word), let full = try Paths.resolved(Paths.absolute(word)),
                full == found.mount?.mountPoint ?? found.store
            {
                return Mode.production.rawValue
            }
            let found = try ShownArtifact.find(word, store: isThere(word) || place.mount != nil ? nil : place.store)
            let (location, rest) = schema.locate(found.path)
            switch location {
            case .root where rest.isEmpty, .mode(.production), .scope(.production), .layer(.production, _),
                .typed(.production, _, _):
                return found.path.isEmpty ? Mode.production.rawValue : found.path
            default:
                throw Failure(.cannotAnswer, "\(found.full) is not in production, where artifacts are sealed")
            }
        }
    }

    static func isThere(_ word: String) -> Bool {
        (try? SystemCall.attributes(SystemCall.currentDirectory, word)) != nil
    }

    private static func looksLikePath(_ word: String) -> Bool {
        word.contains("/") && !word.contains { "=~<> ()".contains($0) }
    }

    /// An artifact, or all in a directory.
    private static func query(_ path: String, _ takesVersions: Bool) -> Query {
        let states = takesVersions ? states : [ArtifactRecord.State.sealed.rawValue]
        let isSealed = Query.field(Field(.state), .oneOf(states.map { .text($0) }))
        let isIt = Query.field(Field(.path), .compare(.equal, .text(path)))
        // Production, a layer, or a type: in their names nothing stands for anything else.
        guard path.split(separator: "/").count < 4 else { return .and([isSealed, isIt]) }
        return .and([isSealed, .or([isIt, .field(Field(.path), .like(path + "/*"))])])
    }

    /// The paths of what a mount shows in production, where this user reads no ledger.
    private static func shown(_ place: StorePlace) throws -> [String] {
        guard let mount = place.mount, let store = place.store,
            (try? SystemCall.checkAccess(atPath: store + "/" + StoreLayout.privateDirectory, R_OK | X_OK)) == nil
        else { return [] }
        let schema = try place.schema()
        var all: [String] = []
        for layer in Layer.allCases {
            for type in schema.types(in: layer) {
                let directory = "\(Mode.production.rawValue)/\(layer.rawValue)/\(type.name)"
                let answer = Patience.find(within: 60_000, on: mount) {
                    let names = Paths.names(mount.mountPoint + "/" + directory).filter { name in
                        // What is written just now has no record yet.
                        let state = try? SystemCall.extendedAttribute(
                            ArtifactAttribute.state, ofPath: "\(mount.mountPoint)/\(directory)/\(name)")
                        return schema.isArtifact(directory + "/" + name)
                            && state.map { $0.elementsEqual(FileState.sealed.rawValue.utf8) } != false
                    }
                    return Array(names.joined(separator: "\0").utf8)
                }
                guard let answer else { throw mount.silence }
                all += answer.split(separator: 0).map { directory + "/" + String(decoding: $0, as: UTF8.self) }
            }
        }
        return all
    }

    /// The real file, where this user may come to it; else what the mount shows.
    func location(of one: Proving.Sealed) -> (path: String, isReal: Bool) {
        let path = one.path
        guard let store = place.store,
            (try? SystemCall.checkAccess(atPath: store + "/" + StoreLayout.privateDirectory, R_OK | X_OK)) != nil
        else { return (place.location(of: path, schema), false) }
        let real = schema.realPath(ofShown: path)
        return (store + "/" + (one.version.map { VersionReader.path(of: real, number: $0) } ?? real), true)
    }
}
