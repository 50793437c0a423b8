#!/usr/bin/env bash
#
# Installs what mount-scripts/setup.sh built: the program, its completions and man page, the helper that mount(8) and
# /etc/fstab use, and the systemd unit. An ordinary user gets what needs no root: program, completions and man page.
set -euo pipefail

here=$(cd -- "$(dirname -- "${BASH_SOURCE[0]}")" && pwd)
root=$(dirname -- "$here")

usage() {
    cat <<'TEXT'
usage: [PREFIX=/usr/local] [DESTDIR=] mount-scripts/install.sh [--uninstall]

  PREFIX    where the program lives: PREFIX/bin, PREFIX/share, PREFIX/lib/systemd
  DESTDIR   put everything below this directory instead, for making a package
  SBINDIR   where mount(8) looks for its helpers (/sbin)

An ordinary user gives a PREFIX of their own, such as ~/.local, and gets the program, completions and man page.
As root it also tells updatedb(8), where /etc/updatedb.conf is, to leave mounted stores out.
TEXT
}

uninstall=no
for argument in "$@"; do
    case $argument in
        --uninstall) uninstall=yes ;;
        -h | --help)
            usage
            exit 0
            ;;
        *)
            usage >&2
            exit 64
            ;;
    esac
done

prefix=${PREFIX:-/usr/local}
destination=${DESTDIR:-}
sbin=${SBINDIR:-/sbin}

die() {
    printf 'install.sh: %s\n' "$*" >&2
    exit 1
}

# Both end up inside files, between a sed's delimiters, and in a systemd command line.
for path in "$prefix" "$sbin"; do
    [[ $path =~ ^/[A-Za-z0-9._/+-]*$ ]] || die "'$path' is not an absolute path of plain characters."
done
prefix=${prefix%/}

program=$prefix/bin/artifactfs
bash_completion=$prefix/share/bash-completion/completions/artifactfs
zsh_completion=$prefix/share/zsh/site-functions/_artifactfs
fish_completion=$prefix/share/fish/vendor_completions.d/artifactfs.fish
manual=$prefix/share/man/man1/artifactfs.1
helper=$sbin/mount.artifactfs
fuse_helper=$sbin/mount.fuse.artifactfs
unit=$prefix/lib/systemd/system/artifactfs@.service
configuration=/etc/artifactfs
updatedb=${UPDATEDB_CONF:-/etc/updatedb.conf}

# What only root may write, and only root needs: mount(8)'s helper and the systemd unit. A package (DESTDIR) has it all.
system=no
if [[ $EUID -eq 0 || -n $destination ]]; then system=yes; fi

# The list of file systems that updatedb(8) leaves out: of a mounted store it would list every artifact twice.
prune() {
    [[ -z $destination && $EUID -eq 0 && -f $updatedb ]] || return 0
    local type changed=
    for type in fuse.artifactfs fuse.artifactfs-root; do
        case $1 in
            in)
                ! grep -Eq "^[[:space:]]*PRUNEFS[[:space:]]*=.*[\" ]${type/./\\.}[\" ]" "$updatedb" || continue
                sed -i --follow-symlinks -E "s/^([[:space:]]*PRUNEFS[[:space:]]*=[[:space:]]*\"[^\"]*)\"/\1 $type\"/" "$updatedb"
                ;;
            out) sed -i --follow-symlinks -E "/^[[:space:]]*PRUNEFS[[:space:]]*=/s/ ${type/./\\.}([ \"])/\1/" "$updatedb" ;;
        esac
        changed=yes
    done
    [[ -n $changed ]] || return 0
    printf 'changed %s: PRUNEFS\n' "$updatedb"
}

reload_systemd() {
    if [[ -z $destination && -d /run/systemd/system && $EUID -eq 0 ]]; then
        systemctl daemon-reload || printf 'install.sh: run "systemctl daemon-reload"\n' >&2
    fi
}

if [[ $uninstall == yes ]]; then
    files=("$program" "$bash_completion" "$zsh_completion" "$fish_completion" "$manual")
    if [[ $system == yes ]]; then files+=("$fuse_helper" "$helper" "$unit"); fi
    for path in "${files[@]}"; do
        if [[ -e $destination$path || -L $destination$path ]]; then
            rm -f -- "$destination$path"
            printf 'removed %s\n' "$destination$path"
        fi
    done
    # Somebody's settings stay.
    if [[ $system == yes ]]; then rmdir -- "$destination$configuration" 2>/dev/null || true; fi
    if [[ -f $updatedb ]] && grep -q 'fuse\.artifactfs' "$updatedb"; then prune out; fi
    reload_systemd
    exit 0
fi

# Said before anything is written.
first=$prefix
while [[ ! -e $destination$first && $first == */* && -n $first ]]; do first=${first%/*}; done
[[ -w $destination${first:-/} || -n $destination ]] ||
    die "$prefix cannot be written by this user: be root, or give a PREFIX of your own, such as PREFIX=$HOME/.local"

binary=${ARTIFACTFS_BINARY:-$root/.build/release/artifactfs}
[[ -f $binary && -x $binary ]] || die "there is no $binary yet; run mount-scripts/setup.sh first (as yourself, not as root)."
"$binary" --version >/dev/null || die "$binary does not run here."

# A directory of the system exists already and keeps its mode; one that is missing is made.
target() {
    mkdir -p -- "$(dirname -- "$destination$1")"
    printf 'installing %s\n' "$destination$1"
}

umask 022
target "$program"
install -m 755 -- "$binary" "$destination$program.new"
# A quarter of the file is symbols. Renamed into place: a driver that runs from the old file keeps it.
if command -v strip >/dev/null; then strip -- "$destination$program.new"; fi
mv -f -- "$destination$program.new" "$destination$program"

for shell in bash zsh fish; do
    name=${shell}_completion
    target "${!name}"
    "$binary" --generate-completion-script "$shell" >"$destination${!name}.new"
    chmod 644 -- "$destination${!name}.new"
    mv -f -- "$destination${!name}.new" "$destination${!name}"
done

target "$manual"
install -m 644 -- "$here/artifactfs.1" "$destination$manual"

if [[ $system == no ]]; then
    printf 'left out, for root only: %s, %s\n' "$helper" "$unit"
    case :$PATH: in
        *:$prefix/bin:*) ;;
        *) printf 'add %s to your PATH\n' "$prefix/bin" ;;
    esac
    printf 'done. Try: %s --help\n' "$program"
    exit 0
fi

target "$helper"
sed "s|^program=artifactfs\$|program=$program|" "$here/mount.artifactfs" >"$destination$helper.new"
grep -q "^program=$program\$" "$destination$helper.new" || die "mount.artifactfs has no line program=artifactfs."
chmod 755 -- "$destination$helper.new"
mv -f -- "$destination$helper.new" "$destination$helper"
printf 'installing %s\n' "$destination$fuse_helper"
ln -sfn -- mount.artifactfs "$destination$fuse_helper"

target "$unit"
sed "s|@BINDIR@|$prefix/bin|g" "$here/artifactfs@.service" >"$destination$unit.new"
chmod 644 -- "$destination$unit.new"
mv -f -- "$destination$unit.new" "$destination$unit"
mkdir -p -- "$destination$configuration"
prune in
reload_systemd

printf 'done. Try: %s --help\n' "$program"
