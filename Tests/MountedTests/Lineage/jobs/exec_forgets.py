# out x: a process
import os

# The same process becomes sort: what it has read is gone, what it has open stays.
IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
open(f"{IN}/h.txt").read()
kept = os.open(f"{IN}/g.txt", os.O_RDONLY)
os.dup2(os.open(f"{IN}/a.txt", os.O_RDONLY), 0)
os.dup2(os.open(f"{OUT}x.txt", os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o644), 1)
os.execvp("sort", ["sort"])
