"""Runs on a host: writes names of production, by all ways that there are, against the writers of the other hosts, and notes of each what it was told.

    writer.py SETTINGS      (JSON: host, mount, binary, names, ways, seed, sizes, notes, temporary, start)

A line for each attempt goes to `notes`, before it begins and when it has ended: `name`, `way`, `sha256`, `outcome` (`ok`, or what the writer was told) and
`step` (at which call).
"""

import errno
import hashlib
import json
import os
import random
import subprocess
import sys
import time


class Told(Exception):
    """What a program was told: an errno's name or a command's words."""

    def __init__(self, step, what, text=""):
        self.step, self.what, self.text = step, what, text


class Step:
    """A call that may fail, by its name."""

    def __init__(self, name):
        self.name = name

    def __enter__(self):
        return self

    def __exit__(self, kind, error, trace):
        if isinstance(error, OSError):
            raise Told(self.name, errno.errorcode.get(error.errno, str(error.errno)), str(error)) from error


def write(path, data, flags, pause=0.0):
    with Step("open"):
        fd = os.open(path, os.O_WRONLY | os.O_CREAT | flags, 0o644)
    try:
        for at in range(0, len(data), 65536):
            with Step("write"):
                os.write(fd, data[at:at + 65536])
            if pause:
                time.sleep(pause)
    except BaseException:
        try:
            os.close(fd)
        except OSError:
            pass
        raise
    with Step("close"):
        os.close(fd)


def remove(path):
    try:
        os.unlink(path)
    except OSError:
        pass


class Writer:
    def __init__(self, settings):
        self.__dict__.update(settings)
        self.random = random.Random(f"{self.seed}-{self.host}")
        self.directory = f"{self.mount}/production/meta/meta_metrics"
        self.serial = 0
        self.out = os.open(self.notes, os.O_WRONLY | os.O_CREAT | os.O_APPEND, 0o644)

    def note(self, **members):
        os.write(self.out, (json.dumps({"host": self.host, "time": time.monotonic(), **members}) + "\n").encode())

    def data(self, name, size):
        self.serial += 1
        head = f'{{"name": "{name}", "host": "{self.host}", "pid": {os.getpid()}, "serial": {self.serial}, "pad": "'
        return (head + "x" * size + '"}\n').encode()

    def command(self, step, *words):
        done = subprocess.run(words, capture_output=True, text=True, stdin=subprocess.DEVNULL, errors="replace")
        if done.returncode:
            text = (done.stdout + done.stderr)[-600:]
            # What cp says is what the system said to it.
            said = [name for number, name in errno.errorcode.items() if step == "cp" and os.strerror(number) in text]
            raise Told(step, said[0] if said else f"status {done.returncode}", text)

    def session(self):
        with Step("session"):
            return f"{self.mount}/development/{os.readlink(self.mount + '/development/current')}/meta/meta_metrics"

    # The ways: each writes `data` so that it has the name, or is told why not.

    def by_create(self, name, data):
        write(f"{self.directory}/{name}", data, self.random.choice([os.O_EXCL, os.O_TRUNC]))

    def by_slow(self, name, data):
        write(f"{self.directory}/{name}", data, os.O_EXCL, self.pause)

    def by_rename(self, name, data):
        temporary = f"{self.directory}/.{name}.{self.host}.{os.getpid()}"
        try:
            write(temporary, data, os.O_EXCL)
            with Step("rename"):
                os.rename(temporary, f"{self.directory}/{name}")
        except Told:
            remove(temporary)
            raise

    def source(self, name, data):
        path = f"{self.temporary}/{name}.{os.getpid()}"
        write(path, data, os.O_TRUNC)
        return path

    def by_cp(self, name, data):
        source = self.source(name, data)
        try:
            self.command("cp", "cp", source, f"{self.directory}/{name}")
        finally:
            remove(source)

    def by_mv(self, name, data):
        path = f"{self.session()}/{name}"
        try:
            write(path, data, os.O_TRUNC)
            with Step("rename"):
                os.rename(path, f"{self.directory}/{name}")
        except Told:
            remove(path)
            raise

    def by_supersede(self, name, data):
        source = self.source(name, data)
        try:
            self.command("supersede", self.binary, "supersede", "--reason", "race", "--with", source, f"{self.directory}/{name}")
        finally:
            remove(source)

    def promote(self, names, datas):
        session = self.session()
        paths = [f"{session}/{name}" for name in names]
        try:
            for path, data in zip(paths, datas):
                write(path, data, os.O_TRUNC)
            self.command("promote", self.binary, "promote", *paths)
        except Told as told:
            # Of what is not known the files are left where they are.
            if told.what == "status 1":
                for path in paths:
                    remove(path)
            raise

    def attempt(self, way, names):
        """By a process of its own, whose end is the end of the file's maker."""
        datas = [self.data(name, self.random.choice(self.sizes)) for name in names]
        hashes = [hashlib.sha256(data).hexdigest() for data in datas]
        group = f"{self.host}-{os.getpid()}-{self.serial}"
        for name, sha256, data in zip(names, hashes, datas):
            self.note(name=name, way=way, sha256=sha256, size=len(data), group=group)
        child = os.fork()
        if child:
            os.waitpid(child, 0)
            return
        outcome, step, text = "ok", None, ""
        try:
            if way == "promote":
                self.promote(names, datas)
            else:
                getattr(self, "by_" + way)(names[0], datas[0])
        except Told as told:
            outcome, step, text = told.what, told.step, told.text
        except BaseException as error:  # A fault of the campaign.
            outcome, step, text = "broken", type(error).__name__, str(error)
        for name, sha256 in zip(names, hashes):
            self.note(name=name, sha256=sha256, outcome=outcome, step=step, text=text)
        os._exit(0 if outcome == "ok" else 1)

    def work(self):
        while time.monotonic() < self.start:
            time.sleep(0.001)
        at = 0
        while at < len(self.names):
            way = self.random.choice(self.ways)
            count = self.together if way == "promote" else 1
            self.attempt(way, self.names[at:at + count])
            # Others come to the names of a set, too.
            at += self.random.choice([1, count]) if way != "supersede" else self.random.choice([0, 1])


Writer(json.loads(sys.argv[1])).work()
