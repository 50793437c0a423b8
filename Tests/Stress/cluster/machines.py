"""Machines of one computer: a server and hosts, each with namespaces of its own for mounts, processes, network and name, and a boot id of its own.

A machine is a process, the first of its process namespace: when it ends, all that ran in it ends, and its mounts and its network go. So nothing is left however
the campaign ends. The bridge is in the server's network; each host has a link to it.
"""

import ctypes
import os
import signal
import subprocess
import time
import uuid

SERVER = "10.77.0.1"


def dies_with_its_parent():
    ctypes.CDLL(None).prctl(1, signal.SIGKILL, 0, 0, 0)


class Machine:
    """One computer, as its programs see it. `home` has its files."""

    def __init__(self, name, number, home, server=None, called=None):
        self.name, self.number, self.server = name, number, server
        self.called = called or name
        self.home = f"{home}/{name}"
        os.makedirs(self.home, exist_ok=True)
        self.address = SERVER if server is None else f"10.77.0.{number + 1}"
        self.clock = None
        self.start()

    def start(self):
        """Turns it on: another boot."""
        for file, text in (("boot_id", str(uuid.uuid4())), ("machine-id", uuid.uuid4().hex)):
            with open(f"{self.home}/{file}", "w") as out:
                out.write(text + "\n")
        script = f"""
            set -e
            echo {self.called} > /proc/sys/kernel/hostname
            mount --bind {self.home}/boot_id /proc/sys/kernel/random/boot_id
            [ ! -e /etc/machine-id ] || mount --bind {self.home}/machine-id /etc/machine-id
            mount -t tmpfs run /run
            mount -t tmpfs dev /dev/shm
            ip link set lo up
            echo ready
            trap '' TERM INT
            while :; do sleep 1000000 & wait; done
        """
        self.process = subprocess.Popen(
            ["unshare", "--mount", "--uts", "--net", "--ipc", "--pid", "--fork", "--kill-child", "--mount-proc", "--propagation", "private",
             "--", "bash", "-c", script], stdout=subprocess.PIPE, text=True, preexec_fn=dies_with_its_parent)
        if self.process.stdout.readline() != "ready\n":
            raise SystemExit(f"no namespaces for {self.name}")
        with open(f"/proc/{self.process.pid}/task/{self.process.pid}/children") as file:
            self.pid = int(file.read().split()[0])
        if self.server is None:
            self.run("ip link add br0 type bridge; ip link set br0 up; ip addr add 10.77.0.1/24 dev br0")
        else:
            # Of its former run, when the kernel has not removed that yet.
            self.server.run(f"ip link del {self.name} 2>/dev/null || true")
            self.server.ip(f"link add {self.name} type veth peer name eth0 netns {self.pid}")
            self.server.ip(f"link set {self.name} master br0 up")
            self.run(f"ip addr add {self.address}/24 dev eth0; ip link set eth0 up")

    def ip(self, words):
        """ip(8) in this machine's network, with process numbers of outside."""
        subprocess.run(["nsenter", "-t", str(self.pid), "-n", "--", "ip", *words.split()], check=True)

    def words(self, *words, clock=False):
        """A command in this machine, by its own clock when that is said: of the file system's client, of the driver and its commands."""
        prefix = ["nsenter", "-t", str(self.pid), "-m", "-u", "-n", "-i", "-p", "--"]
        if clock and self.clock:
            # Over a shell: the library changes the environment of the first process, and Swift looks for arguments beside it.
            prefix += ["env", *self.clock, "sh", "-c", 'exec "$0" "$@"']
        return [*prefix, *words]

    def run(self, script, *arguments, timeout=60, check=True, clock=False):
        done = subprocess.run(
            self.words("bash", "-c", script, "run", *arguments, clock=clock), capture_output=True, text=True, timeout=timeout,
            stdin=subprocess.DEVNULL)
        if check and done.returncode:
            raise SystemExit(f"{self.name}: {script}: {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def call(self, *words, timeout=120):
        return subprocess.run(
            self.words(*words, clock=True), capture_output=True, text=True, timeout=timeout, stdin=subprocess.DEVNULL, errors="replace")

    def spawn(self, *words, log=None, clock=False, **more):
        """A process that ends with the campaign."""
        if log:
            with open(f"{self.home}/{log}", "ab") as out:
                return subprocess.Popen(
                    self.words(*words, clock=clock), stdin=subprocess.DEVNULL, stdout=out, stderr=out, preexec_fn=dies_with_its_parent, **more)
        return subprocess.Popen(self.words(*words, clock=clock), preexec_fn=dies_with_its_parent, **more)

    def until_mounted(self, path, process=None, seconds=60):
        end = time.monotonic() + seconds
        while self.run('mountpoint -q "$1"', path, check=False).returncode:
            if time.monotonic() > end or process and process.poll() is not None:
                raise SystemExit(f"{self.name}: no mount at {path}; see {self.home}")
            time.sleep(0.05)

    def stop(self):
        """Turns it off, as a cut of its power does."""
        self.process.kill()
        self.process.wait()
        end = time.monotonic() + 20
        while self.is_on() and time.monotonic() < end:
            time.sleep(0.02)

    def is_on(self):
        try:
            with open(f"/proc/{self.pid}/stat") as file:
                return file.read().rpartition(") ")[2][0] not in "ZX"
        except (FileNotFoundError, ProcessLookupError):
            return False

    def cut(self):
        self.server.ip(f"link set {self.name} down")

    def join(self):
        # When the host is off, it has no link.
        if self.process.poll() is None:
            self.server.ip(f"link set {self.name} up")
