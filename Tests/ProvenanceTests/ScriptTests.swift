import ArtifactRecords
import Glibc
import Provenance
import SystemCalls
import SystemPackage
import TestSupport
import Testing

/// The script and the program of a process.
@Suite struct ScriptTests {
    private func script(
        _ repository: Repository, _ path: String, in directory: String? = nil,
        by repositories: GitRepositories = .init(),
        as rights: UserRights = .own
    ) -> ArtifactRecord.Code? {
        repositories.code(
            forFile: FilePath(path), in: directory.map { FilePath(repository.path + "/" + $0) }, role: .script,
            for: rights,
            changes: .yes(home: FilePath(repository.path)))
    }

    @Test func aScriptInARepository() throws {
        let repository = try Repository(
            IdentityTests.plain + "echo x >> r/d/e/b; ln -s r/d/e/b l; ln -s ../l r/k; echo x > out")
        let repositories = GitRepositories()
        let told = try repository.told(of: "r")
        for (path, directory) in [
            (repository.path + "/r/d/e/b", nil), ("b", "r/d/e"), ("../e/./b", "r/d/e"), ("l", ""), ("../l", "r"),
            ("../k", "r/d"),
            (repository.path + "/l", "r"),
        ] {
            for _ in 0..<2 {
                let found = try #require(script(repository, path, in: directory, by: repositories), "\(path)")
                #expect((found.path, found.commit, found.branch) == (told.path, told.commit, told.branch), "\(path)")
                #expect((found.dirty, found.role) == (true, "script"), "\(path)")
                #expect(found.script == repository.path + "/r/d/e/b", "\(path)")
                #expect(found.sha256 == (try SHA256.digest(Array("b\nx\n".utf8))), "\(path)")
            }
        }
        let outside = try #require(script(repository, "out", in: ""))
        var expected = ArtifactRecord.Code()
        (expected.script, expected.role) = (repository.path + "/out", "script")
        expected.sha256 = try SHA256.digest(Array("x\n".utf8))
        #expect(outside == expected)
        // A repository that cannot be read takes nothing away from the script.
        try repository.run("echo x > r/.git/HEAD; rm -r r/.git/refs")
        #expect(script(repository, "r/d/e/b", in: "")?.sha256 == (try SHA256.digest(Array("b\nx\n".utf8))))
    }

    @Test func whatIsRememberedOfAScript() throws {
        let repository = try Repository("echo a > s; touch -d '1 hour ago' s")
        let repositories = GitRepositories()
        for text in ["a", "b", "c"] {
            try write(text + "\n", to: repository.path + "/s")
            for _ in 0..<2 {
                #expect(
                    script(repository, "s", in: "", by: repositories)?.sha256
                        == (try SHA256.digest(Array((text + "\n").utf8))))
            }
        }
    }

    @Test(arguments: [
        "mkfifo s", "mkdir s", "ln -s /dev/zero s", "ln -s s s", "true", "ln -s nowhere s", "ln -s /dev/stdin s",
    ])
    func noScript(make: String) throws {
        let repository = try Repository(make)
        #expect(script(repository, "s", in: "") == nil, "\(make)")
    }

    @Test func aLongScript() throws {
        let repository = try Repository(IdentityTests.plain + "truncate -s 1G r/s")
        let found = try #require(script(repository, "s", in: "r"))
        #expect(found.sha256 == nil && found.commit != nil && found.script == repository.path + "/r/s")
    }

    @Test(.enabled(if: geteuid() == 0)) func aScriptThatTheUserMayNotRead() throws {
        let repository = try Repository(
            "umask 022; " + IdentityTests.plain + "chmod 600 r/a; mkdir -m 700 x; echo x > x/s")
        let user = UserRights(user: 61001, group: 61101, groups: [])
        let repositories = GitRepositories()
        #expect(script(repository, "a", in: "r", by: repositories)?.sha256 != nil)
        #expect(script(repository, "a", in: "r", by: repositories, as: user) == nil)
        #expect(script(repository, "x/s", in: "", by: repositories, as: user) == nil)
        #expect(script(repository, "s", in: "x", by: repositories, as: user) == nil)
        #expect(script(repository, "d/e/b", in: "r", by: repositories, as: user)?.commit != nil)
    }

    /// As the driver gets it: the kernel's own link to what a process runs.
    @Test func theProgramOfAProcess() throws {
        let repository = try Repository(IdentityTests.plain + "cp \"$(command -v sleep)\" r/d/sleep; cp r/d/sleep out")
        let repositories = GitRepositories()
        for (program, top) in [("r/d/sleep", repository.path + "/r"), ("out", nil)] as [(String, String?)] {
            let child = try Child([repository.path + "/" + program, "infinity"])
            func found() -> ArtifactRecord.Code? {
                repositories.code(forFile: FilePath("/proc/\(child.process)/exe"), in: nil, role: .program, for: .own)
            }
            try #require(eventually { (try? contents("/proc/\(child.process)/comm")) != nil })
            #expect(
                eventually {
                    (found()?.path, found()?.script) == (top, nil) && found()?.role == top.map { _ in "program" }
                })
        }
        let child = try Child([repository.path + "/r/d/sleep", "infinity"])
        let exe = FilePath("/proc/\(child.process)/exe")
        #expect(eventually { repositories.code(forFile: exe, in: nil, role: .program, for: .own) != nil })
        // Gone, and another file with its name.
        try repository.run("rm r/d/sleep; cp out r/d/sleep")
        #expect(repositories.code(forFile: exe, in: nil, role: .program, for: .own) == nil)
    }
}
