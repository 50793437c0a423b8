"""Reads what `strace -f -ttt -yy -s 4 --pidns-translation -o FILE` wrote: whole system calls, in the order in which they count."""

from __future__ import annotations

import re
from dataclasses import dataclass, field

CALLS = """open openat openat2 creat close close_range dup dup2 dup3 fcntl pipe pipe2 socketpair clone clone3 fork vfork
execve execveat exit exit_group read readv pread64 preadv preadv2 write writev pwrite64 pwritev pwritev2 mmap munmap
msync splice tee vmsplice sendfile copy_file_range rename renameat renameat2 unlink unlinkat link linkat mknod mknodat
chdir fchdir sendto recvfrom sendmsg recvmsg ioctl unshare pidfd_getfd io_uring_setup""".split()

OPTIONS = ["-f", "-q", "-ttt", "-yy", "-s", "4", "--pidns-translation", "-e", "signal=none",
           "-e", "trace=" + ",".join(CALLS)]

# These count when they begin: what another process sees of them may be seen before they return.
AT_START = {"close", "close_range", "clone", "clone3", "fork", "vfork", "write", "writev", "pwrite64", "pwritev",
            "pwritev2", "vmsplice", "sendto", "sendmsg", "munmap", "msync", "exit_group", "exit"}


class TraceError(Exception):
    """A line that this does not understand: nothing may be concluded from such a trace."""


@dataclass
class Descriptor:
    """`3</path>`, `4<pipe:[17]>`, `AT_FDCWD</tmp>`: a descriptor and what it is open on."""
    number: int | None
    target: str


@dataclass
class Call:
    """One system call of one thread; `end` is no line when the thread ended in it."""
    pid: int
    name: str
    arguments: list = field(default_factory=list)
    value: int | None = None
    target: str | None = None
    child: int | None = None
    time: float = 0.0
    start: int = 0
    end: int | None = None

    @property
    def succeeded(self):
        return self.value is not None and self.value >= 0

    @property
    def place(self):
        return self.start if self.name in AT_START or self.end is None else self.end


@dataclass
class End:
    """A thread ended, or `execve` in another thread took its number."""
    pid: int
    start: int
    superseded_by: int | None = None
    time: float = 0.0

    @property
    def place(self):
        return self.start


LINE = re.compile(r"(\d+) +(\d+\.\d+) (.*)$", re.S)
RESUMED = re.compile(r"<\.\.\. (\w+|\?\?\?) resumed>(.*)$", re.S)
BEGUN = re.compile(r"(\w+|\?\?\?)\((.*)$", re.S)
RETURNED = re.compile(r"^(.*)\) += (\?|0x[0-9a-f]+|-?\d+)(.*)$", re.S)
TRANSLATED = re.compile(r"/\* (\d+) in strace's PID NS \*/")
DESCRIPTOR = re.compile(r"(-?\d+|AT_FDCWD)<(.*)>$", re.S)


def unescape(text):
    """What strace put for bytes that it does not print."""
    if "\\" not in text:
        return text
    plain = {"n": "\n", "t": "\t", "r": "\r", "v": "\v", "f": "\f"}
    return re.sub(r"\\([0-7]{1,3}|.)",
                  lambda m: chr(int(m[1], 8)) if m[1][0] in "01234567" else plain.get(m[1], m[1]), text)


def split_arguments(text):
    """The arguments of a call, split at the commas between them and not at those within."""
    parts, depth, begin, at, size = [], 0, 0, 0, len(text)
    while at < size:
        letter = text[at]
        if letter == '"':
            at += 1
            while at < size and text[at] != '"':
                at += 2 if text[at] == "\\" else 1
        elif letter == "<" and at and (text[at - 1].isdigit() or text[:at].endswith("AT_FDCWD")) \
                and text[at + 1:at + 2] != "<":
            while at < size and not (text[at] == ">" and text[at - 1] != "-"):
                at += 1
        elif letter in "([{":
            depth += 1
        elif letter in ")]}":
            depth -= 1
        elif letter == "/" and text[at:at + 2] == "/*":
            at = text.find("*/", at) + 1 if "*/" in text[at:] else size
        elif letter == "," and depth == 0:
            parts.append(text[begin:at].strip())
            begin = at + 1
        at += 1
    last = text[begin:].strip()
    return parts + [last] if last or parts else []


def descriptor(text):
    """The descriptor that an argument is; nothing when it is none."""
    found = DESCRIPTOR.match(text.strip())
    if found:
        target = found[2].removesuffix(" (deleted)").removesuffix("(deleted)")
        return Descriptor(None if found[1] == "AT_FDCWD" else int(found[1]), unescape(target))
    if re.fullmatch(r"-?\d+", text.strip()):
        return Descriptor(int(text), "")
    return None


def string(text):
    """The string that an argument is."""
    text = text.strip()
    if not text.startswith('"'):
        return None
    return unescape(text[1:text.rindex('"')])


def parse(lines):
    """All calls and ends of a trace, in the order in which they count."""
    found, pending = [], {}

    def complete(call, rest, number):
        returned = RETURNED.match(rest)
        if not returned:
            raise TraceError(f"line {number + 1}: a call without a value: {rest!r}")
        call.arguments = split_arguments(returned[1])
        call.end = number
        if returned[2] != "?":
            call.value = int(returned[2], 0)
        tail = returned[3]
        shown = re.match(r"<(.*)>", tail)
        if shown:
            call.target = unescape(shown[1].removesuffix(" (deleted)").removesuffix("(deleted)"))
        translated = TRANSLATED.search(tail)
        if call.name in ("clone", "clone3", "fork", "vfork") and call.succeeded:
            call.child = int(translated[1]) if translated else call.value

    for number, line in enumerate(lines):
        line = line.rstrip("\n")
        if not line:
            continue
        parts = LINE.match(line)
        if not parts:
            raise TraceError(f"line {number + 1}: {line!r}")
        pid, time, text = int(parts[1]), float(parts[2]), parts[3]
        if text.startswith("---"):
            continue
        if text.startswith("+++"):
            superseded = re.search(r"superseded by execve in pid (\d+)", text)
            if superseded:
                # The thread goes on under the number of the process.
                other = int(superseded[1])
                if other in pending:
                    pending[pid] = pending.pop(other)
                    pending[pid].pid = pid
                found.append(End(pid, number, other, time))
            else:
                call = pending.pop(pid, None)
                if call is not None:
                    call.end = None
                found.append(End(pid, number, None, time))
            continue
        resumed = RESUMED.match(text)
        if resumed:
            call = pending.pop(pid, None)
            if call is None:
                raise TraceError(f"line {number + 1}: resumed, but not begun: {line!r}")
            if call.name == "???":
                found.remove(call)
                continue
            rest = call.begun + resumed[2]
            if rest.endswith("<unfinished ...>"):
                call.begun = rest.removesuffix("<unfinished ...>")
                pending[pid] = call
                continue
            complete(call, rest, number)
            continue
        begun = BEGUN.match(text)
        if not begun:
            raise TraceError(f"line {number + 1}: {line!r}")
        call = Call(pid, begun[1], time=time, start=number)
        found.append(call)
        rest = begun[2]
        # A call that a signal interrupted at its entry has no second half.
        if rest.endswith("<unfinished ...>"):
            call.begun = rest.removesuffix("<unfinished ...>")
            call.arguments = split_arguments(call.begun.rstrip(" ,"))
            pending[pid] = call
        else:
            complete(call, rest, number)
    adopt(found)
    # `sorted` keeps the order of what counts at the same line.
    return sorted(found, key=lambda each: each.place)


def adopt(found):
    """Finds the children of forks that did not return before their process ended: the first that nobody else has."""
    known = {each.child for each in found if isinstance(each, Call) and each.child}
    first = {}
    for each in found:
        first.setdefault(each.pid, each.start)
    orphans = sorted((at, pid) for pid, at in first.items() if pid not in known)[1:]
    for call in found:
        if isinstance(call, Call) and call.name in ("clone", "clone3", "fork", "vfork") \
                and call.child is None and call.value is None:
            for at, pid in orphans:
                if at > call.start:
                    call.child = pid
                    orphans.remove((at, pid))
                    break
