import Glibc
import SystemPackage
import TestSupport
import Testing

/// SEMANTICS 1.4: what is refused to one user is nobody else's to read, root and the driver's user aside.
extension MountedTests {
    @Suite(.enabled(if: geteuid() == 0, "only root acts as several users")) struct PrivacyTests {
        @Test(arguments: MountVariant.bothForAll) func denials(_ variant: MountVariant) throws {
            let stage = try SharedStage(variant)
            let mount = stage.mount
            let made = try shell("umask 077; mkdir \(mount.test("secret"))", user: .alice)
            #expect(made.succeeded, "\(made)")
            let (secret, open) = (mount.test("secret/base/private_plan.tsv"), mount.production("base/bobs_name.tsv"))
            #expect(try answer("open(p[0], 'x')", secret, as: .alice) != "ok")
            #expect(try answer("open(p[0], 'x')", open, as: .bob) != "ok")
            let file = mount.path(".artifactfs/denials.jsonl")
            let status = mount.path(".artifactfs/status.json")
            // cat and Python, the one after the other, so that what one was shown could be there for the next.
            for _ in 0..<3 {
                for (user, sees, other) in [
                    (User.alice, "private_plan", "bobs_name"), (.bob, "bobs_name", "private_plan"),
                ] {
                    for command in [["cat", file], ["/usr/bin/python3", "-c", "print(open('\(file)').read())"]] {
                        let outcome = try run(command, user: user)
                        #expect(outcome.succeeded && outcome.output.contains(sees), "\(user.user): \(outcome)")
                        #expect(!outcome.output.contains(other), "\(user.user): \(outcome)")
                        #expect(!outcome.output.contains("\"user\":\(user.user == 61001 ? 61002 : 61001)"))
                    }
                    let shown = try run(["cat", status], user: user)
                    #expect(shown.output.contains("\"total\":1"), "\(shown)")
                    let told = try run([try Mount.binary(), "status", mount.root], user: user)
                    #expect(told.succeeded && told.output.contains("refused"), "\(told)")
                    #expect(try ownership(file, as: user) == "\(user.user) 400 0")
                }
            }
            let all = mount.denials()
            #expect(all.contains { $0.contains("private_plan") } && all.contains { $0.contains("bobs_name") })
            #expect(try mount.status().contains("\"total\":2"))
            #expect(try run(["wc", "-l", file]).output.hasPrefix("\(all.count) "))
            #expect(try run(["cp", file, mount.store + "/../copy"]).succeeded)
            #expect(try contents(mount.store + "/../copy").split(separator: "\n").count == all.count)
        }

        /// There the kernel keeps what was read.
        @Test func onAReadOnlyMount() throws {
            let mount = try Mount(MountVariant(readOnly: true, allowOther: true))
            let status = mount.path(".artifactfs/status.json")
            for _ in 0..<3 {
                for user in [User.alice, .bob] {
                    let read = try run(["cat", status], user: user)
                    let told = try run([try Mount.binary(), "status", mount.root], user: user)
                    #expect(read.succeeded && read.output.hasSuffix("}\n"), "\(read)")
                    #expect(told.succeeded && told.output.contains("read-only"), "\(told)")
                    #expect(try run(["cat", mount.path(".artifactfs/denials.jsonl")], user: user).output.isEmpty)
                    #expect(try ownership(status, as: user).hasPrefix("\(user.user) 400 "))
                }
                #expect(try mount.status().hasSuffix("}\n"))
            }
        }

        /// Who owns a file, its mode and its size, as a user is told.
        private func ownership(_ path: String, as user: User) throws -> String {
            let outcome = try run(["stat", "-c", "%u %a %s", path], user: user)
            return outcome.succeeded ? String(outcome.output.dropLast()) : "\(outcome)"
        }
    }
}
