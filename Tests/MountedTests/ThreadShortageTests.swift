import Glibc
import SystemPackage
import TestSupport
import Testing

/// The system has no more threads for the driver (`RLIMIT_NPROC`): everything goes on with those that are there.
extension MountedTests {
    @Suite(.enabled(if: geteuid() == 0, "root need not mind the limit")) struct ThreadShortageTests {
        @Test func everythingGoesOn() throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/eval", person.home + "/m")
            #expect(try person.artifactfs("init", store).succeeded && person.shell("mkdir m").succeeded)
            let mounted = try person.artifactfs("mount", store, mount, "--durability=relaxed")
            #expect(mounted.succeeded, "\(mounted)")
            let pid = try person.shell(#"grep -o '"pid":[0-9]*' m/.artifactfs/status.json | cut -d: -f2"#).output
            let limited = try person.run(["prlimit", "--pid", String(pid.dropLast()), "--nproc=1:1"])
            #expect(limited.succeeded, "\(limited)")
            let tasks = "/proc/\(pid.dropLast())/task"
            let before = try names(in: tasks).count

            // Files that are published and files that are not, which the kernel must be told of, in one directory, from many programs
            // that make names there meanwhile; and one large file.
            let worked = try person.shell(
                #"""
                cd m/production/meta/meta_metrics || exit 1
                (echo '{"a": 1'; head -c 30000000 /dev/zero | tr '\0' ' '; echo '}') > large.json
                for writer in 1 2 3 4 5 6; do
                    (for i in $(seq 40); do
                        echo '{"a": 1}' > good_${writer}_$i.json; echo '{"a": }' > bad_${writer}_$i.json
                        ls > /dev/null; cat good_${writer}_$i.json > /dev/null
                    done) &
                done
                wait
                """#)
            #expect(worked.succeeded && worked.errors.isEmpty, "\(worked)")
            // What is kept back is said, with status 1.
            let waited = try person.artifactfs("wait", mount, "--timeout", "120")
            #expect(waited.status == 1, "\(waited)")
            let found = try person.shell(
                #"""
                ls m/production/meta/meta_metrics | wc -l; ls eval/meta_layer/metrics | wc -l
                ls eval/.artifactfs/quarantine | grep -c bad.*reason
                """#)
            #expect(found.output == "241\n241\n240\n", "\(found)")
            #expect(try names(in: tasks).count == before, "the limit holds")
            let unmounted = try person.artifactfs("unmount", mount)
            #expect(unmounted.succeeded, "\(unmounted)")
        }
    }
}
