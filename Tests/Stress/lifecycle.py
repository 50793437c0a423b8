"""Lets a store live, kills who works on it at a random moment, and looks whether all is right.

After each round: the ledger's chain is whole and says what is there (`audit`), every artifact and every version has the bytes that were sealed (`verify`),
of what was promoted, retracted or superseded together all has its new place or nothing, no byte of what a maker finished is lost, and nothing is left to settle.
"""

import argparse
import hashlib
import json
import os
import random
import shutil
import signal
import subprocess
import sys
import tempfile
import time

TYPES = ["base/splice_errors", "base/analysis_sequences"]


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


class Campaign:
    def __init__(self, options):
        self.binary = os.path.abspath(options.binary)
        self.random = random.Random(options.seed)
        self.home = tempfile.mkdtemp(prefix="artifactfs-stress-")
        self.disk = None
        if options.full_disk:
            self.disk = self.home + "/disk"
            os.mkdir(self.disk)
            subprocess.run(["mount", "-t", "tmpfs", "-o", "size=6m", "stress", self.disk], check=True)
        self.store = (self.disk or self.home) + "/store"
        self.mount = self.home + "/mount"
        os.mkdir(self.mount)
        self.call("init", self.store)
        self.driver = None
        self.key = None
        if shutil.which("openssl"):
            self.key = self.home + "/key.pem"
            subprocess.run(
                ["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", self.key],
                check=True, capture_output=True)
            os.chmod(self.key, 0o600)
        # The files of a session that are promoted together, by their real paths.
        self.promoted = []
        # What was ever sealed: bytes by their hash.
        self.known = set()

    def call(self, *words, timeout=120, ok=(0, 1, 2)):
        done = subprocess.run([self.binary, *words], capture_output=True, text=True, timeout=timeout)
        if done.returncode not in ok:
            raise SystemExit(f"{words}: {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def start(self):
        self.driver = subprocess.Popen(
            [self.binary, "mount", "--foreground", self.store, self.mount], stdout=subprocess.DEVNULL,
            stderr=subprocess.PIPE)
        end = time.monotonic() + 60
        while not os.path.ismount(self.mount):
            if self.driver.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"no mount: {self.driver.stderr.read()}")
            time.sleep(0.01)

    def detach(self):
        subprocess.run(["fusermount3", "-uz", self.mount], capture_output=True)
        subprocess.run(["umount", "-l", self.mount], capture_output=True)

    def stop(self):
        self.call("unmount", self.mount)
        self.driver.wait(60)

    def production(self):
        found = []
        for type_ in TYPES:
            try:
                directory = f"{self.mount}/production/{type_}"
                found += [f"{directory}/{name}" for name in os.listdir(directory)]
            except OSError:
                pass
        return found

    def load(self):
        """Programs that publish meanwhile."""
        script = """
for round in 1 2 3 4 5 6 7 8 9; do for n in 1 2 3 4 5 6 7 8; do
    printf 'a\\tb\\n%s\\t%s\\n' "$round$RANDOM" $n > "$1/chr$n.tsv"; done; sleep 0.05; done
"""
        return [
            subprocess.Popen(
                ["bash", "-c", script, "load", f"{self.mount}/production/{type_}"], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            for type_ in TYPES
        ]

    def command(self):
        """A command of the kind that changes what is sealed, and the paths that are to go together."""
        there = self.production()
        kind = self.random.choice(["supersede", "with", "retract", "retract", "promote", "promote", "tag", "attest", "gc"])
        chosen = self.random.sample(there, min(len(there), self.random.randint(1, 6)))
        if kind == "promote":
            session = os.readlink(self.mount + "/development/current")
            directory = f"{self.mount}/development/{session}/base/splice_errors"
            for number in self.random.sample(range(9, 23), 4):
                with open(f"{directory}/chr{number}.tsv", "w") as file:
                    file.write(f"a\tb\n{number}\t{self.random.random()}\n")
                self.promoted.append(f"{self.store}/base_layer/dev/{session}/splice_errors_chr{number}.tsv")
            return ["promote", session, "--store", self.mount], []
        if kind == "with" and there:
            new = self.home + "/new.tsv"
            with open(new, "w") as file:
                file.write(f"a\tb\nnew\t{self.random.random()}\n")
            return ["supersede", "--reason", "stress", "--with", new, there[0]], []
        if kind in ("supersede", "retract") and chosen:
            return [kind, "--reason", "stress", *chosen], chosen
        if kind == "attest" and self.key:
            return ["attest", "--key", self.key, "--store", self.store], []
        if kind == "gc":
            return ["gc", "--keep-last", "2", "--temporary-older-than", "1s", "--delete", self.store], []
        return ["tag", f"t{self.random.randrange(10**9)}", "--store", self.store], []

    def round(self, number):
        self.start()
        load = self.load()
        time.sleep(self.random.random() * 0.5)
        self.fill()
        self.promoted = []
        words, together = self.command()
        before = {path: self.inode(path) for path in together}
        victim = self.random.choice(["driver", "command", "nobody"])
        process = subprocess.Popen([self.binary, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.random.random() * self.random.choice([0.02, 0.2]))
        if victim == "driver":
            self.driver.kill()
            self.driver.wait()
            self.detach()
        elif victim == "command":
            process.send_signal(signal.SIGKILL)
        for one in [process, *load]:
            try:
                one.wait(30)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        if victim != "driver":
            self.stop()
        if self.disk and os.path.exists(self.disk + "/ballast"):
            os.unlink(self.disk + "/ballast")
        # What was killed is settled by the next mount.
        self.start()
        self.stop()
        faults = self.look(before)
        print(f"{number}: {words[0]}, {victim} killed, {len(self.known)} files" + "".join("; " + f for f in faults), flush=True)
        return not faults

    def fill(self):
        """Leaves so little room on the small disk that what comes next may find none."""
        if not self.disk:
            return
        found = os.statvfs(self.disk)
        left = found.f_bavail * found.f_frsize - self.random.choice([0, 4, 16, 64, 256]) * 1024
        try:
            if left > 0:
                with open(self.disk + "/ballast", "wb") as file:
                    file.write(b"x" * left)
        except OSError:
            pass  # Who publishes meanwhile was faster.

    def inode(self, path):
        real = self.real(path)
        try:
            return os.stat(real).st_ino
        except OSError:
            return None

    def real(self, path):
        type_, name = path.split("/")[-2:]
        return f"{self.store}/base_layer/{type_}_{name}"

    def look(self, before):
        faults = []
        audit = self.call("audit", self.store)
        if audit.returncode:
            faults.append("audit: " + audit.stdout + audit.stderr)
        verify = self.call("verify", self.store)
        if verify.returncode == 1:
            faults.append("verify: " + verify.stdout + verify.stderr)
        # Together: all are where they were, or none is.
        were = {path: inode for path, inode in before.items() if inode}
        still = [path for path, inode in were.items() if self.inode(path) == inode]
        if still and len(still) != len(were):
            faults.append(f"only {len(still)} of {len(were)} have their names")
        left = [path for path in self.promoted if os.path.exists(path)]
        if left and len(left) != len(self.promoted):
            faults.append(f"only {len(left)} of {len(self.promoted)} were not promoted")
        own = self.store + "/.artifactfs"
        if os.listdir(own + "/staging"):
            faults.append(f"staging: {os.listdir(own + '/staging')}")
        if os.path.isdir(own + "/reserved") and os.listdir(own + "/reserved"):
            faults.append(f"reserved: {os.listdir(own + '/reserved')}")
        # No byte of what was ever sealed is lost.
        now = set()
        for top, _, names in os.walk(self.store):
            if "/.artifactfs" in top and "/versions" not in top:
                continue
            now |= {sha256(f"{top}/{name}") for name in names if not name.endswith(".json")}
        lost = self.known - now
        if lost:
            faults.append(f"{len(lost)} files are lost")
        self.known |= {sha256(f"{self.store}/base_layer/{name}") for name in os.listdir(self.store + "/base_layer")
                       if name.endswith(".tsv")} if os.path.isdir(self.store + "/base_layer") else set()
        for name in os.listdir(own + "/versions") if os.path.isdir(own + "/versions") else []:
            files = os.listdir(f"{own}/versions/{name}")
            for file in files:
                # A description that was being written when its writer was killed.
                if file.startswith("."):
                    continue
                if not file.endswith(".json") and file + ".json" not in files:
                    faults.append(f"version {name}/{file} is not described")
        return faults

    def end(self):
        self.detach()
        if self.disk:
            subprocess.run(["umount", "-l", self.disk])
        shutil.rmtree(self.home, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--full-disk", action="store_true", help="on a tmpfs of 6 MiB, which fills up; root only")
    options = parser.parse_args()
    print(f"seed {options.seed}", flush=True)
    campaign = Campaign(options)
    for number in range(1, options.rounds + 1):
        if not campaign.round(number):
            print(f"the store is left at {campaign.store}")
            sys.exit(1)
    campaign.end()
    print("all is right")


main()
