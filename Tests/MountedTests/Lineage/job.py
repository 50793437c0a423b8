"""The jobs, a file each in `jobs`: a program, and in its comments what must come of it, checked by hand.

    # with: dash            what runs it: bash (unless said otherwise), dash, python, or a program's name
    # needs: root, perl     programs that must be there
    # varies                who does which part is left to chance: what a run gives is compared with that run's trace only
    # holds                 edges that come from holding a descriptor alone are no fault here: it is what this job is about
    # out x: a process, S:mid pipe      what ${OUT}x.txt is made from, and how that is known; "ancestor|pipe" for either
    # sha256 x S:mid a      the draft that ${OUT}x.txt is made from had the bytes of a then

`a` is `$IN/a.txt`, `S:mid` is `${S}mid.txt` of the session, `F:mid` is `${F}mid.txt` of its scratch directory, `O:x` is `${OUT}x.txt`.
"""

import os
import re
import shutil
import sys
from dataclasses import dataclass, field

HERE = os.path.dirname(os.path.abspath(__file__))
JOBS = os.path.join(HERE, "jobs")


@dataclass
class Job:
    name: str
    path: str
    runner: str = "bash"
    needs: list = field(default_factory=list)
    varies: bool = False
    holds: bool = False
    expected: dict = field(default_factory=dict)
    hashes: dict = field(default_factory=dict)

    @staticmethod
    def read(path):
        job = Job(os.path.splitext(os.path.basename(path))[0], path)
        if path.endswith(".py"):
            job.runner = "python"
        with open(path) as file:
            for line in file:
                if not line.startswith("#"):
                    break
                words = line[1:].strip()
                key, _, rest = words.partition(":")
                if key == "with":
                    job.runner = rest.strip()
                elif key == "needs":
                    job.needs = [word.strip() for word in rest.split(",")]
                elif words == "varies":
                    job.varies = True
                elif words == "holds":
                    job.holds = True
                elif words.startswith("sha256 "):
                    _, output, inner, same = words.split()
                    job.hashes[output, inner] = same
                elif key.startswith("out "):
                    edges = {}
                    for part in rest.split(","):
                        if part.strip():
                            name, _, how = part.strip().rpartition(" ")
                            edges[name] = how
                    job.expected[key[4:].strip()] = edges
        return job

    def missing(self, prepared):
        """What it needs and is not here."""
        absent = []
        for need in self.needs + ([self.runner] if self.runner not in ("bash", "python") else []):
            if need == "root":
                if os.geteuid() != 0:
                    absent.append("root")
            elif need in prepared:
                if not prepared[need]:
                    absent.append(need)
            elif shutil.which(need) is None:
                absent.append(need)
        return absent

    def command(self, prepared):
        program = {"python": sys.executable, "bash": "/bin/bash"}.get(self.runner, self.runner)
        return [program, self.path]


def all_jobs(names=None):
    jobs = [Job.read(os.path.join(JOBS, name)) for name in sorted(os.listdir(JOBS)) if re.search(r"\.(sh|py)$", name)]
    if names:
        unknown = set(names) - {job.name for job in jobs}
        if unknown:
            raise SystemExit("no such job: " + ", ".join(sorted(unknown)))
        jobs = [job for job in jobs if job.name in names]
    return jobs


def short(path, job, tag):
    """A path on the mount in the words of a job's comments; the path itself when it is none of them."""
    rules = [
        (r"production/base/sources/(.+)\.txt", ""),
        (rf"production/base/results/{re.escape(job)}-{re.escape(tag)}-(.+)\.txt", "O:"),
        (rf"development/[^/]+/base/drafts/{re.escape(job)}-{re.escape(tag)}-(.+)\.txt", "S:"),
        (rf"development/[^/]+/scratch/{re.escape(job)}-{re.escape(tag)}-(.+)\.txt", "F:"),
    ]
    for pattern, mark in rules:
        found = re.fullmatch(pattern, path.strip("/"))
        if found:
            return mark + found[1]
    return path


def long(name, job, tag, session):
    """The path on the mount that a word of a job's comments stands for."""
    mark, _, rest = name.rpartition(":")
    place = {"": "production/base/sources/", "O": f"production/base/results/{job}-{tag}-",
             "S": f"development/{session}/base/drafts/{job}-{tag}-", "F": f"development/{session}/scratch/{job}-{tag}-"}
    return place[mark] + rest + ".txt"
