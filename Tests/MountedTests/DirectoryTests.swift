import Glibc
import SystemPackage
import TestSupport
import Testing

/// Artifacts that are directories, with the programs that make them.
extension MountedTests {
    @Suite struct DirectoryTests {
        private func expect(_ mount: Mount, _ script: String, _ output: String) throws {
            let binary = try Mount.binary()
            let outcome = try shell(
                "set -e; A='\(binary)'; P='\(testPython)'; cd \(mount.root)\n" + script, timeout: 120)
            #expect(outcome.succeeded && outcome.output == output, "\(script)\n\(outcome)\n\(mount.log)")
        }

        /// A zarr array and a partitioned Parquet dataset: made in the session, sealed by one rename, and read where they are.
        @Test(arguments: MountVariant.both) func arraysAndDatasets(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expect(
                mount,
                #"""
                "$P" - <<'PYTHON'
                import numpy, pyarrow, pyarrow.parquet, zarr
                array = zarr.create_array("development/current/base/training_data/chr1.zarr", shape=(40, 40), chunks=(10, 10), dtype="f4")
                array[:] = numpy.arange(1600).reshape(40, 40)
                table = pyarrow.table({"chrom": ["chr1", "chr1", "chr2"], "score": [0.1, 0.2, 0.3]})
                pyarrow.parquet.write_to_dataset(
                    table, "development/current/meta/training_data/training_data.parquet", partition_cols=["chrom"])
                PYTHON
                mv development/current/base/training_data/chr1.zarr production/base/training_data/
                mv development/current/meta/training_data/training_data.parquet production/meta/training_data/
                "$A" wait production/base/training_data/chr1.zarr production/meta/training_data/training_data.parquet
                "$P" - <<'PYTHON'
                import polars, pyarrow.dataset, zarr
                place = "production/base/training_data/chr1.zarr"
                print(zarr.open_array(place, mode="r")[39, 39])
                try: zarr.open_array(place, mode="r+")[0, 0] = 5
                except PermissionError as error: print("EPERM")
                place = "production/meta/training_data/training_data.parquet"
                print(pyarrow.dataset.dataset(place, partitioning="hive").to_table().num_rows)
                print(polars.read_parquet(place + "/**/*.parquet").height)
                PYTHON
                find development/current/base/training_data development/current/meta/training_data | wc -l
                ls production/base/training_data production/meta/training_data
                """#,
                "1599.0\nEPERM\n3\n3\n2\nproduction/base/training_data:\nchr1.zarr\n\n"
                    + "production/meta/training_data:\ntraining_data.parquet\n")
            #expect(try names(in: mount.real("base_layer")).contains("training_data_chr1.zarr"))
            #expect(try names(in: mount.real(".artifactfs/manifests")).count == 2)
        }

        /// Hidden directories beside files, such as Jupyter makes for what is edited.
        @Test(arguments: MountVariant.both) func programsOwnDirectories(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expect(
                mount,
                #"""
                C=$PWD/development/current/base/splice_errors; D=$PWD/production/base/splice_errors
                source=$(mktemp -d); for i in 1 2; do printf 'a\tb\n1\t%d\n' $i > $source/chr$i.tsv; done
                for place in $C $D; do
                    rsync -a --partial-dir=.rsync-partial $source/ $place/
                    "$P" - $place <<'PYTHON'
                import os, shutil, sys
                os.chdir(sys.argv[1])
                os.mkdir(".ipynb_checkpoints")
                shutil.copyfile("chr1.tsv", ".ipynb_checkpoints/chr1-checkpoint.tsv")
                print(os.listdir(".ipynb_checkpoints"), open(".ipynb_checkpoints/chr1-checkpoint.tsv").read() == open("chr1.tsv").read())
                PYTHON
                    (cd $place; "$A" explain mkdir .cache > /dev/null && mkdir .cache && rmdir .cache
                    for name in d tmpdir chr9.tsv; do mkdir $name 2> /dev/null && echo made $name; done
                    mv .ipynb_checkpoints chr7.tsv 2> /dev/null && echo moved; true)
                done
                ls -A $C; find $C -type f | wc -l; rm -r $source $C/.ipynb_checkpoints; "$A" wait > /dev/null; ls $D
                """#,
                "['chr1-checkpoint.tsv'] True\n['chr1-checkpoint.tsv'] True\n.ipynb_checkpoints\nchr1.tsv\nchr2.tsv\n3\n"
                    + "chr1.tsv\nchr2.tsv\n")
            #expect(try names(in: mount.real("base_layer")).filter { $0.contains("ipynb") }.isEmpty)
            #expect(try mount.unmount() == 0)
        }

        /// In a session everything works, also under a temporary name; in production nothing in it changes, by whatever way.
        @Test(arguments: MountVariant.both) func whatIsSealedStays(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expect(
                mount,
                #"""
                exec 2>&1
                C=$PWD/development/current/meta/meta_checkpoints; D=$PWD/production/meta/meta_checkpoints
                mkdir $C/tmp-checkpoint-5; echo '{}' > $C/tmp-checkpoint-5/config.json; mkdir $C/tmp-checkpoint-5/sub
                echo x > $C/tmp-checkpoint-5/sub/weights; ln $C/tmp-checkpoint-5/sub/weights $C/tmp-checkpoint-5/w
                ls $C; mv $C/tmp-checkpoint-5 $C/checkpoint-5; rm $C/checkpoint-5/w; touch -d @1000000000 $C/checkpoint-5/sub/weights
                exec 7> $C/checkpoint-5/open; mv $C/checkpoint-5 $D/ || true; exec 7>&-; rm $C/checkpoint-5/open
                mv $C/checkpoint-5 $D/; "$A" wait $D/checkpoint-5; ls $C $D
                before=$(cd $D && find . -type f -printf '%p %s %T@ %m\n' | sort | sha256sum)
                for command in 'echo > config.json' 'echo >> sub/weights' ': > new' 'rm sub/weights' 'rm -r sub' 'mkdir d' 'mv sub x' \
                    'ln sub/weights y' 'truncate -s 0 config.json' 'mv ../checkpoint-5 ../x' 'rmdir ../checkpoint-5' \
                    'ln -s a b' 'setfattr -n user.a -v b config.json' 'chown 1:1 config.json' 'sed -i s/x/y/ sub/weights'; do
                    (cd $D/checkpoint-5; eval "$command" 2> /dev/null) && echo "done: $command"
                done
                chmod -R u+w $D/checkpoint-5
                [ "$before" = "$(cd $D && find . -type f -printf '%p %s %T@ %m\n' | sort | sha256sum)" ] && echo same
                mkdir $C/checkpoint-5; echo > $C/checkpoint-5/x; mv -T $C/checkpoint-5 $D/checkpoint-5 2> /dev/null || echo taken
                cp -r $D/checkpoint-5 $C/copy; chmod -R u+w $C/copy; echo more >> $C/copy/sub/weights; rm -r $C/copy $C/checkpoint-5; ls $C
                """#,
                "tmp-checkpoint-5\nmv: cannot move '\(mount.root)/development/current/meta/meta_checkpoints/checkpoint-5' to "
                    + "'\(mount.root)/production/meta/meta_checkpoints/checkpoint-5': Device or resource busy\n"
                    + "\(mount.root)/development/current/meta/meta_checkpoints:\n\n"
                    + "\(mount.root)/production/meta/meta_checkpoints:\ncheckpoint-5\nsame\ntaken\n")
            #expect(try mount.unmount() == 0)
        }

        /// What cannot be sealed is back where it was, and its maker is told of what in it and why.
        @Test(arguments: MountVariant.both) func whatIsCutIsPutBack(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expect(
                mount,
                #"""
                exec 2>&1
                C=development/current/meta/meta_checkpoints; D=production/meta/meta_checkpoints; mkdir $C/checkpoint-7
                "$P" -c 'import numpy; from safetensors.numpy import save_file
                save_file({"a": numpy.zeros(1000)}, "'$C'/checkpoint-7/model.safetensors")'
                truncate -s 4000 $C/checkpoint-7/model.safetensors; chmod 640 $C/checkpoint-7/model.safetensors
                mv $C/checkpoint-7 $D/; "$A" wait $D/checkpoint-7 2> ../told || true; cut -d: -f1-3 ../told | head -n 1
                grep -c 'recover list' ../told || true; "$A" wait . 2>&1 | grep -c 'recover list' || true
                ls $C; ls $D; stat -c %a $C/checkpoint-7/model.safetensors
                mv $C/checkpoint-7 $C/checkpoint-8; ls $C
                """#,
                "artifactfs: production/meta/meta_checkpoints/checkpoint-7: 'model.safetensors' in it\n"
                    + "0\n0\ncheckpoint-7\n640\ncheckpoint-8\n")
        }

        /// Made in its place, it is published when all who made it have ended well, and the script that ran them; it is kept when one failed.
        @Test(arguments: MountVariant.both) func whatIsMadeInItsPlace(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            try expect(
                mount,
                #"""
                exec 2>&1; export D=production/meta/meta_checkpoints LC_ALL=C
                state() { getfattr -n user.artifact.state --only-values "$1"; echo; }
                # Each line is a job of its own, as at an interactive shell.
                job() { setsid --wait bash -c "$1" || true; }
                job 'mkdir $D/a; echo "{}" > $D/a/1.json; cat $D/a/1.json; (sleep 0.01; mkdir $D/a/sub); echo x > $D/a/sub/2'
                "$A" wait $D/a; state $D/a; find $D/a -type f | sort; touch $D/a/3 || true
                job 'mkdir $D/b; echo "{}" > $D/b/1.json; false'; "$A" wait $D/b 2>&1 | head -n 1 | cut -d' ' -f 2-5 || true
                job 'mkdir $D/c; echo "{}" > $D/c/1.json; kill -9 $$' 2> /dev/null; "$A" wait $D/c > /dev/null 2>&1 || ls $D
                job 'mkdir $D/tmp-d; echo "{}" > $D/tmp-d/1.json; mv $D/tmp-d $D/d'; "$A" wait $D/d; state $D/d
                job 'mkdir $D/e'; state $D/e; job 'echo "{}" > $D/e/1.json'; "$A" wait $D/e; state $D/e
                job 'mkdir $D/tmp-f; exec 7> $D/tmp-f/x; mv $D/tmp-f $D/f || echo open'; state $D/tmp-f; rm -r $D/tmp-f
                job 'cp -r $D/a $D/g'; "$A" wait $D/g; state $D/g
                job 'mkdir $D/a'; job 'mkdir $D/h; mkdir $D/h || echo there; rmdir $D/h'; ls $D
                """#,
                """
                {}
                sealed
                production/meta/meta_checkpoints/a/1.json
                production/meta/meta_checkpoints/a/sub/2
                touch: cannot touch 'production/meta/meta_checkpoints/a/3': Operation not permitted
                production/meta/meta_checkpoints/b: the writer (bash,
                a
                sealed
                writing
                sealed
                mv: cannot move 'production/meta/meta_checkpoints/tmp-f' to 'production/meta/meta_checkpoints/f': Device or resource busy
                open
                transient
                sealed
                mkdir: cannot create directory 'production/meta/meta_checkpoints/a': File exists
                mkdir: cannot create directory 'production/meta/meta_checkpoints/h': File exists
                there
                a
                d
                e
                g

                """)
            let kept = try names(in: mount.real(".artifactfs/quarantine")).filter { !$0.hasSuffix(".reason.json") }
            #expect(kept.count == 2, "\(kept)")
        }

        /// While it is made another job takes nothing in it for whole, and is told so.
        @Test(arguments: MountVariant.both) func whoReadsWhatIsBeingMade(_ variant: MountVariant) throws {
            let mount = try Mount(variant)
            let path = mount.production("meta/meta_checkpoints/a")
            let directory = try TemporaryDirectory()
            let go = directory.path + "/go"
            try check(mkfifo(go, 0o600))
            let maker = try Child([
                "setsid", "--wait", "bash", "-c",
                "mkdir \(path); echo '{}' > \(path)/x.json; cat \(path)/x.json; read line < \(go)",
            ])
            #expect(eventually(within: 30) { maker.output == "{}\n" })
            let other = try shell("LC_ALL=C setsid --wait cat \(path)/x.json; ls \(path)")
            #expect(other.output == "x.json\n" && other.errors.contains("Device or resource busy"), "\(other)")
            let told = try run([try Mount.binary(), "explain", "read", path + "/x.json"])
            #expect(told.output.contains("rule:    not-whole-yet"), "\(told)")
            #expect(try shell("echo > \(go)").succeeded)
            #expect(eventually(within: 30) { !maker.isRunning })
            #expect(try run([try Mount.binary(), "wait", path]).succeeded)
            #expect(try contents(path + "/x.json") == "{}\n")
        }

        /// Without root: who owns a directory without write permission may not move it, so it is taken last.
        @Test func byAnOrdinaryUser() throws {
            let person = try OrdinaryUser()
            let (store, mount) = (person.home + "/eval", person.home + "/m")
            #expect(try person.artifactfs("init", store).succeeded)
            #expect(try person.shell("mkdir m").succeeded)
            #expect(try person.artifactfs("mount", store, mount).succeeded)
            let answer = try person.shell(
                #"""
                cd m; C=development/current/meta/meta_checkpoints; mkdir $C/savedmodel; echo x > $C/savedmodel/saved_model.pb
                mkdir $C/savedmodel/variables; echo y > $C/savedmodel/variables/v
                mv $C/savedmodel production/meta/meta_checkpoints/
                for i in $(seq 500); do
                    [ "$(stat -c %a ../eval/meta_layer/checkpoints/savedmodel 2> /dev/null)" = 555 ] && break; sleep 0.02
                done
                cat production/meta/meta_checkpoints/savedmodel/variables/v
                find ../eval/meta_layer/checkpoints -printf '%m %P\n' | sort; ls $C
                """#)
            #expect(
                answer.output
                    == "y\n444 savedmodel/saved_model.pb\n444 savedmodel/variables/v\n555 savedmodel\n"
                    + "555 savedmodel/variables\n755 \n", "\(answer)")
        }
    }
}
