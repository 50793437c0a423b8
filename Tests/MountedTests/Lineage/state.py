"""What there is while a trace is followed: files, pipes, what is open on them, processes."""

from dataclasses import dataclass, field

RANK = {"process": 0, "ancestor": 1, "pipe": 2}


@dataclass(eq=False)
class File:
    """A file of the mount, whatever its name is by now."""
    path: str
    edges: dict = field(default_factory=dict)
    written: bool = False
    promoted: bool = False


@dataclass(eq=False)
class Pipe:
    """What was written into a pipe, a named one, or a pair of sockets."""
    name: str
    inputs: set = field(default_factory=set)
    kind: str = "pipe"


@dataclass(eq=False)
class Open:
    """An open file description."""
    target: object
    reads: bool
    writes: bool
    opener: object
    path: str = ""
    name: str = ""


@dataclass(eq=False)
class Process:
    number: int
    knows: dict = field(default_factory=dict)
    # Descriptor number to (Open, whether it is closed on exec).
    files: dict = field(default_factory=dict)
    directory: list = field(default_factory=lambda: [""])
    threads: set = field(default_factory=set)
    # Address to what is mapped there to be written.
    mapped: dict = field(default_factory=dict)


def merge(into, path, how):
    """Notes how something is known, unless it is known in a better way. Whether that is news."""
    old = into.get(path)
    if old is None or RANK[how] < RANK[old]:
        into[path] = how
        return True
    return False
