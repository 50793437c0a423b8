"""Several hosts, one store: real clusters of this computer's own, or NFS's manners without them, and what goes wrong there.

Two to four hosts, each with namespaces for mounts, processes, network and name, a boot id, a mount of the shared file system and a driver, race for the same
names by all ways of writing, while readers on each look at what is to be seen. Then faults: links are cut, drivers and hosts are killed, disks are full,
clocks are a day apart. What each writer was told is compared with the ledgers and the files (cluster/history.py). README.md says more.
"""

import argparse
import os
import random
import shutil
import signal
import sys
import tempfile
import time

from cluster.facts import facts
from cluster.faults import FAULTS, QUIET
from cluster.history import History, SOON
from cluster.hosts import Host
from cluster.machines import Machine
from cluster.systems import SYSTEMS

WAYS = ["create", "rename", "cp", "mv", "promote", "supersede"]


class Campaign:
    def __init__(self, options):
        self.options = options
        self.random = random.Random(options.seed)
        self.home = tempfile.mkdtemp(prefix="artifactfs-cluster-")
        self.binary = os.path.abspath(options.binary)
        self.machines, self.hosts = [], []
        self.faults = 0
        self.begun = time.monotonic()
        self.races = 0

    def say(self, text):
        print(f"{time.monotonic() - self.begun:6.1f} {text}", flush=True)

    def fault(self, text):
        self.say(f"  FAULT {text}")
        self.faults += 1

    def build(self):
        server = Machine("server", 0, self.home)
        self.machines.append(server)
        self.system = SYSTEMS[self.options.fs](server, self.options.size)
        for number in range(1, self.options.hosts + 1):
            called = "twin" if "twins" in self.options.faults else None
            host = Host(f"host{number}", number, self.home, server, self.system, self.binary, called)
            self.machines.append(host)
            self.hosts.append(host)
            if "clocks" in self.options.faults and number > 1:
                host.clock = clock(1 if number % 2 else -1)
            host.join_shared()
        self.system.hosts = self.hosts
        if self.options.facts:
            return
        done = self.hosts[0].artifactfs("init", self.hosts[0].store)
        if done.returncode:
            raise SystemExit(f"init: {done.stdout}{done.stderr}")
        self.say(f"{self.options.fs} with {len(self.hosts)} hosts at {self.home}")

    def names(self, round_, count):
        return [f"r{round_}n{number:04}.json" for number in range(count)]

    def start(self, hosts=None):
        for host in hosts or self.hosts:
            host.start_driver()

    def race(self, names, hosts=None, ways=WAYS, seed=None, **settings):
        """All hosts write the same names in the same order at the same time."""
        start = time.monotonic() + 0.5
        self.races += 1
        return [
            host.write(names=names, ways=ways, seed=f"{self.options.seed}-{self.races}-{seed}", sizes=[20, 300, 5000, 70000, 300000], start=start, **settings)
            for host in hosts or self.hosts
        ]

    def wait(self, writers, seconds):
        """Waits for writers; what does not end is told."""
        end = time.monotonic() + seconds
        hang = 0
        for writer in writers:
            try:
                writer.wait(max(0.1, end - time.monotonic()))
            except Exception:
                hang += 1
                writer.kill()
        return hang

    def look(self, what, names, faulty):
        """Ends all drivers, and looks whether all is right."""
        said = []
        # So long that readers have seen what there is.
        time.sleep(SOON)
        for host in self.hosts:
            host.end_reader()
        for host in self.hosts:
            if host.driver and host.driver.poll() is not None:
                said.append(f"the driver of {host.name} has died: {host.driver.poll()}")
            said.append(host.end_driver())
        # What was killed, and what a lease kept from being settled, a last mount settles.
        last = self.random.choice(self.hosts)
        if faulty:
            time.sleep(self.options.lease + 10 if self.options.lease else 0)
            last.start_driver()
            if self.options.lease:
                time.sleep(self.options.lease + 15)
            said.append(last.end_driver())
        # What the last host remembers of names, it has forgotten by then.
        time.sleep(4)
        history = History([host.home for host in self.hosts], self.outside(last, last.store), set(names), faulty)
        faults = [s for s in said if s] + history.check()
        for command in ("audit", "verify", "doctor"):
            done = last.artifactfs(command, last.store)
            if done.returncode:
                faults.append(f"{command}: {done.returncode}: {(done.stdout + done.stderr)[-3000:]}")
        for place in ("staging", "reserved"):
            path = f"{last.store}/.artifactfs/{place}"
            left = os.listdir(self.outside(last, path)) if os.path.isdir(self.outside(last, path)) else []
            # Young temporary files of a mount that was killed stay for an hour (DiskFormat, "Recovery").
            left = [name for name in left if not (name.endswith(".left") and self.is_temporary(self.outside(last, f"{path}/{name}")))]
            if left:
                faults.append(f"{place}: {len(left)} left: {left[:5]}")
        self.say(f"{what}: " + ", ".join(f"{value} {key}" for key, value in sorted(history.counts.items())))
        for fault in faults[:40]:
            self.say(f"  FAULT {fault}")
        if len(faults) > 40:
            self.say(f"  FAULT and {len(faults) - 40} more")
        if faults and self.options.keep:
            shutil.copytree(self.outside(last, last.store), f"{self.home}/store-{what}", symlinks=True, dirs_exist_ok=True)
        self.faults += len(faults)

    def is_temporary(self, directory):
        return all(name.startswith(("t-", ".lock")) for name in os.listdir(directory))

    def outside(self, host, path):
        """A path of a host's mount namespace, as the campaign sees it."""
        return f"/proc/{host.pid}/root{path}"

    def run(self):
        self.build()
        if self.options.facts:
            facts(self.system, self.hosts, lambda what, found: self.say(f"{what}: {found}"))
            return
        names = self.names(0, self.options.names)
        self.start()
        for host in self.hosts:
            host.read()
        hang = self.wait(self.race(names), 60 + self.options.names * 2)
        if hang:
            self.fault(f"{hang} writers do not end")
        self.look("race", names, False)
        for round_, fault in enumerate((f for f in self.options.faults if f in FAULTS), 1):
            names = self.names(round_, max(20, self.options.names // 5))
            self.start()
            for host in self.hosts:
                host.read()
            self.say(f"{fault}: begins")
            FAULTS[fault](self, names)
            self.look(fault, names, fault not in QUIET)

    def end(self):
        for host in self.hosts:
            try:
                self.system.join(host)
            except Exception:
                pass
        for machine in reversed(self.machines):
            try:
                machine.stop()
            except Exception as error:
                print(error)
        if not self.options.keep:
            shutil.rmtree(self.home, ignore_errors=True)


def clock(days):
    library = "/usr/lib/x86_64-linux-gnu/faketime/libfaketime.so.1"
    return [f"LD_PRELOAD={library}", f"FAKETIME={days:+}d", "FAKETIME_DONT_FAKE_MONOTONIC=1", "NO_FAKE_STAT=1"]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("--fs", choices=sorted(SYSTEMS), required=True)
    parser.add_argument("--hosts", type=int, default=2)
    parser.add_argument("--names", type=int, default=1000)
    parser.add_argument("--faults", type=lambda text: [f for f in text.split(",") if f], default=[], help="of: clocks,twins," + ",".join(FAULTS))
    parser.add_argument("--seed", type=int, default=int(time.time()))
    parser.add_argument("--binary", required=True)
    parser.add_argument("--size", default="1g", help="of each disk of the server")
    parser.add_argument("--lease", type=int, default=30, help="seconds after which a lease counts as dead; 0 waits for none")
    parser.add_argument("--facts", action="store_true", help="only tell what the file system does between two hosts; with clocks, whose times files have")
    parser.add_argument("--keep", action="store_true", help="leave all files")
    options = parser.parse_args()
    unknown = set(options.faults) - set(FAULTS) - {"clocks", "twins"}
    if unknown or os.geteuid() != 0 or not 2 <= options.hosts <= 4:
        parser.error(f"no such fault: {', '.join(unknown)}" if unknown else "root, and two to four hosts, are needed")
    print(f"seed {options.seed}", flush=True)
    for signal_ in (signal.SIGTERM, signal.SIGINT, signal.SIGHUP):
        signal.signal(signal_, lambda number, frame: sys.exit(128 + number))
    campaign = Campaign(options)
    try:
        campaign.run()
    finally:
        campaign.end()
    if campaign.faults:
        print(f"{campaign.faults} faults")
        sys.exit(1)
    print("all is right")


main()
