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
    awk '{ for (i = 7; i <= NF; i++) if ($i == "-") { if ($(i + 1) == "fuse.artifactfs") print $5; break } }' \
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

set_up_python() {
    local venv=$root/.build/venv
    if [[ -x $venv/bin/python ]] && imports "$venv/bin/python"; then
        say "python: $venv is ready"
        return 0
    fi
    rm -rf -- "$venv"
    mkdir -p -- "$root/.build"
    say "python: ${python_packages[*]} from PyPI into .build/venv"
    if python3 -m venv "$venv" >/dev/null 2>&1; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${python_packages[@]}"
    else
        # No venv module: a directory of packages, and an interpreter of the same name that looks there.
        rm -rf -- "$venv"
        mkdir -p -- "$venv/bin" "$venv/packages"
        python3 -m pip install --quiet --disable-pip-version-check --target "$venv/packages" "${python_packages[@]}"
        cat >"$venv/bin/python" <<'PYTHON'
#!/bin/sh
here=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
PYTHONPATH=$here/packages${PYTHONPATH:+:$PYTHONPATH} exec python3 "$@"
PYTHON
        chmod +x "$venv/bin/python"
    fi
    imports "$venv/bin/python"
}

# Snakemake in an environment of its own: it brings many packages along.
set_up_snakemake() {
    local venv=$root/.build/snakemake
    "$venv/bin/snakemake" --version >/dev/null 2>&1 && return 0
    rm -rf -- "$venv"
    mkdir -p -- "$root/.build"
    if python3 -m venv "$venv" >/dev/null 2>&1; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check snakemake
    else
        # As above.
        rm -rf -- "$venv"
        mkdir -p -- "$venv/bin" "$venv/packages"
        python3 -m pip install --quiet --disable-pip-version-check --target "$venv/packages" snakemake
        cat >"$venv/bin/snakemake" <<'SNAKEMAKE'
#!/bin/sh
here=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
PYTHONPATH=$here/packages${PYTHONPATH:+:$PYTHONPATH} exec python3 -m snakemake "$@"
SNAKEMAKE
        chmod +x "$venv/bin/snakemake"
    fi
    "$venv/bin/snakemake" --version
}

# What reads the documents that `artifactfs lineage` writes. rocrate 0.9.0 has the context of RO-Crate 1.1, which the validator would ask the
# web for.
documents_packages=(prov roc-validator rocrate==0.9.0)

set_up_documents() {
    local venv=$root/.build/documents
    "$venv/bin/python" -c 'import prov, rocrate, rocrate_validator' >/dev/null 2>&1 && return 0
    rm -rf -- "$venv"
    mkdir -p -- "$root/.build"
    if python3 -m venv "$venv" >/dev/null 2>&1; then
        "$venv/bin/python" -m pip install --quiet --disable-pip-version-check "${documents_packages[@]}"
    else
        # As above.
        rm -rf -- "$venv"
        mkdir -p -- "$venv/bin" "$venv/packages"
        python3 -m pip install --quiet --disable-pip-version-check --target "$venv/packages" "${documents_packages[@]}"
        cat >"$venv/bin/python" <<'PYTHON'
#!/bin/sh
here=$(dirname -- "$(dirname -- "$(readlink -f -- "$0")")")
PYTHONPATH=$here/packages${PYTHONPATH:+:$PYTHONPATH} exec python3 "$@"
PYTHON
        chmod +x "$venv/bin/python"
    fi
    "$venv/bin/python" -c 'import prov, rocrate, rocrate_validator'
}

# --- The run ----------------------------------------------------------------------------------------------------------

run_tests() {
    export ARTIFACTFS_TEST_PYTHON=$python
    export ARTIFACTFS_TEST_SNAKEMAKE=$root/.build/snakemake/bin/snakemake
    export ARTIFACTFS_TEST_DOCUMENTS=$root/.build/documents/bin/python
    export ARTIFACTFS_BINARY=$root/.build/debug/artifactfs
    export TMPDIR=$work
    # A copy of what the tests print, for the summary. `exec`: the step's process is timeout itself, which passes a signal
    # on to everything below it.
    exec > >(exec tee -- "$work/tests.log") 2>&1
    exec timeout --kill-after=20 "$limit" swift test --skip-build "$@"
}

# Makes that build beside the tests, which mostly wait for each other: else it would be minutes more.
begin_sanitized_build() {
    (
        export ARTIFACTFS_TSAN=1 TMPDIR=$work
        exec nice -n 19 timeout --kill-after=20 "$limit" swift build --build-tests --sanitize=thread --scratch-path "$root/.build/tsan"
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

step "build" swift build --build-tests
step "format" swift format lint --strict --recursive Sources Tests Package.swift || true
[[ $# -gt 0 ]] || begin_sanitized_build
step "tests" run_tests "$@" || true
# Whatever tests were asked for: with arguments it is somebody who looks for something, and not continuous integration.
if [[ $# -eq 0 ]]; then
    end_sanitized_build
    step "tests with the thread sanitizer" run_sanitized || true
    step "the sanitizer's tests were run" sanitized_ran || true
else
    summary+=("left out tests with the thread sanitizer: there are arguments")
fi
step "nothing left behind" nothing_left || true
