import ArtifactRecords
import Glibc
import SystemPackage
import TestSupport
import Testing

@testable import Provenance

/// Files of any bytes: whatever stands in them, the reader returns. A trap would end the driver, and with it everybody's mount.
@Suite struct HostileTests {
    /// What overflows something, of every width.
    static let extremes: [UInt64] =
        [8, 16, 32, 64].flatMap { width -> [UInt64] in
            let top = UInt64(1) << UInt64(width - 1)
            return [top - 1, top, top + 1, top &+ top &- 1, top &+ top &- 2]
        } + [0, 1, 2, .max, .max - 1]

    private static func number(_ value: UInt64, _ size: Int) -> [UInt8] {
        (0..<size).reversed().map { UInt8(truncatingIfNeeded: value >> UInt64(8 * $0)) }
    }

    /// All that is made of an index.
    private func use(_ bytes: [UInt8], _ format: ObjectFormat) {
        guard let index = GitIndex(bytes, format) else { return }
        for entry in index.entries.indices {
            let name = index.name(entry)
            #expect(!name.isEmpty && name.first != UInt8(ascii: "/") && !name.contains(0))
            #expect(!name.split(separator: UInt8(ascii: "/")).contains { $0.elementsEqual("..".utf8) })
            #expect(index.id(entry).count == format.length)
        }
        _ = try? IndexTree.root(of: index, format)
    }

    /// Indexes that git wrote, of every version, with and without extensions.
    private static func indexes() throws -> [(bytes: [UInt8], format: ObjectFormat)] {
        let make = """
            git init -q FORMAT r; cd r; mkdir -p a/b; echo x > a/b/c; echo y > a/d; ln -s x l; echo z > é; git add .; git commit -qm 1
            cp .git/index ../2; echo n > new; git add -N new; git update-index --skip-worktree a/d; cp .git/index ../3
            git update-index --index-version 4; cp .git/index ../4; git reset -q --hard; git update-index --index-version 4
            git sparse-checkout set --cone --sparse-index nothing; cp .git/index ../sparse
            """
        var all: [([UInt8], ObjectFormat)] = []
        for format in [ObjectFormat.sha1, .sha256] {
            let option = format == .sha1 ? "" : "--object-format=sha256"
            let repository = try Repository(make.replacing("FORMAT", with: option))
            for name in ["2", "3", "4", "sparse"] {
                all.append((try TestSupport.bytes(repository.path + "/" + name), format))
            }
        }
        return all
    }

    @Test func everyNumberOfAnIndex() throws {
        for (bytes, format) in try Self.indexes() {
            let index = try #require(GitIndex(bytes, format))
            #expect(index.entries.count >= 3)
            for size in format == .sha1 ? [2, 4] : [4] {
                for place in 0...(bytes.count - size) {
                    for value in Set(Self.extremes.map { $0 & (1 << UInt64(8 * size) - 1) }) {
                        var changed = bytes
                        changed.replaceSubrange(place..<place + size, with: Self.number(value, size))
                        use(changed, format)
                    }
                }
            }
            for end in bytes.indices { use(Array(bytes[..<end]), format) }
            // As if it were the other kind's.
            use(bytes, format == .sha1 ? .sha256 : .sha1)
        }
    }

    @Test func changedIndexes() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        for (bytes, format) in try Self.indexes() {
            for _ in 0..<2000 {
                var changed = bytes
                for _ in 0..<Int.random(in: 1...6, using: &generator) where changed.count > 16 {
                    let at = Int.random(in: 0..<changed.count, using: &generator)
                    switch Int.random(in: 0..<5, using: &generator) {
                    case 0: changed.remove(at: at)
                    case 1: changed.insert(UInt8.random(in: 0...255, using: &generator), at: at)
                    case 2: changed[at] = [0, 0x7F, 0x80, 0xFF, 0x2F, 0x2E].randomElement(using: &generator) ?? 0
                    case 3: changed[at] ^= 1 << UInt8.random(in: 0..<8, using: &generator)
                    default:
                        let from = Int.random(in: 0..<changed.count, using: &generator)
                        changed += changed[from...].prefix(100)
                    }
                }
                use(changed, format)
            }
        }
    }

    /// An index of version 2 with names as nobody's git writes them.
    @Test(arguments: [
        "../x", "a/../../x", "/etc/passwd", "a//b", "a/", ".git/config", "a/.GIT/x", ".", "..", "", "a/./b", ".gIt",
    ])
    func namesThatLeadOut(name: String) {
        func index(_ name: String) -> [UInt8] {
            var entry =
                [UInt8](repeating: 0, count: 24) + Self.number(0o100644, 4) + [UInt8](repeating: 0, count: 12 + 20)
            entry += Self.number(UInt64(name.utf8.count), 2) + Array(name.utf8)
            entry += [UInt8](repeating: 0, count: 8 - entry.count % 8)
            return Array("DIRC".utf8) + Self.number(2, 4) + Self.number(1, 4) + entry + [UInt8](repeating: 0, count: 20)
        }
        #expect(GitIndex(index("a/.gitx"), .sha1) != nil)
        #expect(GitIndex(index(name), .sha1) == nil, "\(name)")
    }

    // MARK: - Deltas and packs

    @Test func deltas() {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let base = (0..<200).map { UInt8($0) }
        // Copies 100 bytes from 50 on, then inserts three.
        let delta: [UInt8] = [0xC8, 0x01, 103, 0x91, 50, 100, 3, 1, 2, 3]
        #expect(PackDelta.apply(delta, to: base, limit: 1000) == Array(base[50..<150]) + [1, 2, 3])
        #expect(PackDelta.apply(delta, to: base, limit: 102) == nil)
        #expect(PackDelta.apply(delta, to: Array(base.dropLast()), limit: 1000) == nil)
        for _ in 0..<50_000 {
            var changed = delta
            for _ in 0..<Int.random(in: 1...4, using: &generator) {
                let at = Int.random(in: 0..<changed.count, using: &generator)
                changed[at] =
                    Bool.random(using: &generator)
                    ? [0, 0xFF, 0x80, 0x7F][at % 4] : UInt8.random(in: 0...255, using: &generator)
                if Bool.random(using: &generator) { changed.insert(changed[at], at: at) }
            }
            let made = PackDelta.apply(changed, to: base, limit: 1000)
            #expect((made?.count ?? 0) <= 1000)
        }
    }

    /// A pack and its index with any byte changed: the commit's tree is found as it is, or nothing is.
    @Test func changedPacks() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let repository = try Repository(
            """
            git init -q r; cd r; echo x > x; git add x; for i in $(seq 12); do git commit -q --allow-empty -F <(seq 300; echo $i); done
            git repack -qadf --depth=50 --window=50; cd .git/objects/pack; for f in *; do mv $f pack-x.${f##*.}; done; chmod u+w *
            """)
        let commits = try #require(try repository.git("rev-list", "HEAD", in: "r")).split(separator: "\n")
        let tree = try #require(try repository.git("rev-parse", "HEAD^{tree}", in: "r"))
        let walk = PathWalk(isAvoided: { _ in false })
        let common = try walk.follow(Array((repository.path + "/r/.git").utf8), from: nil).file
        let reader = CommitReader(walk: walk, format: .sha1)
        func trees() -> [String?] {
            commits.map { commit in
                guard let id = ObjectID(hexadecimal: Array(commit.utf8), .sha1) else { return nil }
                return (try? reader.tree(of: id, in: common))?.text
            }
        }
        #expect(trees() == commits.map { _ in tree })
        for suffix in ["idx", "pack"] {
            let path = repository.path + "/r/.git/objects/pack/pack-x." + suffix
            let original = try TestSupport.bytes(path)
            for round in 0..<150 {
                var changed = original
                if round % 10 == 0 { changed.removeLast(Int.random(in: 0...changed.count, using: &generator)) }
                for _ in 0..<Int.random(in: 1...30, using: &generator) where changed.count >= 8 {
                    let size = [1, 2, 4, 8].randomElement(using: &generator) ?? 1
                    // The beginnings of both have the numbers.
                    let end = Bool.random(using: &generator) ? changed.count : min(changed.count, 1500)
                    let at = Int.random(in: 0...(end - size), using: &generator)
                    let value = Self.extremes.randomElement(using: &generator) ?? 0
                    changed.replaceSubrange(at..<at + size, with: Self.number(value, size))
                }
                try write(changed, to: path)
                for found in trees() { #expect(found == nil || found == tree, "seed \(seed), \(suffix)") }
            }
            try write(original, to: path)
        }
        #expect(trees() == commits.map { _ in tree })
    }

    // MARK: - HEAD, refs and packed-refs

    @Test func changedRefs() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let repository = try Repository(
            IdentityTests.plain + "cd r; git branch a/b; git pack-refs --all; git checkout -q a/b")
        let commits = Set(
            (try #require(try repository.git("rev-list", "--all", in: "r"))).split(separator: "\n").map(String.init))
        let pieces = [
            "ref: ", "refs/", "heads/", "a", "/", "..", "\n", "\0", " ", "^", "#", "0", "f", "\u{7F}", "é", "@{",
            ".lock", "../../HEAD",
        ]
        for file in ["HEAD", "packed-refs", "refs/heads/a/b", "commondir", "config"] {
            let path = repository.path + "/r/.git/" + file
            let original = try? TestSupport.bytes(path)
            for _ in 0..<400 {
                var changed = original ?? Array("ref: refs/heads/main\n".utf8)
                for _ in 0..<Int.random(in: 1...4, using: &generator) {
                    let at = Int.random(in: 0...changed.count, using: &generator)
                    if Bool.random(using: &generator) {
                        changed.removeSubrange(at..<min(changed.count, at + Int.random(in: 0...8, using: &generator)))
                    }
                    changed.insert(
                        contentsOf: Array((pieces.randomElement(using: &generator) ?? "").utf8),
                        at: min(at, changed.count))
                }
                try? write(changed, to: path)
                guard let found = repository.read("r") else { continue }
                // Only a name that git would take comes into a record.
                if let shown = found.branch {
                    // Bytes that are no text, which git takes, are shown as what they are.
                    let branch = shown.replacing(/\\x[89a-f][0-9a-f]/, with: "x")
                    #expect(RefName.isValid(Array("refs/heads/\(branch)".utf8)), "seed \(seed): \(branch)")
                }
                if let commit = found.commit, file != "packed-refs", file != "HEAD", file != "refs/heads/a/b" {
                    #expect(commits.contains(commit), "seed \(seed)")
                }
                #expect(found.commit.map { $0.utf8.count == 40 && $0.allSatisfy(\.isHexDigit) } ?? true)
            }
            if let original { try write(original, to: path) } else { unlink(path) }
        }
    }

    /// What git-check-ref-format(1) says of names.
    @Test func namesOfRefs() throws {
        let repository = try Repository()
        var generator = SplitMix64(seed: Seed.fromEnvironment())
        let pieces = [
            "a", "b", "/", ".", "..", "@", "{", "@{", ".lock", "~", "^", ":", "?", "*", "[", "\\", " ", "\u{7F}",
            "\u{1}", "é", "-", "lock",
        ]
        let names = (0..<300).map { _ in
            "refs/"
                + (0..<Int.random(in: 1...5, using: &generator)).map { _ in
                    pieces.randomElement(using: &generator) ?? ""
                }.joined()
        }
        try write(names.map { $0 + "\0" }.joined(), to: repository.path + "/names")
        let script = "while IFS= read -r -d '' n; do git check-ref-format \"$n\" && echo y || echo n; done < names"
        let outcome = try shell(script, in: repository.path)
        let answers = outcome.output.split(separator: "\n")
        try #require(answers.count == names.count)
        for (name, answer) in zip(names, answers) {
            #expect(RefName.isValid(Array(name.utf8)) == (answer == "y"), "\(name.debugDescription)")
        }
    }

    // MARK: - Nothing is waited for

    /// A fifo, a device, a directory or a link that leads in a circle in the place of every file of a repository: what can be told is told at once.
    @Test func everyFileIsSomethingElse() throws {
        let repository = try Repository(
            IdentityTests.plain + """
                cd r; git checkout -qb b; git pack-refs --all; git commit -q --allow-empty -m x; git gc -q; git commit -q --allow-empty -m y
                git worktree add -q ../w -b w; echo '*.x text' > .gitattributes; echo x > .git/info/attributes; echo /nowhere > .git/objects/info/alternates
                """)
        let git = repository.path + "/r/.git"
        let whole = try #require(repository.read("r", changes: .yes(home: FilePath(repository.path))))
        for file in tree(git) + [".git"] {
            let path = file == ".git" ? repository.path + "/w/.git" : git + "/" + file
            let aside = repository.path + "/aside"
            for make in ["mkfifo", "mkdir", "link", "mknod"] {
                guard rename(path, aside) == 0 else { continue }
                switch make {
                case "mkfifo": mkfifo(path, 0o644)
                case "mkdir": mkdir(path, 0o755)
                case "link": symlink(path, path)
                default: symlink("/dev/zero", path)
                }
                for place in ["r", "w"] {
                    _ = repository.read(place, changes: .yes(home: FilePath(repository.path)))
                }
                if unlink(path) != 0 { rmdir(path) }
                try #require(rename(aside, path) == 0)
            }
        }
        #expect(repository.read("r", changes: .yes(home: FilePath(repository.path))) == whole)
    }
}
