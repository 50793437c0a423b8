#!/usr/bin/env bash
#
# The two-minute tour on a live mount: builds, makes a small store of 24 chromosomes, mounts it, shows what it does, and
# leaves it mounted. Safe to run again: it begins afresh in a directory of its own.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$here")

case ${1:-} in
    -h | --help)
        cat <<'TEXT'
usage: mount-scripts/demo.sh [DIRECTORY]

Makes DIRECTORY/store and mounts it on DIRECTORY/mnt. The default DIRECTORY is ~/artifactfs-demo. A directory that this
script did not make is refused, unless it is empty.
TEXT
        exit 0
        ;;
    -*)
        printf 'demo.sh: unknown option %s; see --help\n' "$1" >&2
        exit 64
        ;;
esac
[[ $# -le 1 ]] || { printf 'demo.sh: one directory at most; see --help\n' >&2; exit 64; }

die() {
    printf 'demo.sh: %s\n' "$*" >&2
    exit 1
}

# --- A directory of our own -------------------------------------------------------------------------------------------

demo=${1:-${HOME:?HOME is not set: give a directory}/artifactfs-demo}
marker_text='Made by artifactfs/mount-scripts/demo.sh, which removes store and mnt beside this file when it runs again.'

[[ ! -L $demo ]] || die "$demo is a symbolic link; give a real directory."
if [[ -d $demo ]]; then
    demo=$(cd -- "$demo" && pwd -P)
    if [[ -f $demo/.artifactfs-demo && ! -L $demo/.artifactfs-demo && -O $demo/.artifactfs-demo ]] &&
        [[ $(<"$demo/.artifactfs-demo") == "$marker_text" ]]; then
        : # An earlier run's.
    elif [[ -n $(ls -A -- "$demo") ]]; then
        die "$demo has files in it that this script did not make. Give another directory: mount-scripts/demo.sh DIRECTORY"
    fi
elif [[ -e $demo ]]; then
    die "$demo is not a directory."
fi

# --- The program --------------------------------------------------------------------------------------------------------

if [[ -n ${ARTIFACTFS_BINARY:-} ]]; then
    artifactfs=$ARTIFACTFS_BINARY
    [[ -x $artifactfs ]] || die "ARTIFACTFS_BINARY=$artifactfs cannot be run."
else
    "$here/setup.sh"
    artifactfs=$(cd -- "$root" && swift build -c release --show-bin-path)/artifactfs
fi
bin=$(cd -- "$(dirname -- "$artifactfs")" && pwd)
export PATH=$bin:$PATH

[[ -e /dev/fuse ]] || die "there is no /dev/fuse: 'modprobe fuse' as root; in Docker add '--device /dev/fuse --cap-add SYS_ADMIN'."
[[ $EUID -eq 0 ]] || command -v fusermount3 >/dev/null || die "there is no fusermount3: apt-get install fuse3"

# --- A fresh start --------------------------------------------------------------------------------------------------------

store=$demo/store
mnt=$demo/mnt

# True when something is mounted on $1, alive or dead.
is_mounted() {
    local escaped
    escaped=$(printf '%s' "$1" | sed -e 's/\\/\\134/g' -e 's/ /\\040/g' -e 's/\t/\\011/g')
    WANTED=$escaped awk '$5 == ENVIRON["WANTED"] { found = 1 } END { exit !found }' /proc/self/mountinfo
}

if is_mounted "$mnt"; then
    artifactfs unmount "$mnt" || artifactfs unmount --lazy "$mnt" || die "cannot unmount $mnt."
fi
if is_mounted "$mnt"; then die "$mnt is still mounted."; fi
mkdir -p -- "$demo"
demo=$(cd -- "$demo" && pwd -P)
store=$demo/store
mnt=$demo/mnt
printf '%s\n' "$marker_text" >"$demo/.artifactfs-demo"
[[ ! -d $mnt ]] || rmdir -- "$mnt" || die "$mnt is not empty and not a mount: look at what is in it."
rm -rf --one-file-system -- "$store"
mkdir -- "$mnt"

# --- Showing ----------------------------------------------------------------------------------------------------------------

if [[ -t 1 ]]; then
    bold=$'\e[1m' dim=$'\e[2m' plain=$'\e[0m'
else
    bold='' dim='' plain=''
fi

chapter() { printf '\n%s# %s%s\n' "$bold" "$*" "$plain"; }

# Prints a command as a person would type it, then runs it. One that should be refused is said to be with `refused`.
run() {
    printf '%s$ %s%s\n' "$dim" "$1" "$plain"
    (cd -- "$mnt" && bash -c "$1")
}
refused() {
    printf '%s$ %s%s\n' "$dim" "$1" "$plain"
    if (cd -- "$mnt" && bash -c "$1") 2>&1; then
        die "this should have been refused, and was not."
    fi
}
export store mnt

chapter "A store is one directory of results; the mount is the same as a tree with rules"
printf '%s$ artifactfs init %s%s\n' "$dim" "$store" "$plain"
artifactfs init "$store"
printf '%s$ artifactfs mount %s %s%s\n' "$dim" "$store" "$mnt" "$plain"
artifactfs mount "$store" "$mnt"
printf '%s$ cd %s%s\n' "$dim" "$mnt" "$plain"

chapter "Any program writes: awk makes 24 chromosomes in production"
seed=0
for chromosome in {1..22} X Y; do
    seed=$((seed + 1))
    awk -v chromosome="chr$chromosome" -v seed="$seed" '
        BEGIN {
            srand(seed)
            OFS = "\t"
            print "gene_id", "transcript_id", "chrom", "position", "strand", "splice_type", "donor_score", "acceptor_score", "sequence"
            split("A C G T", base, " "); split("donor acceptor none", type, " ")
            position = 10000
            for (row = 1; row <= 500; row++) {
                position += 1 + int(rand() * 5000)
                sequence = ""
                for (i = 0; i < 40; i++) sequence = sequence base[1 + int(rand() * 4)]
                kind = type[1 + int(rand() * 3)]
                gene = sprintf("ENSG%011d", seed * 1000 + int(row / 25))
                print gene, "ENST" substr(gene, 5), chromosome, position, (row % 2 ? "+" : "-"), kind,
                    sprintf("%.4f", kind == "donor" ? 0.5 + rand() / 2 : rand() / 5),
                    sprintf("%.4f", kind == "acceptor" ? 0.5 + rand() / 2 : rand() / 5), sequence
            }
        }' >"$mnt/production/base/analysis_sequences/chr$chromosome.tsv"
done
run 'ls -C -v -w 100 production/base/analysis_sequences'
run 'head -n 3 production/base/analysis_sequences/chr21.tsv'

chapter "Any program reads: awk, grep, find"
run "awk -F'\\t' 'FNR > 1 && \$6 == \"donor\" && \$7 > 0.95 { n[\$3]++ } END { for (c in n) print n[c], c }' production/base/analysis_sequences/*.tsv | sort -k1,1nr -k2 | head -n 4"
run "grep -c GATTACA production/base/analysis_sequences/chr{1,X,Y}.tsv"

chapter "Production is write-once: an overwrite is refused, and the rule says why"
before=$(sha256sum <"$mnt/production/base/analysis_sequences/chr1.tsv")
refused 'echo oops > production/base/analysis_sequences/chr1.tsv'
refused 'rm -f production/base/analysis_sequences/chr1.tsv'
refused 'artifactfs explain overwrite production/base/analysis_sequences/chr1.tsv'
[[ $(sha256sum <"$mnt/production/base/analysis_sequences/chr1.tsv") == "$before" ]] || die "chr1.tsv changed."

chapter "Development is yours: this mount's session, overwritten as often as you like"
run 'readlink development/current'
run "printf '{\"epoch\": 1, \"f1\": 0.81}\\n' > development/current/meta/meta_metrics/training_metrics.json"
run "printf '{\"epoch\": 2, \"f1\": 0.93}\\n' > development/current/meta/meta_metrics/training_metrics.json"
run 'cat development/current/meta/meta_metrics/training_metrics.json'

chapter "Publishing is atomic: write under a temporary name, then move it into place"
run "awk -F'\\t' 'BEGIN { print \"gene_id\\tchrom\\tsites\" } FNR > 1 { n[\$1 \"\\t\" \$3]++ } END { for (g in n) print g \"\\t\" n[g] | \"sort\" }' production/base/analysis_sequences/*.tsv > production/base/gene_manifest/gene_manifest.tsv.tmp"
run 'mv production/base/gene_manifest/gene_manifest.tsv.tmp production/base/gene_manifest/gene_manifest.tsv'
run 'mv development/current/meta/meta_metrics/training_metrics.json production/meta/meta_metrics/'

chapter "The whole inventory is the tree (only what has files, here)"
run "find production development -type f | sort -V | sed -n '1,4p;\$p'; echo \"\$(find production -type f | wc -l) artifacts in production\""

# The kernel tells of a last close after close() has returned, so the real path follows a moment later.
for ((i = 0; i < 100; i++)); do
    [[ -e $store/base_layer/gene_manifest.tsv && -e $store/meta_layer/metrics/training_metrics.json ]] && break
    sleep 0.1
done
[[ -e $store/base_layer/gene_manifest.tsv ]] || die "the manifest did not reach its real path in 10 s."

chapter "The real files are plain files with the names that your scripts know, sealed"
run "ls -l \"\$store/base_layer\" | sed -n '2,4p;\$p'"
run "cmp production/base/gene_manifest/gene_manifest.tsv \"\$store/base_layer/gene_manifest.tsv\" && echo identical"

chapter "The ledger remembers every one of them"
run "cat \"\$store\"/.artifactfs/ledger/* | grep gene_manifest | tail -n 1 | tr ',' '\\n' | head -n 12"

cat <<TEXT

${bold}It is still mounted.${plain} Try next:

  export PATH=$bin:\$PATH
  cd $mnt
  ls -R production | less
  python3 -c 'open("production/base/analysis_sequences/chr2.tsv", "w")'      # FileExistsError
  cp production/base/analysis_sequences/chr2.tsv development/current/base/analysis_sequences/
  mkdir test/my_test && echo hello > test/my_test/scratch/notes && rm -r test/my_test
  artifactfs status

Stop:

  artifactfs unmount $mnt
TEXT
