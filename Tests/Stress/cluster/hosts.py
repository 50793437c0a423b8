"""A host of the cluster: a machine, its mount of the shared file system, and its driver."""

import json
import os
import subprocess
import sys
import time

from .machines import Machine

HERE = os.path.dirname(os.path.abspath(__file__))


class Host(Machine):
    def __init__(self, name, number, home, server, system, binary, called=None):
        super().__init__(name, number, home, server, called)
        self.system, self.binary = system, binary
        self.mount = f"{self.home}/mnt"
        self.temporary = f"{self.home}/tmp"
        self.driver = self.reader = None
        os.makedirs(self.mount, exist_ok=True)
        os.makedirs(self.temporary, exist_ok=True)
        self.shared = None
        self.store = None

    def join_shared(self):
        self.shared = self.system.mount(self)
        self.store = f"{self.shared}/store"

    def artifactfs(self, *words, timeout=300):
        return self.call(self.binary, *words, timeout=timeout)

    def start_driver(self):
        self.driver = self.spawn(self.binary, "mount", "--foreground", self.store, self.mount, log="driver.log", clock=True)
        self.until_mounted(self.mount, self.driver, seconds=120)

    def kill_driver(self):
        """kill(9) of the driver alone. On a link that is cut it ends when that is back."""
        self.run("pkill -9 -f 'artifactfs mount --foreground' || true", check=False)
        self.run("umount -l " + self.mount, check=False)
        self.driver = None

    def end_driver(self):
        """Unmounts as a person does; what that says, when it is not well."""
        if not self.driver:
            return ""
        try:
            done = self.artifactfs("unmount", self.mount, timeout=200)
            said = f"unmount: {done.returncode}: {done.stdout}{done.stderr}" if done.returncode else ""
        except subprocess.TimeoutExpired:
            said = "unmount does not end"
        try:
            self.driver.wait(60)
        except subprocess.TimeoutExpired:
            said += "; the driver does not end"
            self.kill_driver()
        self.driver = None
        return said

    def write(self, **settings):
        """A writer, which goes on by itself."""
        words = {"host": self.name, "mount": self.mount, "binary": self.binary, "notes": f"{self.home}/attempts.jsonl", "temporary": self.temporary,
                 "together": 4, "pause": 0.2, "start": time.monotonic() + 0.3, **settings}
        return self.spawn(sys.executable, f"{HERE}/writer.py", json.dumps(words), log="writer.log")

    def read(self):
        self.reader = self.spawn(sys.executable, f"{HERE}/reader.py", self.mount, self.store, f"{self.home}/reads.jsonl", log="reader.log")

    def end_reader(self):
        if self.reader:
            self.run("pkill -9 -f cluster/reader.py || true", check=False)
            self.reader.wait()
            self.reader = None

    def restart(self):
        """Its power comes back: another boot, a mount, a driver."""
        self.start()
        self.join_shared()
        self.start_driver()
