import TestSupport
import Testing

@testable import Provenance

/// Which argument is the script, by what the programs' manuals say.
@Suite struct ScriptArgumentTests {
    static let lines: [(String, String?)] = [
        ("/usr/bin/python3.11 a.py b.py", "a.py"), ("python3 -u -X dev a.py -c x", "a.py"), ("python3 -c a.py", nil),
        ("python3 -Bc a.py", nil), ("python3 -m a.b", nil), ("python3", nil), ("python3 -", nil),
        ("python3 -- a.py", "a.py"),
        ("bash a.sh -c", "a.sh"), ("/bin/sh -e a.sh", "a.sh"), ("bash -c x a.sh", nil), ("bash -ec x", nil),
        ("bash -o pipefail a.sh", "a.sh"),
        ("bash --norc a.sh", "a.sh"), ("-bash", nil), ("perl -w a.pl", "a.pl"), ("perl -ne x a", nil),
        ("perl -I lib a.pl", "a.pl"),
        ("Rscript --vanilla a.R b", "a.R"), ("Rscript -e x", nil),
        ("/usr/lib/R/bin/exec/R --no-echo --file=a.R --args", "a.R"), ("R -f a.R", "a.R"),
        ("R a.R", nil), ("awk -f a.awk b", "a.awk"), ("gawk -F : {print} b", nil), ("sed -i -f a.sed b", "a.sed"),
        ("make -f a.mk all", "a.mk"),
        ("make -j 4 all", nil), ("node a.js", "a.js"), ("sort a.py", nil), ("cat", nil), ("python3 -W", nil),
        ("make -f", nil),
    ]

    @Test func scripts() {
        for (line, script) in Self.lines {
            let words = line.split(separator: " ").map(String.init)
            let program = words[0] == "-bash" ? "/bin/bash" : words[0]
            #expect(ScriptArgument.script(of: program, words) == script, "\(line)")
        }
        #expect(ScriptArgument.script(of: "python3", []) == nil)
    }

    /// The driver's own mounts are told by their device: of another file system nothing is passed over.
    @Test func mounts() {
        func isOwn(_ line: String, _ device: String) -> Bool { OwnMounts.isOwn(Array(line.utf8)[...], device) }
        #expect(isOwn("1 2 0:50 / /m rw shared:1 - fuse.artifactfs s rw", "0:50"))
        #expect(isOwn("1 2 0:50 / /m rw - fuse.artifactfs s rw", "0:50"))
        #expect(
            !isOwn("1 2 0:50 / /m rw - fuse.sshfs s rw", "0:50")
                && !isOwn("1 2 0:5 / /m rw - fuse.artifactfs s rw", "0:50"))
        for line in ["", "-", "1 2 0:50", "1 2 0:50 -", "1 2 0:50 / -"] { #expect(!isOwn(line, "0:50")) }
        #expect(!OwnMounts().contains(device: 0))
    }
}
