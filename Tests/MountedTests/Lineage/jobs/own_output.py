# out x: a process
# out y: a process, O:x process
import os

IN, OUT = (os.environ[name] for name in ("IN", "OUT"))
with open(f"{OUT}x.txt", "w") as file:
    file.write(open(f"{IN}/a.txt").read())
rows = open(f"{OUT}x.txt").read()
with open(f"{OUT}y.txt", "w") as file:
    file.write(rows)
open(f"{IN}/h.txt").read()
