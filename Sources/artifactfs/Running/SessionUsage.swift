import Artifacts
import Catalog
import Glibc
import SystemCalls
import SystemPackage

/// How much lies in the sessions' directories, as far as this user may read them.
struct SessionUsage {
    let rows: [(value: CatalogValue, artifacts: Int64, bytes: Int64)]

    /// Directories within each other.
    private static let mostDepth = 64

    private static func tops(_ place: StorePlace) -> [String] {
        if let mount = place.mount { return [mount.mountPoint + "/" + Mode.development.rawValue] }
        return Layer.allCases.map { "\(place.store ?? "")/\($0.directoryName)/\(StoreLayout.sessionsDirectory)" }
    }

    /// The sessions that have directories, each once.
    static func names(_ place: StorePlace) throws -> Set<String> {
        let tops = tops(place)
        let answer = Patience.find(within: 60_000, on: place.mount) {
            Array(tops.flatMap { Paths.names($0) }.filter { SessionName($0) != nil }.joined(separator: "\n").utf8)
        }
        guard let answer else { throw MountEntry.silence(on: place.path) }
        return Set(String(decoding: answer, as: UTF8.self).split(separator: "\n").map(String.init))
    }

    /// - Parameter only: the sessions that are looked at; nil for all.
    init(_ place: StorePlace, only: Set<String>? = nil) throws {
        let tops = Self.tops(place)
        // In a process of its own: a driver that is stopped does not answer.
        let answer = Patience.find(within: 600_000, on: place.mount) {
            var found: [String: (files: Int64, bytes: Int64)] = [:]
            for top in tops {
                for name in only.map(Array.init) ?? Paths.names(top) where SessionName(name) != nil {
                    Self.add(top + "/" + name, 0, &found[name, default: (0, 0)])
                }
            }
            return Array(found.map { "\($0.key) \($0.value.files) \($0.value.bytes)" }.joined(separator: "\n").utf8)
        }
        guard let answer else { throw MountEntry.silence(on: place.path) }
        rows = String(decoding: answer, as: UTF8.self).split(separator: "\n").compactMap { line in
            let words = line.split(separator: " ")
            guard words.count == 3, let files = Int64(words[1]), let bytes = Int64(words[2]) else { return nil }
            return (.text(String(words[0])), files, bytes)
        }
        .sorted { ($0.bytes, $0.value.text) > ($1.bytes, $1.value.text) }
    }

    private static func add(_ path: String, _ depth: Int, _ sum: inout (files: Int64, bytes: Int64)) {
        guard depth < mostDepth else { return }
        for name in Paths.names(path) {
            guard let found = try? SystemCall.attributes(SystemCall.currentDirectory, path + "/" + name) else {
                continue
            }
            if found.isDirectory {
                add(path + "/" + name, depth + 1, &sum)
            } else if found.isRegular {
                sum = (sum.files &+ 1, sum.bytes &+ Int64(found.st_size))
            }
        }
    }
}
