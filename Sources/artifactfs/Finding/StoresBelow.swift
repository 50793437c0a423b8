import ArtifactRecords
import ArtifactStore
import Artifacts
import Glibc
import SystemCalls
import SystemPackage

/// The stores below a directory: of a mount that shows several, or of a root that such a mount would show.
///
/// They are looked for by another process, which a driver that does not answer may keep. No store is gone into: on a mount it would be opened.
struct StoresBelow {
    /// A store, by its path from the mount point or the root as a mount shows it, and where its directory is.
    private(set) var stores: [(shown: String, store: String)] = []
    /// What could not be looked into, and why.
    private(set) var problems: [(path: String, error: Errno)] = []

    /// How long all may take, in milliseconds.
    private static let patience: Int64 = 120_000

    /// Those that a mount shows below a directory of it that is above the stores.
    init(on mount: MountEntry, _ directory: String) throws {
        let rest = Paths.rest(of: directory, in: mount.mountPoint)
        let level = rest.split(separator: "/").count
        let answer = Patience.find(within: Self.patience, on: mount) {
            Self.shown(in: mount.mountPoint, rest, level: level)
        }
        guard let answer else { throw mount.silence }
        try read(answer, directory)
    }

    /// Those below a directory, as a mount of it would show them.
    init(root: String) throws {
        let others = Set(
            MountEntry.all().filter { RootNames.isSomebodys(type: $0.type, user: $0.user) }.map(\.mountPoint))
        let answer = Patience.find(within: Self.patience) { Self.real(in: root, "", "", level: 0, besides: others) }
        guard let answer else { throw MountEntry.silence(on: root) }
        try read(answer, root)
    }

    private mutating func read(_ answer: [UInt8], _ directory: String) throws {
        var fields = answer.split(separator: 0, omittingEmptySubsequences: false)[...]
        while fields.count >= 3, let word = fields.popFirst(), let path = fields.popFirst(),
            let more = fields.popFirst()
        {
            let (path, more) = (String(decoding: path, as: UTF8.self), String(decoding: more, as: UTF8.self))
            if word.first == UInt8(ascii: "s") {
                stores.append((path, more))
            } else {
                problems.append((path, Errno(rawValue: Int32(more) ?? EIO)))
            }
        }
        for (path, error) in problems {
            Terminal.complain("\(path) cannot be looked through for stores: \(error)")
        }
        guard stores.isEmpty else { return }
        throw problems.isEmpty
            ? Failure(.notAStore, "there is no store below \(directory): 'artifactfs init' makes one")
            : Failure(
                .cannotAnswer, "no store was found below \(directory), and not all of it could be looked through")
    }

    private static func line(_ word: Character, _ path: String, _ more: String) -> [UInt8] {
        Array("\(word)\0\(path)\0\(more)\0".utf8)
    }

    /// The names in a directory that are looked at, sorted.
    private static func names(_ directory: String) throws(Errno) -> [String] {
        let opened = try SystemCall.open(SystemCall.currentDirectory, directory, O_RDONLY | O_DIRECTORY)
        defer { SystemCall.close(opened) }
        var names: [String] = []
        try SystemCall.forEachName(in: opened) { name, _, type throws(Errno) in
            guard type == S_IFDIR || type == 0, let name = String(validatingCString: name), RootNames.isLookedAt(name)
            else { return }
            names.append(name)
        }
        return names.sorted()
    }

    private static func join(_ directory: String, _ name: String) -> String {
        directory.isEmpty ? name : directory + "/" + name
    }

    private static func shown(in mountPoint: String, _ path: String, level: Int) -> [UInt8] {
        var found: [UInt8] = []
        do throws(Errno) {
            for name in try names(path.isEmpty ? mountPoint : mountPoint + "/" + path) {
                let path = join(path, name)
                do throws(Errno) {
                    let store = try SystemCall.extendedAttribute(
                        ArtifactAttribute.store, ofPath: mountPoint + "/" + path)
                    found += line("s", path, String(decoding: store, as: UTF8.self))
                } catch {
                    if error == .noData, level + 1 < RootNames.levels {
                        found += shown(in: mountPoint, path, level: level + 1)
                    } else if error != .noData, error != .noSuchFileOrDirectory {
                        found += line("p", mountPoint + "/" + path, "\(error.rawValue)")
                    }
                }
            }
        } catch {
            found += line("p", path.isEmpty ? mountPoint : mountPoint + "/" + path, "\(error.rawValue)")
        }
        return found
    }

    private static func real(
        in root: String, _ real: String, _ shown: String, level: Int, besides others: Set<String>
    ) -> [UInt8] {
        let directory = real.isEmpty ? root : root == "/" ? "/" + real : root + "/" + real
        func full(_ name: String) -> String { directory == "/" ? "/" + name : directory + "/" + name }
        var found: [UInt8] = []
        do throws(Errno) {
            var areStores: [String: Bool] = [:]
            for name in try names(directory) where !others.contains(full(name)) {
                let attributes = try? SystemCall.attributes(SystemCall.currentDirectory, full(name))
                guard attributes?.isDirectory == true else { continue }
                let own = try? SystemCall.attributes(
                    SystemCall.currentDirectory, full(name) + "/" + StoreLayout.privateDirectory)
                areStores[name] = own?.isDirectory == true
            }
            for (name, isStore) in areStores.sorted(by: { $0.key < $1.key }) {
                let below = RootNames.shown(name, isStore: isStore, isTaken: { areStores[$0] != nil })
                if isStore {
                    found += line("s", join(shown, below), full(name))
                } else if level + 1 < RootNames.levels {
                    found += Self.real(
                        in: root, join(real, name), join(shown, below), level: level + 1, besides: others)
                }
            }
        } catch { found += line("p", directory, "\(error.rawValue)") }
        return found
    }
}
