"""Looks offline at what happened: from what each writer was told, what each reader saw, the ledgers and the files."""

import collections
import glob
import hashlib
import json
import os

# What tells a writer that it has not won, and that nothing of it is to be looked for.
UNKNOWN = {None, "EIO", "ETIMEDOUT", "ENOTCONN", "ECONNABORTED", "status 8", "ENXIO"}


# Seconds within which a name is to be seen everywhere: what the schema says (5), and a reader's round.
SOON = 8


def lines(path):
    try:
        with open(path, errors="replace") as file:
            for line in file:
                try:
                    yield json.loads(line)
                except ValueError:
                    pass  # Cut off when its writer was killed.
    except FileNotFoundError:
        pass


def sha256(path):
    with open(path, "rb") as file:
        return hashlib.sha256(file.read()).hexdigest()


def attempts(homes):
    """Every attempt, by the hash of its bytes: no two have the same."""
    found = {}
    for home in homes:
        for line in lines(home + "/attempts.jsonl"):
            found.setdefault(line["sha256"], {"outcome": None, "step": None}).update(line)
    return found


class History:
    """`store` is a path at which the shared store can be read; all drivers have ended."""

    def __init__(self, homes, store, names, faulty):
        self.attempts = {k: v for k, v in attempts(homes).items() if v["name"] in names}
        self.store, self.names, self.faulty = store, names, faulty
        self.homes = homes
        self.faults, self.counts = [], collections.Counter()

    def fault(self, text):
        self.faults.append(text)

    def files(self):
        own = self.store + "/.artifactfs"
        self.current = {}
        for path in glob.glob(self.store + "/meta_layer/metrics/*.json"):
            name = os.path.basename(path)
            if name in self.names:
                self.current[name] = sha256(path)
        self.versions, self.kept = collections.defaultdict(list), set()
        for top, _, files in os.walk(own + "/versions"):
            for file in files:
                if file.isdigit():
                    self.versions[os.path.basename(top)].append(sha256(f"{top}/{file}"))
        for place in (own + "/quarantine", own + "/staging", self.store + "/meta_layer/dev", self.store + "/base_layer/dev"):
            for top, _, files in os.walk(place):
                for file in files:
                    try:
                        self.kept.add(sha256(f"{top}/{file}"))
                    except OSError:
                        pass
        self.former = {h for all_ in self.versions.values() for h in all_}
        self.events = collections.defaultdict(list)
        for path in glob.glob(own + "/ledger/*.jsonl"):
            for line in lines(path):
                name = line.get("name")
                if line.get("event") in ("sealed", "unsealed", "quarantined") or name in self.names:
                    self.events[str(name or os.path.basename(str(line.get("path", ""))))].append(line)

    def check(self):
        self.files()
        for name in self.names:
            self.check_name(name)
        self.check_sets()
        for home in self.homes:
            self.check_reads(home)
        self.check_how_soon()
        return self.faults

    def check_name(self, name):
        tried = {h: a for h, a in self.attempts.items() if a["name"] == name}
        there = self.current.get(name)
        if there and there not in tried:
            self.fault(f"{name} has bytes that no writer wrote whole: {there[:12]}, {os.path.getsize(f'{self.store}/meta_layer/metrics/{name}')} bytes")
        if tried and not there:
            self.counts["names without an artifact"] += 1
            if any(a["outcome"] == "ok" and h not in self.kept for h, a in tried.items()):
                self.fault(f"{name}: a writer was told that it is done, and nothing is there")
            # A set that is refused for another of its names had this one for a moment.
            alone = [a for a in tried.values() if a["way"] != "supersede"]
            if alone and not self.faulty and all(a["way"] != "promote" for a in alone):
                self.fault(f"{name}: nobody won: " + ", ".join(f"{a['way']} on {a['host']} was told {a['outcome']} at {a['step']}" for a in alone))
        first = [h for h, a in tried.items() if a["outcome"] == "ok" and a["way"] != "supersede"]
        if self.faulty:
            # Who was told ok before its driver was killed, and has its bytes in quarantine, has won nothing.
            first = [h for h in first if h == there or h in self.former or h not in self.kept]
        if len(first) > 1:
            self.fault(f"{name}: {len(first)} writers won: " + ", ".join(self.words(tried[h], h) for h in first))
        for sha, attempt in tried.items():
            published = sha == there or sha in self.former
            outcome = attempt["outcome"]
            self.counts["attempts"] += 1
            if outcome == "ok":
                self.counts["won"] += 1
                if not published and sha in self.kept:
                    self.counts["told ok, kept in quarantine"] += 1
                    if not self.faulty:
                        self.fault(f"{name}: {self.words(attempt, sha)} was told ok, and its bytes are in quarantine")
                elif not published:
                    self.fault(f"{name}: {self.words(attempt, sha)} was told ok, and its bytes are LOST")
            elif outcome == "broken":
                self.fault(f"the campaign is at fault: {attempt['step']}: {attempt['text']}")
            else:
                self.counts[f"told {outcome} at {attempt['step']}" if outcome else "not told"] += 1
                if published and outcome not in UNKNOWN:
                    self.fault(f"{name}: {self.words(attempt, sha)} was told {outcome} at {attempt['step']}, and its bytes are published")
        sealed = collections.Counter(
            e.get("sha256") or e.get("record", {}).get("sha256") for e in self.events[name] if e["event"] == "sealed")
        for sha, count in sealed.items():
            if count > 1:
                self.fault(f"{name}: {count} sealed lines of {str(sha)[:12]}")
        order = [s for s in sealed if s]
        superseded = [h for h, a in tried.items() if a["way"] == "supersede" and h in order]
        if len(order) - len(superseded) > 1:
            self.fault(f"{name}: was sealed {len(order)} times, {len(superseded)} of them as successors")
        if there and order and there not in order:
            self.fault(f"{name}: what is there is not what a ledger says was sealed")
        if there and not order:
            self.fault(f"{name}: no ledger says that it was sealed")

    def words(self, attempt, sha):
        return f"{attempt['way']} on {attempt['host']} ({sha[:12]})"

    def check_sets(self):
        """What was promoted together is published all, or none of it."""
        groups = collections.defaultdict(list)
        for sha, attempt in self.attempts.items():
            if attempt.get("way") == "promote":
                groups[attempt["group"]].append(sha)
        published = set(self.current.values()) | self.former
        for group, shas in groups.items():
            count = sum(sha in published for sha in shas)
            self.counts["sets promoted"] += count == len(shas)
            if count not in (0, len(shas)):
                self.fault(f"of the set {group} {count} of {len(shas)} are published")

    def check_how_soon(self):
        """How long it takes from when a host first sees a name until all do."""
        first, unseen = collections.defaultdict(dict), collections.defaultdict(list)
        for home in self.homes:
            for line in lines(home + "/reads.jsonl"):
                if line["place"] == "mount" and "sha256" in line and line["name"] in self.names:
                    first[line["name"]].setdefault(home, line["ended"])
                    # Not how long a reader's round takes, but when it looked and there was nothing.
                    unseen[line["name"]] += [line["unseen"]] if "unseen" in line else []
        spans = [max(0, max(unseen[name], default=0) - min(seen.values())) for name, seen in first.items()]
        if spans:
            self.counts["ms until seen by all hosts, at most"] = round(1000 * max(spans))
            if max(spans) > SOON and not self.faulty:
                self.fault(f"a name was seen by all hosts only after {max(spans):.1f} s")
        blind = [name for name, seen in first.items() if len(seen) < len(self.homes) and name in self.current]
        if blind and not self.faulty:
            self.counts["names that not all readers saw"] = len(blind)

    def check_reads(self, home):
        for line in lines(home + "/reads.jsonl"):
            if line["name"] not in self.names:
                continue
            self.counts["reads"] += 1
            if "error" in line:
                self.counts[f"read: {line['error']} at {line['place']}"] += 1
                continue
            attempt = self.attempts.get(line["sha256"])
            if not attempt or attempt["name"] != line["name"]:
                self.fault(f"{os.path.basename(home)} saw {line['size']} bytes of {line['name']} ({line['place']}) that no writer wrote whole")
            elif line["sha256"] not in self.former and line["sha256"] != self.current.get(line["name"]):
                # On its own mount a host shows what is being sealed, and then its driver may be killed.
                if self.faulty and line["place"] == "mount" and attempt["host"] == os.path.basename(home) and line["sha256"] in self.kept:
                    continue
                self.fault(f"{os.path.basename(home)} saw bytes of {line['name']} ({line['place']}) that were never published: {self.words(attempt, line['sha256'])}")
