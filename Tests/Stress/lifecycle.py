"""Lets a store live, kills who works on it at a random moment, and looks whether all is right. As root two hosts have it mounted, each with a ledger of its
own; the second one is a UTS namespace.

After each round: the ledger's chain is whole and says what is there (`audit`), every artifact and every version has the bytes that were sealed (`verify`),
of what was promoted, retracted or superseded together all has its new place or nothing, what is to be adopted is as it was or has its record, no byte of what a
maker finished is lost but what the schema lets gc remove and the ledger says, and nothing is left to settle.
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


# The second host, by another name of this machine.
OTHER = ["unshare", "--uts", "--", "sh", "-c", "echo other > /proc/sys/kernel/hostname; exec \"$0\" \"$@\""]


class Host:
    """A machine, its mount, and the driver of that."""

    def __init__(self, name, prefix, home):
        self.name, self.prefix = name, prefix
        self.mount = f"{home}/mount-{name}"
        self.log = f"{home}/log-{name}"
        self.driver = None
        os.mkdir(self.mount)

    def start(self, binary, store):
        with open(self.log, "ab") as log:
            self.driver = subprocess.Popen(
                [*self.prefix, binary, "mount", "--foreground", store, self.mount], stdout=log, stderr=log)
        end = time.monotonic() + 60
        while not os.path.ismount(self.mount):
            if self.driver.poll() is not None or time.monotonic() > end:
                raise SystemExit(f"no mount on {self.name}: see {self.log}")
            time.sleep(0.01)

    def kill(self):
        self.driver.kill()
        self.driver.wait()
        self.driver = None
        self.detach()

    def detach(self):
        subprocess.run(["fusermount3", "-uz", self.mount], capture_output=True)
        subprocess.run(["umount", "-l", self.mount], capture_output=True)


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
        self.hosts = [Host("one", [], self.home)]
        if os.geteuid() == 0 and not options.one_host:
            self.hosts.append(Host("other", OTHER, self.home))
        self.call("init", self.store)
        schema = self.store + "/.artifactfs/schema.yaml"
        with open(schema) as file:
            text = file.read()
        with open(schema, "w") as file:
            file.write(text.replace("keep_versions: all", "keep_versions: {last: 2}", 1))
        self.key = None
        if shutil.which("openssl"):
            self.key = self.home + "/key.pem"
            subprocess.run(
                ["openssl", "ecparam", "-genkey", "-name", "prime256v1", "-noout", "-out", self.key],
                check=True, capture_output=True)
            os.chmod(self.key, 0o600)
        # The files of a session that are promoted together, by their real paths.
        self.promoted = []
        # What was put at real paths, to be adopted.
        self.put = []
        # What was ever sealed: bytes by their hash.
        self.known = set()

    def call(self, *words, timeout=120, ok=(0, 1, 2), host=None):
        prefix = host.prefix if host else []
        done = subprocess.run([*prefix, self.binary, *words], capture_output=True, text=True, timeout=timeout)
        if done.returncode not in ok:
            raise SystemExit(f"{words}: {done.returncode}: {done.stdout}{done.stderr}")
        return done

    def start(self, hosts=None):
        for host in hosts or self.hosts:
            host.start(self.binary, self.store)

    def stop(self):
        for host in self.hosts:
            if host.driver:
                self.call("unmount", host.mount, host=host)
                host.driver.wait(60)
                host.driver = None

    def production(self, host):
        found = []
        for type_ in TYPES:
            try:
                directory = f"{host.mount}/production/{type_}"
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
                ["bash", "-c", script, "load", f"{host.mount}/production/{type_}"], stdout=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL)
            for type_ in TYPES for host in self.hosts
        ]

    def command(self, host):
        """A command of the kind that changes what is sealed, and the paths that are to go together."""
        there = self.production(host)
        kind = self.random.choice(
            ["supersede", "with", "retract", "retract", "promote", "promote", "tag", "attest", "gc", "gc", "adopt", "adopt"])
        chosen = self.random.sample(there, min(len(there), self.random.randint(1, 6)))
        if kind == "promote":
            session = os.readlink(host.mount + "/development/current")
            directory = f"{host.mount}/development/{session}/base/splice_errors"
            for number in self.random.sample(range(9, 23), 4):
                try:
                    with open(f"{directory}/chr{number}.tsv", "w") as file:
                        file.write(f"a\tb\n{number}\t{self.random.random()}\n")
                except OSError:
                    # There is no room: what is there of it is no file to be promoted.
                    if os.path.exists(f"{directory}/chr{number}.tsv"):
                        os.unlink(f"{directory}/chr{number}.tsv")
                    continue
                self.promoted.append(f"{self.store}/base_layer/dev/{session}/splice_errors_chr{number}.tsv")
            return ["promote", session, "--store", host.mount], []
        if kind == "adopt":
            for number in self.random.sample(range(9, 23), 4):
                self.place(f"analysis_sequences_chr{number}.tsv", f"a\tb\n{number}\t{self.random.random()}\n")
            return ["adopt", self.random.choice([self.store, host.mount])], []
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
            return [
                "gc", "--keep-last", "2", "--temporary-older-than", "1s", *self.random.choice([[], ["--versions"]]),
                "--delete", self.store,
            ], []
        return ["tag", f"t{self.random.randrange(10**9)}", "--store", self.store], []

    def place(self, name, text):
        """Puts a file at a real path, whole, as somebody does who knows of no driver."""
        real = f"{self.store}/base_layer/{name}"
        new = f"{self.store}/.new-{name}"
        try:
            with open(new, "w") as file:
                file.write(text)
            # Nothing is replaced.
            os.link(new, real)
            self.put.append(real)
            self.known.add(sha256(real))
        except OSError:
            pass  # It has its name, or there is no room.
        finally:
            if os.path.exists(new):
                os.unlink(new)

    def round(self, number):
        self.start()
        load = self.load()
        time.sleep(self.random.random() * 0.5)
        self.fill()
        self.promoted, self.put = [], []
        host = self.random.choice(self.hosts)
        words, together = self.command(host)
        before = {path: self.inode(path) for path in together}
        victim = self.random.choice(["driver", "command", "nobody", "drivers"])
        process = subprocess.Popen(
            [*host.prefix, self.binary, *words], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)
        time.sleep(self.random.random() * self.random.choice([0.02, 0.2]))
        if victim == "drivers":
            for one in self.hosts:
                one.kill()
        elif victim == "driver":
            self.random.choice(self.hosts).kill()
        elif victim == "command":
            process.send_signal(signal.SIGKILL)
        for one in [process, *load]:
            try:
                one.wait(30)
            except subprocess.TimeoutExpired:
                one.kill()
                one.wait()
        self.stop()
        if self.disk and os.path.exists(self.disk + "/ballast"):
            os.unlink(self.disk + "/ballast")
        # What was killed is settled by the next mount, of whichever host.
        self.start([self.random.choice(self.hosts)])
        self.stop()
        faults = self.look(before)
        print(
            f"{number}: {words[0]} on {host.name}, {victim} killed, {len(self.known)} files"
            + "".join("; " + f for f in faults), flush=True)
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
        for path in self.put:
            if not os.path.exists(path):
                faults.append(f"{path} was put there and is gone")
        adopt = self.call("adopt", self.store)
        if adopt.returncode:
            faults.append("adopt: " + adopt.stdout + adopt.stderr)
        doctor = self.call("doctor", self.store)
        if doctor.returncode:
            faults.append("doctor: " + doctor.stdout + doctor.stderr)
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
        removed = set()
        for name in os.listdir(own + "/ledger"):
            with open(f"{own}/ledger/{name}", "rb") as file:
                for line in file:
                    if b'"event":"version-removed"' in line:
                        removed.add(json.loads(line)["sha256"])
        lost = self.known - now - removed
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
                if file.endswith(".removed"):
                    number = file.removesuffix(".removed")
                    if number + ".json" in files and number not in files:
                        faults.append(f"version {name}/{file} is not removed whole")
                elif not file.endswith(".json") and file + ".json" not in files:
                    faults.append(f"version {name}/{file} is not described")
        return faults

    def end(self):
        for host in self.hosts:
            host.detach()
        if self.disk:
            subprocess.run(["umount", "-l", self.disk])
        shutil.rmtree(self.home, ignore_errors=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--binary", required=True)
    parser.add_argument("--rounds", type=int, default=100)
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--one-host", action="store_true")
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
