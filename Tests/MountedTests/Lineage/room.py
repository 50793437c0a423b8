"""A place where root's run continues as nobody: a mount namespace with a /dev/fuse for everybody, the binary, and this program."""

import os
import re
import shutil
import subprocess
import sys
import tempfile

SCRIPT = r"""
set -e
mount -t tmpfs -o mode=755 room "$1"
cp "$2" "$1/artifactfs"; cp -r "$3" "$1/lineage"; mkdir -m 1777 "$1/tmp"; mkdir "$1/lib"; chmod -R a+rX "$1/lineage"
[ -z "$4" ] || mount --bind "$4" "$1/lib"
mknod -m 666 "$1/fuse" c 10 229; mount --bind "$1/fuse" /dev/fuse
room=$1; python=$5; shift 5
exec setpriv --reuid=65534 --regid=65534 --clear-groups env -u SUDO_USER HOME="$room/tmp" TMPDIR="$room/tmp" LD_LIBRARY_PATH="$room/lib" \
    PATH="$room:/usr/local/bin:/usr/bin:/bin" "$python" "$room/lineage/main.py" "$@"
"""


def run_as_nobody(arguments):
    """Runs the same again as nobody. The exit status is that run's."""
    linked = subprocess.run(["ldd", arguments.binary], capture_output=True, text=True).stdout
    found = re.search(r"=> (/.*)/libswiftCore\.so", linked)
    python = "/usr/bin/python3" if os.path.exists("/usr/bin/python3") else sys.executable
    place = tempfile.mkdtemp(prefix="artifactfs-room-")
    os.chmod(place, 0o755)
    passed = ["--binary", place + "/artifactfs", "--parallel", str(arguments.parallel),
              "--repeat", str(arguments.repeat)]
    for name in arguments.job or []:
        passed += ["--job", name]
    for flag in ("no_passthrough", "load", "model_only", "untraced", "all"):
        if getattr(arguments, flag):
            passed.append("--" + flag.replace("_", "-"))
    if arguments.json:
        passed += ["--json", place + "/tmp/results.json"]
    try:
        # The results leave the namespace through its own file descriptor.
        script = SCRIPT.replace("exec setpriv", "setpriv") + "\nstatus=$?\n"
        if arguments.json:
            script = script.replace("set -e\n", "set -e\nexec 9> \"$RESULTS\"\n", 1)
            script = script.replace('"$room/lineage/main.py" "$@"', '"$room/lineage/main.py" "$@" 9>&- && status=0 || status=$?')
            script = script.replace("\nstatus=$?\n", '\ncat "$room/tmp/results.json" >&9 2> /dev/null || true\nexit $status\n')
        environment = dict(os.environ, RESULTS=os.path.abspath(arguments.json) if arguments.json else "")
        return subprocess.run(
            ["unshare", "--mount", "--", "bash", "-c", script, "room", place, arguments.binary,
             os.path.dirname(os.path.abspath(__file__)), found[1] if found else "", python, *passed],
            env=environment).returncode
    finally:
        shutil.rmtree(place, ignore_errors=True)
