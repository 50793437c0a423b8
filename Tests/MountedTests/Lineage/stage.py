"""A store with sealed inputs, its mount, and what runs jobs there."""

import hashlib
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import straced
from model import Model

SOURCES = "abcdefgh"
TYPES = """types:
  sources:
    layers: [base]
    formats: [.txt]
    directory: sources
    names: free
    checks: false
  results:
    layers: [base]
    formats: [.txt]
    directory: results
    names: free
    checks: false
  drafts:
    layers: [base]
    formats: [.txt]
    directory: drafts
    names: free
    checks: false
"""


def source(name):
    """An input's bytes: a few columns, no two inputs alike."""
    return "".join(f"{name}{row}\t{row}\t{(row * 7 + ord(name)) % 13}\n" for row in range(1, 17)).encode()


class Trouble(Exception):
    """Something other than an edge went wrong."""


class Stage:
    def __init__(self, binary, directory, options=()):
        self.binary, self.directory = binary, directory
        self.store, self.mount = os.path.join(directory, "eval"), os.path.join(directory, "mount")
        self.options = list(options)
        self.driver = None

    def run(self, *arguments, timeout=60):
        ended = subprocess.run([self.binary, *arguments], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                               timeout=timeout)
        if ended.returncode != 0:
            raise Trouble(f"artifactfs {' '.join(arguments)}: status {ended.returncode}: {ended.stdout}{ended.stderr}")
        return ended.stdout

    def __enter__(self):
        self.run("init", self.store)
        schema = os.path.join(self.store, ".artifactfs", "schema.yaml")
        with open(schema) as file:
            text = file.read()
        begin = text.index("\ntypes:\n") + 1
        rest = text[begin:].split("\n")
        end = next((n for n, line in enumerate(rest) if n and line and not line.startswith((" ", "#"))), len(rest))
        with open(schema, "w") as file:
            file.write(text[:begin] + TYPES + "\n".join(rest[end:]))
        os.mkdir(self.mount)
        self.log = open(os.path.join(self.directory, "driver.log"), "w")
        self.driver = subprocess.Popen(
            [self.binary, "mount", self.store, self.mount, "--foreground", "--durability", "relaxed", *self.options],
            stdin=subprocess.DEVNULL, stdout=self.log, stderr=self.log)
        limit = time.monotonic() + 20
        while not os.path.exists(os.path.join(self.mount, ".artifactfs", "status.json")):
            if self.driver.poll() is not None or time.monotonic() > limit:
                self.close()
                with open(self.log.name) as file:
                    raise Trouble("the driver did not mount: " + file.read())
            time.sleep(0.02)
        self.mount = os.path.realpath(self.mount)
        self.session = os.readlink(os.path.join(self.mount, "development", "current"))
        self.hashes = {}
        for name in SOURCES:
            inner = f"production/base/sources/{name}.txt"
            with open(os.path.join(self.mount, inner), "wb") as file:
                file.write(source(name))
            self.hashes[inner] = hashlib.sha256(source(name)).hexdigest()
        self.settle()
        return self

    def __exit__(self, *_):
        self.close()

    def close(self):
        if self.driver is None:
            return
        command = ["umount"] if os.geteuid() == 0 else ["fusermount3", "-u"]
        for _ in range(50):
            if self.driver.poll() is not None or not os.path.ismount(self.mount):
                break
            if subprocess.run([*command, self.mount], capture_output=True).returncode == 0:
                break
            time.sleep(0.1)
        else:
            subprocess.run(["umount", "-l", self.mount] if os.geteuid() == 0 else ["fusermount3", "-uz", self.mount],
                           capture_output=True)
        try:
            self.driver.wait(30)
        except subprocess.TimeoutExpired:
            self.driver.kill()
            self.driver.wait()
        self.log.close()
        self.driver = None

    def settle(self):
        """Waits until what was closed is sealed. What was kept back is found missing later."""
        ended = subprocess.run([self.binary, "wait", self.mount, "--timeout", "100"], stdin=subprocess.DEVNULL,
                               capture_output=True, text=True, timeout=120)
        if ended.returncode not in (0, 1):
            raise Trouble(f"artifactfs wait: status {ended.returncode}: {ended.stdout}{ended.stderr}")

    def begin(self, job, tag, prepared, strace=None):
        """Starts a job. Its output goes to a file and not into a pipe that would join it to this process."""
        place = os.path.join(self.directory, "work", f"{job.name}-{tag}")
        os.makedirs(place)
        prefix = f"{job.name}-{tag}-"
        environment = dict(
            os.environ, IN=f"{self.mount}/production/base/sources", OUT=f"{self.mount}/production/base/results/{prefix}",
            S=f"{self.mount}/development/current/base/drafts/{prefix}",
            F=f"{self.mount}/development/current/scratch/{prefix}", T=place, PYTHON=sys.executable, LC_ALL="C",
            PYTHONDONTWRITEBYTECODE="1", HOME=place, XDG_CACHE_HOME=place,
            **{key.upper(): value for key, value in prepared.items() if value})
        for name in ("BASH_ENV", "ENV", "MAKEFLAGS", "MAKELEVEL"):
            environment.pop(name, None)
        command = job.command(prepared)
        if strace:
            command = [strace, *straced.OPTIONS, "-o", os.path.join(place, "trace"), *command]
        with open(os.path.join(place, "output"), "wb") as output:
            return subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, cwd=place,
                                    env=environment, start_new_session=True)

    def finish(self, child, job, tag, timeout=60):
        try:
            status = child.wait(timeout)
        except subprocess.TimeoutExpired:
            os.killpg(child.pid, signal.SIGKILL)
            child.wait()
            status = "none: it was killed when its time was over"
        if status != 0:
            with open(os.path.join(self.directory, "work", f"{job.name}-{tag}", "output"), errors="replace") as file:
                raise Trouble(f"status {status}: {file.read()[-2000:]}")

    def lines(self, job, tag):
        with open(os.path.join(self.directory, "work", f"{job.name}-{tag}", "trace"), errors="surrogateescape") as file:
            return file.readlines()

    def model(self, events, job, tag, **how):
        return Model(self.mount, {"development/current": "development/" + self.session},
                     os.path.join(self.directory, "work", f"{job.name}-{tag}"), **how).run(events)

    def record(self, inner):
        """An artifact's record; nothing when there is none."""
        folder, name = os.path.split(os.path.join(self.mount, inner))
        try:
            with open(os.path.join(folder, ".meta", name + ".json")) as file:
                return json.load(file)
        except FileNotFoundError:
            return None

    def results(self, job, tag):
        """What a job left in production."""
        folder = os.path.join(self.mount, "production", "base", "results")
        return sorted("production/base/results/" + name for name in os.listdir(folder)
                      if name.startswith(f"{job.name}-{tag}-"))


def works(command):
    """Whether a program is there and runs: one may be another user's."""
    try:
        return subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True).returncode == 0
    except OSError:
        return False


def prepare(directory):
    """What jobs need besides programs of the system."""
    prepared = {"static": "", "snakemake": ""}
    snakemake = os.environ.get("ARTIFACTFS_TEST_SNAKEMAKE") or shutil.which("snakemake")
    if snakemake and works([snakemake, "--version"]):
        prepared["snakemake"] = snakemake
    compiler = shutil.which("cc") or shutil.which("gcc")
    code = os.path.join(os.path.dirname(os.path.abspath(__file__)), "static.c")
    program = os.path.join(directory, "static")
    if compiler and works([compiler, "-O1", "-static", "-o", program, code]):
        prepared["static"] = program
    return prepared
