import ArtifactRecords
import Glibc
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

@testable import Provenance

/// Root, commit and branch: what is read of a repository is what git says of it.
@Suite struct IdentityTests {
    /// A repository with two commits in `r`.
    static let plain = """
        git init -q r; cd r; mkdir -p d/e; echo a > a; echo b > d/e/b; git add .; git commit -qm 1; echo c >> a; git commit -qam 2; cd ..

        """

    /// How it is made, and the directories that are asked about.
    static let cases: [(script: String, places: [String])] = [
        (plain, ["r", "r/d", "r/d/e"]),
        (plain + "cd r; git checkout -qb feature/a.b-c/d", ["r"]),
        (plain + "cd r; git checkout -q --detach", ["r"]),
        (plain + "cd r; git checkout -q HEAD~1", ["r/d"]),
        (plain + "cd r; git pack-refs --all", ["r"]),
        (plain + "cd r; git tag -am x v1; git branch zz; git pack-refs --all; git checkout -q zz", ["r"]),
        (plain + "cd r; git pack-refs --all; echo x > a; git commit -qam 3", ["r"]),
        (plain + "cd r; git checkout -q --orphan new", ["r"]),
        ("git init -q r", ["r"]),
        ("git init -q --object-format=sha256 r", ["r"]),
        (plain.replacing("init -q", with: "init -q --object-format=sha256"), ["r", "r/d/e"]),
        (plain.replacing("init -q", with: "init -q --object-format=sha256") + "cd r; git pack-refs --all", ["r"]),
        (plain.replacing("init -q", with: "init -q --separate-git-dir=elsewhere"), ["r", "r/d", "elsewhere"]),
        (
            plain + "git -C r worktree add -q ../w -b other; git -C r worktree add -q --detach ../x",
            ["r", "w", "x", "w/d"]
        ),
        (plain + "git -C r worktree add -q inside", ["r/inside", "r"]),
        (
            plain
                + "git init -q s; cd s; git submodule -q add ../r sub; git commit -qm s; cd ..; git clone -q --recurse-submodules s t",
            ["s", "s/sub", "s/sub/d", "t", "t/sub"]
        ),
        (plain + "git clone -q --bare r b; git -C b worktree add -q ../w -b w", ["b", "b/refs", "w"]),
        (plain + "mkdir p; git clone -q --bare r p/.bare; echo 'gitdir: ./.bare' > p/.git", ["p/.bare"]),
        (plain + "git clone -q r c; git -C c gc -q", ["c"]),
        (plain + "mkdir r/empty; mkdir r/empty/.git", ["r/empty"]),
        (plain + "mkdir -p r/fake/.git/objects r/fake/.git/refs", ["r/fake"]),
        (plain + "git init -q r/inner", ["r/inner", "r"]),
        (plain + "ln -s r l; ln -s ../../r/d r/d/up", ["l", "l/d", "r/d/up"]),
        (plain + "mv r/.git g; ln -s ../g r/.git", ["r", "r/d"]),
        (plain + "cd r/.git; ln -sf refs/heads/main HEAD", ["r"]),
        (
            plain + "cd r; git symbolic-ref refs/heads/alias refs/heads/main; git symbolic-ref HEAD refs/heads/alias",
            ["r"]
        ),
        (plain + "cd r; git update-ref refs/other/x HEAD; git symbolic-ref HEAD refs/other/x", ["r"]),
        (plain + "cd r; git checkout -qb é/ü; git pack-refs --all", ["r"]),
        (plain + "mv r 'a \"b é'", ["a \"b é"]),
        (
            plain
                + "cd r; git branch a/b; git pack-refs --all --prune; git checkout -q a/b; mkdir -p .git/refs/heads/a/b",
            ["r"]
        ),
        (plain + "cd r/.git; printf 'ref:   refs/heads/main  \\n\\n' > HEAD", ["r"]),
        (plain + "cd r/.git; tr a-f A-F < refs/heads/main > u; mv u refs/heads/main", ["r"]),
        (plain + "cd r; git config core.repositoryformatversion 1; git config extensions.noop x", ["r"]),
        (
            plain + """
                cd r; git config extensions.worktreeConfig true; git worktree add -q ../w -b w
                git -C ../w config --worktree core.sparseCheckout false
                """, ["r", "w"]
        ),
        (
            plain
                + "cd r; git checkout -qb side HEAD~1; echo s > s; git add s; git commit -qm s; git merge -q --no-commit main",
            ["r"]
        ),
        (plain + "cd r; git bisect start -q HEAD HEAD~1 > /dev/null", ["r"]),
    ]

    @Test(arguments: 0..<cases.count) func whatGitSays(index: Int) throws {
        let (script, places) = Self.cases[index]
        let repository = try Repository(script)
        let repositories = GitRepositories()
        for place in places {
            let told = try repository.told(of: place)
            // Twice: what is remembered is the same.
            for _ in 0..<2 {
                let found = try #require(repository.read(place, by: repositories), "\(place): \(script)")
                #expect((found.path, found.commit) == (told.path, told.commit), "\(place): \(script)")
                #expect((found.branch, found.role) == (told.branch, told.role), "\(place): \(script)")
            }
        }
    }

    /// What git refuses, or what is none: nothing is said.
    @Test(arguments: [
        "mkdir r", "mkdir r; touch r/.git", "mkdir r; echo 'gitdir: nowhere' > r/.git",
        "mkdir r; echo 'gitdir: .' > r/.git",
        "mkdir r; echo 'gitdir: .git' > r/.git", "mkdir r; echo 'gitdir: /etc/shadow' > r/.git",
        "mkdir r; ln -s .git r/.git",
        "mkdir r; ln -s /etc/shadow r/.git", "mkdir r; mkfifo r/.git", "mkdir r; printf 'gitdir: a\\0b' > r/.git",
        "mkdir r; echo 'gitdir: /proc/self/cwd' > r/.git", "mkdir r; truncate -s 1G r/.git",
        "git init -q r; rm r/.git/HEAD", "git init -q r; rm -r r/.git/refs", "git init -q r; rm -r r/.git/objects",
        "git init -q r; echo /nowhere > r/.git/commondir", "git init -q r; mkfifo r/.git/commondir",
        "mkdir r; ln -s b r/a; ln -s a r/b; ln -s a r/.git",
    ]) func noRepository(script: String) throws {
        let repository = try Repository(script)
        #expect(repository.read("r") == nil, "\(script)")
    }

    /// What the driver has open is not reached by what users write, though their rights would not be asked.
    @Test func theDriversOwnDescriptors() throws {
        let repository = try Repository(Self.plain + "mkdir a b c; git init -q c")
        let held = try SystemCall.open(SystemCall.currentDirectory, repository.path + "/r/.git", SystemCall.pathOnly)
        defer { SystemCall.close(held) }
        let link = "/proc/self/fd/\(held.rawValue)"
        try write("gitdir: \(link)\n", to: repository.path + "/a/.git")
        try repository.run("ln -s /proc/\(getpid())/fd/\(held.rawValue) b/.git; echo '\(link)' > c/.git/commondir")
        for place in ["a", "b", "c"] { #expect(repository.read(place) == nil, "\(place)") }
        // Whoever asks may say so.
        #expect(GitRepositories().code(forDirectory: FilePath(link), role: .cwd, for: .own)?.commit != nil)
    }

    /// There is a repository of which something cannot be told: that is left out, and no byte of a file that is none of git's gets into a record.
    @Test(arguments: [
        "rm HEAD; mkfifo HEAD", "rm HEAD; mkdir HEAD", "ln -sf /etc/passwd HEAD", "ln -sf /dev/zero HEAD",
        "rm HEAD; ln -s HEAD HEAD",
        "truncate -s 1G HEAD", "> HEAD", "echo root:x:0:0 > HEAD", "echo 'ref: ../../etc/passwd' > HEAD",
        "echo 'ref: refs/../../x' > HEAD",
        "echo 'ref: refs/heads/a b' > HEAD", "printf 'ref: refs/heads/a\\033[31m' > HEAD", "echo ref: HEAD > HEAD",
        "ln -sf /etc/passwd refs/heads/main", "> refs/heads/main", "echo 0123 > refs/heads/main",
        "truncate -s 1G refs/heads/main",
        "rm refs/heads/main; mkfifo refs/heads/main", "echo ref: refs/heads/main > refs/heads/main",
        "ln -sf main refs/heads/main",
        "rm refs/heads/main; mkfifo packed-refs", "rm refs/heads/main; truncate -s 1G packed-refs",
        "rm refs/heads/main; truncate -s 10M packed-refs", "rm refs/heads/main; ln -sf /dev/zero packed-refs",
        "rm config; mkfifo config", "ln -sf /dev/zero config", "truncate -s 1G config", "echo '[core' > config",
        "git config core.repositoryformatversion 2",
        "git config core.repositoryformatversion 1; git config extensions.unheardof true",
        "git config core.repositoryformatversion 1; git config extensions.refStorage reftable; echo 'ref: refs/heads/.invalid' > HEAD",
        "git config core.repositoryformatversion 1; git config extensions.objectFormat md5",
        "git config extensions.objectFormat sha256",
        "git config core.repositoryformatversion 1; git config extensions.objectFormat sha256",
    ]) func unknown(change: String) throws {
        let repository = try Repository(Self.plain + "cd r/.git\n" + change)
        let found = try #require(repository.read("r"))
        var expected = ArtifactRecord.Code()
        (expected.path, expected.role) = (repository.path + "/r", "cwd")
        // What is left out as well: the branch of a ref that cannot be read.
        #expect(found == expected, "\(change)")
    }

    /// More in a row than git follows.
    @Test func symbolicRefsAreCounted() throws {
        let repository = try Repository(Self.plain)
        for number in (1...7).reversed() {
            let next = number == 7 ? "main" : "l\(number + 1)"
            try write("ref: refs/heads/\(next)\n", to: repository.path + "/r/.git/refs/heads/l\(number)")
        }
        for number in 1...7 {
            try write("ref: refs/heads/l\(number)\n", to: repository.path + "/r/.git/HEAD")
            let told = try repository.told(of: "r")
            #expect(repository.read("r")?.commit == told.commit, "\(number)")
        }
    }

    @Test func manyPackedRefs() throws {
        let repository = try Repository(Self.plain)
        let commit = try #require(try repository.git("rev-parse", "HEAD", in: "r"))
        let other = try #require(try repository.git("rev-parse", "HEAD~1", in: "r"))
        let lines = (0..<5000).map { "\(other) refs/heads/b\(String($0 + 100_000))/x" } + ["\(commit) refs/heads/main"]
        try write(
            "# pack-refs with: peeled fully-peeled sorted \n" + lines.joined(separator: "\n") + "\n",
            to: repository.path + "/r/.git/packed-refs")
        try repository.run("cd r; rm .git/refs/heads/main")
        #expect(repository.read("r")?.commit == commit)
        try repository.run("cd r; git symbolic-ref HEAD refs/heads/b104321/x")
        #expect(repository.read("r")?.commit == other)
    }

    /// A branch whose name is no UTF-8.
    @Test func namesThatAreNoText() throws {
        let repository = try Repository(
            Self.plain + "cd r; git checkout -qb $'a\\xff\\x01b' 2> /dev/null || git checkout -qb $'a\\xffb'")
        #expect(repository.read("r")?.branch == "a\\xffb")
    }

    // MARK: - What is remembered

    /// Whatever git does, the next look sees it.
    @Test func changesAreSeen() throws {
        let repository = try Repository(Self.plain)
        let repositories = GitRepositories()
        for step in [
            "git commit -q --allow-empty -m x", "git checkout -q --detach", "git checkout -q main",
            "git reset -q --hard HEAD~1",
            "git pack-refs --all", "git checkout -qb b2", "git commit -q --allow-empty -m y", "git branch -m b3",
            "git gc -q",
            "git update-ref -d refs/heads/b3", "git checkout -q main",
            "git config core.repositoryformatversion 1", "git commit -q --allow-empty -m z",
        ] {
            // As old as what is remembered must be.
            try repository.run("cd r; find .git -exec touch -d '1 hour ago' {} +; \(step)")
            for _ in 0..<2 {
                let found = repository.read("r", by: repositories)
                let told = try repository.told(of: "r")
                #expect((found?.commit, found?.branch) == (told.commit, told.branch), "\(step)")
            }
        }
    }

    /// What was changed just now, or bears a time to come, could change once more and show the same.
    @Test func freshFiles() {
        func isFresh(secondsAgo: Int) -> Bool {
            var found = stat()
            found.st_ctim.tv_sec = Clock.now().tv_sec - secondsAgo
            return FileStamp(found).isFresh
        }
        #expect(isFresh(secondsAgo: -1) && isFresh(secondsAgo: -1000))
        #expect(!isFresh(secondsAgo: 3) && !isFresh(secondsAgo: 1000))
    }

    /// As soon as nothing is fresh, no file is read again as long as none changes.
    @Test func nothingIsReadTwice() throws {
        let repository = try Repository(Self.plain)
        let repositories = GitRepositories()
        func opens() -> Int {
            let count = Mutex(0)
            return Faults.with { call, _ in
                if call == .read { count.withLock { $0 += 1 } }
                return nil
            } _: {
                _ = repository.read("r", by: repositories)
                return count.withLock { $0 }
            }
        }
        #expect(opens() > 0)
        #expect(eventually(within: 30) { opens() == 0 })
        try repository.run("cd r; git commit -q --allow-empty -m x")
        #expect(opens() > 0)
    }

    // MARK: - Whose it is

    @Test(.enabled(if: geteuid() == 0)) func nothingIsReadWithoutTheRight() throws {
        let repository = try Repository("umask 022; " + Self.plain + "mkdir r/open")
        let user = UserRights(user: 61001, group: 61101, groups: [])
        let repositories = GitRepositories()
        #expect(repository.read("r", by: repositories, as: user)?.commit != nil)
        for (change, undo) in [
            ("chmod 700 .git", "chmod 755 .git"), ("chmod 700 .", "chmod 755 ."),
            ("chmod 600 .git/HEAD", "chmod 644 .git/HEAD"),
            ("chmod 600 .git/config", "chmod 644 .git/config"),
            ("chmod 600 .git/refs/heads/main", "chmod 644 .git/refs/heads/main"),
            ("chmod 700 .git/refs", "chmod 755 .git/refs"),
        ] {
            try repository.run("cd r; \(change)")
            #expect(repository.read("r", by: repositories, as: .own)?.commit != nil, "\(change)")
            #expect(repository.read("r", by: repositories, as: user)?.commit == nil, "\(change)")
            #expect(repository.read("r/open", by: repositories, as: user)?.commit == nil, "\(change)")
            try repository.run("cd r; \(undo)")
            #expect(repository.read("r", by: repositories, as: user)?.commit != nil, "\(undo)")
        }
        // A further group's right counts.
        try repository.run("cd r; chgrp 61102 .git; chmod 750 .git")
        #expect(repository.read("r", by: repositories, as: user) == nil)
        let member = UserRights(user: 61001, group: 61101, groups: [61102])
        #expect(repository.read("r", by: repositories, as: member)?.commit != nil)
        #expect(geteuid() == 0 && access(repository.path + "/r/.git", R_OK | W_OK) == 0)
    }

    /// In a directory where anybody makes names, a stranger's repository is not the others' code.
    @Test(.enabled(if: geteuid() == 0)) func aStrangersRepositoryIsNotBelieved() throws {
        let repository = try Repository(
            Self.plain + "mkdir -m 1777 t; mkdir t/mine; mv r/.git t/.git; chown -R 61002 t/.git")
        let user = UserRights(user: 61001, group: 61101, groups: [])
        #expect(repository.read("t/mine", as: user) == nil)
        #expect(repository.read("t/mine", as: UserRights(user: 61002, group: 61101, groups: []))?.commit != nil)
        // Where the directory is the stranger's too, it is a repository that the user looks at.
        try repository.run("chown 61002 t")
        #expect(repository.read("t/mine", as: user)?.commit != nil)
        // A repository's own files lie about in the same way.
        try repository.run("chown 0 t; mv t/.git/* t; rmdir t/.git")
        #expect(repository.read("t/mine", as: user) == nil)
    }

    // MARK: - Where it is not looked

    @Test func anAvoidedFileSystemIsNotEntered() throws {
        let repository = try Repository(Self.plain)
        var found = stat()
        try #require(stat(repository.path, &found) == 0)
        let device = UInt64(found.st_dev)
        #expect(repository.read("r", by: GitRepositories(avoiding: { $0 == device })) == nil)
        #expect(repository.read("r", by: GitRepositories(avoiding: { $0 != device && $0 == 0 }))?.commit != nil)
    }

    /// git does not look beyond a file system, and neither is it done here.
    @Test(.enabled(if: geteuid() == 0)) func aMountIsABorder() throws {
        let repository = try Repository(Self.plain + "mkdir r/m")
        let script = """
            mount -t tmpfs x r/m; mkdir r/m/d; echo ready; exec sleep infinity
            """
        let holder = try Child([
            "unshare", "--mount", "--", "bash", "-c", Mount.leavesOtherMounts + "cd \"$0\"; " + script, repository.path,
        ])
        try #require(eventually { holder.output == "ready\n" || !holder.isRunning })
        // Through the other's root the mount is seen.
        let inside = "/proc/\(holder.process)/root\(repository.path)/r"
        let repositories = GitRepositories()
        #expect(repositories.code(forDirectory: FilePath(inside + "/m/d"), role: .cwd, for: .own) == nil)
        #expect(repositories.code(forDirectory: FilePath(inside), role: .cwd, for: .own)?.commit != nil)
    }

    /// As the driver gets it: the kernel's own link to a process's working directory.
    @Test func aProcesssWorkingDirectory() throws {
        let repository = try Repository(Self.plain)
        let child = try Child(["sleep", "infinity"], directory: repository.path + "/r/d")
        let path = FilePath("/proc/\(child.process)/cwd")
        #expect(
            eventually {
                GitRepositories().code(forDirectory: path, role: .cwd, for: .own)?.path == repository.path + "/r"
            })
        try repository.run("rm -r r")
        #expect(GitRepositories().code(forDirectory: path, role: .cwd, for: .own) == nil)
    }
}
