"""A program of a host that was cut off writes to what it had open, after others have sealed that. Nothing that is sealed may change by it."""

import hashlib
import os
import time

from .facts import Agent
from .history import SOON

WHOLE = '{"whole": "' + "x" * 100000 + '"}\n'
SHA256 = hashlib.sha256(WHOLE.encode()).hexdigest()
METRICS = "meta/meta_metrics"


class LateWrites:
    """What the victim has open is published from quarantine and promoted from its session by another host, and then written to by the victim."""

    def __init__(self, campaign, victim, heir):
        self.campaign, self.victim, self.heir = campaign, victim, heir
        self.round = f"late{campaign.races}"
        self.checkpoint = f"checkpoint-{campaign.races}"
        self.mount = f"{heir.home}/resumed"
        self.artifacts = []
        os.makedirs(self.mount, exist_ok=True)

    def open(self):
        """Whole files that stay open: on the mount, and at their real paths, as the driver has them."""
        self.agent = Agent(self.victim, self.victim.mount)
        self.session = self.agent("os.readlink(D + '/development/current')")
        self.agent(f"R, W = {self.victim.store!r}, {WHOLE!r}")
        for key, path in (
            ("kept", f"production/{METRICS}/{self.round}-kept.json"),
            ("session", f"development/{self.session}/{METRICS}/{self.round}-session.json"),
            ("alone", f"development/{self.session}/{METRICS}/{self.round}-alone.json"),
            ("moved", f"development/{self.session}/{METRICS}/{self.round}-moved.json"),
            ("linked", f"development/{self.session}/{METRICS}/{self.round}-linked.json"),
            ("test", f"test/{self.round}/{METRICS}/{self.round}-test.json"),
            ("directory", f"development/{self.session}/meta/meta_checkpoints/{self.checkpoint}/weights.bin"),
        ):
            made = self.agent(
                f"attempt(lambda: (os.makedirs(os.path.dirname(D + '/{path}'), exist_ok=True), KEPT.update({{{key!r}: os.open(D + '/{path}', os.O_RDWR | os.O_CREAT)}}), "
                f"os.write(KEPT[{key!r}], W.encode()), os.fsync(KEPT[{key!r}])) and None)")
            if made != "ok":
                self.campaign.fault(f"{path} cannot be made: {made}")
        # The same files by the file system itself: what the driver of the victim has open, and no lease is asked of.
        found = self.agent(
            "[(KEPT.update({'real ' + f: os.open(t + '/' + f, os.O_RDWR)}), f)[1] for t, _, fs in os.walk(R) for f in fs "
            f"if '{self.round}-' in f or f == 'weights.bin' and '{self.checkpoint}' in t]")
        if not isinstance(found, list) or len(found) < 7:
            self.campaign.fault(f"only {found} are open at their real paths")

    def said(self, what, *words, host=None):
        """A command that must succeed."""
        done = (host or self.heir).artifactfs(*words)
        if done.returncode:
            self.campaign.fault(f"{what}: {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        return done

    def inherit(self):
        """Waits until what the victim left is in quarantine, and publishes it; resumes its session, and promotes that."""
        kept = f"production/{METRICS}/{self.round}-kept.json"
        end = time.monotonic() + self.campaign.options.lease + 90
        while kept not in self.heir.artifactfs("recover", "list", self.heir.mount).stdout:
            if time.monotonic() > end:
                self.campaign.fault(f"{kept} does not come to quarantine")
                return
            time.sleep(1)
        self.campaign.say(f"  {self.heir.name} is the heir")
        self.publish("kept", "recover", "publish", self.heir.mount, kept, "--despite", "it is whole", to=f"metrics/{self.round}-kept.json")
        self.said("resume", "mount", self.heir.store, self.mount, "--session", self.session)
        here = f"{self.mount}/development/{self.session}/{METRICS}/{self.round}"
        self.publish("session", "promote", f"{here}-session.json", to=f"metrics/{self.round}-session.json")
        self.publish("test", "promote", f"{self.mount}/test/{self.round}/{METRICS}/{self.round}-test.json", to=f"metrics/{self.round}-test.json")
        self.publish("directory", "promote", f"{self.mount}/development/{self.session}/meta/meta_checkpoints/{self.checkpoint}", to=f"checkpoints/{self.checkpoint}/weights.bin")
        self.by_program("alone", f'mv "$1" "$2/production/{METRICS}/"', f"{here}-alone.json", self.mount)
        # In a session of the heir's own, whichever way it came there, it is the same file or another.
        self.said("session new", "session", "new", self.mount)
        own = self.heir.run('readlink "$1/development/current"', self.mount).stdout.strip()
        directory = f"{self.mount}/development/{own}/{METRICS}"
        if own != self.session:
            self.by_program("moved", 'mv "$1" "$2/" && "$3" promote "$2/$4"', f"{here}-moved.json", directory, self.heir.binary, f"{self.round}-moved.json")
            self.by_program(
                "linked", '(ln "$1" "$2/" || cp "$1" "$2/") && rm "$1" && "$3" promote "$2/$4"', f"{here}-linked.json", directory, self.heir.binary, f"{self.round}-linked.json")
        else:
            self.campaign.fault("there is no other session")

    def publish(self, what, *words, to):
        if self.said(what, *words).returncode == 0:
            self.artifacts.append(f"meta_layer/{to}")

    def by_program(self, what, script, *arguments):
        done = self.heir.run(script, *arguments, check=False, timeout=120)
        if done.returncode:
            self.campaign.fault(f"{what}: {done.returncode}: {(done.stdout + done.stderr)[-2000:]}")
        else:
            self.artifacts.append(f"meta_layer/metrics/{self.round}-{what}.json")

    def write(self):
        """What the programs of the victim are told, when it is back."""
        told = {}
        # A client of the file system may need a while until it has its server again.
        self.agent("late = lambda f: (os.pwrite(f, b'LATE', 0), os.fsync(f)) and None")
        self.agent("again = lambda f: (until(lambda: attempt(late, f) not in ('ENOTCONN', 'ETIMEDOUT'), 40), late(f))[1]")
        for key in self.agent("list(KEPT)"):
            self.agent(f"later({key!r}, again, KEPT[{key!r}])")
        end = time.monotonic() + 120
        while None in (told := self.agent("THREADS")).values() and time.monotonic() < end:
            time.sleep(0.5)
        self.campaign.say("  late writes: " + ", ".join(f"{key} {value[0] if value else 'waits'}" for key, value in told.items()))
        if not any(value and value[0] == "ok" for value in told.values()):
            self.campaign.say("  none of them came through")

    def look(self):
        """On all hosts it is what was sealed."""
        time.sleep(SOON)
        for artifact in self.artifacts:
            for host in self.campaign.hosts:
                seen = host.run('sha256sum < "$1"', f"{host.store}/{artifact}", check=False).stdout.split(" ")[0]
                if seen != SHA256:
                    self.campaign.fault(f"{host.name} sees other bytes of {artifact}, which is sealed: {seen[:12]}")
        self.said("verify", "verify", self.heir.store)
        self.said("unmount", "unmount", self.mount)

    def end(self):
        self.agent.process.kill()
        self.agent.process.wait()
