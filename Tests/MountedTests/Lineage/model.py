"""The contract of certain edges, on a trace: what each process knows, by its memory, its descriptors and its pipes.

- Who opens a file of the mount to read knows it (`process`).
- fork passes on what a process knows (`ancestor`), execve forgets all but what is still open: `process` when the same process opened it,
  `ancestor` when it was inherited.
- A write into a pipe puts all that the writer knows into it; who reads from it then knows it (`pipe`).
- A write into a file makes all that the writer knows at that moment an input of the file.
"""

import os
import re
import stat

from calls import Calls
from state import File, Open, Pipe, Process, merge
from straced import Call, End


class Model(Calls):
    """Follows a trace.

    - mount: the mount point's real path.
    - aliases: directories on the mount that are links, with what they lead to, such as `development/current`.
    - directory: where the first process begins.
    - holds: upper bound: who holds an end of a pipe, or a file open to write, counts as one that uses it, and pairs of sockets count as
      pipes.
    - opens: whether opening counts as reading; else only what was read, mapped or copied from.
    """

    def __init__(self, mount, aliases=None, directory="/", holds=False, opens=True):
        self.mount = mount.rstrip("/")
        self.aliases = aliases or {}
        self.holds, self.opens = holds, opens
        self.directory = directory
        self.tasks = {}
        self.names = {}
        self.pipes = {}
        self.fifos = set()
        self.problems = []
        self.opened = {}
        self.written = {}
        self.open_times = []
        self.last_exec = {}

    # Paths

    def canonical(self, path):
        """The path from the mount's root; nothing for what is elsewhere."""
        path = os.path.normpath(path)
        if path != self.mount and not path.startswith(self.mount + "/"):
            parent = os.path.realpath(os.path.dirname(path))
            path = os.path.join(parent, os.path.basename(path))
            if not path.startswith(self.mount + "/"):
                return None
        inner = path[len(self.mount) + 1:]
        for link, target in self.aliases.items():
            if inner == link or inner.startswith(link + "/"):
                inner = target + inner[len(link):]
        return inner

    def resolve(self, process, base, path):
        if path is None:
            return None
        if base is not None and base.target and not path.startswith("/"):
            path = os.path.join(base.target, path)
        elif not path.startswith("/"):
            path = os.path.join(process.directory[0], path)
        return path

    def is_artifact(self, inner):
        parts = inner.split("/")
        if ".meta" in parts or parts[0] == ".artifactfs":
            return False
        if parts[0] == "production":
            return len(parts) >= 4
        return parts[0] in ("development", "test") and len(parts) >= 4

    # Following

    def run(self, events):
        # What a shell's child holds before it becomes its program is never its memory's.
        for event in events:
            if isinstance(event, Call) and event.name in ("execve", "execveat") and event.value == 0:
                self.last_exec[event.pid] = event.place
        for event in events:
            if isinstance(event, End):
                self.end(event)
                continue
            handler = getattr(self, "do_" + event.name, None)
            if handler is not None:
                handler(self.task(event.pid), event)
                if self.holds:
                    self.spread(event.place)
        return self

    def task(self, pid):
        if pid not in self.tasks:
            if self.tasks:
                self.problems.append(f"process {pid} came from nowhere")
            made = Process(pid, directory=[self.directory], threads={pid})
            self.tasks[pid] = made
        return self.tasks[pid]

    def end(self, event):
        process = self.tasks.get(event.pid)
        if process is None:
            return
        if event.superseded_by is not None:
            for thread in list(process.threads):
                self.tasks.pop(thread, None)
            process.threads = {event.pid}
            self.tasks[event.pid] = process
            return
        process.threads.discard(event.pid)
        if not process.threads:
            self.store_mapped(process)
            process.files = {}

    def spread(self, place):
        """What holding alone would join."""
        changed = True
        processes = [process for process in {id(p): p for p in self.tasks.values()}.values()
                     if process.threads and self.last_exec.get(process.number, -1) <= place]
        while changed:
            changed = False
            for process in processes:
                for opened, _ in process.files.values():
                    target = opened.target
                    if isinstance(target, Pipe):
                        if opened.writes and not process.knows.keys() <= target.inputs:
                            target.inputs |= process.knows.keys()
                            changed = True
                        if opened.reads:
                            for path in target.inputs:
                                changed |= merge(process.knows, path, "pipe")
                    elif isinstance(target, File) and opened.writes:
                        for path, how in process.knows.items():
                            changed |= merge(target.edges, path, how)

    # Descriptors

    def pipe(self, name, kind="pipe"):
        if name not in self.pipes:
            self.pipes[name] = Pipe(name, kind=kind)
        return self.pipes[name]

    def channel(self, target):
        """The pipe or pair of sockets that strace shows a descriptor to be."""
        if target.startswith("pipe:["):
            return self.pipe(target)
        pair = re.match(r"UNIX(?:-\w+)?:\[(\d+)->(\d+)", target)
        if pair:
            return self.pipe("socket:" + "-".join(sorted(pair.groups())), "socket")
        inner = self.canonical(target) if target.startswith("/") else None
        if target in self.fifos or (inner is None and target.startswith("/") and self.is_fifo(target)):
            # What is in it is gone when nobody has it open any more (fifo(7)).
            if not any(opened.target is self.pipes.get(target) for task in self.tasks.values() for opened, _ in task.files.values()):
                self.pipes.pop(target, None)
            return self.pipe(target)
        return None

    def is_fifo(self, path):
        try:
            return stat.S_ISFIFO(os.stat(path).st_mode)
        except OSError:
            return False

    def lookup(self, process, shown):
        """What a descriptor is open on; compared with what strace shows of it."""
        if shown is None or shown.number is None or shown.number < 0:
            return None
        entry = process.files.get(shown.number)
        if entry is None:
            if not shown.target:
                return None
            # From before the trace, or of a kind that is not followed.
            channel = self.channel(shown.target)
            made = Open(channel, True, True, None, shown.target, shown.target)
            if channel is None and shown.target.startswith(self.mount + "/"):
                inner = self.canonical(shown.target)
                if self.is_artifact(inner) and inner in self.names:
                    self.problems.append(f"{process.number}: descriptor {shown.number} on {shown.target} came from nowhere")
            process.files[shown.number] = (made, False)
            return made
        opened = entry[0]
        if shown.target and opened.name and opened.name != shown.target \
                and (isinstance(opened.target, Pipe) or shown.target.startswith("pipe:")):
            self.problems.append(
                f"{process.number}: descriptor {shown.number} is {shown.target}, expected {opened.name}")
        return opened

    def install(self, process, number, opened, closes):
        process.files[number] = (opened, closes)

    # Knowing

    def learn_open(self, process, opened):
        """Somebody has an input open."""
        how = "process" if opened.opener is process else "ancestor"
        merge(process.knows, opened.path, how)

    def learn_read(self, process, opened):
        target = opened.target
        if isinstance(target, Pipe):
            if target.kind == "pipe" or self.holds:
                for path in target.inputs:
                    merge(process.knows, path, "pipe")
        elif isinstance(target, File) and opened.path and not self.opens:
            self.learn_open(process, opened)

    def write_into(self, process, opened):
        target = opened.target
        if isinstance(target, Pipe):
            if target.kind == "pipe" or self.holds:
                target.inputs |= process.knows.keys()
        elif isinstance(target, File):
            target.written = True
            for path, how in process.knows.items():
                merge(target.edges, path, how)

    def store_mapped(self, process):
        for opened in process.mapped.values():
            self.write_into(process, opened)

    # Results

    def outputs(self):
        """Of each file of production that was made: its inputs, and how each is known."""
        found = {}
        for path, file in self.names.items():
            if path.startswith("production/") and (file.written or file.promoted):
                found[path] = {inner: how for inner, how in file.edges.items() if inner != path and
                               self.names.get(inner) is not file}
        return found
