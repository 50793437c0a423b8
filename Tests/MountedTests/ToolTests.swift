import Glibc
import TestSupport
import Testing

/// Programs that know nothing of artifacts. Each script runs with `set -e` in the mount's root and prints what a person would look at.
extension MountedTests {
    @Suite struct ToolTests {
        private func expect(_ mount: Mount, _ script: String, _ output: String) throws {
            let outcome = try shell("set -e; cd \(mount.root)\n" + script)
            #expect(outcome.succeeded && outcome.output == output, "\(script)\n\(outcome)")
        }

        /// cp(1) asks where a file's holes are, and asks the kernel to copy.
        @Test(arguments: [MountVariant(), MountVariant(readOnly: true)])
        func hiddenFilesAreCopied(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let target = try TemporaryDirectory()
            var targets = [target.path]
            if !variant.readOnly { targets.append("development/current/scratch") }
            for target in targets {
                try expect(
                    mount,
                    """
                    for f in schema.yaml status.json denials.jsonl; do cp .artifactfs/$f \(target)/$f; done
                    cmp .artifactfs/schema.yaml \(target)/schema.yaml && grep -c '"pid":' \(target)/status.json
                    """, "1\n")
            }
        }

        @Test(arguments: MountVariant.both) func shellTools(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expect(
                mount,
                #"""
                cd production/base/analysis_sequences
                for c in 1 2 X; do awk -v c=$c 'BEGIN { print "gene\tscore"; for (i = 0; i < 3; i++) print "G" c i "\t" i }' > chr$c.tsv; done
                awk -F'\t' 'FNR > 1 { s += $2 } END { print s }' chr*.tsv
                grep -rl GX1 .
                ls
                wc -l < chr1.tsv
                find . -name 'chr?.tsv' | sort | tr '\n' ' '
                ls -Ra . | grep -c -e '\.meta' -e artifactfs || true
                """#, "9\n./chrX.tsv\nchr1.tsv\nchr2.tsv\nchrX.tsv\n4\n./chr1.tsv ./chr2.tsv ./chrX.tsv 0\n")
            try expect(
                mount,
                #"""
                f=production/base/analysis_sequences/chr1.tsv; before=$(sha256sum < $f)
                for attempt in "cp /etc/hostname $f" "mv -f production/base/analysis_sequences/chr2.tsv $f" "rm -f $f" "sed -i s/G/H/ $f" \
                    "tee $f" "truncate -s 0 $f" "dd if=/dev/zero of=$f count=1" "chown 1:1 $f" "ln -f production/base/analysis_sequences/chr2.tsv $f"; do
                    if $attempt < /dev/null > /dev/null 2>&1; then echo "succeeded: $attempt"; fi
                done
                [ "$before" = "$(sha256sum < $f)" ] && echo same
                ls production/base/analysis_sequences | wc -l
                """#, "same\n3\n")
            try expect(
                mount,
                #"""
                s=development/current/base/analysis_sequences
                cp production/base/analysis_sequences/chr1.tsv $s/; sed -i s/G1/H1/ $s/chr1.tsv; sort -o $s/chr1.tsv $s/chr1.tsv
                head -n 1 $s/chr1.tsv; printf 'H13\t3\n' >> $s/chr1.tsv; tail -n 1 $s/chr1.tsv
                rsync -a $s/ test/../development/current/scratch/copy/; diff -r $s development/current/scratch/copy && echo rsync
                tar -C development/current/scratch -cf - copy | tar -C /tmp -xO copy/chr1.tsv | cmp - $s/chr1.tsv && echo tar
                rm $s/chr1.tsv; ls $s
                """#, "H10\t0\nH13\t3\nrsync\ntar\n")
            try expect(
                mount,
                #"""
                mkdir test/t; cp -r production/base/analysis_sequences test/t/scratch/; cp -p test/t/scratch/analysis_sequences/chr1.tsv test/t/base/splice_errors/
                cat test/t/base/splice_errors/chr1.tsv | head -n 1; rm -r test/t; ls test
                """#, "gene\tscore\n")
            try expect(
                mount,
                #"""
                s=development/current/base/analysis_sequences; p=production/base/splice_errors
                printf 'a\tb\n1\t2\n' > $s/chr7.tsv; mv $s/chr7.tsv $p/; cat $p/chr7.tsv | tail -n 1; ls $s
                printf 'a\tb\n1\t2\n' > /tmp/af-src.$$; touch -d @1000000000 /tmp/af-src.$$; cp -p /tmp/af-src.$$ $p/chr8.tsv
                rsync -t /tmp/af-src.$$ $p/chr9.tsv; rm /tmp/af-src.$$; stat -c '%Y %A' $p/chr8.tsv $p/chr9.tsv
                """#, "1\t2\n1000000000 -rw-r--r--\n1000000000 -rw-r--r--\n")
        }

        @Test(arguments: MountVariant.both) func python(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let script = #"""
                import os, sys, shutil, tempfile, mmap, time
                os.chdir(sys.argv[1])
                p = "production/base/analysis_sequences/"
                with open(p + "chr1.tsv", "w") as f: f.write("a\tb\n1\t2\n")
                try: open(p + "chr1.tsv", "w")
                except FileExistsError as e: print("FileExistsError", e.errno)
                with tempfile.NamedTemporaryFile("w", dir=p, delete=False) as f: f.write("a\tb\n3\t4\n")
                os.replace(f.name, p + "chr2.tsv"); print(open(p + "chr2.tsv").read().split())
                while os.getxattr(p + "chr1.tsv", "user.artifact.state") != b"sealed": time.sleep(0.01)
                try: os.replace(p + "chr1.tsv", p + "chr3.tsv")
                except PermissionError as e: print("PermissionError", e.errno)
                shutil.copy2(p + "chr1.tsv", p + "chr4.tsv"); print(os.stat(p + "chr4.tsv").st_size)
                s = "development/current/scratch/"
                shutil.copytree(p, s + "copy"); print(sorted(os.listdir(s + "copy")))
                with open(s + "m", "wb+") as f:
                    f.truncate(4096); m = mmap.mmap(f.fileno(), 4096); m[:5] = b"hello"; m.flush(); m.close()
                print(open(s + "m", "rb").read(5)); shutil.rmtree(s + "copy"); print(os.listdir(s))
                os.mkdir("test/t"); open("test/t/base/splice_errors/chr1.tsv", "w").write("x"); shutil.rmtree("test/t"); print(os.listdir("test"))
                """#
            let outcome = try run([testPython, "-c", script, mount.root])
            #expect(
                outcome.output == """
                    FileExistsError 17
                    ['a', 'b', '3', '4']
                    PermissionError 1
                    8
                    ['chr1.tsv', 'chr2.tsv', 'chr4.tsv']
                    b'hello'
                    ['m']
                    []

                    """, "\(outcome)")
        }

        @Test(arguments: MountVariant.both) func polarsAndPyarrow(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let script = #"""
                import os, sys, polars as pl, pyarrow as pa, pyarrow.parquet as pq, pyarrow.dataset as ds
                os.chdir(sys.argv[1])
                d = pl.DataFrame({"position": list(range(1000)), "score": [i / 7 for i in range(1000)]})
                for root in ("production", "development/current"):
                    n = root + "/base/nucleotide_scores/"
                    for c in ("chr1", "chr2"): d.write_parquet(n + c + ".parquet")
                    pq.write_table(d.to_arrow(), n + "chr3.parquet")
                    print(pl.scan_parquet(n + "chr*.parquet").filter(pl.col("position") >= 500).collect().height, ds.dataset(n).count_rows())
                    d.write_csv(root + "/base/analysis_sequences/chr1.tsv", separator="\t")
                    print(pl.scan_csv(root + "/base/analysis_sequences/chr1.tsv", separator="\t").collect().equals(d))
                for again in (lambda: d.write_parquet("production/base/nucleotide_scores/chr1.parquet"), lambda: d.write_csv("production/base/analysis_sequences/chr1.tsv", separator="\t")):
                    try: again(); print("overwritten")
                    except OSError as e: print("refused")
                """#
            let outcome = try run([testPython, "-c", script, mount.root])
            #expect(outcome.output == "1500 3000\nTrue\n1500 3000\nTrue\nrefused\nrefused\n", "\(outcome)")
        }
    }
}
