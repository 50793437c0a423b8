#!/usr/bin/env bash
#
# Gets this machine ready: installs the Debian or Ubuntu packages that are missing, then builds artifactfs (release).
# Safe to run again: what is there already is left alone.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$here")
cd -- "$root"

usage() {
    cat <<'TEXT'
usage: mount-scripts/setup.sh [--tests] [--no-build]

  --tests      also install what the tests need (rsync, bindfs, attr, acl, strace, python3, chromium, ...)
  --no-build   install packages only
TEXT
}

tests=no
build=yes
for argument in "$@"; do
    case $argument in
        --tests) tests=yes ;;
        --no-build) build=no ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            printf 'setup.sh: unknown option %s\n' "$argument" >&2
            usage >&2
            exit 64
            ;;
    esac
done

say() { printf '==> %s\n' "$*"; }
die() {
    printf 'setup.sh: %s\n' "$*" >&2
    exit 1
}

[[ $(uname -s) == Linux ]] || die "artifactfs is a Linux FUSE file system; this is $(uname -s)."

# --- Packages -------------------------------------------------------------------------------------------------------

packages=(libfuse3-dev fuse3 libssl-dev libcurl4-openssl-dev libsqlite3-dev pkg-config)
if [[ $tests == yes ]]; then
    packages+=(rsync bindfs attr acl e2fsprogs xfsprogs gawk make openssl strace python3 python3-venv)
    # Ubuntu has its Chromium as a snap: there the tests take any chromedriver that is in PATH.
    if [[ $(. /etc/os-release 2>/dev/null && printf '%s' "${ID:-}") == debian ]]; then
        packages+=(chromium chromium-driver fonts-dejavu-core)
    fi
fi

# True when dpkg says that package $1 is installed (not merely known, or removed with its configuration left).
installed() {
    [[ $(dpkg-query -W -f '${db:Status-Status}' "$1" 2>/dev/null) == installed ]]
}

if command -v dpkg-query >/dev/null && command -v apt-get >/dev/null; then
    missing=()
    for package in "${packages[@]}"; do
        installed "$package" || missing+=("$package")
    done
    if [[ ${#missing[@]} -eq 0 ]]; then
        say "packages: all there (${packages[*]})"
    else
        as_root=()
        if [[ $EUID -ne 0 ]]; then
            command -v sudo >/dev/null ||
                die "these packages are missing and there is no sudo here; as root run: apt-get install ${missing[*]}"
            as_root=(sudo)
        fi
        say "packages: installing ${missing[*]}"
        # stdin from /dev/null: dpkg must never stop to ask, and must not swallow what a calling script reads.
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -q update </dev/null
        "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive \
            apt-get -q -y --no-install-recommends install "${missing[@]}" </dev/null
    fi
else
    # Another distribution: say what is needed, and go on when it is there under its own name.
    say "packages: no apt here; this needs libfuse 3.14 or newer, OpenSSL 3, libcurl 7.85 or newer and SQLite 3 with headers, fusermount3, pkg-config"
    command -v pkg-config >/dev/null || die "pkg-config is missing."
    pkg-config --atleast-version=3.14 fuse3 || die "libfuse 3.14 or newer with headers is missing (pkg-config fuse3)."
    pkg-config --atleast-version=7.85 libcurl || die "libcurl 7.85 or newer with headers is missing (pkg-config libcurl)."
    pkg-config --exists libcrypto || die "OpenSSL's headers are missing (pkg-config libcrypto)."
fi

pkg-config --atleast-version=3.14 fuse3 ||
    die "libfuse here is $(pkg-config --modversion fuse3); artifactfs needs 3.14 or newer (Debian 12, Ubuntu 24.04)."

if [[ -e /dev/fuse ]]; then
    say "/dev/fuse: there"
else
    say "/dev/fuse: MISSING. Building works, mounting will not: 'modprobe fuse' as root; in Docker add" \
        "'--device /dev/fuse --cap-add SYS_ADMIN'"
fi

# --- Swift ----------------------------------------------------------------------------------------------------------

[[ $build == yes || $tests == yes ]] || exit 0

swift_help='Install Swift 6.2 or newer from https://www.swift.org/install/linux/ (Swiftly does it in one line), open a new
shell so that "swift" is on PATH, and run this script again.'

command -v swift >/dev/null || die "there is no swift here. $swift_help"
version=$(swift --version 2>/dev/null | sed -n 's/.*Swift version \([0-9][0-9.]*\).*/\1/p' | head -n 1)
[[ -n $version ]] || die "'swift --version' says nothing that can be read. $swift_help"
if [[ $(printf '%s\n' 6.2 "$version" | sort -V | head -n 1) != 6.2 ]]; then
    die "Swift here is $version. $swift_help"
fi
say "swift: $version"

[[ $build == yes ]] || exit 0

# --- Build ----------------------------------------------------------------------------------------------------------

# With Swift's own libraries inside: the program then runs without the toolchain, which is often in somebody's home
# directory, for every user and at boot.
options=(-c release --product artifactfs --static-swift-stdlib)
say "build: swift build ${options[*]} (a few minutes the first time)"
swift build "${options[@]}" </dev/null
say "built: $(swift build "${options[@]}" --show-bin-path)/artifactfs"
