import ArtifactRecords
import Glibc
import Provenance
import Synchronization
import SystemCalls
import SystemPackage
import TestSupport
import Testing

/// When system calls fail, and while repositories change: less is said, and nothing wrong.
@Suite struct TroubleTests {
    /// How many calls there were, of one thread.
    private final class Calls: @unchecked Sendable {
        // Proof: only the test's own thread makes calls with these faults.
        var count = 0
    }

    static let changes = [
        "", "git gc -q; printf 'ONE\\nmore\\n' > f",
        "git worktree add -q ../w; mv .git ../g; echo 'gitdir: ../g' > .git; touch *",
        "git rm -q a0; git pack-refs --all",
        "cd ..; git init -q s; cd s; git submodule -q add ../r sub; git commit -qm s; cd ..; mv r q; mv s r; cd r; touch sub/f",
    ]

    /// Every call fails once, with each error; then all is as it was.
    @Test(arguments: 0..<changes.count) func everyCallFailsOnce(index: Int) throws {
        let repository = try Repository(
            ChangeTests.base + ChangeTests.age + "git remote add origin /srv/x; " + Self.changes[index])
        let look = LookForChanges.yes(home: FilePath(repository.path))
        let told = try #require(repository.read("r", changes: look))
        let isChanged = try repository.isChanged("r")
        #expect(told.commit != nil && told.dirty == isChanged)
        for error in [Errno.ioError, .permissionDenied, .tooManyOpenFiles] {
            let repositories = GitRepositories()
            for failing in 0... {
                let calls = Calls()
                let found = Faults.with { _, _ in
                    defer { calls.count += 1 }
                    return calls.count == failing ? .fails(error) : nil
                } _: {
                    repository.read("r", by: repositories, changes: look)
                }
                if calls.count <= failing { break }
                guard let found else { continue }
                for member in [\ArtifactRecord.Code.path, \.commit, \.branch, \.remote] {
                    let value = found[keyPath: member]
                    #expect(value == nil || value == told[keyPath: member], "\(error), call \(failing)")
                }
                #expect(found.dirty == nil || found.dirty == told.dirty, "\(error), call \(failing)")
                #expect(
                    repository.read("r", by: repositories, changes: look) == told, "after \(error) of call \(failing)")
            }
        }
    }

    /// Many threads ask while git commits, packs and checks out: a commit is one that there was, and there is always an answer.
    @Test func whileItChanges() throws {
        let repository = try Repository(ChangeTests.base)
        let repositories = GitRepositories()
        let child = try Child(
            [
                "bash", "-c",
                "cd r; for i in $(seq 40); do echo $i > f; git commit -qam $i; git checkout -q -B b$i; [ $((i % 10)) = 0 ] && git gc -q; done; true",
            ], environment: Repository.environment, directory: repository.path)
        let found = Mutex<Set<String>>([])
        runThreads(4) { _ in
            while child.isRunning {
                let code = repository.read("r", by: repositories, changes: .yes(home: nil))
                if let commit = code?.commit { found.withLock { _ = $0.insert(commit) } }
            }
        }
        #expect(child.status == 0, "\(child.errors)")
        let all = Set(
            try #require(try repository.git("rev-list", "--all", in: "r")).split(separator: "\n").map(String.init))
        #expect(found.withLock { $0 }.isSubset(of: all))
        #expect(repository.read("r", by: repositories)?.commit == (try repository.told(of: "r").commit))
        #expect(repository.readChanged("r", by: repositories) == false)
    }

    /// More than are remembered, by several users.
    @Test func manyRepositories() throws {
        let repository = try Repository(
            "for i in $(seq 70); do cp -r x r$i 2> /dev/null || { git init -q r$i; cp -r r$i x; }; git -C r$i symbolic-ref HEAD refs/heads/b$i; done; find . -exec touch -d '1 hour ago' {} +"
        )
        let repositories = GitRepositories()
        for _ in 0..<2 {
            for number in 1...70 { #expect(repository.read("r\(number)", by: repositories)?.branch == "b\(number)") }
        }
    }
}
