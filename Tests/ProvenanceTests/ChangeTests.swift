import ArtifactRecords
import Glibc
import Provenance
import SystemCalls
import SystemPackage
import TestSupport
import Testing

/// Whether tracked files differ: what is read is what `git status` says, or nothing.
@Suite struct ChangeTests {
    /// Two commits in `r`, with all kinds of files and names that sort in other ways as paths than as trees.
    static let base = """
        git init -q r; cd r; mkdir -p d/e a; echo one > f; echo two > d/e/g; echo three > a/b; echo four > a-b; echo five > a.b
        echo six > a0; printf 'x\\r\\ny\\r\\n' > crlf; printf '\\0\\1' > binary; > empty; ln -s f link; ln -s nowhere dead
        echo run > program; chmod +x program; echo é > 'é ü'; git add .; git commit -qm 1; echo more >> f; git commit -qam 2

        """
    /// Makes what git looked at old: so old that nothing is racy.
    static let age =
        "find . -path ./.git -prune -o -exec touch -h -d '2020-01-01' {} +; git update-index -q --refresh || true; touch -d '2020-01-02' .git/index\n"

    /// Scripts that run in the repository after it was made; git's answer is right.
    static let same: [String] = [
        "", "echo x >> f", "printf 'two\\nmore\\n' > f", "printf 'ONE\\nmore\\n' > f", "touch f", "touch -d tomorrow f",
        "touch *",
        "rm f", "rm -r d", "rm -r a", "mv f z", "chmod +x f", "chmod -x program", "chmod g+w f",
        "git config core.filemode false; chmod +x f",
        "git config core.filemode false; chmod -x program; printf 'ONE\\nmore\\n' > f", "cp f z; mv z f",
        "echo x >> f; git add f", "git rm -q --cached f", "git rm -q f", "git mv f z", "echo x > new; git add new",
        "echo x > new", "mkdir n; echo x > n/n",
        "echo new > .gitignore; echo x > new", "echo x >> f; git add f; git checkout -q HEAD f",
        "echo x >> f; git add f; git reset -q",
        "echo x >> f; git add f; git reset -q; git checkout -q f", "echo x > new; git add -N new",
        "echo x > new; git add -N new; rm new",
        "echo x > d/new; git add -N d/new", "mkdir q; echo x > q/new; git add -N q/new; git commit -qm n --allow-empty",
        "ln -sf x link", "ln -sf g link", "rm link; cp f link", "rm f; ln -s a0 f", "mv d d2; ln -s d2 d",
        "rm f; mkdir f", "rm f; mkdir f; echo x > f/x",
        "rm f; mkfifo f", "rm a/b; rmdir a; echo x > a", "rm dead", "touch -h -d tomorrow link",
        "rm link; ln -s f link", "> f", "echo x > empty", "rm empty; touch empty",
        "git checkout -qb s HEAD~1; echo s > s; git add s; git commit -qm s; git merge -q --no-commit main",
        "git checkout -qb s HEAD~1; git merge -q --no-ff --no-commit main",
        "git checkout -qb s HEAD~1; git merge -qs ours --no-commit main",
        "git checkout -qb s HEAD~1; echo s >> f; git commit -qam s; git merge -q main > /dev/null || true",
        "git checkout -q --detach HEAD~1", "git reset -q --soft HEAD~1", "git reset -q --mixed HEAD~1",
        "git reset -q --hard HEAD~1", "git stash -q", "echo x >> f; git stash -q",
        "git checkout -q --orphan new", "git checkout -q --orphan new; git rm -rqf .",
        "git update-index --index-version 4", "git update-index --index-version 4; echo x >> d/e/g",
        "git update-index --index-version 4; printf 'TWO\\n' > d/e/g", "git update-index --index-version 3; rm a-b",
        "git update-index --assume-unchanged f",
        "git update-index --skip-worktree f", "git update-index --skip-worktree f; rm f",
        "git update-index --skip-worktree f; echo x > a0",
        "git sparse-checkout set d", "git sparse-checkout set d; echo x >> d/e/g",
        "git sparse-checkout set --no-cone /f", "git sparse-checkout set --no-cone /f; rm f",
        "git sparse-checkout set --cone --sparse-index d",
        "git sparse-checkout set --cone --sparse-index d; echo x >> d/e/g",
        "git sparse-checkout set --cone --sparse-index d; git rm -q d/e/g",
        "git sparse-checkout set --cone --sparse-index d; git reset -q --soft HEAD~1",
        "git gc -q", "git gc -q; echo x >> f", "git gc -q; git reset -q --soft HEAD~1",
        "git repack -qadf --depth=50 --window=50; git prune-packed", "rm .git/index", "git rm -rq --cached .",
        "git commit -q --allow-empty -m e", "git config core.autocrlf false; echo x >> crlf",
        "git config core.untrackedCache true; git update-index --untracked-cache; echo x > u",
        "git config core.worktree \"$PWD\"", "git config core.worktree ..", "git config core.worktree ..; echo x >> f",
        "git config core.ignoreStat true; git reset -q --hard", "git update-ref refs/replace/x HEAD",
        "git config core.trustctime false; touch f", "git config core.checkStat minimal; touch f",
        "echo '*.x linguist-language=y' > .gitattributes; printf 'ONE\\nmore\\n' > f",
        "echo '*.x -diff' > .gitattributes; git add .; git commit -qm a; printf 'ONE\\nmore\\n' > f",
        "git config extensions.worktreeConfig true; git config core.repositoryformatversion 1; echo x >> f",
        "git notes add -m x", "git tag x; git pack-refs --all; echo x >> a0",
    ]

    @Test(arguments: 0..<same.count, [false, true]) func whatGitSays(index: Int, isOld: Bool) throws {
        let script = Self.same[index]
        let repository = try Repository(Self.base + (isOld ? Self.age : "") + script)
        let told = try repository.isChanged("r")
        let repositories = GitRepositories()
        for _ in 0..<2 {
            #expect(repository.readChanged("r", by: repositories) == told, "\(isOld ? "old: " : "")\(script)")
        }
    }

    /// Where git was told not to look, or may take other bytes for the same: nothing is said, or what git says.
    @Test(
        arguments: [
            "git update-index --assume-unchanged f; echo x >> f", "git update-index --assume-unchanged f; rm f",
            "git update-index --skip-worktree f; echo x >> f",
            "git update-index --split-index", "git update-index --split-index; echo x >> f",
            "git config core.splitIndex true; echo x >> f; git add f",
            "git config core.autocrlf true; rm f; git checkout -q f; sleep 0.01; touch f",
            "git config core.autocrlf input; touch crlf",
            "git config core.autocrlf true; printf 'one\\r\\nmore\\r\\n' > f; git add f; touch f",
            "echo '* text=auto' > .gitattributes; touch *",
            "echo '* text eol=crlf' > .gitattributes; git add --renormalize .; git commit -qam e; rm f; git checkout -q f; touch f",
            "echo 'f ident' > .gitattributes; echo '$Id$' > f; git add .; git commit -qam i; rm f; git checkout -q f; touch f",
            "git config filter.u.clean 'tr a-z A-Z'; git config filter.u.smudge 'tr A-Z a-z'; echo 'f filter=u' > .gitattributes; git add .; git add --renormalize .; git commit -qam u; rm f; git checkout -q f; touch f",
            "git config filter.u.clean 'tr a-z A-Z'; echo 'f filter=u' > .git/info/attributes; git add --renormalize .; git commit -qam u; touch f",
            "echo 'f filter=u' > ../attributes; git config core.attributesFile ../attributes; git config filter.u.clean 'tr a-z A-Z'; git add --renormalize .; git commit -qam u; touch f",
            "git config core.fileMode maybe; git config --unset core.fileMode; chmod +x f",
            "git config core.symlinks false; rm link; printf f > link",
            "echo '[include]' >> .git/config; echo 'path = more' >> .git/config; printf 'ONE\\nmore\\n' > f",
            "git sparse-checkout set --cone --sparse-index d; mkdir a; echo x > a/b",
        ], [false, true])
    func whatGitSaysOrNothing(script: String, isOld: Bool) throws {
        let repository = try Repository(Self.base + (isOld ? Self.age : "") + script)
        let told = try repository.isChanged("r")
        let read = repository.readChanged("r")
        #expect(read == nil || read == told, "\(isOld ? "old: " : "")\(script)")
    }

    /// What cannot be told.
    @Test(arguments: [
        "git config core.bare true", "git config core.worktree ../other; mkdir ../other",
        "git config core.worktree /nowhere", "rm -r .git/objects/*", "echo x > .git/index",
        "truncate -s 1G .git/index", "rm .git/index; mkfifo .git/index", "rm .git/index; ln -s /dev/zero .git/index",
        "rm .git/index; mkdir .git/index",
        "o=.git/objects/$(git rev-parse HEAD | sed 's|^..|&/|'); chmod u+w $o; echo x > $o",
        "o=.git/objects/$(git rev-parse HEAD | sed 's|^..|&/|'); p=.git/objects/$(git rev-parse HEAD~1 | sed 's|^..|&/|'); cp -f $p $o",
        "o=.git/objects/$(git rev-parse HEAD | sed 's|^..|&/|'); rm $o; mkfifo $o",
        "git gc -q; rm .git/objects/pack/*.idx",
        "git gc -q; for p in .git/objects/pack/*.pack; do rm $p; mkfifo $p; done",
        "git gc -q; chmod u+w .git/objects/pack/*; for p in .git/objects/pack/*.pack; do truncate -s 20 $p; done",
        "git gc -q; chmod u+w .git/objects/pack/*; for p in .git/objects/pack/*.idx; do truncate -s 1100 $p; done",
        "echo $(git rev-parse HEAD^{tree}) > .git/refs/heads/main",
        "echo $(git rev-parse HEAD | tr 0-9 1-90) > .git/refs/heads/main",
    ]) func unknown(script: String) throws {
        let repository = try Repository(Self.base + script)
        let found = try #require(repository.read("r", changes: .yes(home: nil)))
        #expect(found.dirty == nil, "\(script)")
    }

    /// Other kinds of repositories, with the places that are asked about.
    static let kinds: [(script: String, places: [String])] = [
        (base.replacing("init -q", with: "init -q --object-format=sha256"), ["r", "r/d"]),
        (
            base.replacing("init -q", with: "init -q --object-format=sha256") + "git gc -q; printf 'ONE\\nmore\\n' > f",
            ["r"]
        ),
        (
            base.replacing("init -q", with: "init -q --object-format=sha256")
                + "git update-index --index-version 4; git rm -q a-b", ["r"]
        ),
        (
            base + "git worktree add -q ../w -b w; git worktree add -q ../x -b x; echo x >> ../x/f",
            ["r", "w", "x", "x/d"]
        ),
        (base + "cd ..; git clone -q r c; git clone -q r e; echo x >> e/f", ["c", "e"]),
        (base + "cd ..; git clone -q -s r c; git clone -q --reference r r e; git -C e rm -q f", ["c", "e"]),
        (base + "cd ..; git clone -q -n r c", ["c"]), (base + "git clone -q --depth=1 \"file://$PWD\" ../c", ["c"]),
        ("git init -q r; cd r; echo x > f; git add f", ["r"]), ("git init -q r", ["r"]),
        (base + "cd ..; git clone -q --bare r p; git -C p worktree add -q ../w -b w; echo x > w/a0", ["w"]),
        (base.replacing("init -q", with: "init -q --separate-git-dir=g") + "echo x >> f", ["r"]),
        (
            base
                + "for i in $(seq 40); do git commit -q --allow-empty -F <(seq 300; echo $i); done; git repack -qadf --depth=50 --window=50; git verify-pack -v .git/objects/pack/*.idx | grep -q 'commit.* [1-9][0-9]* [0-9a-f]*$'; git branch z; git checkout -q --detach HEAD~20",
            ["r"]
        ),
        (
            base
                + "for i in $(seq 40); do git commit -q --allow-empty -F <(seq 300; echo $i); done; git config repack.useDeltaBaseOffset false; git repack -qadf --depth=50 --window=50; git checkout -q --detach HEAD~37; git reset -q --soft HEAD~1",
            ["r"]
        ),
    ]

    @Test(arguments: 0..<kinds.count) func kindsOfRepositories(index: Int) throws {
        let (script, places) = Self.kinds[index]
        let repository = try Repository(script)
        for place in places {
            let told = try repository.isChanged(place)
            #expect(repository.readChanged(place) == told, "\(place): \(script)")
        }
    }

    /// A repository `s` with a submodule `s/sub`.
    static let submodule = base + "cd ..; git init -q s; cd s; git submodule -q add ../r sub; git commit -qm s; cd ..\n"

    @Test(
        arguments: [
            ("", true), ("echo x >> s/sub/f", true), ("cd s/sub; printf 'ONE\\nmore\\n' > f", true),
            ("cd s/sub; git commit -q --allow-empty -m x", true), ("cd s/sub; git add -N f; echo x > n", true),
            ("cd s/sub; echo x > n; git add n", true),
            ("cd s/sub; git checkout -q --detach HEAD~1; cd ..; git add sub", true), ("rm -r s/sub", true),
            ("rm -r s/sub; mkdir s/sub", true), ("rm -r s/sub; echo x > s/sub", true),
            ("rm s/sub/.git", true), ("git clone -q s t", true), ("git clone -q s t; rm -r t/sub", true),
            ("git clone -q --recurse-submodules s t; echo x >> t/sub/a0", true),
            ("cd s; git config submodule.sub.ignore all; echo x >> sub/f", false),
            ("cd s; git config -f .gitmodules submodule.sub.ignore dirty; git commit -qam i; echo x >> sub/f", false),
            ("cd s/sub; rm .git; git init -q", true),
            ("cd s/sub; echo x >> f; git commit -qam x; git reset -q --hard HEAD~1", true),
        ])
    func submodules(script: String, isExact: Bool) throws {
        let repository = try Repository(Self.submodule + script)
        for place in ["s", "s/sub", "t", "t/sub"] where exists(repository.path + "/" + place + "/.") {
            guard let told = try? repository.isChanged(place) else { continue }
            let read = repository.readChanged(place)
            #expect(read == told || (!isExact && read == nil), "\(place): \(script)")
        }
    }

    /// One repository, changed again and again as people and tools do; what is remembered never makes the answer wrong.
    @Test func manyChanges() throws {
        let seed = Seed.fromEnvironment()
        var generator = SplitMix64(seed: seed)
        let repository = try Repository(Self.base + Self.age)
        let repositories = GitRepositories()
        let steps = [
            "printf 'one\\nmore\\n' > f", "printf 'ONE\\nmore\\n' > f", "echo x >> f", "touch f",
            "git checkout -qf HEAD -- .", "git add -A", "git commit -qm x --allow-empty", "git reset -q",
            "git reset -q --hard",
            "chmod +x a0", "chmod -x a0", "rm -f d/e/g", "mkdir -p d/e; echo two > d/e/g",
            "git update-index -q --refresh", "touch -c -d '1 hour ago' .git/index",
            "find . -exec touch -h -d '1 hour ago' {} +",
            "ln -sf a0 link", "ln -sf f link", "git gc -q", "git update-index --index-version 4",
            "git update-index --index-version 2", "git reset -q --soft HEAD~1", "git checkout -q --detach",
            "git stash -q",
            "rm -f .git/index", "cp -p f k; cat k > f; touch -r k f; rm k",
        ]
        var done: [String] = []
        for _ in 0..<120 {
            let step = steps.randomElement(using: &generator) ?? ""
            done.append(step)
            try repository.run("cd r; set +e; \(step); true")
            let told = try repository.isChanged("r")
            #expect(repository.readChanged("r", by: repositories) == told, "seed \(seed): \(done)")
        }
    }

    /// A file that changed after git looked, and shows the same to stat(2): it is read where the index was not written in a later second.
    @Test(arguments: [-5, -1, 0, 1, 5]) func aRacyFile(seconds: Int) throws {
        let repository = try Repository(Self.base + Self.age + "printf 'ONE\nmore\n' > f")
        let path = repository.path + "/r/.git/index"
        var found = stat()
        try #require(stat(repository.path + "/r/f", &found) == 0)
        // What git would have written, had it looked a moment later and not read.
        var bytes = try TestSupport.bytes(path)
        let name = [0, 1, UInt8(ascii: "f"), 0]
        let at = try #require(bytes.indices.first { bytes[$0...].starts(with: name) }) + 2
        func put(_ value: Int, _ place: Int) {
            for byte in 0..<4 { bytes[at - 62 + place + byte] = UInt8(truncatingIfNeeded: value >> (24 - 8 * byte)) }
        }
        put(found.st_ctim.tv_sec, 0)
        put(found.st_ctim.tv_nsec, 4)
        put(found.st_mtim.tv_sec, 8)
        put(found.st_mtim.tv_nsec, 12)
        put(Int(found.st_ino), 20)
        try write(bytes, to: path)
        let written = timespec(tv_sec: found.st_mtim.tv_sec + seconds, tv_nsec: 0)
        let times = [written, written]
        try #require(utimensat(AT_FDCWD, path, times, 0) == 0)
        let told = try repository.isChanged("r")
        #expect(told == (seconds <= 0), "the test makes what it says")
        #expect(repository.readChanged("r") == told)
    }

    /// More files than are looked at.
    @Test func manyFiles() throws {
        let repository = try Repository(
            "git init -q r; cd r; mkdir d; (cd d; seq 19999 | xargs touch); git add .; git commit -qm 1")
        #expect(repository.readChanged("r") == false)
        try repository.run("cd r; echo x > d/500")
        #expect(repository.readChanged("r") == true)
        try repository.run("cd r; touch d/20000 d/20001; git add .; git commit -qm 2")
        #expect(repository.readChanged("r") == nil)
        #expect(repository.read("r")?.commit != nil)
    }

    /// Without being asked nothing is said, and the user's own configuration counts.
    @Test func theUsersConfiguration() throws {
        let repository = try Repository(Self.base + Self.age + "printf 'ONE\\nmore\\n' > f")
        #expect(repository.read("r")?.dirty == nil)
        #expect(repository.read("r", changes: .yes(home: nil))?.dirty == nil)
        #expect(repository.readChanged("r") == true)
        for (file, text) in [
            (".gitconfig", "[core]\nattributesFile = x\n"), (".gitconfig", "[include]\npath = x\n"),
            (".gitconfig", "[core"), (".config/git/attributes", "f filter=x\n"),
            (".config/git/config", "[includeIf \"gitdir:x\"]\npath = x\n"),
        ] {
            try repository.run("mkdir -p .config/git")
            try write(text, to: repository.path + "/" + file)
            #expect(repository.readChanged("r") == nil, "\(file): \(text)")
            try repository.run("rm '\(file)'")
        }
        try write("[user]\nname = x\n", to: repository.path + "/.gitconfig")
        #expect(repository.readChanged("r") == true)
    }

    @Test(.enabled(if: geteuid() == 0)) func filesThatTheUserMayNotRead() throws {
        let repository = try Repository("umask 022; " + Self.base + Self.age)
        let user = UserRights(user: 61001, group: 61101, groups: [])
        func changed() -> Bool? {
            repository.read("r", as: user, changes: .yes(home: FilePath(repository.path)))?.dirty
        }
        #expect(changed() == false)
        try repository.run("cd r; printf 'ONE\\nmore\\n' > f; chmod 600 f")
        #expect(changed() == nil)
        try repository.run("cd r; chmod 644 f")
        #expect(changed() == true)
        // What another user could read is not said to one who may not.
        let repositories = GitRepositories()
        try repository.run("cd r; chmod 600 f; touch -d '1 hour ago' f")
        #expect(repository.readChanged("r", by: repositories) == true)
        #expect(
            repository.read("r", by: repositories, as: user, changes: .yes(home: FilePath(repository.path)))?.dirty
                == nil)
        try repository.run("cd r; git checkout -q f; chmod 700 d; chmod 600 .git/index")
        #expect(changed() == nil)
        try repository.run("cd r; chmod 644 .git/index; git update-index -q --refresh")
        #expect(changed() == nil)
    }
}
