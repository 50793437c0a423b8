import Glibc
import SystemPackage
import TestSupport
import Testing

/// What real programs do when they save. Each script runs with `set -e` in the mount's root.
extension MountedTests {
    @Suite struct SavingTests {
        private func expect(_ mount: Mount, _ script: String, _ output: String) throws {
            let outcome = try shell("set -e; cd \(mount.root)\n" + script, timeout: 120)
            #expect(outcome.succeeded && outcome.output == output, "\(script)\n\(outcome)\n\(mount.log)")
        }

        /// Editors that work in place, and names that downloaders and scripts work under.
        @Test(arguments: MountVariant.both) func temporaryNames(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expect(
                mount,
                #"""
                cd development/current/base/analysis_sequences
                printf 'a\tb\n1\t2\n' > chr1.tsv
                for i in $(seq 20); do perl -i -pe 's/1/3/' chr1.tsv; done; tail -n 1 chr1.tsv
                gawk -i inplace '{ sub(3, 4); print }' chr1.tsv; tail -n 1 chr1.tsv
                sed -i s/4/5/ chr1.tsv; tail -n 1 chr1.tsv; ls -A
                cd ../../../../production/base/splice_errors
                for name in chr2_tmp.tsv tmp_chr3.tsv chr4.partial.tsv chr5.tsv___jb_tmp___ '#chr6.tsv#' chr7.tsv_.gstmp \
                    chr8.tsv.aria2__temp chr9.tsv.part XXsMAfVQ; do
                    printf 'a\tb\n1\t2\n' > $name
                done
                n=0; for name in chr2_tmp.tsv tmp_chr3.tsv chr4.partial.tsv chr5.tsv___jb_tmp___ '#chr6.tsv#' chr7.tsv_.gstmp \
                    chr8.tsv.aria2__temp chr9.tsv.part XXsMAfVQ; do
                    n=$((n + 1)); [ "$(getfattr -n user.artifact.state --only-values $name)" = transient ]; mv $name chr1$n.tsv
                done
                ls | tr '\n' ' '
                """#,
                "3\t2\n4\t2\n5\t2\nchr1.tsv\n"
                    + "chr11.tsv chr12.tsv chr13.tsv chr14.tsv chr15.tsv chr16.tsv chr17.tsv chr18.tsv chr19.tsv ")
            for number in 11...19 { #expect(mount.isSealed(mount.production("base/splice_errors/chr\(number).tsv"))) }
            let told = try run(
                [try Mount.binary(), "explain", "create", mount.production("base/splice_errors/chr1_tmp.tsv")])
            #expect(told.output.contains("a temporary name: *_tmp.*, never published as such"), "\(told)")
        }

        /// The owner of a sealed file may set its times and who may read it, at any time and from any process. The record is in the ledger.
        @Test(arguments: MountVariant.both) func theOwnersAttributes(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("base/analysis_sequences/chr1.tsv")
            let real = mount.real("base_layer/analysis_sequences_chr1.tsv")
            try expect(
                mount,
                #"""
                cd production/base/analysis_sequences
                python3 -c 'import os, tempfile
                with tempfile.NamedTemporaryFile("w", dir=".", delete=False) as f: f.write("a\tb\n1\t2\n")
                os.rename(f.name, "chr1.tsv")'
                """#, "")
            #expect(mount.isSealed(path))
            #expect(try ModeAndTime(real).mode == 0o400)
            try expect(
                mount,
                #"""
                cd production/base/analysis_sequences
                before=$(sha256sum < chr1.tsv)
                chmod 644 chr1.tsv; chmod a-w chr1.tsv; chmod u+w chr1.tsv; touch chr1.tsv; touch -d @1000000000 chr1.tsv
                chown $(id -u):$(id -g) chr1.tsv
                [ "$before" = "$(sha256sum < chr1.tsv)" ]; stat -c '%Y %A' chr1.tsv
                chown 1:1 chr1.tsv 2> /dev/null || echo refused
                """#, "1000000000 -rw-r--r--\nrefused\n")
            let found = try ModeAndTime(real)
            #expect(found.mode == 0o444, "\(String(found.mode, radix: 8))")
            #expect(try mount.unmount() == 0)
            let ledger = try contents(
                mount.real(".artifactfs/ledger/" + (try names(in: mount.real(".artifactfs/ledger"))[0])))
            let told = ledger.split(separator: "\n").filter { $0.contains("\"event\":\"attributes-set\"") }
            #expect(told.count == 5 && told[0].contains("\"mode\":\"0444\"") && told[0].contains("chmod"), "\(told)")
        }

        /// `publish_mode` says from the start who may read.
        @Test(arguments: MountVariant.both) func theSchemaSaysWhoMayRead(_ variant: MountVariant) throws {
            let directory = try TemporaryDirectory()
            let store = directory.path + "/eval"
            try Mount.initialize(store: store)
            let schema = store + "/.artifactfs/schema.yaml"
            try write(try contents(schema).replacing("publish_mode: writer", with: "publish_mode: 0444"), to: schema)
            let mount = try Mount(store: store, variant)
            try expect(
                mount, #"umask 077; printf 'a\tb\n1\t2\n' > production/base/analysis_sequences/chr1.tsv"#, "")
            #expect(mount.isSealed(mount.production("base/analysis_sequences/chr1.tsv")))
            #expect(try ModeAndTime(mount.real("base_layer/analysis_sequences_chr1.tsv")).mode == 0o444)
            #expect(try attributes(mount.production("base/analysis_sequences/chr1.tsv")).st_mode & 0o777 == 0o644)
        }

        /// Trees that are copied whole, with the times and modes of their directories.
        private static let trees = #"""
            rm -rf $S; mkdir -p $S/sub; printf 'a\tb\n1\t2\n' > $S/chr1.tsv; cp $S/chr1.tsv $S/sub/; chmod 700 $S; touch -d @1000000000 $S $S/sub
            only() { rm -rf $S/flat; mkdir -p $S/flat; cp -p $S/chr1.tsv $S/flat/chr$1.tsv; chmod 750 $S/flat; touch -d @1000000000 $S/flat; }
            n=1
            for place in production/base/analysis_sequences development/current/base/analysis_sequences development/current/scratch test/t/scratch test/t/base/splice_errors; do
                [ -d test/t ] || mkdir test/t
                only $n; rsync -a $S/flat/ $place/; n=$((n + 1))
                only $n; cp -a $S/flat/. $place; n=$((n + 1))
                only $n; tar -C $S/flat -cf - . | tar -C $place -xpf -; n=$((n + 1))
                only $n; python3 -c 'import shutil, sys; shutil.copytree(sys.argv[1], sys.argv[2], dirs_exist_ok=True)' $S/flat $place; n=$((n + 1))
                echo $place $(ls $place | wc -l)
            done
            stat -c '%a %Y' test/t/scratch
            rm -r $S/flat; touch -d @1000000000 $S
            for place in development/current/scratch test/t/scratch; do
                rsync -a $S/ $place/r/; cp -a $S $place/c; python3 -c 'import shutil, sys; shutil.copytree(*sys.argv[1:])' $S $place/p
                (cd $S; tar cf - .) | (mkdir $place/t; cd $place/t; tar xpf -)
                stat -c '%a %Y' $place/r $place/c $place/p $place/t $place/r/sub | sort | uniq -c | tr -s ' '
            done
            chmod 711 test/t test/t/scratch; chgrp $(id -g) test/t test/t/scratch; stat -c %a test/t test/t/scratch | tr '\n' ' '
            """#

        private static let copied = """
            production/base/analysis_sequences 4
            development/current/base/analysis_sequences 4
            development/current/scratch 4
            test/t/scratch 4
            test/t/base/splice_errors 4
            750 1000000000
             4 700 1000000000
             1 755 1000000000
             4 700 1000000000
             1 755 1000000000
            711 711\(" ")
            """

        @Test(arguments: MountVariant.both) func wholeTrees(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let source = try TemporaryDirectory()
            try expect(mount, "umask 022; S=\(source.path)/s\n" + Self.trees, Self.copied)
            // The store's own directories are as they were.
            #expect(try attributes(mount.real("base_layer")).st_mode & 0o777 == 0o755)
            try expect(
                mount,
                "chmod 700 . production production/base development test; chown 1:1 production/meta; touch test; echo yes",
                "yes\n")
            #expect(try attributes(mount.root).st_mode & 0o777 == 0o755)
        }

        @Test func wholeTreesOfAnOrdinaryUser() throws {
            let person = try OrdinaryUser()
            #expect(try person.artifactfs("init", person.home + "/eval").succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            #expect(try person.artifactfs("mount", person.home + "/eval", person.home + "/m").succeeded)
            let outcome = try person.shell("set -e; umask 022; S=$PWD/s; cd m\n" + Self.trees)
            #expect(outcome.succeeded && outcome.output == Self.copied, "\(outcome)")
        }
    }
}
