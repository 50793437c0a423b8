import Glibc
import SystemPackage
import TestSupport
import Testing

/// Links in typed directories of sessions and tests (SEMANTICS 2.4), as PyTorch Lightning and timm make them.
extension MountedTests {
    @Suite struct LinkTests {
        private static let pickle = "S'x'\n."

        /// Lightning's `ModelCheckpoint`: names with `=`, and `last.ckpt` as a link to the newest, replaced with each.
        @Test(arguments: MountVariant.both) func lightning(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let place = mount.session("meta/meta_checkpoints/")
            let ran = try shell(
                #"""
                set -e; cd "$D"
                for i in 0 1; do
                    printf "S'%s'\n." $i > epoch=$i-step=10.ckpt
                    python3 -c 'import os, sys; l = "last.ckpt"; os.path.islink(l) and os.remove(l); os.symlink(sys.argv[1], l)' epoch=$i-step=10.ckpt
                    readlink last.ckpt; cat last.ckpt; echo; ls
                done
                ln -sfn epoch=0-step=10.ckpt last.ckpt; readlink last.ckpt
                mv last.ckpt best.ckpt; readlink best.ckpt; test ! -L last.ckpt
                touch -h -d 2001-01-01 best.ckpt; stat -c %Y best.ckpt | head -c 6; echo
                printf "S'new'\n." > x.tmp; mv x.tmp best.ckpt; test ! -L best.ckpt; cat best.ckpt; echo
                ln -s gone.ckpt last.ckpt; test ! -e last.ckpt; printf "S'here'\n." > last.ckpt; cat gone.ckpt; echo; rm gone.ckpt
                rm last.ckpt; ls -A
                """#, environment: ["D": place])
            #expect(
                ran.output == """
                    epoch=0-step=10.ckpt
                    S'0'
                    .
                    epoch=0-step=10.ckpt
                    last.ckpt
                    epoch=1-step=10.ckpt
                    S'1'
                    .
                    epoch=0-step=10.ckpt
                    epoch=1-step=10.ckpt
                    last.ckpt
                    epoch=0-step=10.ckpt
                    epoch=0-step=10.ckpt
                    978307
                    S'new'
                    .
                    S'here'
                    .
                    best.ckpt
                    epoch=0-step=10.ckpt
                    epoch=1-step=10.ckpt

                    """, "\(ran)")
        }

        /// At the real path a link says the real name of what is beside it, and nothing else is shown as a link.
        @Test(arguments: MountVariant.both) func realLinks(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let place = mount.session("base/analysis_sequences/")
            try write(table, to: place + "chr1.tsv")
            try check(symlink("chr1.tsv", place + "chr2.tsv"))
            #expect(try linkTarget(place + "chr2.tsv") == "chr1.tsv" && contents(place + "chr2.tsv") == table)
            #expect(try attributes(place + "chr2.tsv").st_size == 8)
            let real = mount.real("base_layer/dev/\(try linkTarget(mount.root + "/development/current"))/")
            #expect(try linkTarget(real + "analysis_sequences_chr2.tsv") == "analysis_sequences_chr1.tsv")
            for target in ["../chr1.tsv", "/etc/passwd", "./chr1.tsv", "notes.txt", "tmpfile", "chr1.parquet", ".."] {
                #expect(
                    answer { () throws(Errno) in try check(symlink(target, place + "chr3.tsv")) } == .notPermitted,
                    "\(target)")
            }
            #expect(answer { () throws(Errno) in try check(symlink("chr1.tsv", place + "x.csv")) } == .invalidArgument)
            #expect(answer { () throws(Errno) in try check(symlink("chr1.tsv", place + "chr2.tsv")) } == .fileExists)
            #expect(
                answer { () throws(Errno) in
                    try check(symlink("chr1.tsv", mount.production("base/analysis_sequences/chr2.tsv")))
                } == .notPermitted)
            // Put there by somebody else.
            for (number, target) in ["/etc/passwd", "../../gene_manifest.tsv", "splice_errors_chr1.tsv", "x"]
                .enumerated()
            {
                try check(symlink(target, real + "analysis_sequences_chr\(number + 5).tsv"))
                #expect(!exists(place + "chr\(number + 5).tsv"))
                #expect(
                    answer { () throws(Errno) in _ = try linkTarget(place + "chr\(number + 5).tsv") }
                        == .noSuchFileOrDirectory)
            }
            #expect(try names(in: place).sorted() == ["chr1.tsv", "chr2.tsv"])
        }

        /// A link is copied into production as what it leads to, and not moved there; and a test with links is removed whole.
        @Test(arguments: MountVariant.both) func linksAndPromotion(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let (place, production) = (
                mount.session("meta/meta_checkpoints/"), mount.production("meta/meta_checkpoints/")
            )
            try write(Self.pickle, to: place + "a.pkl")
            try check(symlink("a.pkl", place + "last.pkl"))
            #expect(
                answer { () throws(Errno) in try move(place + "last.pkl", production + "last.pkl") } == .notPermitted)
            #expect(mount.denials().contains { $0.contains("sibling-links") && $0.contains("last.pkl") })
            #expect(
                try run(["cp", place + "last.pkl", production + "last.pkl"]).succeeded
                    && mount.isSealed(production + "last.pkl"))
            #expect(try attributes(production + "last.pkl").st_mode & S_IFMT == S_IFREG)
            #expect(try linkTarget(place + "last.pkl") == "a.pkl")
            #expect(
                try shell(
                    #"""
                    mkdir "$T" && cp -a "$D/." "$T/meta/meta_checkpoints/" && readlink "$T/meta/meta_checkpoints/last.pkl" && rm -r "$T" && ! ls "$T"
                    """#, environment: ["T": mount.root + "/test/t", "D": place]
                ).output == "a.pkl\n")
            #expect(!exists(mount.real("meta_layer/tests/t")))
        }

        /// timm's `CheckpointSaver`: temporary name, replace, hard links to the newest and the best, each removed before it is made anew.
        @Test(arguments: MountVariant.both) func timm(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let place = mount.session("meta/meta_checkpoints/")
            let ran = try run(
                [
                    "python3", "-c",
                    #"""
                    import os, sys
                    os.chdir(sys.argv[1])
                    def duplicate(src, dst):
                        if os.path.exists(dst): os.unlink(dst)
                        os.link(src, dst)
                    for epoch in range(3):
                        with open("tmp.pkl", "wb") as f: f.write(b"S'%d'\n." % epoch)
                        if os.path.exists("last.pkl"): os.unlink("last.pkl")
                        os.replace("tmp.pkl", "last.pkl")
                        duplicate("last.pkl", "checkpoint-%d.pkl" % epoch)
                        if epoch != 1: duplicate("checkpoint-%d.pkl" % epoch, "model_best.pkl")
                    os.remove("checkpoint-0.pkl")
                    for n in sorted(os.listdir(".")): print(n, open(n).read().strip("\n."), os.stat(n).st_nlink)
                    print(os.path.samefile("last.pkl", "model_best.pkl"))
                    with open("last.pkl", "ab") as f: f.write(b"more")
                    print(os.stat("model_best.pkl").st_size, open("model_best.pkl").read().endswith("more"))
                    os.rename("last.pkl", "model_best.pkl"); print(os.path.exists("last.pkl"))
                    """#, place,
                ])
            #expect(
                ran.output == """
                    checkpoint-1.pkl S'1' 1
                    checkpoint-2.pkl S'2' 3
                    last.pkl S'2' 3
                    model_best.pkl S'2' 3
                    True
                    10 True
                    True

                    """, "\(ran)")
        }

        /// No sealed file has a name through which its bytes could change.
        @Test(arguments: MountVariant.both) func noSealedFileHasASecondName(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let (place, production) = (
                mount.session("meta/meta_checkpoints/"), mount.production("meta/meta_checkpoints/")
            )
            try write(Self.pickle, to: place + "a.pkl")
            try hardLink(place + "a.pkl", place + "b.pkl")
            #expect(try attributes(place + "a.pkl").st_nlink == 2)
            for target in [production + "a.pkl", place + "tmp_a"] {
                #expect(answer { () throws(Errno) in try move(place + "a.pkl", target) } == .improperLink, "\(target)")
            }
            for target in [
                production + "a.pkl", place + "tmp_a", mount.session("scratch/a.pkl"), mount.session("plots/a.png"),
            ] {
                #expect(
                    answer { () throws(Errno) in try hardLink(place + "a.pkl", target) } == .notPermitted, "\(target)")
            }
            #expect(answer { () throws(Errno) in try hardLink(place + "a.pkl", place + "a.csv") } == .invalidArgument)
            #expect(answer { () throws(Errno) in try hardLink(place + "a.pkl", place + "b.pkl") } == .fileExists)
            #expect(
                try run(["mv", place + "a.pkl", production + "a.pkl"]).succeeded && mount.isSealed(production + "a.pkl")
            )
            let sealed = try attributes(mount.real("meta_layer/checkpoints/a.pkl"))
            #expect(try sealed.st_nlink == 1 && sealed.st_ino != attributes(place + "b.pkl").st_ino)
            #expect(!exists(place + "a.pkl"))
            try write("changed", to: place + "b.pkl")
            #expect(try contents(production + "a.pkl") == Self.pickle)
            #expect(answer { () throws(Errno) in try hardLink(production + "a.pkl", place + "c.pkl") } == .notPermitted)
            // With one name again it moves.
            try write(Self.pickle, to: place + "b.pkl")
            #expect(try attributes(place + "b.pkl").st_nlink == 1)
            try move(place + "b.pkl", production + "b.pkl")
            #expect(mount.isSealed(production + "b.pkl"))
        }
    }
}
