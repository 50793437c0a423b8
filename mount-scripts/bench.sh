#!/usr/bin/env bash
# Measures the mount against the same directories without it and against other FUSE file systems.
# What is measured, and how to run parts of it by hand: .build/release/artifactfs-bench --help
set -euo pipefail

usage() {
    cat <<'TEXT'
usage: mount-scripts/bench.sh [--quick] [--check] [--scale | --instructions | --jobs | --catalog | --disk] [--out DIR] [--workloads A,B] [--rounds N] [--no-build]

Builds release, makes its stores on /dev/shm (or in $TMPDIR when there is no room), mounts them, measures native
directory, mounts and peers in turn, prints medians, ratios and their spread, and leaves bench.json and bench.svg in DIR
(.build/bench). Everything it mounts and makes is gone when it ends.

  --quick          smaller files and fewer rounds: under two minutes
  --check          compare the ratios with mount-scripts/bench-thresholds.json; exit 1 when something got slower
  --scale          measure a store of 1,000,000 artifacts instead ($ARTIFACTFS_BENCH_COUNT for another number)
  --instructions   count the instructions of the driver's handlers instead, under valgrind, and compare them with the thresholds:
                   they do not depend on what else the machine does
  --jobs           measure whole jobs (a shell's pipelines over 1,000 files, cp -r of 10,000 small ones, BLAST) instead, also on a mount
                   whose records tell nothing of processes: what provenance costs
  --catalog        measure how artifacts and runs are found in ledgers of 1,000,000 artifacts and 100,000 runs, which take 4 GB of $TMPDIR
                   ($ARTIFACTFS_BENCH_COUNT for another number of artifacts)
  --disk           measure on the disk of $TMPDIR instead, and with synced durability, also what is on the disk only (as root)
  --workloads A,B  only these
  --rounds N       counted rounds (7; quick: 3)
  --no-build       measure what is built already

targets: native               the real directories, not mounted
         artifactfs           mounted read-write, passthrough where kernel and user may
         artifactfs-buffered  mounted read-write with --no-passthrough
         artifactfs-ro        mounted --read-only
         artifactfs-ro-opened mounted --read-only --passthrough, as where artifacts are large
         artifactfs-plain     mounted read-write with -o no_provenance (--jobs only)
         bindfs               Debian's bindfs over the native directory, with its defaults
         peer                 what $ARTIFACTFS_BENCH_PEER mounts, when set: a command line with {source} and {mountpoint},
                              for example 'passthrough_hp {source} {mountpoint}'

environment: ARTIFACTFS       another artifactfs binary to measure
             ARTIFACTFS_BENCH_PEER, ARTIFACTFS_BENCH_COUNT as above

exit codes: 0 measured (and the thresholds hold), 1 slower or failed, 2 wrong usage
TEXT
}

say() { printf 'bench.sh: %s\n' "$*" >&2; }
fail() { say "$*"; exit 1; }

quick=0 check=0 scale=0 instructions=0 jobs=0 catalog=0 disk=0 build=1 out='' workloads='' rounds=''
while (($#)); do
    case $1 in
        --quick) quick=1 ;;
        --check) check=1 ;;
        --scale) scale=1 ;;
        --instructions) instructions=1 ;;
        --jobs) jobs=1 ;;
        --catalog) catalog=1 ;;
        --disk) disk=1 ;;
        --no-build) build=0 ;;
        --out | --workloads | --rounds)
            (($# > 1)) || { say "$1 needs a value"; usage >&2; exit 2; }
            case $1 in --out) out=$2 ;; --workloads) workloads=$2 ;; --rounds) rounds=$2 ;; esac
            shift ;;
        -h | --help) usage; exit 0 ;;
        *) say "unknown argument: $1"; usage >&2; exit 2 ;;
    esac
    shift
done

root=$(cd -- "$(dirname -- "$0")/.." && pwd)
out=${out:-$root/.build/bench}
mkdir -p -- "$out"
out=$(cd -- "$out" && pwd)

# --- what is taken away at the end, however it comes ---------------------------------------------------------------

work='' mounts=() processes=()

is_mounted() { grep -qF -- " $1 fuse" /proc/self/mounts; }

cleanup() {
    local status=$? index pid
    trap - EXIT
    trap '' INT TERM HUP
    for ((index = ${#mounts[@]} - 1; index >= 0; index--)); do
        is_mounted "${mounts[index]}" || continue
        fusermount3 -u -- "${mounts[index]}" 2>/dev/null || fusermount3 -uz -- "${mounts[index]}" ||
            say "cannot unmount ${mounts[index]}"
    done
    # What served the mounts ends by itself, and publishes first what it still holds.
    for pid in "${processes[@]}"; do
        for ((index = 0; index < 100; index++)); do
            kill -0 "$pid" 2>/dev/null || break
            sleep 0.1
        done
        kill -KILL "$pid" 2>/dev/null || true
        wait "$pid" 2>/dev/null || true
    done
    if [[ -n $work ]]; then
        # Never through a mount that is still there.
        if grep -qF -- " $work/" /proc/self/mounts; then
            say "left behind, because something is still mounted in it: $work"
        else
            rm -rf -- "$work"
        fi
    fi
    exit "$status"
}
trap cleanup EXIT
trap 'exit 130' INT
trap 'exit 143' TERM HUP

# --- the peers and the binaries --------------------------------------------------------------------------------------

[[ -c /dev/fuse ]] || fail "there is no /dev/fuse here: load the fuse module, or start the container with --device /dev/fuse"
missing=()
command -v bindfs >/dev/null || missing+=(bindfs)
command -v fusermount3 >/dev/null || missing+=(fuse3)
if ((jobs)); then command -v blastn >/dev/null || missing+=(ncbi-blast+); fi
if ((instructions)); then
    command -v valgrind >/dev/null || missing+=(valgrind)
    command -v strip >/dev/null || missing+=(binutils)
fi
if ((${#missing[@]})); then
    say "installing ${missing[*]}"
    sudo=()
    ((EUID == 0)) || sudo=(sudo)
    "${sudo[@]}" apt-get install -y -q "${missing[@]}" >&2 ||
        { "${sudo[@]}" apt-get update -q >&2 && "${sudo[@]}" apt-get install -y -q "${missing[@]}" >&2; } ||
        fail "cannot install ${missing[*]}; install what is missing by hand and try again"
fi
if ((build)); then
    command -v swift >/dev/null || fail "there is no swift on the PATH; mount-scripts/setup.sh says how to get it"
    say "building release"
    (cd -- "$root" && swift build -c release --product artifactfs-bench >&2 && swift build -c release --product artifactfs >&2)
fi
artifactfs=${ARTIFACTFS:-$root/.build/release/artifactfs}
bench=$root/.build/release/artifactfs-bench
[[ -x $artifactfs ]] || fail "there is no $artifactfs: build it, or leave out --no-build"
[[ -x $bench ]] || fail "there is no $bench: build it, or leave out --no-build"

# A Python with polars, for the workload of that name: the tests', or one of our own.
python=()
if ((!scale && !instructions && !catalog)); then
    for candidate in "${ARTIFACTFS_TEST_PYTHON:-}" "$root/.build/venv/bin/python" "$out/venv/bin/python"; do
        if [[ -x $candidate ]] && "$candidate" -c 'import polars' 2>/dev/null; then python=(--python "$candidate"); break; fi
    done
    if ((${#python[@]} == 0)) && [[ -z $workloads || ,$workloads, == *,polars,* ]]; then
        say "installing polars into $out/venv"
        if python3 -m venv "$out/venv" >&2 && "$out/venv/bin/python" -m pip install --quiet polars >&2; then
            python=(--python "$out/venv/bin/python")
        else
            say "polars cannot be installed: its workload is left out"
        fi
    fi
fi

# --- the place ---------------------------------------------------------------------------------------------------------

# Needed: the artifacts, which native and the stores share by hard links, and what the rounds write and publish.
if ((quick)); then
    need=1400 big=64 rounds=${rounds:-3} changes=1000 warmup=0.08
else
    need=3400 big=256 rounds=${rounds:-7} changes=2000 warmup=0.2
fi
inodes=100000
((instructions)) && need=100
# 5 KB and a file an artifact, and a directory and two files a run. Not in memory: other programs need that.
((catalog)) && need=$((${ARTIFACTFS_BENCH_COUNT:-1000000} / 200 + 100)) inodes=$((${ARTIFACTFS_BENCH_COUNT:-1000000} * 4 / 3 + 10000))
((scale)) && need=100 inodes=$((${ARTIFACTFS_BENCH_COUNT:-1000000} + 10000))
# A file system without a table of inodes says 0 or -.
has_inodes() { df -Pi -- "$1" | awk -v least=$inodes 'NR == 2 { exit !($4 !~ /^[1-9]/ || $4 >= least) }'; }
free=$(df -Pm /dev/shm 2>/dev/null | awk 'NR == 2 { print $4 }') || free=0
if ((!catalog && !disk)) && [[ -w /dev/shm ]] && ((${free:-0} >= need)) && has_inodes /dev/shm; then place=/dev/shm; else place=${TMPDIR:-/tmp}; fi
has_inodes "$place" || fail "$place has no $inodes inodes left; set TMPDIR to a directory of a file system with more"
free=$(df -Pm -- "$place" | awk 'NR == 2 { print $4 }')
((free >= need)) || fail "$place has $free MiB left and $need are needed; set TMPDIR to a directory with more room"
work=$(mktemp -d "$place/artifactfs-bench.XXXXXX")
filesystem=$(stat -f -c %T -- "$work")
((!disk)) || [[ $filesystem != tmpfs && $filesystem != ramfs ]] ||
    fail "$place is no disk; set TMPDIR to a directory that is on one"
say "working in $work ($filesystem)"

# Waits until something is mounted at $1 by process $2 ('' when it went to the background); $3 is its log.
await_mount() {
    local turn
    for ((turn = 0; turn < 6000; turn++)); do
        is_mounted "$1" && return
        if [[ -n $2 ]] && ! kill -0 "$2" 2>/dev/null; then break; fi
        sleep 0.005
    done
    is_mounted "$1" && return
    cat -- "$3" >&2
    fail "nothing was mounted at $1; what it said is above"
}

# mount_artifactfs NAME STORE OPTION...: mounts STORE at $work/mnt/NAME; leaves its process in $served.
mount_artifactfs() {
    local name=$1 store=$2 at=$work/mnt/$1
    shift 2
    mkdir -p -- "$at"
    mounts+=("$at")
    "$artifactfs" mount "$store" "$at" --foreground "$@" >"$work/$name.log" 2>&1 &
    served=$!
    processes+=("$served")
    await_mount "$at" "$served" "$work/$name.log"
}

microseconds() { local now=$EPOCHREALTIME; echo "${now/[.,]/}"; }

# --- a million ---------------------------------------------------------------------------------------------------------

if ((scale)); then
    count=${ARTIFACTFS_BENCH_COUNT:-1000000}
    for name in large small; do
        mkdir -p -- "$work/${name}_eval"
        "$artifactfs" init "$work/${name}_eval" >"$work/init.out" 2>&1 || { cat "$work/init.out" >&2; fail "init failed"; }
    done
    say "making $count artifacts"
    "$bench" scale --make "$work/large_eval" --count "$count"
    "$bench" scale --make "$work/small_eval" --count 2000
    mount_artifactfs small "$work/small_eval"
    start=$(microseconds)
    mount_artifactfs large "$work/large_eval"
    ls "$work/mnt/large" >/dev/null
    printf '%-62s%12d ms\n' "mount of $count artifacts, until the root is listed" $((($(microseconds) - start) / 1000))
    "$bench" scale --mount "$work/mnt/large" --count "$count" --process "$served" --small "$work/mnt/small" \
        --small-count 2000 --json "$out/scale.json"
    say "results: $out/scale.json"
    exit 0
fi

# --- the catalog -------------------------------------------------------------------------------------------------------

if ((catalog)); then
    count=${ARTIFACTFS_BENCH_COUNT:-1000000}
    mkdir -p -- "$work/catalog_eval"
    "$artifactfs" init "$work/catalog_eval" >"$work/init.out" 2>&1 || { cat "$work/init.out" >&2; fail "init failed"; }
    say "making a ledger of $count artifacts"
    "$bench" catalog --make "$work/catalog_eval" --count "$count" --runs $((count / 10))
    "$bench" catalog --measure "$work/catalog_eval" --binary "$artifactfs" --rounds "$rounds" --json "$out/catalog.json"
    say "results: $out/catalog.json"
    exit 0
fi

# --- instructions --------------------------------------------------------------------------------------------------------

if ((instructions)); then
    store=$work/counted_eval
    mkdir -p -- "$store" "$work/mnt/counted"
    "$artifactfs" init "$store" >"$work/init.out" 2>&1 || { cat "$work/init.out" >&2; fail "init failed"; }
    "$bench" prepare "$store" --files 1000 --big-mib 1
    # Valgrind 3.19 cannot read the debugging information that Swift writes; the names are enough.
    strip -g -o "$work/artifactfs" "$artifactfs"
    say "counting, which takes some ten times as long as it does without"
    mounts+=("$work/mnt/counted")
    valgrind --tool=callgrind --callgrind-out-file="$out/callgrind.out" "$work/artifactfs" mount --foreground \
        --durability relaxed -o powersave "$store" "$work/mnt/counted" >"$work/counted.log" 2>&1 &
    served=$!
    processes+=("$served")
    await_mount "$work/mnt/counted" "$served" "$work/counted.log"
    "$bench" instructions --drive "$work/mnt/counted"
    fusermount3 -u -- "$work/mnt/counted"
    wait "$served" || fail "the driver ended with status $?"
    "$bench" instructions --read "$out/callgrind.out" --thresholds "$root/mount-scripts/bench-thresholds.json"
    say "the profile: callgrind_annotate $out/callgrind.out"
    exit 0
fi

# --- the stores and their mounts -----------------------------------------------------------------------------------------

say "making the artifacts"
"$bench" prepare "$work/native" --big-mib "$big" "${python[@]}"
arguments=(--native "$work/native")
targets=(artifactfs artifactfs-buffered artifactfs-ro artifactfs-ro-opened)
durability=relaxed
if ((disk)); then
    durability=synced
    workloads=${workloads:-seq-read,seq-read-first,seq-read-cold,seq-write,open-read,open-read-first,list-stat-first,create-session,create-production}
    ((EUID == 0)) || fail "--disk makes the kernel forget, which only root may"
fi
if ((jobs)); then
    targets=(artifactfs artifactfs-plain)
    workloads=${workloads:-job-pipelines,job-copy,job-blast}
fi
for name in "${targets[@]}"; do
    store=$work/${name}_eval
    mkdir -p -- "$store"
    "$artifactfs" init "$store" >"$work/init.out" 2>&1 || { cat "$work/init.out" >&2; fail "artifactfs init failed"; }
    "$bench" prepare "$store" --big-mib "$big" --link-from "$work/native" "${python[@]}"
    case $name in
        artifactfs) options=(--durability $durability) ;;
        artifactfs-buffered) options=(--durability $durability --no-passthrough) ;;
        artifactfs-ro) options=(--read-only) ;;
        artifactfs-ro-opened) options=(--read-only --passthrough) ;;
        artifactfs-plain) options=(--durability relaxed -o no_provenance) ;;
    esac
    mount_artifactfs "$name" "$store" "${options[@]}"
    arguments+=(--target "$name=$work/mnt/$name" --store "$name=$store" --process "$name=$served")
done

# The peers show the native directory.
mount_peer() {
    local name=$1 at=$work/mnt/$1 pid
    shift
    mkdir -p -- "$at"
    mounts+=("$at")
    # A peer that stays in the foreground is a job of ours, one that does not has ended when the mount is there.
    "$@" >"$work/$name.log" 2>&1 &
    pid=$!
    processes+=("$pid")
    await_mount "$at" '' "$work/$name.log"
    if kill -0 "$pid" 2>/dev/null && [[ $name == bindfs ]]; then arguments+=(--process "$name=$pid"); fi
    arguments+=(--target "$name=$at")
}
((jobs)) || mount_peer bindfs bindfs -f "$work/native" "$work/mnt/bindfs"
if [[ -n ${ARTIFACTFS_BENCH_PEER:-} ]]; then
    [[ $ARTIFACTFS_BENCH_PEER == *'{source}'* && $ARTIFACTFS_BENCH_PEER == *'{mountpoint}'* ]] ||
        fail "ARTIFACTFS_BENCH_PEER must hold {source} and {mountpoint}: $ARTIFACTFS_BENCH_PEER"
    peer=${ARTIFACTFS_BENCH_PEER//'{source}'/$(printf %q "$work/native")}
    peer=${peer//'{mountpoint}'/$(printf %q "$work/mnt/peer")}
    mount_peer peer bash -c "exec $peer"
fi

# --- measuring -----------------------------------------------------------------------------------------------------------

awk -v most="$(nproc)" '$1 > most / 2 { exit 1 }' /proc/loadavg ||
    say "this machine is busy (load $(cut -d' ' -f1 /proc/loadavg)): rates and ratios say less than on a quiet one"
commit=$(git -C "$root" describe --always --dirty 2>/dev/null || echo unknown)
arguments+=(--note "commit=$commit" --note "file system=$filesystem" --note "durability=$durability")
[[ -n ${ARTIFACTFS_BENCH_PEER:-} ]] && arguments+=(--note "peer=$ARTIFACTFS_BENCH_PEER")
[[ -n $workloads ]] && arguments+=(--workloads "$workloads")
# In the background, so that ^C ends this script at once and its trap takes everything away.
"$bench" run "${arguments[@]}" "${python[@]}" --big-mib "$big" --rounds "$rounds" --changes "$changes" --warm-up "$warmup" \
    --json "$out/bench.json" --svg "$out/bench.svg" >"$out/bench.txt" &
measuring=$!
processes+=("$measuring")
trap 'kill "$measuring" 2>/dev/null || true; exit 130' INT
trap 'kill "$measuring" 2>/dev/null || true; exit 143' TERM HUP
if ! wait "$measuring"; then
    for log in "$work"/*.log; do (($(wc -l <"$log") > 1)) && { say "the end of ${log##*/}:"; tail -n 5 -- "$log" >&2; }; done
    fail "the measurement failed; why is above"
fi
cat -- "$out/bench.txt"
say "results: $out/bench.json, $out/bench.svg, $out/bench.txt"

if ((check)); then
    "$bench" check --json "$out/bench.json" --thresholds "$root/mount-scripts/bench-thresholds.json"
fi
